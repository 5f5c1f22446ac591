/**
 * Gradients of reductions and softmaxes. The maker gives formulas g and y with the reduced dims kept as 1.
 *
 * Ties: ReduceMax and ReduceMin share the gradient equally among all elements that attain the extremum.
 */
import type { Node } from '../../graph/ir.ts';
import type { Value } from '../builder.ts';
import { type GradientContext, none } from '../rule.ts';
import {
  axisOf,
  constantInts,
  expandLike,
  filledLike,
  first,
  input,
  output,
  range,
  unary,
} from './common.ts';
import type { Family } from './family.ts';

interface Reduced {
  /** Gradient and output of the reduction, reduced dims kept as 1. */
  readonly g: Value;
  readonly y: Value;
  readonly x: Value;
  readonly b: GradientContext['b'];
  /** Reduces over the same axes, dims kept. */
  again(op: 'ReduceSum' | 'ReduceProd', v: Value): Value;
  sum(v: Value): Value;
}

/** The reduced axes; undefined when they are only known at run time. */
function reducedAxes(c: GradientContext, rank: number): number[] | undefined {
  if (c.inputs[1] === undefined) return c.attributes.int('noop_with_empty_axes', 0) ? [] : range(rank);
  const axes = constantInts(c, 1);
  if (axes?.length === 0) return c.attributes.int('noop_with_empty_axes', 0) ? [] : range(rank);
  return axes?.map(a => axisOf(a, rank));
}

/** Puts reduced dims back as 1. */
function keepDims(c: GradientContext, v: Value, x: Value, axes: readonly number[] | undefined): Value {
  if (c.attributes.int('keepdims', 1) || v.rank === x.rank) return v;
  if (axes) return v.unsqueeze([...axes].sort((a, b) => a - b));
  const axesInput = c.inputs[1] as Value;
  return v.builder.op('Unsqueeze', [v, axesInput], {});
}

/** y = reduce(x): the formula gives dx, in any shape that broadcasts to x. */
const reduction = (formula: (r: Reduced) => Value) =>
  first((c, g) => {
    const x = input(c, 0);
    const axes = reducedAxes(c, x.rank);
    const noop = c.attributes.int('noop_with_empty_axes', 0);
    const again = (op: 'ReduceSum' | 'ReduceProd', v: Value) =>
      c.b.op(op, [v, c.inputs[1]], { keepdims: 1, noop_with_empty_axes: noop });
    const reduced: Reduced = {
      x,
      b: c.b,
      again,
      sum: v => again('ReduceSum', v),
      g: keepDims(c, g, x, axes),
      y: keepDims(c, output(c), x, axes),
    };
    return [expandLike(formula(reduced), x)];
  });

/** g · kept/total: the mean's share of one element. */
function meanShare({ g, x }: Reduced): Value {
  const count = (v: Value) =>
    v.shape.reduce<number>((a, d) => a * (typeof d === 'number' ? d : Number.NaN), 1);
  const n = count(x) / count(g);
  if (!Number.isNaN(n)) return g.mul(1 / n);
  const size = (v: Value) => v.builder.op('Size', [v], {}).cast(g.dtype);
  return g.mul(size(g).div(size(x)));
}

/** Every element that attains the extremum takes an equal part. */
const extremum = reduction(({ g, x, y, sum }) => {
  const mask = x.equal(y).cast(g.dtype);
  return g.div(sum(mask)).mul(mask);
});

/** The product of all other elements, also where some are 0: the product of the others that are not 0, if none is. */
const productOfOthers = reduction(({ g, x, b, sum, again }) => {
  const zero = x.equal(0);
  const nonZero = b.where(zero, 1, x);
  const others = again('ReduceProd', nonZero).div(nonZero);
  const zeros = zero.cast(x.dtype);
  return g.mul(b.where(sum(zeros).sub(zeros).greater(0), 0, others));
});

/**
 * Σ g·y over the last axis without another pass over both, where y is multiplied: for o = y·v and g = dO·vᵀ it is
 * Σ dO·o, whose rows are as long as v's (Dao et al. 2022, FlashAttention, §3.1). Undefined where that is not how g came.
 */
function attentionDot(g: Value, y: Value): Value | undefined {
  const { graph } = g.builder;
  const made = graph.nodes.findLast(n => n.outputs[0] === g.name);
  if (!made || !isPlainTransposed(made)) return undefined;
  const [outer, v] = made.inputs as [string, string];
  const product = graph.nodes.find(n => n.opType === 'MatMul' && n.inputs[0] === y.name && n.inputs[1] === v);
  return (
    product &&
    g.builder
      .value(outer)
      .mul(g.builder.value(product.outputs[0] as string))
      .sum([-1])
  );
}

/** Whether a node is a·bᵀ. */
function isPlainTransposed({ opType, attributes }: Node): boolean {
  const is = (name: string, otherwise: number) => Number(attributes[name]?.value ?? otherwise);
  return (
    opType === 'FusedMatMul' &&
    is('alpha', 1) === 1 &&
    is('transA', 0) === 0 &&
    is('transB', 0) === 1 &&
    is('transBatchA', 0) + is('transBatchB', 0) === 0
  );
}

const INDEX = none('its output is an index');

export const REDUCTION = {
  // Σx: g
  ReduceSum: reduction(({ g }) => g),
  // Σx/n: g/n
  ReduceMean: reduction(meanShare),
  ReduceMax: extremum,
  ReduceMin: extremum,
  ReduceProd: productOfOthers,
  // Σ|x|: g·sign x
  ReduceL1: reduction(({ g, x, b }) => g.mul(b.op('Sign', [x], {}))),
  // √Σx²: g·x/y, 0 where y = 0
  ReduceL2: reduction(({ g, x, y, b }) => g.div(b.where(y.equal(0), 1, y)).mul(x)),
  // Σx²: 2gx
  ReduceSumSquare: reduction(({ g, x }) => g.mul(2).mul(x)),
  // ln Σx: g/Σx
  ReduceLogSum: reduction(({ g, x, sum }) => g.div(sum(x))),
  // ln Σeˣ: g·exp(x − y)
  ReduceLogSumExp: reduction(({ g, x, y }) => g.mul(x.sub(y).exp())),
  ArgMax: INDEX,
  ArgMin: INDEX,
  // eˣ/Σeˣ: y·(g − Σgy)
  Softmax: unary((g, _x, y, c) => {
    const axis = axisOf(c.attributes.int('axis', -1), y.rank);
    const dot = axis === y.rank - 1 ? attentionDot(g, y) : undefined;
    return g.sub(dot ?? g.mul(y).sum([axis])).mul(y);
  }),
  // x − ln Σeˣ: g − eʸ·Σg
  LogSoftmax: unary((g, _x, y, c) =>
    g.sub(y.exp().mul(g.sum([axisOf(c.attributes.int('axis', -1), y.rank)]))),
  ),
  Hardmax: none('it is piecewise constant; use Softmax, or a straight-through estimator'),
  // the k largest: each value's gradient goes back to where it came from
  TopK: first((c, g) => {
    const x = input(c, 0);
    const axis = axisOf(c.attributes.int('axis', -1), x.rank);
    return [c.b.op('ScatterElements', [filledLike(x), output(c, 1), g], { axis })];
  }),
} satisfies Family;
