/**
 * Tables about ops against what ops compute: shape rules tell the dims that the reference interpreter makes, and
 * channels that the coupling rules join can be removed together without changing anything else.
 */
import { describe, expect, test } from 'vitest';
import { allocate } from '../src/graph/dtype.ts';
import { type Attribute, type Graph, sizeOf, type Tensor, typeOf } from '../src/graph/ir.ts';
import {
  type Coupling,
  type Couplings,
  imageOf,
  type Place,
  sourceOf,
} from '../src/ops/coupling/coupling.ts';
import { inferShapes, ruleContext } from '../src/ops/infer.ts';
import { PRUNING_RULES } from '../src/ops/pruning.ts';
import { isNone } from '../src/ops/rule.ts';
import type { OpType } from '../src/ops/schema.ts';
import { evaluate } from '../src/runtime/reference/index.ts';
import { type CaseGraph, caseGraph, casesOf, type OpCase } from './op-cases/types.ts';
import { OP_CASES } from './op-cases.ts';

const CASES = [...casesOf(OP_CASES)].map(c => [`${c.key}: ${c.case.name}`, c] as const);

describe('shape rules tell what the reference interpreter makes', () => {
  test.each(CASES)('%s', (_, { key, case: c }) => {
    const { graph, outputs, feeds } = caseGraph(key, c, 'float32');
    const made = evaluate(graph, feeds);
    for (const { name, dtype, shape } of outputs) {
      expect(made[name].dtype).toBe(dtype);
      const dims = shape.map((d, i) => (typeof d === 'string' ? made[name].dims[i] : d));
      expect(made[name].dims, name).toEqual(dims);
    }
  });
});

/** Removed channels by place. */
type Group = Map<string, Set<number>>;

const keyOf = (p: Place): string => `${p.side}${p.index}.${p.axis}`;
const placeOf = (key: string): Place => {
  const [, side, index, axis] = /^(\D+)(\d+)\.(\d+)$/.exec(key) as unknown as [
    string,
    Place['side'],
    string,
    string,
  ];
  return { side, index: Number(index), axis: Number(axis) };
};

class PruningCase {
  readonly made: CaseGraph;
  readonly rule: Couplings;

  constructor(key: OpType, c: OpCase) {
    this.made = caseGraph(key, c, 'float64');
    const { graph } = this.made;
    const node = graph.nodes[0];
    const outputs = node.outputs.map(name => typeOf(graph, name) ?? { dtype: 'float32' as const });
    const rule = PRUNING_RULES[key];
    if (isNone(rule)) throw new Error(`${key} has no couplings`);
    this.rule = rule({ ...ruleContext(graph, node), outputs });
  }

  sizeAt(place: Place): number {
    if (place.side === 'unit') return this.units();
    const { graph } = this.made;
    const names = place.side === 'input' ? graph.nodes[0].inputs : graph.nodes[0].outputs;
    return Number(typeOf(graph, names[place.index])?.shape?.[place.axis]);
  }

  units(): number {
    const { to, map } = this.rule.couplings.find(k => k.from.side === 'unit') as Coupling;
    return Math.floor((this.sizeAt(to) - map.offset) / imageOf(map, 0).length);
  }

  /** Everything that goes with channel `c` of `seed`, merged axes split by `factor`. */
  group(seed: Place, c: number, factor: number): Group {
    const group: Group = new Map([[keyOf(seed), new Set([c])]]);
    const links = this.rule.couplings.filter(k => k.factor === undefined || k.factor === factor);
    for (let before = -1; before !== countOf(group); ) {
      before = countOf(group);
      for (const link of links) this.#follow(group, link);
    }
    return group;
  }

  #follow(group: Group, { from, to, map }: Coupling): void {
    for (const c of group.get(keyOf(from)) ?? []) for (const image of imageOf(map, c)) add(group, to, image);
    for (const c of group.get(keyOf(to)) ?? []) {
      const source = sourceOf(map, c, this.sizeAt(from));
      if (source !== undefined) add(group, from, source);
    }
  }

  /** Whether the rule promises that the group can go: nothing fixed, no statistics, something left of every axis. */
  isRemovable(group: Group): boolean {
    const barred = new Set([...this.rule.fixed, ...this.rule.mixing].map(keyOf));
    return [...group].every(([key, gone]) => !barred.has(key) && gone.size < this.sizeAt(placeOf(key)));
  }
}

const countOf = (group: Group): number => [...group.values()].reduce((n, s) => n + s.size, 0);

function add(group: Group, place: Place, c: number): void {
  const known = group.get(keyOf(place)) ?? new Set();
  group.set(keyOf(place), known.add(c));
}

const goneAt = (group: Group, side: Place['side'], index: number, axis: number): ReadonlySet<number> =>
  group.get(`${side}${index}.${axis}`) ?? new Set();

/** Runs over elements with their indices, in row-major order. */
function* indices(dims: readonly number[]): Generator<number[]> {
  for (let flat = 0; flat < sizeOf(dims); flat++) {
    let rest = flat;
    yield dims
      .toReversed()
      .map(d => [rest % d, (rest = Math.floor(rest / d))][0])
      .reverse();
  }
}

const isGone = (group: Group, side: Place['side'], index: number, at: readonly number[]): boolean =>
  at.some((c, axis) => goneAt(group, side, index, axis).has(c));

/** `tensor` with the group's elements removed, or set to 0. */
function without(
  tensor: Tensor,
  group: Group,
  side: Place['side'],
  index: number,
  how: 'remove' | 'zero',
): Tensor {
  const all = [...indices(tensor.dims)].map(at => isGone(group, side, index, at));
  const values = [...(tensor.data as Float64Array)];
  if (how === 'zero')
    return filled(
      tensor,
      tensor.dims,
      values.map((v, i) => (all[i] ? zeroLike(v) : v)),
    );
  const dims = tensor.dims.map((d, axis) => d - goneAt(group, side, index, axis).size);
  return filled(
    tensor,
    dims,
    values.filter((_, i) => !all[i]),
  );
}

const zeroLike = (v: number | bigint) => (typeof v === 'bigint' ? 0n : 0) as number;

function filled({ dtype }: Tensor, dims: readonly number[], values: readonly number[]): Tensor {
  const data = allocate(dtype, values.length) as Float64Array;
  data.set(values);
  return { dtype, dims, data };
}

/** The case's graph and feeds with the group's channels of the inputs removed or zeroed. */
function changed(
  p: PruningCase,
  group: Group,
  how: 'remove' | 'zero',
): { graph: Graph; feeds: Record<string, Tensor> } {
  const graph = structuredClone(p.made.graph);
  const feeds = { ...p.made.feeds };
  graph.nodes[0].inputs.forEach((name, i) => {
    const constant = graph.initializers.get(name);
    if (constant) graph.initializers.set(name, without(constant, group, 'input', i, how));
    else if (feeds[name]) feeds[name] = without(feeds[name], group, 'input', i, how);
  });
  if (how === 'remove') resize(p, group, graph);
  graph.inputs = graph.inputs.map(input => ({ ...input, shape: feeds[input.name].dims }));
  graph.types.clear();
  inferShapes(graph);
  return { graph, feeds };
}

/** Rewrites the constants and attributes that state sizes. */
function resize(p: PruningCase, group: Group, graph: Graph): void {
  const node = graph.nodes[0];
  for (const source of p.rule.sizes) {
    if ('attribute' in source) {
      const a = node.attributes[source.attribute];
      if (a?.type === 'int')
        node.attributes[source.attribute] = resizedAttribute(p, group, source.attribute, a);
    } else {
      const name = node.inputs[source.input];
      const old = graph.initializers.get(name);
      if (!old) continue;
      const sizes = resizedVector(
        p,
        group,
        node.opType,
        Array.from(old.data as BigInt64Array, Number),
        source.input,
      );
      graph.initializers.set(name, { ...old, data: BigInt64Array.from(sizes, BigInt) });
    }
  }
}

function resizedAttribute(
  p: PruningCase,
  group: Group,
  name: string,
  a: Attribute & { type: 'int' },
): Attribute {
  if (name === 'N') return { type: 'int', value: Number(a.value) - goneAt(group, 'output', 0, 1).size };
  const units = group.get('unit0.0')?.size ?? 0;
  return units === 0 ? a : { type: 'int', value: (Number(a.value) * (p.units() - units)) / p.units() };
}

function resizedVector(
  p: PruningCase,
  group: Group,
  op: string,
  old: readonly number[],
  input: number,
): number[] {
  const left = (index: number, axis: number) =>
    p.sizeAt({ side: 'output', index, axis }) - goneAt(group, 'output', index, axis).size;
  if (op === 'Slice') return resizedBounds(p, group, old, input);
  if (op !== 'Split') return Array.from({ length: p.made.outputs[0].rank }, (_, axis) => left(0, axis));
  const rank = p.made.outputs[0].rank;
  const axis = Number((p.made.graph.nodes[0].attributes.axis as { value: number } | undefined)?.value ?? 0);
  return old.map((_, k) => left(k, axis < 0 ? axis + rank : axis));
}

/** Bounds of a forward slice move by the channels removed before them. */
function resizedBounds(p: PruningCase, group: Group, old: readonly number[], _input: number): number[] {
  const { graph } = p.made;
  const axes = graph.initializers.get(graph.nodes[0].inputs[3] ?? '');
  return old.map((bound, i) => {
    const rank = p.made.inputs[0]?.rank as number;
    const axis = axes ? Number((axes.data as BigInt64Array)[i]) : i;
    const at = axis < 0 ? axis + rank : axis;
    const size = p.sizeAt({ side: 'input', index: 0, axis: at });
    const place = Math.min(bound < 0 ? bound + size : bound, size);
    return place - [...goneAt(group, 'input', 0, at)].filter(c => c < place).length;
  });
}

/** The factors that a closure starting here may follow: its own, or either one. */
function factorsAt(p: PruningCase, place: Place): readonly number[] {
  const own = p.rule.couplings.find(k => k.factor !== undefined && keyOf(k.from) === keyOf(place));
  return own?.factor === undefined ? [0, 1] : [own.factor];
}

/** Every group that a last channel of some place starts, once. */
function groupsOf(p: PruningCase): Group[] {
  const places = p.rule.couplings.flatMap(k => [k.from, k.to]).filter(place => place.side !== 'unit');
  const groups = new Map<string, Group>();
  for (const place of places) {
    for (const factor of factorsAt(p, place)) {
      const group = p.group(place, p.sizeAt(place) - 1, factor);
      const key = [...group]
        .map(([k, s]) => `${k}:${[...s]}`)
        .sort()
        .join();
      if (p.isRemovable(group)) groups.set(key, group);
    }
  }
  return [...groups.values()];
}

/** Cases that say nothing here, with the reason. */
function isApart(key: OpType, c: OpCase): boolean {
  if (isNone(PRUNING_RULES[key])) return true;
  // Zeroed inputs would divide by 0, or are not 0 beside zero points; backward and strided slices have other bounds to rewrite.
  if ((key === 'MatMulInteger' || key === 'ConvInteger') && c.inputs.length > 2) return true;
  // Which elements are dropped is drawn in order.
  if (key === 'Dropout' && c.attributes) return true;
  if (key === 'Slice' && c.inputs[4] && Number((c.inputs[4].values as number[])[0]) !== 1) return true;
  if (key === 'Mod' && c.inputs[0]?.dtype !== 'float') return true;
  // Equal parts of another length are other parts; counts of Q/DQ and loss statistics come from all elements.
  if (key === 'Split' && !c.inputs[1]) return true;
  return key === 'DynamicQuantizeLinear' || key === 'com.microsoft.DynamicQuantizeMatMul';
}

const PRUNED = CASES.filter(([, { key, case: c }]) => !isApart(key, c));

describe('coupled channels can be removed together', () => {
  test.each(PRUNED)('%s', (_, { key, case: c }) => {
    const p = new PruningCase(key, c);
    for (const group of groupsOf(p)) {
      const [zeroed, removed] = [changed(p, group, 'zero'), changed(p, group, 'remove')];
      const [full, small] = [evaluate(zeroed.graph, zeroed.feeds), evaluate(removed.graph, removed.feeds)];
      p.made.outputs.forEach(({ name }, o) => {
        const want = without(full[name], group, 'output', o, 'remove');
        const text = `${name} without ${[...group].map(([k, s]) => `${k}:${[...s]}`)}`;
        expect(small[name].dims, text).toEqual(want.dims);
        const [got, values] = [small[name].data, want.data].map(d => Array.from(d as Float64Array, Number));
        values.forEach((v, i) => void expect(got[i], text).toBeCloseTo(v, 9));
      });
    }
  });

  test('every op but Shape and Size has a group that can go', () => {
    const ops = new Set<string>(PRUNED.map(([, c]) => c.key));
    const removable = new Set(
      PRUNED.filter(([, c]) => groupsOf(new PruningCase(c.key, c.case)).length > 0).map(([, c]) => c.key),
    );
    expect([...ops].filter(op => !removable.has(op as OpType))).toEqual(['Shape', 'Size']);
  });
});
