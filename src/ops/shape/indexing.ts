/** Shapes of gathers and scatters. */
import type { Dim, Shape } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import {
  axisAttribute,
  axisOf,
  input,
  requireKind,
  requireRank,
  sameDType,
  shapeAt,
  type,
  unifyShapes,
  unknownDim,
  withDim,
} from './common.ts';
import { mulDims, productOf, showShape, surelyDiffer } from './dims.ts';

/** data without `axis`, with the indices' dims in its place. */
const gathered = (data: Shape, indices: Shape, axis: number): Shape => [
  ...data.slice(0, axis),
  ...indices,
  ...data.slice(axis + 1),
];

const gather: ShapeRule = c => {
  const { dtype } = input(c, 0);
  const data = requireRank(c, 0, 1, Infinity);
  const indices = shapeAt(c, 1);
  requireKind(c, 1, 'integer');
  if (!data || !indices) return [{ dtype }];
  return [type(dtype, gathered(data, indices, axisAttribute(c, 0, data.length)))];
};

function sameRank(c: RuleContext, data: Shape | undefined, indices: Shape | undefined): void {
  if (data && indices && data.length !== indices.length) {
    c.fail(`indices ${showShape(indices)} must have the rank of data ${showShape(data)}`);
  }
}

const gatherElements: ShapeRule = c => {
  const data = requireRank(c, 0, 1, Infinity);
  requireKind(c, 1, 'integer');
  sameRank(c, data, shapeAt(c, 1));
  if (data) axisAttribute(c, 0, data.length);
  return [type(input(c, 0).dtype, shapeAt(c, 1))];
};

/** indices [b.., i.., n] into data [b.., d1..dn, rest..] -> [b.., i.., rest..]. */
const gatherND: ShapeRule = c => {
  const { dtype, shape: data } = input(c, 0);
  const indices = requireRank(c, 1, 1, Infinity);
  requireKind(c, 1, 'integer');
  if (!data || !indices) return [{ dtype }];
  const depth = indices.at(-1);
  if (typeof depth !== 'number') return [{ dtype }];
  const batch = c.attributes.int('batch_dims', 0);
  if (batch + depth > data.length)
    c.fail(`indices ${showShape(indices)} reach deeper than data ${showShape(data)}`);
  return [type(dtype, [...indices.slice(0, -1), ...data.slice(batch + depth)])];
};

/** Output like data; updates like indices. */
const scatterElements: ShapeRule = c => {
  const data = requireRank(c, 0, 1, Infinity);
  requireKind(c, 1, 'integer');
  sameDType(c, [0, 2]);
  sameRank(c, data, shapeAt(c, 1));
  checkUpdates(c, shapeAt(c, 1));
  if (data) axisAttribute(c, 0, data.length);
  return [input(c, 0)];
};

/** Updates of ScatterND are indices' dims without the last, then data's dims that no index names. */
const scatterND: ShapeRule = c => {
  sameDType(c, [0, 2]);
  requireKind(c, 1, 'integer');
  const [data, indices] = [shapeAt(c, 0), shapeAt(c, 1)];
  const depth = indices?.at(-1);
  if (data && indices && typeof depth === 'number') {
    checkUpdates(c, [...indices.slice(0, -1), ...data.slice(depth)]);
  }
  return [input(c, 0)];
};

function checkUpdates(c: RuleContext, wanted: Shape | undefined): void {
  const updates = shapeAt(c, 2);
  if (!updates || !wanted) return;
  unifyShapes(c, wanted, updates, () => `updates ${showShape(updates)} must be ${showShape(wanted)}`);
}

/** TensorScatter(past_cache, update, write_indices?): update differs from the cache along `axis` only. */
const tensorScatter: ShapeRule = c => {
  sameDType(c, [0, 1]);
  const [cache, update] = [shapeAt(c, 0), shapeAt(c, 1)];
  sameRank(c, cache, update);
  if (cache && update) {
    const axis = axisOf(c, c.attributes.int('axis', -2), cache.length);
    if (cache.some((d, i) => i !== axis && surelyDiffer(d, update[i] as Dim))) {
      c.fail(`update ${showShape(update)} must match the cache ${showShape(cache)} but for axis ${axis}`);
    }
  }
  return [input(c, 0)];
};

const nonZero: ShapeRule = c => {
  const s = shapeAt(c, 0);
  return [type('int64', [s ? s.length : unknownDim(c, 'rank'), unknownDim(c, 'count')])];
};

/** Compress(x, condition): slices along `axis` that the condition picks, elements of the flat tensor without it. */
const compress: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  requireKind(c, 1, 'bool');
  const count = unknownDim(c, 'count');
  if (!c.attributes.has('axis')) return [type(dtype, [count])];
  return [type(dtype, shape && withDim(shape, axisAttribute(c, 0, shape.length), count))];
};

/** Unique(x) -> values, first positions, positions in values, counts. */
const unique: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  const count = unknownDim(c, 'count');
  const has = c.attributes.has('axis');
  const axis = has && shape ? axisAttribute(c, 0, shape.length) : 0;
  const inverse = has ? shape?.[axis] : shape && productOf(shape);
  const counts = type('int64', [count]);
  const values = has ? shape && withDim(shape, axis, count) : [count];
  return [type(dtype, values), counts, type('int64', inverse === undefined ? undefined : [inverse]), counts];
};

/** GatherBlockQuantized(data, indices, scales, zero_points?): uint8 data holds 8/bits values a byte along the last axis. */
const gatherBlockQuantized: ShapeRule = c => {
  const { dtype, shape: data } = input(c, 0);
  const indices = shapeAt(c, 1);
  const out = input(c, 2).dtype;
  if (!data || !indices) return [{ dtype: out }];
  const packed = dtype === 'uint8' ? Math.floor(8 / c.attributes.int('bits', 4)) : 1;
  const unpacked = data.map((d, i) => (i === data.length - 1 ? mulDims(d, packed) : d));
  return [type(out, gathered(unpacked, indices, axisOf(c, c.attributes.int('gather_axis', 0), data.length)))];
};

export const INDEXING = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatterElements,
  ScatterND: scatterND,
  TensorScatter: tensorScatter,
  NonZero: nonZero,
  Compress: compress,
  Unique: unique,
  'com.microsoft.GatherBlockQuantized': gatherBlockQuantized,
} satisfies Record<string, ShapeRule>;
