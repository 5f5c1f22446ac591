/**
 * Writers of K-quants: scales of sub-blocks are fitted to the weighted square error, rounded to what the superblock's
 * factors can express, and the codes chosen anew for the rounded scales.
 *
 * 1. Without an importance matrix large values weigh more: w = σ + |x| with σ² the mean square (Q2_K, Q4_K, Q5_K) and
 *    w = x² (Q3_K, Q6_K), as llama.cpp has it. With one, w = E[a²] √(σ² + x²), where E[a²] is the mean square of what the
 *    column is multiplied with.
 * Source: the layouts and weights of ggml-quants.c of llama.cpp; the search for scales is fit.ts's.
 */
import { type Affine, affineCode, code, fitAffine, fitSymmetric } from './fit.ts';
import { sixBits } from './k.ts';
import { putHalf, type WriteBlock } from './write-legacy.ts';

const SUPER = 256;

function meanSquare(x: Float32Array): number {
  let sum = 0;
  for (const v of x) sum += v * v;
  return sum / x.length;
}

/** Weights of a superblock's square errors. */
function weightsOf(
  x: Float32Array,
  importance: Float64Array | undefined,
  plain: 'square' | 'absolute',
): Float64Array {
  const mean = meanSquare(x);
  if (importance) return importance.map((a, i) => a * Math.sqrt(mean + (x[i] as number) ** 2));
  const sigma = Math.sqrt(mean);
  return Float64Array.from(x, v => (plain === 'square' ? v * v : sigma + Math.abs(v)));
}

interface Affines {
  readonly d: number;
  readonly dmin: number;
  readonly scales: Uint8Array;
  readonly minima: Uint8Array;
  readonly codes: Uint8Array;
}

/** Fits `count` sub-blocks with minima; `put` stores the two factors and returns them as stored. */
function affineSuper(
  x: Float32Array,
  weights: Float64Array,
  count: number,
  high: number,
  most: number,
  put: (d: number, dmin: number) => [number, number],
): Affines {
  const size = SUPER / count;
  const part = (i: number) =>
    [x.subarray(i * size, (i + 1) * size), weights.subarray(i * size, (i + 1) * size)] as const;
  const fits: Affine[] = Array.from({ length: count }, (_, i) => fitAffine(...part(i), high));
  const top = (of: (f: Affine) => number): number => Math.max(0, ...fits.map(of));
  const [d, dmin] = put(top(f => f.scale) / most, top(f => f.minimum) / most);
  const level = (v: number, unit: number): number => (unit > 0 ? Math.min(most, Math.round(v / unit)) : 0);
  const scales = Uint8Array.from(fits, f => level(Math.max(0, f.scale), d));
  const minima = Uint8Array.from(fits, f => level(f.minimum, dmin));
  const codes = new Uint8Array(SUPER);
  for (let i = 0; i < SUPER; i++) {
    const sub = Math.floor(i / size);
    const fit = { scale: d * (scales[sub] as number), minimum: dmin * (minima[sub] as number) };
    codes[i] = affineCode(x[i] as number, fit, high);
  }
  return { d, dmin, scales, minima, codes };
}

export const writeQ2_K: WriteBlock = (x, out, at, importance) => {
  const put = (d: number, dmin: number): [number, number] => [
    putHalf(out, at + 80, d),
    putHalf(out, at + 82, dmin),
  ];
  const { scales, minima, codes } = affineSuper(x, weightsOf(x, importance, 'absolute'), 16, 3, 15, put);
  for (let sub = 0; sub < 16; sub++) out[at + sub] = (scales[sub] as number) | ((minima[sub] as number) << 4);
  out.fill(0, at + 16, at + 80);
  for (let i = 0; i < SUPER; i++)
    out[at + 16 + 32 * (i >> 7) + (i & 31)] |= (codes[i] as number) << (2 * ((i >> 5) & 3));
};

/** Six-bit scales and minima of 8 sub-blocks in 12 bytes. */
function putScalesAndMinima({ scales, minima }: Affines, out: Uint8Array, at: number): void {
  for (let j = 0; j < 4; j++) {
    const [s, m, s4, m4] = [scales[j], minima[j], scales[j + 4], minima[j + 4]] as [
      number,
      number,
      number,
      number,
    ];
    out[at + j] = s | ((s4 >> 4) << 6);
    out[at + j + 4] = m | ((m4 >> 4) << 6);
    out[at + j + 8] = (s4 & 15) | ((m4 & 15) << 4);
  }
}

/** Four low bits: sub-block pairs share 32 bytes. */
function putLowBits(codes: Uint8Array, out: Uint8Array, at: number): void {
  for (let i = 0; i < SUPER; i++) {
    const place = at + 32 * (i >> 6) + (i & 31);
    const low = (codes[i] as number) & 15;
    out[place] = ((i >> 5) & 1) === 0 ? low : (out[place] as number) | (low << 4);
  }
}

export const writeQ4_K: WriteBlock = (x, out, at, importance) => {
  const put = (d: number, dmin: number): [number, number] => [
    putHalf(out, at, d),
    putHalf(out, at + 2, dmin),
  ];
  const found = affineSuper(x, weightsOf(x, importance, 'absolute'), 8, 15, 63, put);
  putScalesAndMinima(found, out, at + 4);
  putLowBits(found.codes, out, at + 16);
};

export const writeQ5_K: WriteBlock = (x, out, at, importance) => {
  const put = (d: number, dmin: number): [number, number] => [
    putHalf(out, at, d),
    putHalf(out, at + 2, dmin),
  ];
  const found = affineSuper(x, weightsOf(x, importance, 'absolute'), 8, 31, 63, put);
  putScalesAndMinima(found, out, at + 4);
  putLowBits(found.codes, out, at + 48);
  out.fill(0, at + 16, at + 48);
  for (let i = 0; i < SUPER; i++) out[at + 16 + (i & 31)] |= ((found.codes[i] as number) >> 4) << (i >> 5);
};

interface Symmetrics {
  /** -low to low - 1 of the scales' own range, shifted to be not negative for Q3_K by the caller. */
  readonly scales: Int8Array;
  readonly codes: Int8Array;
}

/** Fits 16 sub-blocks without minima; scales take `most` levels on each side. */
function symmetricSuper(
  x: Float32Array,
  weights: Float64Array,
  low: number,
  most: number,
  put: (d: number) => number,
): Symmetrics {
  const fits = Array.from({ length: 16 }, (_, i) =>
    fitSymmetric(x.subarray(16 * i, 16 * i + 16), weights.subarray(16 * i, 16 * i + 16), low),
  );
  const extreme = fits.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
  const d = put(extreme / -most);
  const scales = Int8Array.from(fits, s => (d === 0 ? 0 : code(s, d, -most, most - 1)));
  const codes = Int8Array.from(x, (v, i) => code(v, d * (scales[i >> 4] as number), -low, low - 1));
  return { scales, codes };
}

export const writeQ3_K: WriteBlock = (x, out, at, importance) => {
  const { scales, codes } = symmetricSuper(x, weightsOf(x, importance, 'square'), 4, 32, d =>
    putHalf(out, at + 108, d),
  );
  out.fill(0, at, at + 108);
  for (let sub = 0; sub < 16; sub++) {
    const level = (scales[sub] as number) + 32;
    out[at + 96 + (sub & 7)] |= (level & 15) << (4 * (sub >> 3));
    out[at + 104 + (sub & 3)] |= (level >> 4) << (2 * (sub >> 2));
  }
  for (let i = 0; i < SUPER; i++) {
    const q = (codes[i] as number) + 4;
    out[at + (i & 31)] |= (q >> 2) << (i >> 5);
    out[at + 32 + 32 * (i >> 7) + (i & 31)] |= (q & 3) << (2 * ((i >> 5) & 3));
  }
};

export const writeQ6_K: WriteBlock = (x, out, at, importance) => {
  const { scales, codes } = symmetricSuper(x, weightsOf(x, importance, 'square'), 32, 128, d =>
    putHalf(out, at + 208, d),
  );
  out.fill(0, at, at + 192);
  for (let i = 0; i < SUPER; i++) {
    const { low, lowShift, high, highShift } = sixBits(i);
    const q = (codes[i] as number) + 32;
    out[at + low] |= (q & 15) << lowShift;
    out[at + 128 + high] |= (q >> 4) << highShift;
  }
  for (let sub = 0; sub < 16; sub++) out[at + 192 + sub] = scales[sub] as number;
};
