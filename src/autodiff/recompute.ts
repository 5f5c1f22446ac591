/**
 * Recomputation: trade time for memory by computing a region's activations again when its backward pass begins.
 *
 * 1. A region is all nodes under one scope prefix (a transformer layer). Its nodes are emitted a second time just
 *    before its backward nodes; what other regions read (the layer's output) is kept and not computed again.
 * 2. A runtime may run a node as soon as its inputs exist, and the copies' inputs exist since the forward pass:
 *    run early, they would keep alive what they were to free. So each copied region reads its inputs through a
 *    barrier that needs the incoming gradient: dims + (g > g), where g is one element of that gradient. The
 *    comparison is always false (also for NaN), no optimizer folds it, and Reshape to those dims copies nothing.
 * 3. What the copies were made for must also run early: see src/graph/passes/leaf-order.ts.
 * Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".
 */
import type { Node } from '../graph/ir.ts';
import { cloneNode, consumersOf } from '../graph/walk.ts';
import type { Builder, Value } from '../ops/builder.ts';
import { range, shaped } from '../ops/gradient/common.ts';
import { GaslawError } from '../util/errors.ts';

export type RecomputeChoice = readonly string[] | ((nodeName: string) => boolean);

/** Nodes of a region in order, and the names of their values that nodes outside read. */
interface Region {
  readonly nodes: readonly Node[];
  readonly kept: ReadonlySet<string>;
}

/** Original name to the name of the copy. */
type Renamed = ReadonlyMap<string, string>;

export class Recomputation {
  readonly #b: Builder;
  readonly #regionOf = new Map<Node, Region>();
  readonly #copies = new Map<Region, Renamed>();
  readonly #made: ReadonlySet<string>;

  constructor(b: Builder, choice: RecomputeChoice) {
    this.#b = b;
    this.#made = new Set(b.graph.nodes.flatMap(n => n.outputs));
    const consumers = consumersOf(b.graph);
    const outputs = new Set(b.graph.outputs.map(o => o.name));
    for (const nodes of regionsOf(b.graph.nodes, choice)) {
      const inside = new Set(nodes);
      const readOutside = (name: string) =>
        outputs.has(name) || (consumers.get(name) ?? []).some(n => !inside.has(n));
      const region = { nodes, kept: new Set(nodes.flatMap(n => n.outputs.filter(readOutside))) };
      for (const node of nodes) this.#regionOf.set(node, region);
    }
  }

  /** Which values the gradient of `node` reads instead of stored ones. Emits the region's copy when first asked. */
  valuesFor(node: Node, grads: readonly (Value | undefined)[]): Renamed | undefined {
    const region = this.#regionOf.get(node);
    if (!region) return undefined;
    const known = this.#copies.get(region);
    if (known) return known;
    const copy = this.#b.scope('recompute', () => this.#copy(region, grads.find(g => g) as Value));
    this.#copies.set(region, copy);
    return copy;
  }

  #copy({ nodes, kept }: Region, gradient: Value): Renamed {
    const names = new Map<string, string>();
    const inside = new Set(nodes.flatMap(n => n.outputs));
    const zero = alwaysZero(gradient);
    const rename = (name: string): string => {
      if (name === '' || kept.has(name)) return name;
      if (!names.has(name) && !inside.has(name) && this.#made.has(name)) {
        names.set(name, barrier(this.#b.value(name), zero).name);
      }
      return names.get(name) ?? name;
    };
    for (const node of nodes) {
      if (node.outputs.every(o => kept.has(o))) continue;
      this.#emit(node, node.inputs.map(rename), names, kept);
    }
    return new Map([...names].filter(([name]) => inside.has(name)));
  }

  /** A copy of `node` under fresh names; `names` learns them. */
  #emit(node: Node, inputs: string[], names: Map<string, string>, kept: ReadonlySet<string>): void {
    const { graph } = this.#b;
    const name = this.#b.fresh(node.name);
    const outputs = node.outputs.map((o, i) => (o === '' ? '' : i === 0 ? name : `${name}:${i}`));
    graph.nodes.push({ ...cloneNode(node), name, inputs, outputs });
    node.outputs.forEach((o, i) => {
      const type = graph.types.get(o);
      if (type) graph.types.set(outputs[i] as string, type);
      if (o !== '' && !kept.has(o)) names.set(o, outputs[i] as string);
    });
  }
}

/** Regions in node order. Throws when a prefix names no node: nothing would be saved, silently. */
function regionsOf(nodes: readonly Node[], choice: RecomputeChoice): Node[][] {
  if (typeof choice === 'function') return runsOf(nodes, choice);
  return choice.map(prefix => {
    const region = nodes.filter(n => n.name === prefix || n.name.startsWith(`${prefix}/`));
    if (region.length > 0) return region;
    const scopes = [...new Set(nodes.map(n => n.name.split('/')[0]))].slice(0, 12);
    throw new GaslawError(
      `recompute: no node lies under "${prefix}"; the outermost scopes are ${scopes.join(', ')}`,
    );
  });
}

/** Unbroken runs of chosen nodes. */
function runsOf(nodes: readonly Node[], chosen: (nodeName: string) => boolean): Node[][] {
  const runs: Node[][] = [[]];
  for (const node of nodes) {
    if (chosen(node.name)) (runs.at(-1) as Node[]).push(node);
    else if (runs.at(-1)?.length) runs.push([]);
  }
  return runs.filter(run => run.length > 0);
}

/** An int64 [1] that is 0 and cannot be known before `g` is. */
function alwaysZero(g: Value): Value {
  const { builder: b } = g;
  const [from, to, axes] = [0, 1].map(n => b.ints(range(g.rank).map(() => n))).concat(b.ints(range(g.rank)));
  const one = g.rank === 0 ? g : b.op('Slice', [g, from, to, axes], {});
  const element = one.reshape([1]);
  return element.greater(element).cast('int64');
}

/** `x` itself, but not before `zero` is known. */
const barrier = (x: Value, zero: Value): Value => shaped(x.reshapeTo(x.dims().add(zero)), x.shape);
