/** Elementwise ops of two inputs and more, with broadcasting. */
import type { Tensor } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { broadcastDims, broadcastOffsets, broadcastTo, sameDims } from '../layout.ts';
import {
  boolean,
  doubles,
  elements,
  emptyElements,
  emptyExact,
  exact,
  FOLDS,
  type Fold,
  foldFor,
  isBig,
  pack,
  store,
  storeExact,
} from '../tensor.ts';

/** out[i] = f(a[i], b[i]) over the broadcast of two shapes. */
function zip<Out extends Float64Array | Uint8Array>(
  c: KernelContext,
  [a, b]: readonly [Tensor, Tensor],
  [x, y]: readonly [Float64Array, Float64Array],
  f: (a: number, b: number) => number,
  room: (count: number) => Out,
): { dims: readonly number[]; values: Out } {
  const dims = broadcastDims(c, a.dims, b.dims);
  const count = dims.reduce((m, n) => m * n, 1);
  const out = room(count);
  if (sameDims(a.dims, b.dims)) {
    for (let i = 0; i < count; i++) out[i] = f(x[i], y[i]);
    return { dims, values: out };
  }
  const [atA, atB] = [broadcastOffsets(a.dims, dims), broadcastOffsets(b.dims, dims)];
  for (let i = 0; i < count; i++) out[i] = f(x[atA[i]], y[atB[i]]);
  return { dims, values: out };
}

function sameDType(c: KernelContext, a: Tensor, b: Tensor): void {
  if (a.dtype !== b.dtype) c.fail(`inputs have dtypes ${a.dtype} and ${b.dtype}`);
}

function combine(c: KernelContext, a: Tensor, b: Tensor, fold: Fold): Tensor {
  sameDType(c, a, b);
  const room = (count: number) => emptyExact(a.dtype, count);
  const { dims, values } = zip(c, [a, b], [exact(a), exact(b)], foldFor(fold, a.dtype), room);
  return storeExact(a.dtype, dims, values);
}

const arithmetic =
  (fold: Fold): Kernel =>
  c => [combine(c, c.input(0), c.input(1), fold)];

const divide: Kernel = c => {
  const b = c.input(1);
  const whole = !b.dtype.startsWith('float') && b.dtype !== 'bfloat16';
  if (whole && doubles(b).includes(0)) c.fail('integer division by zero');
  return arithmetic({
    number: (x, y) => x / y,
    integer: (x, y) => Math.trunc(x / y),
    bigint: (x, y) => x / y,
  })(c);
};

/** Remainder with the divisor's sign. */
const FLOOR_MOD: Fold = {
  number: (x, y) => x - y * Math.floor(x / y),
  integer: (x, y) => ((x % y) + y) % y,
  bigint: (x, y) => ((x % y) + y) % y,
};
/** Remainder with the dividend's sign, as C's fmod. */
const TRUNC_MOD: Fold = { number: (x, y) => x % y, bigint: (x, y) => x % y };

const mod: Kernel = c => arithmetic(c.attributes.int('fmod', 0) === 0 ? FLOOR_MOD : TRUNC_MOD)(c);

/** Base and exponent may differ in dtype; the result has the base's. Whole powers of 64-bit bases stay exact. */
const power: Kernel = c => {
  const [a, b] = [c.input(0), c.input(1)];
  if (isBig(a.dtype) && isBig(b.dtype)) return [combine(c, a, b, { number: Math.pow, bigint: powerBig })];
  const { dims, values } = zip(
    c,
    [a, b],
    [doubles(a), doubles(b)],
    (x, y) => x ** y,
    n => new Float64Array(n),
  );
  return [store(a.dtype, dims, values)];
};

/** A negative exponent truncates 1/x^n toward zero. */
function powerBig(x: bigint, y: bigint): bigint {
  if (y >= 0n) return x ** y;
  return x === 1n ? 1n : x === -1n ? (y % 2n === 0n ? 1n : -1n) : 0n;
}

const variadic =
  (fold: Fold): Kernel =>
  c => {
    const [first, ...rest] = c.inputs.map((_, i) => c.input(i));
    return [rest.reduce((sum, t) => combine(c, sum, t, fold), first)];
  };

/** Summed in double, divided once, rounded once. */
const mean: Kernel = c => {
  const inputs = c.inputs.map((_, i) => c.input(i));
  const dims = broadcastDims(c, ...inputs.map(t => t.dims));
  const total = new Float64Array(dims.reduce((m, n) => m * n, 1));
  for (const t of inputs) {
    const values = doubles(broadcastTo(t, dims));
    for (let i = 0; i < total.length; i++) total[i] += values[i];
  }
  return [
    store(
      inputs[0].dtype,
      dims,
      total.map(v => v / inputs.length),
    ),
  ];
};

/** `test` sees numbers, or BigInts for 64-bit integers: comparison means the same on both. */
const compare =
  (test: (a: number, b: number) => boolean): Kernel =>
  c => {
    const [a, b] = [c.input(0), c.input(1)];
    sameDType(c, a, b);
    const comparable = (t: Tensor) => (t.dtype === 'string' ? (t.data as unknown as Float64Array) : exact(t));
    const f = (x: number, y: number) => (test(x, y) ? 1 : 0);
    const { dims, values } = zip(c, [a, b], [comparable(a), comparable(b)], f, n => new Uint8Array(n));
    return [boolean(dims, values)];
  };

const choose: Kernel = c => {
  const [condition, x, y] = [c.input(0), c.input(1), c.input(2)];
  sameDType(c, x, y);
  const dims = broadcastDims(c, condition.dims, x.dims, y.dims);
  const [atC, atX, atY] = [condition, x, y].map(t => broadcastOffsets(t.dims, dims));
  const [from, other] = [elements(x), elements(y)];
  const out = emptyElements(x.dtype, atC.length);
  const mask = condition.data as Uint8Array;
  for (let i = 0; i < out.length; i++) out[i] = mask[atC[i]] ? from[atX[i]] : other[atY[i]];
  return [pack(x.dtype, dims, out)];
};

/** Bits move left (filled with 0, the top ones lost) or right, in the width of the dtype. */
const bitShift: Kernel = c => {
  const direction = c.attributes.string('direction', '');
  if (direction !== 'LEFT' && direction !== 'RIGHT') c.fail(`direction "${direction}" is not LEFT or RIGHT`);
  return arithmetic(
    direction === 'LEFT'
      ? { number: (a, b) => a * 2 ** b, bigint: (a, b) => BigInt.asUintN(64, a << b) }
      : { number: (a, b) => Math.floor(a / 2 ** b), bigint: (a, b) => a >> b },
  )(c);
};

export const BINARY = {
  Add: arithmetic(FOLDS.add),
  Sub: arithmetic({ number: (a, b) => a - b, bigint: (a, b) => a - b }),
  Mul: arithmetic(FOLDS.mul),
  Div: divide,
  Pow: power,
  Mod: mod,
  // x < 0 ? slope·x : x
  PRelu: arithmetic({ number: (x, s) => (x < 0 ? s * x : x), bigint: (x, s) => (x < 0n ? s * x : x) }),
  Min: variadic(FOLDS.min),
  Max: variadic(FOLDS.max),
  Sum: variadic(FOLDS.add),
  Mean: mean,
  Equal: compare((a, b) => a === b),
  Greater: compare((a, b) => a > b),
  GreaterOrEqual: compare((a, b) => a >= b),
  Less: compare((a, b) => a < b),
  LessOrEqual: compare((a, b) => a <= b),
  And: compare((a, b) => a !== 0 && b !== 0),
  Or: compare((a, b) => a !== 0 || b !== 0),
  Xor: compare((a, b) => (a !== 0) !== (b !== 0)),
  BitwiseAnd: arithmetic({ number: (a, b) => a & b, bigint: (a, b) => a & b }),
  BitwiseOr: arithmetic({ number: (a, b) => a | b, bigint: (a, b) => a | b }),
  BitwiseXor: arithmetic({ number: (a, b) => a ^ b, bigint: (a, b) => a ^ b }),
  BitShift: bitShift,
  Where: choose,
} as const satisfies KernelFamily;
