/**
 * Gradients of gathers and scatters.
 *
 * 1. Everything that gathers along one axis (Gather, stepped Slice, reflecting Pad) goes back through
 *    `embeddingGradient`, which picks the faster of two forms by the number of rows.
 * 2. Indices that repeat add up, so scatters back use reduction "add".
 */
import type { Builder, Value } from '../builder.ts';
import { type GradientContext, none } from '../rule.ts';
import {
  axisOf,
  constantInts,
  dimsVector,
  type Extent,
  extentOf,
  filled,
  filledLike,
  first,
  type Gradients,
  input,
  iota,
  range,
  shaped,
} from './common.ts';
import type { Family } from './family.ts';

/** Up to so many rows a one-hot matrix product beats scattered adds, which run one after another. */
const ONE_HOT_ROWS = 1024;

/**
 * Gradient of `table.gather(indices, 0)`, flattened: grad [indices…, D…] is added up into [rows, D*].
 * Rows that no index names get 0.
 */
export function embeddingGradient(b: Builder, indices: Value, grad: Value, rows: Extent): Value {
  const updates = b.op('Flatten', [grad], { axis: indices.rank });
  return typeof rows === 'number' && rows <= ONE_HOT_ROWS
    ? oneHotProduct(b, indices.reshape([-1]), updates, rows)
    : scatterRows(b, indices.reshape([-1, 1]), updates, rows);
}

/** onehot(indices)ᵀ × updates. indices [N], updates [N, D] */
function oneHotProduct(b: Builder, indices: Value, updates: Value, rows: number): Value {
  const unit = b.constant({ dtype: 'float32', dims: [2], data: Float32Array.of(0, 1) });
  const hot = b.op('OneHot', [indices, b.scalar(rows, indices.dtype), unit], { axis: -1 });
  return b.op('com.microsoft.FusedMatMul', [hot.cast(updates.dtype), updates], { transA: 1 });
}

/** Adds rows into zeros. indices [N, 1], updates [N, D] */
function scatterRows(b: Builder, indices: Value, updates: Value, rows: Extent): Value {
  const zeros = filled(updates, dimsVector(updates, [rows, extentOf(updates, 1)]));
  return b.op('ScatterND', [zeros, indices.cast('int64'), updates], { reduction: 'add' });
}

/** Gradient of `x.gather(indices, axis)` where x has `extent` elements along `axis`. */
export function gatherGradient(g: Value, indices: Value, axis: number, extent: Extent): Value {
  const { builder: b } = g;
  const k = indices.rank;
  const perm = [...range(k, axis), ...range(axis), ...range(g.rank - axis - k, axis + k)];
  const moved = axis === 0 ? g : g.transpose(perm);
  const rest = range(moved.rank - k, k);
  const flat = embeddingGradient(b, indices, moved, extent);
  const dims = dimsVector(moved, [extent, ...rest.map(i => extentOf(moved, i))]);
  const rows = typeof extent === 'number' ? extent : (flat.shape[0] as number | string);
  const back = shaped(flat.rank === rest.length + 1 ? flat : flat.reshapeTo(dims), [
    rows,
    ...rest.map(i => moved.shape[i] as number | string),
  ]);
  return axis === 0 ? back : back.transpose([...range(axis, 1), 0, ...range(back.rank - axis - 1, axis + 1)]);
}

/** Gather of one known position is a slice: it goes back by padding. */
function padOne(c: GradientContext, g: Value, x: Value, axis: number): Value | undefined {
  const [index] = input(c, 1).rank === 0 ? (constantInts(c, 1) ?? []) : [];
  const size = x.shape[axis];
  if (index === undefined || typeof size !== 'number') return undefined;
  const at = index < 0 ? index + size : index;
  const pads = new Array<number>(2 * x.rank).fill(0);
  pads[axis] = at;
  pads[axis + x.rank] = size - 1 - at;
  return c.b.op('Pad', [g.unsqueeze([axis]), c.b.ints(pads)], {});
}

function gatherBack(c: GradientContext, g: Value): Gradients {
  const x = input(c, 0);
  const axis = axisOf(c.attributes.int('axis', 0), x.rank);
  const back = padOne(c, g, x, axis) ?? gatherGradient(g, input(c, 1), axis, extentOf(x, axis));
  return [shaped(back, x.shape)];
}

/** Joins the first `count` dims into one. */
function joinBatch(v: Value, count: number): Value {
  const rest = range(v.rank - count, count).map(i => extentOf(v, i));
  return v.reshapeTo(dimsVector(v, [-1, ...rest]));
}

/** Indices of GatherND with batch dims, as indices without: the batch number comes in front of each. */
function withBatchNumber(b: Builder, indices: Value): Value {
  const batch = extentOf(indices, 0);
  const extents = range(indices.rank).map(i => (i === indices.rank - 1 ? 1 : extentOf(indices, i)));
  const column = iota(indices, batch).reshape([-1, ...range(indices.rank - 1).map(() => 1)]);
  return b.concat([column.expandTo(dimsVector(indices, extents)), indices], indices.rank - 1);
}

function gatherNDBack(c: GradientContext, g: Value): Gradients {
  const [x, indices] = [input(c, 0), input(c, 1)];
  const batch = c.attributes.int('batch_dims', 0);
  const add = { reduction: 'add' };
  if (batch === 0) return [c.b.op('ScatterND', [filledLike(x), indices, g], add)];
  const flat = withBatchNumber(c.b, joinBatch(indices, batch));
  const back = c.b.op('ScatterND', [joinBatch(filledLike(x), batch), flat, joinBatch(g, batch)], add);
  return [shaped(back.reshapeTo(x.dims()), x.shape)];
}

function reductionOf(c: GradientContext): 'none' | 'add' {
  const reduction = c.attributes.string('reduction', 'none');
  if (reduction === 'none' || reduction === 'add') return reduction;
  return c.fail(`reduction "${reduction}" has no gradient; only "none" and "add" have one`);
}

function scatterElementsBack(c: GradientContext, g: Value): Gradients {
  const [indices, updates] = [input(c, 1), input(c, 2)];
  const axis = c.attributes.int('axis', 0);
  const kept = reductionOf(c) === 'add' ? g : undefined;
  return [
    c.wants(0) ? (kept ?? c.b.op('ScatterElements', [g, indices, filledLike(updates)], { axis })) : undefined,
    undefined,
    c.wants(2) ? shaped(c.b.op('GatherElements', [g, indices], { axis }), updates.shape) : undefined,
  ];
}

function scatterNDBack(c: GradientContext, g: Value): Gradients {
  const [indices, updates] = [input(c, 1), input(c, 2)];
  const kept = reductionOf(c) === 'add' ? g : undefined;
  return [
    c.wants(0) ? (kept ?? c.b.op('ScatterND', [g, indices, filledLike(updates)], {})) : undefined,
    undefined,
    c.wants(2) ? shaped(c.b.op('GatherND', [g, indices], {}), updates.shape) : undefined,
  ];
}

export const INDEXING = {
  Gather: first(gatherBack),
  // x[indices along axis]: added back at the same places
  GatherElements: first((c, g) => [
    c.b.op('ScatterElements', [filledLike(input(c, 0)), input(c, 1), g], {
      axis: c.attributes.int('axis', 0),
      reduction: 'add',
    }),
  ]),
  GatherND: first(gatherNDBack),
  ScatterElements: first(scatterElementsBack),
  ScatterND: first(scatterNDBack),
  TensorScatter: none(
    'it updates a cache in inference; write training graphs with Concat or ScatterElements',
  ),
  NonZero: none('its output is integer'),
} satisfies Family;
