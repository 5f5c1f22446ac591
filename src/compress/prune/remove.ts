/**
 * Taking groups of channels out of a graph for real: weights are cut, what states sizes is rewritten, types are inferred
 * again, and every shape is compared with what the removal should have left.
 */
import { isPacked } from '../../graph/dtype.ts';
import { type Graph, int64, type Node, sizeOf, type Tensor, typeOf } from '../../graph/ir.ts';
import { FreshNames } from '../../graph/walk.ts';
import { type Coupling, imageOf, type Place, type SizeSource } from '../../ops/coupling/coupling.ts';
import { inferShapes } from '../../ops/infer.ts';
import { Attributes } from '../../ops/rule.ts';
import { GaslawError } from '../../util/errors.ts';
import { type ChannelGroup, type NodeCouplings, nodeCouplings, valueAt } from './groups.ts';

/**
 * Removes groups (of `pruningDimensions` of the same graph) in place. Tensors are replaced, never written into.
 * Throws a GaslawError where a size is computed in a way that does not follow.
 */
export function removeGroups(graph: Graph, groups: Iterable<ChannelGroup>): void {
  const removal = new Removal(graph, groups);
  const expected = removal.expectedShapes();
  const couplings = nodeCouplings(graph);
  removal.cutWeights();
  for (const one of couplings) removal.resize(one);
  graph.types.clear();
  try {
    inferShapes(graph);
  } catch (error) {
    throw new GaslawError(`${(error as Error).message} after pruning: ${REMEDY}`);
  }
  for (const [name, shape] of expected) {
    const now = typeOf(graph, name)?.shape;
    if (now && !shape.every((d, i) => typeof d === 'string' || d === now[i]))
      throw new GaslawError(`value "${name}" should be [${shape}] after pruning and is [${now}]: ${REMEDY}`);
  }
}

const REMEDY =
  'the graph computes this size from other values; bind the dims of the inputs, or prune another dimension';

class Removal {
  readonly #graph: Graph;
  readonly #gone = new Map<string, Map<number, Set<number>>>();
  readonly #names: FreshNames;

  constructor(graph: Graph, groups: Iterable<ChannelGroup>) {
    this.#graph = graph;
    this.#names = new FreshNames(graph);
    for (const group of groups) {
      for (const { value, axis, channels } of [...group.weights, ...group.activations]) {
        const axes = this.#gone.get(value) ?? new Map<number, Set<number>>();
        this.#gone.set(value, axes);
        const gone = axes.get(axis) ?? new Set<number>();
        axes.set(axis, gone);
        for (const c of channels) gone.add(c);
      }
    }
  }

  /** What every value that shrinks will be. */
  expectedShapes(): Map<string, (number | string)[]> {
    const shapes = new Map<string, (number | string)[]>();
    for (const [name, axes] of this.#gone) {
      const shape = typeOf(this.#graph, name)?.shape ?? [];
      shapes.set(
        name,
        shape.map((d, axis) => (typeof d === 'number' ? d - (axes.get(axis)?.size ?? 0) : d)),
      );
    }
    return shapes;
  }

  cutWeights(): void {
    const { initializers } = this.#graph;
    for (const [name, axes] of this.#gone) {
      let tensor = initializers.get(name);
      if (!tensor) continue;
      for (const [axis, gone] of axes) tensor = withoutChannels(name, tensor, axis, gone);
      initializers.set(name, tensor);
    }
  }

  /** Rewrites the attributes and constants of a node that state sizes. */
  resize(c: NodeCouplings): void {
    for (const source of c.sizes) {
      if ('attribute' in source) this.#resizeAttribute(c, source.attribute);
      else this.#resizeInput(c.node, source);
    }
  }

  #resizeAttribute({ node, couplings, units }: NodeCouplings, name: string): void {
    const a = node.attributes[name];
    if (name === 'num_outputs') this.#splitBySizes(node);
    if (a?.type !== 'int') return;
    const left =
      name === 'N'
        ? Number(a.value) - this.#goneAt(node, { side: 'output', index: 0, axis: 1 }).size
        : (Number(a.value) * (units - this.#unitsGone(node, couplings, units))) / units;
    node.attributes[name] = { type: 'int', value: left };
  }

  #unitsGone(node: Node, couplings: readonly Coupling[], units: number): number {
    const links = couplings.filter(k => k.from.side === 'unit');
    const isGone = (unit: number) =>
      links.some(({ to, map }) => {
        const gone = this.#goneAt(node, to);
        return gone.size > 0 && imageOf(map, unit).every(c => gone.has(c));
      });
    return Array.from({ length: units }, (_, unit) => unit).filter(isGone).length;
  }

  /** Equal parts that shrink by different counts get their lengths written out. */
  #splitBySizes(node: Node): void {
    const axis = this.#axisOf(node);
    const parts = node.outputs.map((_, index) => this.#left(node, { side: 'output', index, axis }));
    if (node.outputs.every((_, index) => this.#goneAt(node, { side: 'output', index, axis }).size === 0))
      return;
    const { num_outputs: _, ...attributes } = node.attributes;
    node.attributes = attributes;
    node.inputs = [node.inputs[0] as string, this.#constant(`${node.name}_split`, parts)];
  }

  #resizeInput(node: Node, { input }: Extract<SizeSource, { input: number }>): void {
    const old = this.#graph.initializers.get(node.inputs[input] ?? '');
    if (!old) {
      this.#stateShape(node, input);
      return;
    }
    const before = Array.from(old.data as BigInt64Array, Number);
    const after = this.#resized(node, before);
    if (after.some((n, i) => n !== before[i]))
      node.inputs[input] = this.#constant(`${node.inputs[input]}_pruned`, after);
  }

  /** A Reshape whose sizes are computed gets them stated: 0 copies the input's, and one may be left to follow. */
  #stateShape(node: Node, input: number): void {
    const shape = typeOf(this.#graph, node.outputs[0] ?? '')?.shape;
    const shrinks = this.#gone.has(node.outputs[0] ?? '');
    if (node.opType !== 'Reshape' || !shape || !shrinks) return;
    const from = typeOf(this.#graph, node.inputs[0] as string)?.shape;
    const sizes = shape.map((d, axis) => {
      if (typeof d === 'number') return this.#left(node, { side: 'output', index: 0, axis });
      return d === from?.[axis] ? 0 : -1;
    });
    if (sizes.filter(n => n === -1).length < 2)
      node.inputs[input] = this.#constant(`${node.name}_shape`, sizes);
  }

  #resized(node: Node, sizes: readonly number[]): number[] {
    if (node.opType === 'Slice') return this.#bounds(node, sizes);
    if (node.opType === 'Split') {
      const axis = this.#axisOf(node);
      return sizes.map((_, index) => this.#left(node, { side: 'output', index, axis }));
    }
    // 0 and -1 follow by themselves; 1 is broadcast
    const offset = this.#rank(node.outputs[0]) - sizes.length;
    return sizes.map((n, i) =>
      n > 1 ? this.#left(node, { side: 'output', index: 0, axis: i + offset }) : n,
    );
  }

  /** Bounds of a slice move by the channels that went before them. */
  #bounds(node: Node, bounds: readonly number[]): number[] {
    const axes = this.#graph.initializers.get(node.inputs[3] ?? '');
    const rank = this.#rank(node.inputs[0]);
    return bounds.map((bound, i) => {
      const axis = axes ? Number((axes.data as BigInt64Array)[i]) : i;
      const place = { side: 'input', index: 0, axis: axis < 0 ? axis + rank : axis } as const;
      const gone = this.#goneAt(node, place);
      const size = Number(typeOf(this.#graph, node.inputs[0] as string)?.shape?.[place.axis]);
      if (gone.size === 0 || !Number.isFinite(size)) return bound;
      const at = Math.min(bound < 0 ? bound + size : bound, size);
      return at - [...gone].filter(c => c < at).length;
    });
  }

  #axisOf(node: Node): number {
    const axis = new Attributes(node.attributes).int('axis', 0);
    return axis < 0 ? axis + this.#rank(node.inputs[0]) : axis;
  }

  #rank(value: string | undefined): number {
    return typeOf(this.#graph, value ?? '')?.shape?.length ?? 0;
  }

  #goneAt(node: Node, place: Place): ReadonlySet<number> {
    return this.#gone.get(valueAt(node, place))?.get(place.axis) ?? new Set();
  }

  #left(node: Node, place: Place): number {
    const dim = typeOf(this.#graph, valueAt(node, place))?.shape?.[place.axis];
    return Number(dim) - this.#goneAt(node, place).size;
  }

  #constant(base: string, values: readonly number[]): string {
    const name = this.#names.fresh(base);
    this.#graph.initializers.set(name, int64([values.length], values));
    return name;
  }
}

/** `tensor` without some channels of an axis. */
export function withoutChannels(
  name: string,
  tensor: Tensor,
  axis: number,
  gone: ReadonlySet<number>,
): Tensor {
  const { dtype, dims, data } = tensor;
  if (gone.size === 0) return tensor;
  if (dtype === 'string' || isPacked(dtype))
    throw new GaslawError(`weight "${name}" is of ${dtype}, which cannot be pruned: prune before quantizing`);
  const from = data as Float32Array;
  const length = dims[axis] as number;
  const inner = sizeOf(dims.slice(axis + 1));
  const kept = Array.from({ length }, (_, c) => c).filter(c => !gone.has(c));
  const outer = sizeOf(dims.slice(0, axis));
  const to = new (from.constructor as Float32ArrayConstructor)(outer * kept.length * inner);
  for (let o = 0; o < outer; o++) {
    kept.forEach((c, i) => {
      const start = (o * length + c) * inner;
      to.set(from.subarray(start, start + inner), (o * kept.length + i) * inner);
    });
  }
  return { dtype, dims: dims.map((d, a) => (a === axis ? kept.length : d)), data: to };
}
