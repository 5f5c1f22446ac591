/** Shapes of reductions, scans and selections along an axis. */
import type { Shape, TensorType } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import {
  axisAttribute,
  axisOf,
  input,
  type Kind,
  lengthAt,
  numbersAt,
  requireKind,
  shapeAt,
  type,
  unary,
  unknownDim,
  unknownDims,
  withDim,
  withoutDim,
} from './common.ts';

export const keepsDims = (c: RuleContext): boolean => c.attributes.int('keepdims', 1) !== 0;

/** Axes that a Reduce* node reduces, counted from the front; undefined when they are only known at run time. */
export function reducedAxes(c: RuleContext, rank: number): readonly number[] | undefined {
  const all = () => Array.from({ length: rank }, (_, i) => i);
  const empty = () => (c.attributes.int('noop_with_empty_axes', 0) !== 0 ? [] : all());
  if (!c.inputs[1]) return empty();
  const axes = numbersAt(c, 1);
  if (!axes) return undefined;
  return axes.length === 0 ? empty() : axes.map(a => axisOf(c, a, rank));
}

const reducedShape = (s: Shape, axes: readonly number[], keep: boolean): Shape =>
  keep ? s.map((d, i) => (axes.includes(i) ? 1 : d)) : s.filter((_, i) => !axes.includes(i));

/** Reduction over axes that only run time knows: the rank is known when dims are kept or the axes counted. */
function unknownReduction(c: RuleContext, rank: number): Shape | undefined {
  if (keepsDims(c)) return unknownDims(c, rank);
  const count = lengthAt(c, 1);
  return count === undefined || count === 0 ? undefined : unknownDims(c, rank - count);
}

const reduce =
  (kind: Kind): ShapeRule =>
  c => {
    const dtype = requireKind(c, 0, kind);
    const s = shapeAt(c, 0);
    if (!s) return [{ dtype }];
    const axes = reducedAxes(c, s.length);
    return [type(dtype, axes ? reducedShape(s, axes, keepsDims(c)) : unknownReduction(c, s.length))];
  };

const argReduce: ShapeRule = c => {
  requireKind(c, 0, 'number');
  const s = shapeAt(c, 0);
  if (!s) return [{ dtype: 'int64' }];
  const axis = axisAttribute(c, 0, s.length);
  return [type('int64', keepsDims(c) ? withDim(s, axis, 1) : withoutDim(s, axis))];
};

/** TopK(x, k) -> values, indices: dim `axis` becomes k. */
const topK: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  return topKTypes(dtype, shape && topKShape(c, shape));
};

const topKTypes = (dtype: TensorType['dtype'], shape: Shape | undefined): TensorType[] => [
  type(dtype, shape),
  type('int64', shape),
];

function topKShape(c: RuleContext, shape: Shape): Shape {
  const axis = axisAttribute(c, -1, shape.length);
  const k = c.shapeValue(1)?.[0] ?? unknownDim(c, 'k');
  const dim = shape[axis];
  if (typeof k === 'number' && typeof dim === 'number' && k > dim) {
    c.fail(`k = ${k} is more than the ${dim} elements of axis ${axis}`);
  }
  return withDim(shape, axis, k);
}

export const REDUCE = {
  ReduceSum: reduce('number'),
  ReduceMean: reduce('number'),
  ReduceMax: reduce('any'),
  ReduceMin: reduce('any'),
  ReduceProd: reduce('number'),
  ReduceL1: reduce('number'),
  ReduceL2: reduce('number'),
  ReduceSumSquare: reduce('number'),
  ReduceLogSum: reduce('number'),
  ReduceLogSumExp: reduce('number'),
  ArgMax: argReduce,
  ArgMin: argReduce,
  CumSum: unary('number'),
  CumProd: unary('number'),
  TopK: topK,
} satisfies Record<string, ShapeRule>;
