/** Elementwise ops of one input. */
import { isFloat } from '../../../graph/dtype.ts';
import { roundHalfEven } from '../../../util/float16.ts';
import type { Kernel, KernelFamily } from '../kernel.ts';
import { broadcastOffsets } from '../layout.ts';
import { erf, geluErf, geluTanh, sigmoid, softplus } from '../math.ts';
import { boolean, doubles, isBig, scalar, store } from '../tensor.ts';

/** y = f(x), in double. */
const map =
  (f: (x: number) => number): Kernel =>
  c => {
    const x = c.input(0);
    return [
      store(
        x.dtype,
        x.dims,
        doubles(x).map(v => f(v)),
      ),
    ];
  };

/** y = f(x) for floats and narrow integers, its twin for 64-bit integers. */
const mapExact = (f: (x: number) => number, big: (x: bigint) => bigint): Kernel => {
  const plain = map(f);
  return c => {
    const x = c.input(0);
    if (!isBig(x.dtype)) return plain(c);
    return [{ dtype: x.dtype, dims: x.dims, data: (x.data as BigInt64Array).map(big) }];
  };
};

/** y = f(x) where integers are their own result. */
const mapFloat = (f: (x: number) => number): Kernel => {
  const plain = map(f);
  return c => (isFloat(c.input(0).dtype) ? plain(c) : [c.input(0)]);
};

const test =
  (f: (x: number) => boolean): Kernel =>
  c => [
    boolean(
      c.input(0).dims,
      Uint8Array.from(doubles(c.input(0)), v => (f(v) ? 1 : 0)),
    ),
  ];

/** y = f(x; attributes read once per node). */
const parametric =
  (make: (float: (name: string, otherwise: number) => number) => (x: number) => number): Kernel =>
  c =>
    map(make((name, otherwise) => c.attributes.float(name, otherwise)))(c);

const isInfinite: Kernel = c => {
  const low = c.attributes.int('detect_negative', 1) !== 0;
  const high = c.attributes.int('detect_positive', 1) !== 0;
  return test(v => (low && v === -Infinity) || (high && v === Infinity))(c);
};

const gelu: Kernel = c => {
  const approximate = c.attributes.string('approximate', 'none');
  if (approximate !== 'none' && approximate !== 'tanh')
    c.fail(`approximate "${approximate}" is not none or tanh`);
  return map(approximate === 'tanh' ? geluTanh : geluErf)(c);
};

/** f(x + bias), bias broadcast along the last axis; input 1 may be left out. */
const biased =
  (f: (x: number) => number): Kernel =>
  c => {
    const x = c.input(0);
    const bias = c.inputs[1];
    const values = doubles(x);
    if (!bias)
      return [
        store(
          x.dtype,
          x.dims,
          values.map(v => f(v)),
        ),
      ];
    const b = doubles(bias);
    const at = broadcastOffsets(bias.dims, x.dims);
    return [
      store(
        x.dtype,
        x.dims,
        values.map((v, i) => f(v + b[at[i]])),
      ),
    ];
  };

/** max(low, min(high, x)); bounds may be left out. */
const clip: Kernel = c => {
  const x = c.input(0);
  if (isBig(x.dtype)) return clipBig(c);
  const low = c.inputs[1] ? scalar(c.inputs[1]) : -Infinity;
  const high = c.inputs[2] ? scalar(c.inputs[2]) : Infinity;
  return [
    store(
      x.dtype,
      x.dims,
      doubles(x).map(v => Math.min(high, Math.max(low, v))),
    ),
  ];
};

const clipBig: Kernel = c => {
  const x = c.input(0);
  const [low, high] = [1, 2].map(i => (c.inputs[i]?.data as BigInt64Array | undefined)?.[0]);
  const raised = (v: bigint) => (low !== undefined && v < low ? low : v);
  const bounded = (v: bigint) => (high !== undefined && v > high ? high : v);
  return [{ dtype: x.dtype, dims: x.dims, data: (x.data as BigInt64Array).map(v => bounded(raised(v))) }];
};

const identity: Kernel = c => [c.input(0)];

export const UNARY = {
  Abs: mapExact(Math.abs, x => (x < 0n ? -x : x)),
  Neg: mapExact(
    x => -x,
    x => -x,
  ),
  Sign: mapExact(Math.sign, x => (x > 0n ? 1n : x < 0n ? -1n : 0n)),
  Relu: mapExact(
    x => Math.max(0, x),
    x => (x > 0n ? x : 0n),
  ),
  Exp: map(Math.exp),
  Log: map(Math.log),
  Sqrt: map(Math.sqrt),
  Reciprocal: map(x => 1 / x),
  Sin: map(Math.sin),
  Cos: map(Math.cos),
  Tan: map(Math.tan),
  Asin: map(Math.asin),
  Acos: map(Math.acos),
  Atan: map(Math.atan),
  Sinh: map(Math.sinh),
  Cosh: map(Math.cosh),
  Asinh: map(Math.asinh),
  Acosh: map(Math.acosh),
  Atanh: map(Math.atanh),
  Tanh: map(Math.tanh),
  Sigmoid: map(sigmoid),
  Erf: map(erf),
  Softplus: map(softplus),
  // x / (1 + |x|)
  Softsign: map(x => x / (1 + Math.abs(x))),
  // x · tanh(softplus x)
  Mish: map(x => x * Math.tanh(softplus(x))),
  Floor: mapFloat(Math.floor),
  Ceil: mapFloat(Math.ceil),
  Round: mapFloat(roundHalfEven),
  Not: test(x => x === 0),
  BitwiseNot: mapExact(
    x => ~x,
    x => ~x,
  ),
  Identity: identity,
  IsNaN: test(Number.isNaN),
  IsInf: isInfinite,
  // x < 0 ? alpha·x : x
  LeakyRelu: parametric(float =>
    (
      alpha => x =>
        x < 0 ? alpha * x : x
    )(float('alpha', 0.01)),
  ),
  // x < 0 ? alpha·(e^x − 1) : x
  Elu: parametric(float =>
    (
      alpha => x =>
        x < 0 ? alpha * Math.expm1(x) : x
    )(float('alpha', 1)),
  ),
  // gamma·(x > 0 ? x : alpha·(e^x − 1))
  Selu: parametric(float => {
    const [alpha, gamma] = [float('alpha', 1.6732631921768188), float('gamma', 1.0507010221481323)];
    return x => gamma * (x > 0 ? x : alpha * Math.expm1(x));
  }),
  // max(0, x) + min(0, alpha·(e^(x/alpha) − 1))
  Celu: parametric(float =>
    (
      alpha => x =>
        Math.max(0, x) + Math.min(0, alpha * Math.expm1(x / alpha))
    )(float('alpha', 1)),
  ),
  // x > alpha ? x : 0
  ThresholdedRelu: parametric(float =>
    (
      alpha => x =>
        x > alpha ? x : 0
    )(float('alpha', 1)),
  ),
  // x pulled towards 0 by bias outside [−lambd, lambd], 0 inside
  Shrink: parametric(float => {
    const [bias, lambd] = [float('bias', 0), float('lambd', 0.5)];
    return x => (x < -lambd ? x + bias : x > lambd ? x - bias : 0);
  }),
  // clamp(alpha·x + beta, 0, 1)
  HardSigmoid: parametric(float => {
    const [alpha, beta] = [float('alpha', 0.2), float('beta', 0.5)];
    return x => Math.max(0, Math.min(1, alpha * x + beta));
  }),
  // x · clamp(x/6 + 1/2, 0, 1)
  HardSwish: map(x => x * Math.max(0, Math.min(1, x / 6 + 0.5))),
  Gelu: gelu,
  // x · sigmoid(alpha·x)
  Swish: parametric(float =>
    (
      alpha => x =>
        x * sigmoid(alpha * x)
    )(float('alpha', 1)),
  ),
  'com.microsoft.QuickGelu': parametric(float =>
    (
      alpha => x =>
        x * sigmoid(alpha * x)
    )(float('alpha', 1.702)),
  ),
  'com.microsoft.Gelu': map(geluErf),
  'com.microsoft.FastGelu': biased(geluTanh),
  'com.microsoft.BiasGelu': biased(geluErf),
  Clip: clip,
  'gaslaw.StopGradient': identity,
  'gaslaw.StraightThrough': identity,
} as const satisfies KernelFamily;
