/**
 * What gradient rules are made of: rule makers, and the few shape helpers they share.
 *
 * 1. Shapes are settled while writing wherever they are known; a Shape node appears only for symbolic dims.
 * 2. A gradient has its value's shape exactly. Where the shape rules cannot see that (a Reshape to run-time
 *    dims), `shaped` writes it down, so that later rules find the symbols equal.
 */
import type { Dim, Shape, Tensor } from '../../graph/ir.ts';
import { staticDims, zeros } from '../../graph/ir.ts';
import { Value } from '../builder.ts';
import type { GradientContext, GradientRule } from '../rule.ts';
import { sameDim } from '../shape/dims.ts';

export type Gradients = readonly (Value | undefined)[];

/** Input `i`, which the op requires. */
export const input = (c: GradientContext, i: number): Value => c.inputs[i] ?? c.fail(`input ${i} is missing`);

/** Output `i`, which the rule needs. */
export const output = (c: GradientContext, i = 0): Value => c.outputs[i] ?? c.fail(`output ${i} is missing`);

/** A rule for ops whose gradient comes in through output 0 alone. */
export const first =
  (rule: (c: GradientContext, g: Value) => Gradients): GradientRule =>
  c => {
    const other = c.grads.findIndex((g, i) => i > 0 && g !== undefined);
    if (other > 0) c.fail(`has no gradient through output ${other}; use its output 0 alone, or stopGradient`);
    return rule(c, c.grads[0] as Value);
  };

/** y = f(x): the formula gives dx from dy = g. */
export const unary = (formula: (g: Value, x: Value, y: Value, c: GradientContext) => Value): GradientRule =>
  first((c, g) => [formula(g, input(c, 0), output(c), c)]);

type BinaryFormula = (g: Value, x: Value, y: Value, out: Value, c: GradientContext) => Value;

/** out = f(x, y) with broadcasting: one formula an input, summed back to the input's shape. */
export const binary = (dx: BinaryFormula, dy: BinaryFormula): GradientRule =>
  first((c, g) => {
    const [x, y, out] = [input(c, 0), input(c, 1), output(c)];
    return [
      c.wants(0) ? sumTo(dx(g, x, y, out, c), x) : undefined,
      c.wants(1) ? sumTo(dy(g, x, y, out, c), y) : undefined,
    ];
  });

/** out = f(x0, x1, …) with broadcasting: one formula for all inputs. */
export const variadic = (formula: (g: Value, x: Value, c: GradientContext) => Value): GradientRule =>
  first((c, g) => c.inputs.map((x, i) => (x && c.wants(i) ? sumTo(formula(g, x, c), x) : undefined)));

/** Piecewise constant in floats: the gradient is zero, so nothing flows. */
export const flat: GradientRule = () => [];

/** The gradient of an op written as other ops: `forward` emits them, and they are differentiated in turn. */
export const decomposed = (forward: (c: GradientContext) => Value): GradientRule =>
  first((c, g) => c.differentiate(() => [forward(c)], [g]));

/** The same for an op whose outputs may all carry gradients. */
export const decomposedAll =
  (forward: (c: GradientContext) => readonly (Value | undefined)[]): GradientRule =>
  c =>
    c.differentiate(() => forward(c), c.grads);

const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((d, i) => sameDim(d, b[i] as Dim));

/** The same value, known to have this shape. */
export function shaped(v: Value, shape: Shape): Value {
  if (sameShape(v.shape, shape)) return v;
  const { types } = v.builder.graph;
  if (types.has(v.name)) types.set(v.name, { dtype: v.dtype, shape });
  return new Value(v.builder, v.name, v.dtype, shape);
}

/** What a broadcast did to one dim: `have` is the result's, `want` the operand's. */
function broadcastOf(have: Dim, want: Dim): 'kept' | 'stretched' | 'unknown' {
  if (have === 1 || sameDim(have, want)) return 'kept';
  if (want === 1) return 'stretched';
  return typeof want === 'number' ? 'kept' : 'unknown';
}

/** Sums `g` over the axes along which `target` was broadcast: the result has target's shape. */
export function sumTo(g: Value, target: Value): Value {
  if (sameShape(g.shape, target.shape)) return g;
  const extra = g.rank - target.rank;
  const fates = g.shape.map((d, i) =>
    i < extra ? 'stretched' : broadcastOf(d, target.shape[i - extra] as Dim),
  );
  if (fates.includes('unknown')) return sumToRuntime(g, target);
  const axes = fates.flatMap((fate, i) => (fate === 'stretched' ? [i] : []));
  if (axes.length === 0) return shaped(g, target.shape);
  if (axes.length === extra) return shaped(g.sum(axes, false), target.shape);
  const summed = g.sum(axes);
  return shaped(extra === 0 ? summed : summed.squeeze(range(extra)), target.shape);
}

/** As sumTo where symbolic dims hide which axes were broadcast: the axes are found when the graph runs. */
function sumToRuntime(g: Value, target: Value): Value {
  const { builder: b } = g;
  const ones = range(g.rank - target.rank).map(() => 1);
  const want = ones.length ? b.concat([b.ints(ones), target.dims()], 0) : target.dims();
  const stretched = b.op('NonZero', [g.dims().equal(want).not()], {}).reshape([-1]);
  const summed = b.op('ReduceSum', [g, stretched], { keepdims: 1, noop_with_empty_axes: 1 });
  return shaped(summed.reshapeTo(target.dims()), target.shape);
}

/** `g` in the shape of `x` (same elements). Dims are constants when at most one of them has to be found at run time. */
export function reshapeLike(g: Value, x: Value): Value {
  if (sameShape(g.shape, x.shape)) return g;
  const dims = x.shape.map((d, i) =>
    typeof d === 'number' ? d : i < g.rank && sameDim(g.shape[i] as Dim, d) ? 0 : -1,
  );
  const settled = !x.shape.includes(0) && dims.filter(d => d === -1).length <= 1;
  return shaped(settled ? g.reshape(dims) : g.reshapeTo(x.dims()), x.shape);
}

/** `g` broadcast to the shape of `x`. */
export const expandLike = (g: Value, x: Value): Value =>
  sameShape(g.shape, x.shape) ? g : shaped(g.expandTo(x.dims()), x.shape);

const INLINE_ELEMENTS = 16;

/** A tensor of x's shape and dtype, filled with 0 (or `fill`). */
export function filledLike(x: Value, fill = 0): Value {
  const dims = staticDims(x.shape);
  const few = dims && dims.reduce((a, d) => a * d, 1) <= INLINE_ELEMENTS;
  return few ? x.builder.constant(filledTensor(x, dims, fill)) : shaped(filled(x, x.dims(), fill), x.shape);
}

/** A tensor of run-time dims, in the dtype of `like`. */
export const filled = (like: Value, dims: Value, fill = 0): Value =>
  like.builder.op('ConstantOfShape', [dims], { value: filledTensor(like, [1], fill) });

/** `fill` as the builder writes it for this dtype, repeated. */
function filledTensor({ builder: b, dtype }: Value, dims: readonly number[], fill: number): Tensor {
  const one = b.graph.initializers.get(b.scalar(fill, dtype).name) as Tensor;
  const tensor = zeros(dtype, dims);
  (tensor.data as Float32Array).fill(one.data[0] as number);
  return tensor;
}

/** Length along `axis`: a number, or an int64 [1] read at run time. */
export type Extent = number | Value;
export function extentOf(x: Value, axis: number): Extent {
  const d = x.shape[axis] as Dim;
  return typeof d === 'number' ? d : x.builder.op('Shape', [x], { start: axis, end: axis + 1 });
}

/** An extent as an int64 value that broadcasts as a scalar. */
export const int64Of = (like: Value, extent: Extent): Value =>
  typeof extent === 'number' ? like.builder.scalar(extent, 'int64') : extent;

/** An int64 vector of dims, constant when all are numbers. */
export function dimsVector(like: Value, extents: readonly Extent[]): Value {
  const { builder: b } = like;
  if (extents.every(e => typeof e === 'number')) return b.ints(extents);
  return b.concat(
    extents.map(e => (typeof e === 'number' ? b.ints([e]) : e)),
    0,
  );
}

/** 0, 1, …, extent − 1 as int64. */
export function iota(like: Value, extent: Extent): Value {
  const { builder: b } = like;
  const end =
    typeof extent === 'number' ? b.scalar(extent, 'int64') : b.op('Reshape', [extent, b.ints([])], {});
  const values = b.op('Range', [b.scalar(0, 'int64'), end, b.scalar(1, 'int64')], {});
  return typeof extent === 'number' ? shaped(values, [extent]) : values;
}

/** g where `mask` (bool) holds, else 0. */
export const masked = (g: Value, mask: Value): Value => g.mul(mask.cast(g.dtype));

export const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i);

/** A non-negative axis. */
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** The integers of a constant input, or undefined when it is absent or not constant. */
export function constantInts(c: GradientContext, i: number): number[] | undefined {
  const t = c.constant(i);
  return t && Array.from(t.data as ArrayLike<number | bigint>, Number);
}
