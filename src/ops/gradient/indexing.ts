/**
 * Gradients of gathers and scatters.
 *
 * 1. Everything that gathers along one axis (Gather, stepped Slice, reflecting Pad) goes back through
 *    `embeddingGradient`, which picks the faster of two forms by the number of rows.
 * 2. Indices that repeat add up, so scatters back use ScatterElements with reduction "add", never ScatterND: in
 *    ONNX Runtime 1.30 repeated indices of ScatterND race when there is more than one thread.
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
  int64Of,
  iota,
  range,
  shaped,
} from './common.ts';
import type { Family } from './family.ts';

/** Up to so many rows a one-hot matrix product beats scattered adds (measured at 2,048 indices of width 256). */
const ONE_HOT_ROWS = 128;

/**
 * Gradient of `table.gather(indices, 0)`, flattened: grad [indices…, D…] is added up into [rows, D*].
 * Rows that no index names get 0.
 */
export function embeddingGradient(b: Builder, indices: Value, grad: Value, rows: Extent): Value {
  const updates = b.op('Flatten', [grad], { axis: indices.rank });
  return typeof rows === 'number' && rows <= ONE_HOT_ROWS
    ? oneHotProduct(b, indices.reshape([-1, 1]), updates, rows)
    : scatterRows(b, indices.reshape([1, -1]), updates, rows);
}

/** onehot(indices)ᵀ × updates, comparing with 0, 1, …: OneHot itself is slower. indices [N, 1], updates [N, D] */
function oneHotProduct(b: Builder, indices: Value, updates: Value, rows: number): Value {
  const positions = iota(indices, rows).cast(indices.dtype);
  const fromFront = b.op('Mod', [indices, b.scalar(rows, indices.dtype)], {});
  const hot = fromFront.equal(positions).cast(updates.dtype);
  return b.op('com.microsoft.FusedMatMul', [hot, updates], { transA: 1 });
}

/**
 * Adds rows into zeros, column by column so that threads own columns. indices [1, N], updates [N, D]
 * Not ScatterND: ONNX Runtime adds its repeated indices from several threads at once and loses some.
 */
function scatterRows(b: Builder, indices: Value, updates: Value, rows: Extent): Value {
  const [n, d] = [extentOf(updates, 0), extentOf(updates, 1)];
  const zeros = filled(updates, dimsVector(updates, [d, rows]));
  const spread = indices.expandTo(dimsVector(updates, [d, n]));
  const inputs = [zeros, spread, updates.transpose([1, 0])];
  return b.op('ScatterElements', inputs, { axis: 1, reduction: 'add' }).transpose([1, 0]);
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

const product = (extents: readonly Extent[], like: Value): Extent =>
  extents.reduce(
    (a, e) =>
      typeof a === 'number' && typeof e === 'number' ? a * e : int64Of(like, a).mul(int64Of(like, e)),
    1,
  );

/** Index tuples [.., q] into dims of x from axis `from` on, as row numbers of those dims joined into one. [..] */
function rowNumbers(x: Value, tuples: Value, from: number, q: number): Value {
  const extent = (k: number): Value => int64Of(x, extentOf(x, from + k));
  const digit = (k: number): Value =>
    x.builder.op('Mod', [tuples.cast('int64').gather(x.builder.scalar(k, 'int64'), -1), extent(k)], {});
  return range(q - 1, 1).reduce((row, k) => row.mul(extent(k)).add(digit(k)), digit(0));
}

/** Row numbers within each batch, [batch…, n…], as row numbers of batches and rows joined. [N] */
function acrossBatches(rows: Value, batches: Extent, rowsPerBatch: Extent): Value {
  const offsets = iota(rows, batches).reshape([-1, 1]).mul(int64Of(rows, rowsPerBatch));
  return rows
    .reshapeTo(dimsVector(rows, [batches, -1]))
    .add(offsets)
    .reshape([-1]);
}

/** GatherND is a gather of rows once the dims that it indexes are joined into one, the batch dims before them. */
function gatherNDBack(c: GradientContext, g: Value): Gradients {
  const [x, tuples] = [input(c, 0), input(c, 1)];
  const batch = c.attributes.int('batch_dims', 0);
  const q = tuples.shape[tuples.rank - 1];
  if (typeof q !== 'number')
    return c.fail('has no gradient while the length of its index tuples is symbolic');
  const extents = (v: Value, from: number, to: number) => range(to - from, from).map(i => extentOf(v, i));
  const [batches, perBatch] = [product(extents(x, 0, batch), x), product(extents(x, batch, batch + q), x)];
  const rows = acrossBatches(rowNumbers(x, tuples, batch, q), batches, perBatch);
  const updates = g.reshapeTo(dimsVector(g, [-1, ...extents(g, tuples.rank - 1, g.rank)]));
  const back = embeddingGradient(c.b, rows, updates, product([batches, perBatch], x));
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

/** Slices that a condition picks are a gather at the places where it holds. */
function compressBack(c: GradientContext, g: Value): Gradients {
  const x = input(c, 0);
  const places = c.b.op('NonZero', [input(c, 1)], {}).reshape([-1]);
  if (!c.attributes.has('axis')) {
    const flat = gatherGradient(
      g,
      places,
      0,
      product(
        range(x.rank).map(i => extentOf(x, i)),
        x,
      ),
    );
    return [shaped(flat.reshapeTo(x.dims()), x.shape)];
  }
  const axis = axisOf(c.attributes.int('axis', 0), x.rank);
  return [shaped(gatherGradient(g, places, axis, extentOf(x, axis)), x.shape)];
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
  Compress: first(compressBack),
  Unique: none('which elements are equal is no smooth function of them'),
} satisfies Family;
