/**
 * Writers of the blocks of 32, byte for byte as llama.cpp writes them without an importance matrix.
 * Products and sums before rounding are exact, as where C contracts them to one instruction.
 * With one, the scale is fitted to the weighted square error with w = E[a²] √(σ² + x²), σ² the block's mean square: an error in a
 * large value is dearer, as llama.cpp has it.
 * Source: ggml-quants.c of llama.cpp.
 */
import { fromFloat16, toFloat16 } from '../../../util/float16.ts';
import { fround } from './block.ts';
import { fitAffine, fitSymmetric } from './fit.ts';

/** Writes one block of `x`. `importance` is E[a²] of its columns; absent when all count the same. */
export type WriteBlock = (x: Float32Array, out: Uint8Array, at: number, importance?: Float64Array) => void;

/** Puts the codes of one block, from 0, where a writer puts them; the rest stays as it is. */
export type PutCodes = (codes: Uint8Array, out: Uint8Array, at: number) => void;

/** Codes of blocks whose values are a straight line in them. */
export interface BlockCodes {
  readonly levels: number;
  readonly put: PutCodes;
}

export function putHalf(out: Uint8Array, at: number, value: number): number {
  const bits = toFloat16(value);
  out[at] = bits & 255;
  out[at + 1] = bits >> 8;
  return fromFloat16(bits);
}

/** The element of largest absolute value, with its sign; the first of equals. */
function extremeOf(x: Float32Array): number {
  let extreme = 0;
  for (const v of x) if (Math.abs(v) > Math.abs(extreme)) extreme = v;
  return extreme;
}

const inverse = (d: number): number => (d === 0 ? 0 : fround(1 / d));

const truncated = (v: number, high: number): number => Math.max(0, Math.min(high, Math.trunc(v)));

/** Low halves are elements 0 to 15, high halves 16 to 31. */
function putNibbles(codes: Uint8Array, out: Uint8Array, at: number): void {
  for (let j = 0; j < 16; j++)
    out[at + j] = ((codes[j] as number) & 15) | (((codes[j + 16] as number) & 15) << 4);
}

function putFifths(codes: Uint8Array, out: Uint8Array, at: number): void {
  for (let i = 0; i < 4; i++) out[at + i] = 0;
  for (let j = 0; j < 32; j++) out[at + (j >> 3)] |= ((codes[j] as number) >> 4) << (j & 7);
}

function weighed(x: Float32Array, importance: Float64Array): Float64Array {
  const mean = x.reduce((sum, v) => sum + v * v, 0) / x.length;
  return importance.map((a, i) => a * Math.sqrt(mean + (x[i] as number) ** 2));
}

/** Codes around `middle` for x ≈ d (q - middle). */
function symmetricCodes(
  x: Float32Array,
  middle: number,
  importance?: Float64Array,
): { d: number; codes: Uint8Array } {
  const d = importance
    ? fround(fitSymmetric(x, weighed(x, importance), middle))
    : fround(extremeOf(x) / -middle);
  const id = inverse(d);
  const codes = Uint8Array.from(x, v => truncated(v * id + (middle + 0.5), 2 * middle - 1));
  return { d, codes };
}

/** Codes of 0 to `high` for x ≈ d q + min. */
function affineCodes(
  x: Float32Array,
  high: number,
  importance?: Float64Array,
): { d: number; min: number; codes: Uint8Array } {
  const { d, min } = importance ? fittedRange(x, high, weighed(x, importance)) : wholeRange(x, high);
  const id = inverse(d);
  const codes = Uint8Array.from(x, v => truncated((v - min) * id + 0.5, high));
  return { d, min, codes };
}

function wholeRange(x: Float32Array, high: number): { d: number; min: number } {
  const [min, max] = [Math.min(...x), Math.max(...x)];
  return { d: fround(fround(max - min) / high), min };
}

/** As float16 has them, since codes are chosen for what will be read. */
function fittedRange(x: Float32Array, high: number, weights: Float64Array): { d: number; min: number } {
  const { scale, minimum } = fitAffine(x, weights, high, true);
  return { d: fromFloat16(toFloat16(scale)), min: fromFloat16(toFloat16(-minimum)) };
}

const nibblesAt =
  (low: number): PutCodes =>
  (codes, out, at) =>
    putNibbles(codes, out, at + low);

const fifthsAt =
  (high: number): PutCodes =>
  (codes, out, at) => {
    putFifths(codes, out, at + high);
    putNibbles(codes, out, at + high + 4);
  };

export const LEGACY_CODES = {
  Q4_0: { levels: 16, put: nibblesAt(2) },
  Q4_1: { levels: 16, put: nibblesAt(4) },
  Q5_0: { levels: 32, put: fifthsAt(2) },
  Q5_1: { levels: 32, put: fifthsAt(4) },
} as const satisfies Record<string, BlockCodes>;

export const writeQ4_0: WriteBlock = (x, out, at, importance) => {
  const { d, codes } = symmetricCodes(x, 8, importance);
  putHalf(out, at, d);
  LEGACY_CODES.Q4_0.put(codes, out, at);
};

export const writeQ5_0: WriteBlock = (x, out, at, importance) => {
  const { d, codes } = symmetricCodes(x, 16, importance);
  putHalf(out, at, d);
  LEGACY_CODES.Q5_0.put(codes, out, at);
};

export const writeQ4_1: WriteBlock = (x, out, at, importance) => {
  const { d, min, codes } = affineCodes(x, 15, importance);
  putHalf(out, at, d);
  putHalf(out, at + 2, min);
  LEGACY_CODES.Q4_1.put(codes, out, at);
};

export const writeQ5_1: WriteBlock = (x, out, at, importance) => {
  const { d, min, codes } = affineCodes(x, 31, importance);
  putHalf(out, at, d);
  putHalf(out, at + 2, min);
  LEGACY_CODES.Q5_1.put(codes, out, at);
};

export const writeQ8_0: WriteBlock = (x, out, at) => {
  const d = fround(Math.abs(extremeOf(x)) / 127);
  const id = inverse(d);
  putHalf(out, at, d);
  x.forEach((v, j) => {
    const scaled = fround(v * id);
    out[at + 2 + j] = scaled < 0 ? -Math.round(-scaled) : Math.round(scaled);
  });
};
