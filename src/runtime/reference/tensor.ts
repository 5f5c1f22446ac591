/**
 * What kernels compute on.
 *
 * 1. `doubles` and `store`: arithmetic happens in double, results are rounded to the dtype once, on store.
 * 2. `exact` and `storeExact`: the same, but 64-bit integers stay BigInts, for ops whose integer result must not
 *    pass through a double.
 * 3. `elements` and `pack`: raw storage, one slot an element, for ops that only move data.
 */
import { allocate, bitsOf, type DType, isFloat, isPacked, type TensorData } from '../../graph/dtype.ts';
import { sizeOf, type Tensor } from '../../graph/ir.ts';
import {
  decodeFloats,
  encodeFloats,
  fromFloat8e8m0,
  isSmallFloat,
  toFloat8e8m0,
} from '../../util/float16.ts';

export const isBig = (dtype: DType): boolean => dtype === 'int64' || dtype === 'uint64';

/** One code of `bits` (2, 4 or 8) a slot, low bits of a byte first. */
export function unpackBits(bytes: Uint8Array, bits: number): Uint8Array {
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  const codes = new Uint8Array(bytes.length * perByte);
  for (let i = 0; i < codes.length; i++)
    codes[i] = (bytes[Math.floor(i / perByte)] >> ((i % perByte) * bits)) & mask;
  return codes;
}

/** The inverse of `unpackBits`; codes may be negative. */
function packBits(codes: ArrayLike<number>, bits: number): Uint8Array {
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  const bytes = new Uint8Array(Math.ceil(codes.length / perByte));
  for (let i = 0; i < codes.length; i++)
    bytes[Math.floor(i / perByte)] |= (codes[i] & mask) << ((i % perByte) * bits);
  return bytes;
}

/**
 * Raw storage with one slot an element: the dtype's own array, so slots hold numbers, BigInts or strings.
 * Typed as numbers because its users only move slots between arrays of one dtype.
 */
export type Slots = number[];

const slotsOf = (data: TensorData): Slots => data as unknown as Slots;

export function elements(t: Tensor): Slots {
  return slotsOf(
    isPacked(t.dtype)
      ? unpackBits(t.data as Uint8Array, bitsOf(t.dtype)).subarray(0, sizeOf(t.dims))
      : t.data,
  );
}

/** Zeroed room for `count` elements. */
export const emptyElements = (dtype: DType, count: number): Slots =>
  slotsOf(isPacked(dtype) ? new Uint8Array(count) : allocate(dtype, count));

export function pack(dtype: DType, dims: readonly number[], slots: Slots): Tensor {
  const data = slots as unknown as TensorData;
  return { dtype, dims, data: isPacked(dtype) ? packBits(slots, bitsOf(dtype)) : data };
}

/** The values as doubles: a copy, except for float64. */
export function doubles(t: Tensor): Float64Array {
  if (t.data instanceof Float64Array) return t.data;
  if (isBig(t.dtype)) return Float64Array.from(t.data as BigInt64Array, Number);
  const slots = elements(t);
  if (isSmallFloat(t.dtype)) return decodeFloats(slots, t.dtype);
  if (t.dtype === 'float8e8m0') return Float64Array.from(slots, fromFloat8e8m0);
  if (t.dtype === 'int4') return Float64Array.from(slots, code => (code << 28) >> 28);
  if (t.dtype === 'int2') return Float64Array.from(slots, code => (code << 30) >> 30);
  return new Float64Array(slots);
}

/** A tensor of `dtype` holding `values`, rounded (floats: half to even; integers: truncated, wrapped). */
export function store(dtype: DType, dims: readonly number[], values: Float64Array): Tensor {
  return pack(dtype, dims, slotsOf(encoded(dtype, values)));
}

function encoded(dtype: DType, values: Float64Array): TensorData {
  if (dtype === 'float64') return values;
  if (dtype === 'bool') return Uint8Array.from(values, v => (v !== 0 ? 1 : 0));
  if (isBig(dtype)) return encodedBig(dtype, values);
  if (dtype === 'string') return Array.from(values, String);
  if (isSmallFloat(dtype)) {
    const codes = encodeFloats(values, dtype);
    return dtype === 'float16' || dtype === 'bfloat16' ? codes : Uint8Array.from(codes);
  }
  if (dtype === 'float8e8m0') return Uint8Array.from(values, v => toFloat8e8m0(v));
  // Every array left is a typed array of numbers.
  const data = emptyElements(dtype, values.length) as unknown as Float32Array;
  data.set(values);
  return data;
}

/** 64-bit integers; what is not finite becomes 0. */
function encodedBig(dtype: DType, values: Float64Array): TensorData {
  const data = allocate(dtype, values.length) as BigInt64Array;
  for (let i = 0; i < values.length; i++) {
    data[i] = Number.isFinite(values[i]) ? BigInt(Math.trunc(values[i])) : 0n;
  }
  return data;
}

/**
 * The values for element-generic arithmetic: doubles, or BigInts when the dtype is a 64-bit integer.
 * The return type says Float64Array because callers only index it and hand the elements to a `Fold` of the same
 * dtype, which takes BigInts when the elements are.
 */
export const exact = (t: Tensor): Float64Array =>
  isBig(t.dtype) ? (t.data as unknown as Float64Array) : doubles(t);

/** Zero-filled values of the kind that `exact` returns for `dtype`. */
export const emptyExact = (dtype: DType, count: number): Float64Array =>
  isBig(dtype) ? (allocate(dtype, count) as unknown as Float64Array) : new Float64Array(count);

export const storeExact = (dtype: DType, dims: readonly number[], values: Float64Array): Tensor =>
  isBig(dtype) ? { dtype, dims, data: values as unknown as BigInt64Array } : store(dtype, dims, values);

/** A function on numbers and its twin on 64-bit integers. */
export interface Fold {
  readonly number: (a: number, b: number) => number;
  readonly bigint: (a: bigint, b: bigint) => bigint;
  /** For 32-bit and narrower integers, where it differs. */
  readonly integer?: (a: number, b: number) => number;
}

/** The twin that fits `exact` values of `dtype`. */
export function foldFor(fold: Fold, dtype: DType): (a: number, b: number) => number {
  // BigInts travel as numbers in the types only; see `exact`.
  if (isBig(dtype)) return fold.bigint as unknown as (a: number, b: number) => number;
  return isFloat(dtype) ? fold.number : (fold.integer ?? fold.number);
}

export const FOLDS = {
  add: { number: (a, b) => a + b, bigint: (a, b) => a + b },
  mul: { number: (a, b) => a * b, bigint: (a, b) => a * b, integer: Math.imul },
  // biome-ignore lint/complexity/useMathMinMax: Math.max takes no BigInt
  max: { number: Math.max, bigint: (a, b) => (a > b ? a : b) },
  // biome-ignore lint/complexity/useMathMinMax: Math.min takes no BigInt
  min: { number: Math.min, bigint: (a, b) => (a < b ? a : b) },
} as const satisfies Record<string, Fold>;

/** Small integer vectors: shapes, axes, sizes. */
export const integers = (t: Tensor): number[] => Array.from(doubles(t));

/** The only element of a tensor. */
export const scalar = (t: Tensor): number => doubles(t)[0];

export const boolean = (dims: readonly number[], data: Uint8Array): Tensor => ({ dtype: 'bool', dims, data });

/** int64 results that are counted in numbers. */
export const indices64 = (dims: readonly number[], values: ArrayLike<number>): Tensor => ({
  dtype: 'int64',
  dims,
  data: BigInt64Array.from(values, BigInt),
});
