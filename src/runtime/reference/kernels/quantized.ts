/**
 * Ops on quantized tensors: integer convolutions and products, and ONNX Runtime's QLinear family.
 *
 * 1. A quantized tensor is three inputs in a row: codes, scale, zero point (0 when left out).
 * 2. Products accumulate whole numbers, which doubles hold exactly; the result is scaled in float32, as ONNX Runtime
 *    does, rounded half to even, shifted and saturated.
 */
import type { DType } from '../../../graph/dtype.ts';
import { sizeOf, type Tensor } from '../../../graph/ir.ts';
import { roundHalfEven } from '../../../util/float16.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { broadcastDims, broadcastOffsets } from '../layout.ts';
import { sigmoid } from '../math.ts';
import { doubles, store } from '../tensor.ts';
import { convolve, type Values } from './convolution.ts';
import { flipped, product } from './matmul.ts';
import { concatenated } from './movement.ts';
import { averagePooled, channelsFirst, channelsLast, meanOf, overChannels } from './pooling.ts';
import { INTEGER_RANGES, saturated } from './quantize.ts';

/** Zero points or scales of one tensor, one or one for each entry of `axis`, made to broadcast over `rank` axes. */
function along(t: Tensor, axis: number, rank: number): Tensor {
  if (sizeOf(t.dims) === 1) return { ...t, dims: [] };
  if (t.dims.length !== 1) return t;
  return { ...t, dims: Array.from({ length: rank }, (_, i) => (i === axis ? t.dims[0] : 1)) };
}

/** Codes minus zero point. */
function centred(t: Tensor, zero: Tensor | undefined, axis: number): Values {
  const values = doubles(t);
  if (!zero) return { dims: t.dims, values };
  const at = broadcastOffsets(along(zero, axis, t.dims.length).dims, t.dims);
  const z = doubles(zero);
  return { dims: t.dims, values: values.map((v, i) => v - z[at[i]]) };
}

/** Where a result goes: its dtype, scale and zero point. */
interface Target {
  readonly dtype: DType;
  readonly scale: number;
  readonly zero: number;
}

/** The output's scale and zero point at inputs `i` and `i + 1`; without a zero point the dtype is that of `like`. */
function targetAt(c: KernelContext, i: number, like: Tensor): Target {
  const zero = c.inputs[i + 1];
  return {
    dtype: zero?.dtype ?? like.dtype,
    scale: doubles(c.input(i))[0],
    zero: zero ? doubles(zero)[0] : 0,
  };
}

/** Values already divided by the target's scale, as codes. */
function coded(
  c: KernelContext,
  dims: readonly number[],
  steps: Float64Array,
  { dtype, zero }: Target,
): Tensor {
  const bounds = INTEGER_RANGES[dtype] ?? c.fail(`it cannot quantize to ${dtype}`);
  return store(
    dtype,
    dims,
    steps.map(v => saturated(roundHalfEven(Math.fround(v)) + zero, bounds)),
  );
}

/** Real values as codes. */
const quantized = (c: KernelContext, { dims, values }: Values, target: Target): Tensor =>
  coded(
    c,
    dims,
    values.map(v => v / target.scale),
    target,
  );

/** The real values of the tensor at inputs i, i + 1, i + 2. */
function real(c: KernelContext, i: number): Values {
  const { dims, values } = centred(c.input(i), c.inputs[i + 2], 0);
  const scale = doubles(c.input(i + 1))[0];
  return { dims, values: values.map(v => Math.fround(v * scale)) };
}

const convInteger: Kernel = c => {
  const [x, w] = [c.input(0), c.input(1)];
  const { dims, values } = convolve(c, centred(x, c.inputs[2], 1), centred(w, c.inputs[3], 0));
  return [store('int32', dims, values)];
};

/** Σ of products times x_scale·w_scale/y_scale; the weight's scale may differ by output channel. */
const qlinearConv: Kernel = c => {
  const x = centred(c.input(0), c.inputs[2], 1);
  const w = centred(c.input(3), c.inputs[5], 0);
  const bias = c.inputs[8] && doubles(c.inputs[8]);
  const { dims, values } = convolve(c, x, w, bias);
  const target = targetAt(c, 6, c.input(0));
  return [coded(c, dims, scaled(values, dims, [doubles(c.input(1))[0], c.input(4), target.scale]), target)];
};

/** acc · (a·b[channel]/y), the factor in float32; channels are axis 1. */
function scaled(
  acc: Float64Array,
  dims: readonly number[],
  [a, b, y]: readonly [number, Tensor, number],
): Float64Array {
  const factors = doubles(b).map(s => Math.fround(Math.fround(a * s) / y));
  const at = broadcastOffsets(along(b, 1, dims.length).dims, dims);
  return acc.map((v, i) => v * factors[at[i]]);
}

/** Scales and zero points of a may differ by row, those of b by column. */
const qlinearMatMul: Kernel = c => {
  const [a, b] = [c.input(0), c.input(3)];
  const x = centred(a, c.inputs[2], a.dims.length - 2);
  const y = centred(b, c.inputs[5], b.dims.length - 1);
  const { dims, values } = product(c, a.dims, x.values, b.dims, y.values);
  const rows = spreadOver(c.input(1), a.dims.length - 2, a.dims.length, dims);
  const columns = spreadOver(c.input(4), b.dims.length - 1, b.dims.length, dims);
  const target = targetAt(c, 6, a);
  const steps = values.map((v, i) => v * Math.fround(Math.fround(rows[i] * columns[i]) / target.scale));
  return [coded(c, dims, steps, target)];
};

/** A scale for every element of the product. */
function spreadOver(scale: Tensor, axis: number, rank: number, dims: readonly number[]): Float64Array {
  const values = doubles(scale);
  const at = broadcastOffsets(along(scale, axis, rank).dims, dims);
  return Float64Array.from(at, i => values[i]);
}

const qlinearBinary =
  (f: (a: number, b: number) => number): Kernel =>
  c => {
    const [a, b] = [real(c, 0), real(c, 3)];
    const dims = broadcastDims(c, a.dims, b.dims);
    const [atA, atB] = [broadcastOffsets(a.dims, dims), broadcastOffsets(b.dims, dims)];
    const values = Float64Array.from(atA, (i, k) => f(a.values[i], b.values[atB[k]]));
    return [quantized(c, { dims, values }, targetAt(c, 6, c.input(0)))];
  };

const qlinearUnary =
  (make: (c: KernelContext) => (x: number) => number): Kernel =>
  c => {
    const { dims, values } = real(c, 0);
    const f = make(c);
    return [quantized(c, { dims, values: values.map(v => f(v)) }, targetAt(c, 3, c.input(0)))];
  };

/** Output scale and zero point, then (codes, scale, zero point) for each part. */
const qlinearConcat: Kernel = c => {
  const target = targetAt(c, 0, c.input(1));
  const parts = c.inputs.flatMap((_, i) => (i >= 2 && i % 3 === 2 ? [quantized(c, real(c, i), target)] : []));
  const axis = c.attributes.int('axis', 0);
  const at = axis < 0 ? axis + parts[0].dims.length : axis;
  const total = parts.reduce((n, t) => n + t.dims[at], 0);
  return [
    concatenated(
      parts,
      at,
      parts[0].dims.map((n, i) => (i === at ? total : n)),
    ),
  ];
};

/** A pool of real values, channels first inside. */
const qlinearPool =
  (pool: (c: KernelContext, x: Values) => Values): Kernel =>
  c => {
    const last = c.attributes.int('channels_last', 0) !== 0;
    const { dims, values } = real(c, 0);
    const x = last ? channelsFirst(store('float64', dims, values)) : store('float64', dims, values);
    const pooled = pool(c, { dims: x.dims, values: doubles(x) });
    const y = quantized(c, pooled, targetAt(c, 3, c.input(0)));
    return [last ? channelsLast(y) : y];
  };

/** alpha · (A − a0)(B − b0) + bias, scaled; floats where no output scale is given. */
const qgemm: Kernel = c => {
  const turned = (v: Values, name: string): Tensor => {
    const t = store('float64', v.dims, v.values);
    return c.attributes.int(name, 0) ? flipped(t) : t;
  };
  const a = turned(centred(c.input(0), c.inputs[2], 0), 'transA');
  const b = turned(centred(c.input(3), c.inputs[5], c.attributes.int('transB', 0) ? 0 : 1), 'transB');
  const { dims, values } = product(c, a.dims, doubles(a), b.dims, doubles(b));
  const bias = c.inputs[6] && doubles(c.inputs[6]);
  const atBias = c.inputs[6] && broadcastOffsets(c.inputs[6].dims, dims);
  const sums = values.map((v, i) => v + (bias && atBias ? bias[atBias[i]] : 0));
  const alpha = c.attributes.float('alpha', 1) * doubles(c.input(1))[0];
  const target = c.inputs[7] ? targetAt(c, 7, c.input(0)) : undefined;
  const steps = scaled(sums, dims, [alpha, c.input(4), target?.scale ?? 1]);
  return [target ? coded(c, dims, steps, target) : store('float32', dims, steps)];
};

export const QUANTIZED = {
  ConvInteger: convInteger,
  QLinearConv: qlinearConv,
  QLinearMatMul: qlinearMatMul,
  'com.microsoft.QLinearAdd': qlinearBinary((a, b) => a + b),
  'com.microsoft.QLinearMul': qlinearBinary((a, b) => a * b),
  'com.microsoft.QLinearSigmoid': qlinearUnary(() => sigmoid),
  'com.microsoft.QLinearLeakyRelu': qlinearUnary(c => {
    const alpha = c.attributes.float('alpha', 0.01);
    return x => (x < 0 ? alpha * x : x);
  }),
  'com.microsoft.QLinearConcat': qlinearConcat,
  'com.microsoft.QLinearAveragePool': qlinearPool(averagePooled),
  'com.microsoft.QLinearGlobalAveragePool': qlinearPool((_, x) => overChannels(x, meanOf)),
  'com.microsoft.QGemm': qgemm,
} as const satisfies KernelFamily;
