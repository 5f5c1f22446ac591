/** Shapes of ops that make values from attributes, shapes and scalars. */
import type { DType } from '../../graph/dtype.ts';
import type { Dim, Shape, Tensor } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import {
  axisOf,
  input,
  lengthAt,
  requireRank,
  sameDType,
  shapeAt,
  type,
  unknownDim,
  unknownDims,
} from './common.ts';
import { ceilDivDims, maxDims, showShape, subDims } from './dims.ts';
import { dtypeAttribute } from './elementwise.ts';

/** Axes `start..end` of a rank, with Shape's clamping. */
export function shapeRange(c: RuleContext, rank: number): [number, number] {
  const clamp = (n: number) => Math.min(Math.max(n < 0 ? n + rank : n, 0), rank);
  const start = clamp(c.attributes.int('start', 0));
  return [start, Math.max(start, clamp(c.attributes.int('end', rank)))];
}

const shape: ShapeRule = c => {
  const s = shapeAt(c, 0);
  if (!s) return [type('int64', [unknownDim(c, 'rank')])];
  const [start, end] = shapeRange(c, s.length);
  return [type('int64', [end - start])];
};

const LITERALS: Readonly<Record<string, DType>> = {
  value_float: 'float32',
  value_floats: 'float32',
  value_int: 'int64',
  value_ints: 'int64',
  value_string: 'string',
  value_strings: 'string',
};

const constant: ShapeRule = c => {
  const tensor = c.attributes.tensor('value');
  if (tensor) return [type(tensor.dtype, tensor.dims)];
  const name = Object.keys(LITERALS).find(n => c.attributes.has(n)) ?? c.fail('no value attribute');
  const list = c.attributes.ints(name) ?? c.attributes.floats(name) ?? c.attributes.strings(name);
  return [type(LITERALS[name] as DType, list ? [list.length] : [])];
};

const constantOfShape: ShapeRule = c => {
  const dtype = c.attributes.tensor('value')?.dtype ?? 'float32';
  const dims = c.shapeValue(0);
  const rank = dims?.length ?? lengthAt(c, 0);
  return [type(dtype, dims ?? (rank === undefined ? undefined : unknownDims(c, rank)))];
};

/** The one element of a constant scalar. */
function scalarOf(tensor: Tensor | undefined): number | undefined {
  const x = tensor?.data[0];
  return x === undefined || typeof x === 'string' || tensor?.dtype === 'float16' ? undefined : Number(x);
}

/** Range(start, limit, delta): ceil((limit - start) / delta) elements. */
const range: ShapeRule = c => [type(sameDType(c, [0, 1, 2]), [rangeLength(c) ?? unknownDim(c, 'count')])];

function rangeLength(c: RuleContext): Dim | undefined {
  const [start, limit, delta] = [0, 1, 2].map(i => c.shapeValue(i)?.[0] ?? scalarOf(c.constant(i)));
  if (start === undefined || limit === undefined || typeof delta !== 'number') return undefined;
  if (delta === 0) c.fail('delta is 0');
  if (typeof start === 'number' && typeof limit === 'number')
    return Math.max(0, Math.ceil((limit - start) / delta));
  if (!Number.isInteger(delta)) return undefined;
  const distance = delta > 0 ? subDims(limit, start) : subDims(start, limit);
  return typeof start === 'number' && start <= 0
    ? ceilDivDims(distance, Math.abs(delta))
    : positivePart(distance, delta);
}

/** limit - start of two symbols is taken to be no less than 0, as in Range(past, past + T). */
const positivePart = (distance: Dim, delta: number): Dim => {
  const length = ceilDivDims(distance, Math.abs(delta));
  return typeof length === 'number' ? maxDims(0, length) : length;
};

const eyeLike: ShapeRule = c => [type(dtypeAttribute(c, 'dtype', input(c, 0).dtype), requireRank(c, 0, 2))];

/** OneHot(indices, depth, values): a new axis of length depth. */
const oneHot: ShapeRule = c => {
  const { dtype } = input(c, 2);
  const s = shapeAt(c, 0);
  return [
    type(
      dtype,
      s && withNewAxis(c, s, c.shapeValue(1)?.[0] ?? scalarOf(c.constant(1)) ?? unknownDim(c, 'depth')),
    ),
  ];
};

function withNewAxis(c: RuleContext, s: Shape, depth: Dim): Shape {
  const axis = axisOf(c, c.attributes.int('axis', -1), s.length + 1);
  if (typeof depth === 'number' && depth < 0)
    c.fail(`depth ${depth} for indices ${showShape(s)} is negative`);
  return [...s.slice(0, axis), depth, ...s.slice(axis)];
}

export const MAKING = {
  Shape: shape,
  Size: () => [type('int64', [])],
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
  EyeLike: eyeLike,
  OneHot: oneHot,
} satisfies Record<string, ShapeRule>;
