/**
 * The dependency graph of a model's channels: which of them can only be removed together.
 *
 * 1. An item is one channel of one axis of one value; the coupling rules of the op table join items into groups.
 * 2. A merged axis (Reshape, Flatten) follows the outermost of its factors that can shrink: heads rather than channels
 *    within heads, feature maps rather than pixels. The other factors keep their length.
 * 3. What the outside sees stays: inputs and outputs of the graph, values that bodies capture, and every axis of an op
 *    without couplings.
 * 4. Groups that touch the same axes are alternatives to each other: together they are a dimension (the channels of one
 *    layer, or the heads of one attention).
 * Source: Fang et al., DepGraph: Towards Any Structural Pruning (2023, arXiv:2301.12900), for the grouping.
 */
import { type Graph, type Node, typeOf } from '../../graph/ir.ts';
import { bodiesOf, capturedNames } from '../../graph/walk.ts';
import { type Coupling, type Couplings, imageOf, type Place } from '../../ops/coupling/coupling.ts';
import { ruleContext } from '../../ops/infer.ts';
import { PRUNING_RULES } from '../../ops/pruning.ts';
import { isNone } from '../../ops/rule.ts';

/** Channels of one axis of a value. */
export interface ChannelRun {
  readonly value: string;
  readonly axis: number;
  /** Ascending. */
  readonly channels: readonly number[];
}

/** Channels that go together; those of weights and those of activations. */
export interface ChannelGroup {
  readonly weights: readonly ChannelRun[];
  readonly activations: readonly ChannelRun[];
}

/** Groups that are alternatives to each other. */
export interface PruningDimension {
  /** The weights that it runs through, for messages. */
  readonly name: string;
  readonly groups: readonly ChannelGroup[];
  /** Removing a group changes what the others compute: an op takes a statistic over them (normalization). */
  readonly mixing: boolean;
  /** Channels of a group on the axis where it has fewest. */
  readonly groupSize: number;
}

/** How many units a node has (heads, groups) and, after a removal, keeps. */
export interface NodeCouplings extends Couplings {
  readonly node: Node;
  readonly units: number;
}

/** The couplings of every node that has some. `graph` needs inferred types. */
export function nodeCouplings(graph: Graph): NodeCouplings[] {
  return graph.nodes.flatMap(node => {
    const context = ruleContext(graph, node);
    const rule = PRUNING_RULES[context.key];
    if (isNone(rule)) return [];
    const outputs = node.outputs.map(name => typeOf(graph, name) ?? { dtype: 'float32' as const });
    const couplings = rule({ ...context, outputs });
    return [{ ...couplings, node, units: unitsOf(graph, node, couplings) }];
  });
}

/** The value that a place of a node belongs to; '' for one that is left out. */
export const valueAt = (node: Node, place: Place): string =>
  (place.side === 'input' ? node.inputs : node.outputs)[place.index] ?? '';

function unitsOf(graph: Graph, node: Node, { couplings }: Couplings): number {
  const link = couplings.find(c => c.from.side === 'unit' && lengthOf(graph, node, c.to) !== undefined);
  if (!link) return 0;
  const length = lengthOf(graph, node, link.to) as number;
  return Math.floor((length - link.map.offset) / imageOf(link.map, 0).length);
}

function lengthOf(graph: Graph, node: Node, place: Place): number | undefined {
  const dim = typeOf(graph, valueAt(node, place))?.shape?.[place.axis];
  return typeof dim === 'number' ? dim : undefined;
}

/** Everything in a graph that can be removed, by dimension. `graph` needs inferred types. */
export function pruningDimensions(graph: Graph): PruningDimension[] {
  return new Channels(graph).dimensions();
}

interface Axis {
  readonly value: string;
  readonly axis: number;
  readonly length: number;
  readonly start: number;
}

class Channels {
  readonly #graph: Graph;
  readonly #axes: Axis[] = [];
  readonly #byKey = new Map<string, Axis>();
  readonly #parents: number[] = [];
  readonly #fixed = new Set<number>();
  readonly #mixing = new Set<number>();
  readonly #nodeIndex = new Map<Node, number>();
  readonly #units = new Map<Node, number>();

  constructor(graph: Graph) {
    this.#graph = graph;
    for (const [i, node] of graph.nodes.entries()) this.#nodeIndex.set(node, i);
    const all = nodeCouplings(graph);
    for (const one of all) this.#units.set(one.node, one.units);
    for (const one of all) this.#join(one);
    this.#fixOutside(new Set(all.map(one => one.node)));
    for (const one of all) this.#joinMerged(one);
  }

  /** The axis of a place; undefined when its length is not a number or it cannot shrink. */
  #axisAt(node: Node, place: Place): Axis | undefined {
    if (place.side === 'unit')
      return this.#axis(`#${this.#nodeIndex.get(node)}`, place.index, this.#units.get(node));
    return this.#axisOf(valueAt(node, place), place.axis);
  }

  #axisOf(value: string, axis: number): Axis | undefined {
    const dim = value === '' ? undefined : typeOf(this.#graph, value)?.shape?.[axis];
    return this.#axis(value, axis, typeof dim === 'number' ? dim : undefined);
  }

  #axis(value: string, axis: number, length: number | undefined): Axis | undefined {
    if (length === undefined || length < 2) return undefined;
    const key = `${value}\0${axis}`;
    const known = this.#byKey.get(key);
    if (known) return known;
    const made = { value, axis, length, start: this.#parents.length };
    for (let c = 0; c < length; c++) this.#parents.push(made.start + c);
    this.#byKey.set(key, made);
    this.#axes.push(made);
    return made;
  }

  #isOne(node: Node, place: Place): boolean {
    return place.side !== 'unit' && lengthOf(this.#graph, node, place) === 1;
  }

  #root(item: number): number {
    let root = item;
    while (this.#parents[root] !== root) root = this.#parents[root] as number;
    for (let at = item; at !== root; ) {
      const next = this.#parents[at] as number;
      this.#parents[at] = root;
      at = next;
    }
    return root;
  }

  #unite(a: number, b: number): void {
    const [x, y] = [this.#root(a), this.#root(b)];
    if (x === y) return;
    this.#parents[y] = x;
    if (this.#fixed.has(y)) this.#fixed.add(x);
    if (this.#mixing.has(y)) this.#mixing.add(x);
  }

  #mark(marks: Set<number>, axis: Axis | undefined): void {
    if (axis) for (let c = 0; c < axis.length; c++) marks.add(this.#root(axis.start + c));
  }

  #join({ node, couplings, fixed, mixing }: NodeCouplings): void {
    for (const coupling of couplings) if (coupling.factor === undefined) this.#follow(node, coupling);
    for (const place of fixed) this.#mark(this.#fixed, this.#axisAt(node, place));
    for (const place of mixing) this.#mark(this.#mixing, this.#axisAt(node, place));
  }

  /** Joins both ends of a coupling; an end that cannot shrink holds the other. */
  #follow(node: Node, { from, to, map }: Coupling): void {
    const [a, b] = [this.#axisAt(node, from), this.#axisAt(node, to)];
    if (!a || !b) {
      // an axis of length 1 beside a longer one is broadcast, and the longer one free
      if (!this.#isOne(node, from) && !this.#isOne(node, to)) this.#mark(this.#fixed, a ?? b);
      return;
    }
    for (let c = 0; c < a.length; c++) {
      for (const image of imageOf(map, c)) {
        if (image >= 0 && image < b.length) this.#unite(a.start + c, b.start + image);
      }
    }
  }

  /** Each merged axis follows its first factor that can shrink. */
  #joinMerged({ node, couplings }: NodeCouplings): void {
    const merged = new Map<string, Coupling[]>();
    for (const c of couplings.filter(c => c.factor !== undefined)) {
      const key = `${c.to.side}${c.to.index}.${c.to.axis}`;
      merged.set(key, [...(merged.get(key) ?? []), c]);
    }
    for (const factors of merged.values()) {
      const chosen = factors.find(c => this.#canShrink(this.#axisAt(node, c.from)));
      for (const factor of factors) {
        if (factor === chosen) this.#follow(node, factor);
        else this.#mark(this.#fixed, this.#axisAt(node, factor.from));
      }
      if (!chosen) this.#mark(this.#fixed, this.#axisAt(node, (factors[0] as Coupling).to));
    }
  }

  #canShrink(axis: Axis | undefined): boolean {
    if (!axis) return false;
    for (let c = 0; c < axis.length; c++) if (this.#fixed.has(this.#root(axis.start + c))) return false;
    return true;
  }

  #fixOutside(coupled: ReadonlySet<Node>): void {
    const graph = this.#graph;
    const names = new Set([...graph.inputs, ...graph.outputs].map(v => v.name));
    for (const node of graph.nodes) {
      for (const body of bodiesOf(node)) for (const name of capturedNames(body)) names.add(name);
      if (!coupled.has(node)) for (const name of [...node.inputs, ...node.outputs]) names.add(name);
    }
    for (const name of names) {
      const rank = typeOf(graph, name)?.shape?.length ?? 0;
      for (let axis = 0; axis < rank; axis++) this.#mark(this.#fixed, this.#axisOf(name, axis));
    }
  }

  dimensions(): PruningDimension[] {
    const dimensions = new Map<string, { groups: ChannelGroup[]; mixing: boolean; weights: string[] }>();
    for (const [root, runs] of this.#runs()) {
      const group = this.#groupOf(runs);
      if (this.#fixed.has(root) || group.weights.length === 0 || !isPartial(runs)) continue;
      const key = runs.map(r => `${r.axis.value}\0${r.axis.axis}\0${r.channels.length}`).join('\n');
      const weights = [...new Set(group.weights.map(w => w.value))];
      const known = dimensions.get(key) ?? { groups: [], mixing: this.#mixing.has(root), weights };
      dimensions.set(key, known);
      known.groups.push(group);
    }
    return [...dimensions.values()]
      .filter(d => d.groups.length > 1)
      .map(d => ({
        name: shortName(d.weights),
        groups: d.groups,
        mixing: d.mixing,
        groupSize: sizeOf(d.groups),
      }));
  }

  /** The axes and channels of every group, axes in order of first sight. */
  #runs(): Map<number, { axis: Axis; channels: number[] }[]> {
    const found = new Map<number, { axis: Axis; channels: number[] }[]>();
    for (const axis of this.#axes) {
      for (let c = 0; c < axis.length; c++) {
        const root = this.#root(axis.start + c);
        const runs = found.get(root) ?? [];
        if (runs.length === 0) found.set(root, runs);
        const last = runs.at(-1);
        if (last?.axis === axis) last.channels.push(c);
        else runs.push({ axis, channels: [c] });
      }
    }
    return found;
  }

  #groupOf(runs: readonly { axis: Axis; channels: number[] }[]): ChannelGroup {
    const all = runs
      .filter(r => !r.axis.value.startsWith('#'))
      .map(({ axis, channels }) => ({ value: axis.value, axis: axis.axis, channels }));
    const isWeight = (run: ChannelRun) => this.#graph.initializers.has(run.value);
    return { weights: all.filter(isWeight), activations: all.filter(run => !isWeight(run)) };
  }
}

/** A group that is the whole of an axis cannot go. */
const isPartial = (runs: readonly { axis: Axis; channels: number[] }[]): boolean =>
  runs.every(({ axis, channels }) => channels.length < axis.length);

const sizeOf = (groups: readonly ChannelGroup[]): number =>
  Math.min(...(groups[0] as ChannelGroup).weights.map(w => w.channels.length));

const shortName = (weights: readonly string[]): string =>
  weights.length > 3
    ? `${weights.slice(0, 3).join(', ')} and ${weights.length - 3} more`
    : weights.join(', ');
