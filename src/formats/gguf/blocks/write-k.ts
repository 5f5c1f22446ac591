/**
 * Writers of K-quants: where factors, scales and codes lie; they are found in super.ts.
 *
 * 1. Without an importance matrix large values weigh more: w = σ + |x| with σ² the mean square, as llama.cpp has it but for
 *    Q3_K and Q6_K, where it takes x². With one, w = E[a²] √(2σ² + x²), where E[a²] is the mean square of what the column is
 *    multiplied with.
 * Source: the layouts and weights of ggml-quants.c of llama.cpp; the search for scales is super.ts's.
 */
import { sixBits } from './k.ts';
import { type Affines, affineSuper, SUPER, symmetricSuper } from './super.ts';
import { type BlockCodes, type PutCodes, putHalf, type WriteBlock } from './write-legacy.ts';

function meanSquare(x: Float32Array): number {
  let sum = 0;
  for (const v of x) sum += v * v;
  return sum / x.length;
}

/** Weights of a superblock's square errors. */
function weightsOf(x: Float32Array, importance: Float64Array | undefined): Float64Array {
  const mean = meanSquare(x);
  if (importance) return importance.map((a, i) => a * Math.sqrt(2 * mean + (x[i] as number) ** 2));
  const sigma = Math.sqrt(mean);
  return Float64Array.from(x, v => sigma + Math.abs(v));
}

export const writeQ2_K: WriteBlock = (x, out, at, importance) => {
  const { d, dmin, scales, minima, codes } = affineSuper(x, weightsOf(x, importance), 16, 3, 15);
  putHalf(out, at + 80, d);
  putHalf(out, at + 82, dmin);
  for (let sub = 0; sub < 16; sub++) out[at + sub] = (scales[sub] as number) | ((minima[sub] as number) << 4);
  putQ2_K(codes, out, at);
};

const putQ2_K: PutCodes = (codes, out, at) => {
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
  const found = affineSuper(x, weightsOf(x, importance), 8, 15, 63);
  putHalf(out, at, found.d);
  putHalf(out, at + 2, found.dmin);
  putScalesAndMinima(found, out, at + 4);
  putQ4_K(found.codes, out, at);
};

const putQ4_K: PutCodes = (codes, out, at) => putLowBits(codes, out, at + 16);

export const writeQ5_K: WriteBlock = (x, out, at, importance) => {
  const found = affineSuper(x, weightsOf(x, importance), 8, 31, 63);
  putHalf(out, at, found.d);
  putHalf(out, at + 2, found.dmin);
  putScalesAndMinima(found, out, at + 4);
  putQ5_K(found.codes, out, at);
};

const putQ5_K: PutCodes = (codes, out, at) => {
  putLowBits(codes, out, at + 48);
  out.fill(0, at + 16, at + 48);
  for (let i = 0; i < SUPER; i++) out[at + 16 + (i & 31)] |= ((codes[i] as number) >> 4) << (i >> 5);
};

export const writeQ3_K: WriteBlock = (x, out, at, importance) => {
  const { d, scales, codes } = symmetricSuper(x, weightsOf(x, importance), 4, 32);
  putHalf(out, at + 108, d);
  out.fill(0, at + 96, at + 108);
  for (let sub = 0; sub < 16; sub++) {
    const level = (scales[sub] as number) + 32;
    out[at + 96 + (sub & 7)] |= (level & 15) << (4 * (sub >> 3));
    out[at + 104 + (sub & 3)] |= (level >> 4) << (2 * (sub >> 2));
  }
  putQ3_K(unsigned(codes, 4), out, at);
};

const putQ3_K: PutCodes = (codes, out, at) => {
  out.fill(0, at, at + 96);
  for (let i = 0; i < SUPER; i++) {
    const q = codes[i] as number;
    out[at + (i & 31)] |= (q >> 2) << (i >> 5);
    out[at + 32 + 32 * (i >> 7) + (i & 31)] |= (q & 3) << (2 * ((i >> 5) & 3));
  }
};

export const writeQ6_K: WriteBlock = (x, out, at, importance) => {
  const { d, scales, codes } = symmetricSuper(x, weightsOf(x, importance), 32, 128);
  putHalf(out, at + 208, d);
  for (let sub = 0; sub < 16; sub++) out[at + 192 + sub] = scales[sub] as number;
  putQ6_K(unsigned(codes, 32), out, at);
};

const putQ6_K: PutCodes = (codes, out, at) => {
  out.fill(0, at, at + 192);
  for (let i = 0; i < SUPER; i++) {
    const { low, lowShift, high, highShift } = sixBits(i);
    const q = codes[i] as number;
    out[at + low] |= (q & 15) << lowShift;
    out[at + 128 + high] |= (q >> 4) << highShift;
  }
};

const unsigned = (codes: Int8Array, low: number): Uint8Array => Uint8Array.from(codes, q => q + low);

export const K_CODES = {
  Q2_K: { levels: 4, put: putQ2_K },
  Q3_K: { levels: 8, put: putQ3_K },
  Q4_K: { levels: 16, put: putQ4_K },
  Q5_K: { levels: 32, put: putQ5_K },
  Q6_K: { levels: 64, put: putQ6_K },
} as const satisfies Record<string, BlockCodes>;
