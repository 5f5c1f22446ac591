/**
 * Couplings of fused attention and experts. The unit is a key/value head, which takes its query heads along, or an
 * expert. Channels within a head pass only where the head is an axis of its own.
 */
import type { Shape } from '../../graph/ir.ts';
import {
  aligned,
  type ChannelMap,
  type Coupling,
  type Couplings,
  countOf,
  couple,
  inputPlace,
  outputPlace,
  type Place,
  type PruningContext,
  type PruningRule,
  runs,
  SAME,
  type SizeSource,
  same,
  shapeIn,
  shapeOut,
  unitPlace,
} from './coupling.ts';

const HEADS = unitPlace();
const attributes = (...names: string[]): SizeSource[] => names.map(attribute => ({ attribute }));
const fromUnit = (to: Place, map: ChannelMap): Coupling => ({ from: HEADS, to, map });

/** A head's place in a [B,heads,S,D] or [B,S,heads*D] tensor that has `count` heads, `each` of them to a unit. */
function headsAt(
  c: PruningContext,
  shape: Shape,
  place: (axis: number) => Place,
  count: number,
  each: number,
): Coupling {
  if (shape.length === 4) return fromUnit(place(1), each === 1 ? SAME : runs(each));
  return fromUnit(place(2), runs((countOf(c, shape[2]) / count) * each));
}

const batches = (c: PruningContext, inputs: readonly number[]): Coupling[] =>
  inputs.filter(i => c.inputs[i]?.shape).map(i => same(inputPlace(i, 0), outputPlace(0)));

/** Caches [B,G,L,D], in and out: the head is axis 1. */
const cacheHeads = (c: PruningContext, inputs: readonly number[]): Coupling[] => [
  ...inputs.filter(i => c.inputs[i]?.shape?.length === 4).map(i => fromUnit(inputPlace(i, 1), SAME)),
  ...[1, 2].filter(o => c.outputs[o]?.shape?.length === 4).map(o => fromUnit(outputPlace(1, o), SAME)),
];

/** Channels within the heads of split operands: Q with K, V with Y. Without `scale` the scores depend on their count. */
function headChannels(c: PruningContext): Pick<Couplings, 'couplings' | 'mixing'> {
  if (shapeIn(c, 0).length !== 4) return { couplings: [], mixing: [] };
  const along = (i: number, o: number) => (c.outputs[o] ? [same(inputPlace(i, 3), outputPlace(3, o))] : []);
  const past = (i: number, of: number) => (c.inputs[i] ? [same(inputPlace(i, 3), inputPlace(of, 3))] : []);
  return {
    couplings: [
      same(inputPlace(0, 3), inputPlace(1, 3)),
      ...[along(1, 1), along(2, 0), along(2, 2), past(4, 1), past(5, 2)].flat(),
    ],
    mixing: c.attributes.has('scale') ? [] : [inputPlace(0, 3)],
  };
}

export const attended: PruningRule = c => {
  const [q, k, v, y] = [shapeIn(c, 0), shapeIn(c, 1), shapeIn(c, 2), shapeOut(c)];
  const G = k.length === 4 ? countOf(c, k[1]) : c.attributes.int('kv_num_heads', 1);
  const H = q.length === 4 ? countOf(c, q[1]) : c.attributes.int('q_num_heads', 1);
  const within = headChannels(c);
  const heads = [
    headsAt(c, q, a => inputPlace(0, a), H, H / G),
    headsAt(c, k, a => inputPlace(1, a), G, 1),
    headsAt(c, v, a => inputPlace(2, a), G, 1),
    headsAt(c, y, a => outputPlace(a), H, H / G),
    ...cacheHeads(c, [4, 5]),
  ];
  return couple('product', [...batches(c, [0, 1, 2, 4, 5]), ...heads, ...within.couplings], {
    mixing: within.mixing,
    sizes: attributes('q_num_heads', 'kv_num_heads'),
  });
};

export const groupAttended: PruningRule = c => {
  const sizes = attributes('num_heads', 'kv_num_heads');
  if (!c.inputs[1]) return couple('product', [], { fixed: [inputPlace(0, 2), outputPlace(2)], sizes });
  const [H, G] = [c.attributes.int('num_heads', 1), c.attributes.int('kv_num_heads', 1)];
  const heads = [
    headsAt(c, shapeIn(c, 0), a => inputPlace(0, a), H, H / G),
    headsAt(c, shapeIn(c, 1), a => inputPlace(1, a), G, 1),
    headsAt(c, shapeIn(c, 2), a => inputPlace(2, a), G, 1),
    headsAt(c, shapeOut(c), a => outputPlace(a), H, H / G),
    ...cacheHeads(c, [3, 4]),
  ];
  return couple('product', [...batches(c, [0, 1, 2, 3, 4]), ...heads], { sizes });
};

/** Packed operands [B,S,H,n,D] have the head as axis 2. */
function headsOrPacked(c: PruningContext, i: number, H: number): Coupling[] {
  const shape = c.inputs[i]?.shape;
  if (!shape) return [];
  if (shape.length === 5) return [fromUnit(inputPlace(i, 2), SAME)];
  return [headsAt(c, shape, a => inputPlace(i, a), H, 1)];
}

/** The bias is that of Q, K and V one after the other. */
function packedBias(c: PruningContext, H: number): Coupling[] {
  if (!c.inputs[3]?.shape) return [];
  const width = countOf(c, shapeOut(c)[2]);
  const query = (countOf(c, shapeIn(c, 3)[0]) - width) / 2;
  const part = (offset: number, length: number) =>
    fromUnit(inputPlace(3, 0), { ...runs(length / H), offset });
  return [part(0, query), part(query, query), part(2 * query, width)];
}

export const multiHeadAttended: PruningRule = c => {
  const H = c.attributes.int('num_heads', 1);
  const heads = [
    ...[0, 1, 2].flatMap(i => headsOrPacked(c, i, H)),
    ...packedBias(c, H),
    headsAt(c, shapeOut(c), a => outputPlace(a), H, 1),
    ...cacheHeads(c, [6, 7]),
  ];
  return couple('product', [...batches(c, [0, 1, 2, 6, 7]), ...heads], { sizes: attributes('num_heads') });
};

/** Axes 0 and 1 of position ids [B,S] and of tables [B,S,D/2] are batch and sequence. */
function perPosition(c: PruningContext, inputs: readonly number[]): Coupling[] {
  const sequence = shapeIn(c, 0).length === 4 ? 2 : 1;
  const tables = inputs.filter(i => (c.inputs[i]?.shape?.length ?? 0) >= (i === inputs[0] ? 2 : 3));
  return tables.flatMap(i =>
    [0, sequence].flatMap((axis, at) =>
      shapeIn(c, i)[at] === 1 ? [] : [same(inputPlace(i, at), outputPlace(axis))],
    ),
  );
}

/**
 * Channels of a head are rotated in pairs and stay; heads and all other axes pass. Inputs 1 to 3 are `positions`
 * and the tables.
 */
export const rotated =
  (positions: 1 | 3): PruningRule =>
  c => {
    const x = shapeIn(c, 0);
    const last = x.length - 1;
    const tables = [1, 2, 3].filter(i => i !== positions);
    const others = [
      ...aligned(c, 0).filter(p => p.from.axis < last),
      ...perPosition(c, [positions, ...tables]),
    ];
    const sizes = attributes('num_heads');
    if (x.length === 4) return couple('pass', others, { fixed: [inputPlace(0, last)], sizes });
    const width = countOf(c, x[last]);
    const count = c.attributes.int('num_heads', 0) || width / (2 * countOf(c, shapeIn(c, tables[0]).at(-1)));
    const heads = [inputPlace(0, last), outputPlace(last)].map(p => fromUnit(p, runs(width / count)));
    return couple('pass', [...others, ...heads], { sizes });
  };

/** How many channels of the first product feed channel j of the second: 2 under a fused SwiGLU. */
function gateMap(c: PruningContext, first: number, inner: number): ChannelMap {
  const ratio = first / inner;
  if (ratio === 1) return SAME;
  const interleaved = c.attributes.int('swiglu_fusion', 0) === 1;
  return interleaved ? runs(ratio) : { offset: 0, stride: 1, repeats: [[ratio, inner]] };
}

/** Experts fc1 [E, inner or 2 inner, hidden], fc2 [E, hidden, inner], fc3 like fc1; biases without the last axis. */
export const routed: PruningRule = c => {
  const there = (inputs: readonly number[]) => inputs.filter(i => c.inputs[i]?.shape);
  const inner = inputPlace(4, 2);
  const width = countOf(c, shapeIn(c, 4)[2]);
  const gate = gateMap(c, countOf(c, shapeIn(c, 2)[1]), width);
  const hidden = outputPlace(shapeOut(c).length - 1);
  return couple(
    'product',
    [
      ...aligned(c, 0),
      ...there([2, 3, 4, 5, 6, 7]).map(i => fromUnit(inputPlace(i, 0), SAME)),
      fromUnit(inputPlace(1, 1), SAME),
      ...there([2, 3]).map(i => ({ from: inner, to: inputPlace(i, 1), map: gate })),
      ...there([6, 7]).map(i => same(inner, inputPlace(i, 1))),
      ...there([2, 6]).map(i => same(hidden, inputPlace(i, 2))),
      ...there([4, 5]).map(i => same(hidden, inputPlace(i, 1))),
    ],
    { mixing: [inputPlace(1, 1)] },
  );
};
