/**
 * Integers for a range of reals: real = scale (code − zeroPoint).
 *
 * 1. 0 is always representable: padding and Relu depend on it. Ranges are widened to hold it.
 * 2. Symmetric signed codes use −(2^(b−1)−1) .. 2^(b−1)−1 for scales, so that x and −x have codes; symmetric unsigned ones
 *    put 0 in the middle, or at the bottom where no value is negative.
 * 3. Power-of-two scales are rounded up: nothing that fitted the range is cut off.
 * 4. Scales are float32 numbers, as files hold them, and not below 1e-9 (a value that is always 0 has one too).
 */
import type { DType } from '../../../graph/dtype.ts';

export const CODE_DTYPES = ['int4', 'uint4', 'int8', 'uint8', 'int16', 'uint16'] as const;
export type CodeDType = (typeof CODE_DTYPES)[number] & DType;

export interface Range {
  readonly low: number;
  readonly high: number;
}

/** What integers a value may become. */
export interface Scheme {
  readonly dtype: CodeDType;
  readonly symmetric: boolean;
  readonly powerOfTwo?: boolean;
  /** Leave the lowest signed code out: what integer kernels ask of weights (−127..127). */
  readonly narrow?: boolean;
  /** Fewer bits than the dtype stores. */
  readonly bits?: number;
}

export interface Affine {
  readonly scale: number;
  readonly zeroPoint: number;
}

const BITS: Readonly<Record<CodeDType, number>> = {
  int4: 4,
  uint4: 4,
  int8: 8,
  uint8: 8,
  int16: 16,
  uint16: 16,
};

export const isSigned = (dtype: CodeDType): boolean => dtype.startsWith('int');

/** The least and the greatest code. */
export function codesOf({ dtype, narrow = false, bits = BITS[dtype] }: Omit<Scheme, 'symmetric'>): Range {
  const half = 2 ** (bits - 1);
  return isSigned(dtype) ? { low: -half + (narrow ? 1 : 0), high: half - 1 } : { low: 0, high: 2 * half - 1 };
}

const LEAST_SCALE = 1e-9;

/** Scale and zero point that span `range`. */
export function affineOf(range: Range, scheme: Scheme): Affine {
  const low = Math.min(0, range.low);
  const high = Math.max(0, range.high);
  const codes = codesOf(scheme);
  if (scheme.symmetric && !(low === 0 && !isSigned(scheme.dtype))) {
    const zeroPoint = isSigned(scheme.dtype) ? 0 : (codes.high + 1) / 2;
    return { scale: storable(Math.max(-low, high) / (codes.high - zeroPoint), scheme), zeroPoint };
  }
  const scale = storable((high - low) / (codes.high - codes.low), scheme);
  return { scale, zeroPoint: clamp(roundEven(codes.low - low / scale), codes) };
}

/**
 * Scale and zero point of an op whose output lies in [low, high) whatever goes in: 2^bits equal steps from `low`, as TFLite
 * fixes them (Softmax 1/256 from −128, Tanh 1/128 around 0).
 */
export function affineOfBounds({ low, high }: Range, scheme: Scheme): Affine {
  if (scheme.symmetric && isSigned(scheme.dtype)) return affineOf({ low, high }, scheme);
  const scale = storable((high - low) / 2 ** BITS[scheme.dtype], scheme);
  const codes = codesOf(scheme);
  return { scale, zeroPoint: clamp(roundEven(codes.low - low / scale), codes) };
}

function storable(scale: number, { powerOfTwo = false }: Scheme): number {
  const exact = Math.max(scale, LEAST_SCALE);
  return Math.fround(powerOfTwo ? 2 ** Math.ceil(Math.log2(exact) - 1e-9) : exact);
}

const clamp = (code: number, { low, high }: Range): number => Math.min(high, Math.max(low, code));

/** The nearest integer, halves to even, as QuantizeLinear rounds. */
export function roundEven(x: number): number {
  const nearest = Math.round(x);
  return nearest - x === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
}

/** The code of a real. */
export const encode = (x: number, { scale, zeroPoint }: Affine, codes: Range): number =>
  clamp(roundEven(x / scale) + zeroPoint, codes);

/** The real nearest to `x` that has a code. */
export const rounded = (x: number, affine: Affine, codes: Range): number =>
  (encode(x, affine, codes) - affine.zeroPoint) * affine.scale;
