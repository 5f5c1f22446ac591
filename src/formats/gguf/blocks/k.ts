/**
 * K-quants: superblocks of 256 whose sub-blocks have scales (and minima) of few bits, times one or two half-precision
 * factors. Q2_K, Q4_K and Q5_K have minima, Q3_K, Q6_K and Q8_K do not.
 * Source: ggml-quants.c of llama.cpp.
 */
import { byte, fround, half, type ReadBlock, signed } from './block.ts';

/** [16 scales and minima of 4 bits][64: 2 bits][d][dmin] */
export const q2_k: ReadBlock = (bytes, at, out, to) => {
  const [d, dmin] = [half(bytes, at + 80), half(bytes, at + 82)];
  for (let sub = 0; sub < 16; sub++) {
    const code = byte(bytes, at + sub);
    const [scale, least] = [fround(d * (code & 15)), fround(dmin * (code >> 4))];
    const { first, shift } = twoBits(sub);
    for (let l = 0; l < 16; l++) {
      const q = (byte(bytes, at + 16 + first + l) >> shift) & 3;
      out[to + 16 * sub + l] = fround(scale * q) - least;
    }
  }
};

/** Where the 16 two-bit elements of a sub-block lie: four sub-block pairs share 32 bytes. */
const twoBits = (sub: number): { first: number; shift: number } => ({
  first: 32 * (sub >> 3) + 16 * (sub & 1),
  shift: 2 * ((sub >> 1) & 3),
});

/** [32: third bits][64: 2 bits][12: 16 scales of 6 bits][d] */
export const q3_k: ReadBlock = (bytes, at, out, to) => {
  const d = half(bytes, at + 108);
  for (let sub = 0; sub < 16; sub++) {
    const scale = fround(d * (scaleOf16(bytes, at + 96, sub) - 32));
    const { first, shift } = twoBits(sub);
    for (let l = 0; l < 16; l++) {
      const high = (byte(bytes, at + 16 * (sub & 1) + l) >> (sub >> 1)) & 1;
      const q = ((byte(bytes, at + 32 + first + l) >> shift) & 3) - (high ? 0 : 4);
      out[to + 16 * sub + l] = scale * q;
    }
  }
};

/** Six bits in 12 bytes: four low bits in bytes 0 to 7, two high bits in 8 to 11. */
const scaleOf16 = (bytes: Uint8Array, at: number, i: number): number => {
  const low = i < 8 ? byte(bytes, at + i) & 15 : byte(bytes, at + i - 8) >> 4;
  return low | (((byte(bytes, at + 8 + (i & 3)) >> (2 * (i >> 2))) & 3) << 4);
};

/** Scale and minimum of sub-block j of 8: six bits each in 12 bytes. */
export function scaleAndMinimum(bytes: Uint8Array, at: number, j: number): [scale: number, minimum: number] {
  const b = (i: number) => byte(bytes, at + i);
  if (j < 4) return [b(j) & 63, b(j + 4) & 63];
  return [(b(j + 4) & 15) | ((b(j - 4) >> 6) << 4), (b(j + 4) >> 4) | ((b(j) >> 6) << 4)];
}

/** [d][dmin][12: scales and minima][128: 4 bits] */
export const q4_k: ReadBlock = (bytes, at, out, to) => {
  const [d, dmin] = [half(bytes, at), half(bytes, at + 2)];
  for (let sub = 0; sub < 8; sub++) {
    const [s, m] = scaleAndMinimum(bytes, at + 4, sub);
    const [scale, least] = [fround(d * s), fround(dmin * m)];
    const [first, shift] = [at + 16 + 32 * (sub >> 1), 4 * (sub & 1)];
    for (let l = 0; l < 32; l++) {
      const q = (byte(bytes, first + l) >> shift) & 15;
      out[to + 32 * sub + l] = fround(scale * q) - least;
    }
  }
};

/** [d][dmin][12: scales and minima][32: fifth bits][128: 4 bits] */
export const q5_k: ReadBlock = (bytes, at, out, to) => {
  const [d, dmin] = [half(bytes, at), half(bytes, at + 2)];
  for (let sub = 0; sub < 8; sub++) {
    const [s, m] = scaleAndMinimum(bytes, at + 4, sub);
    const [scale, least] = [fround(d * s), fround(dmin * m)];
    const [first, shift] = [at + 48 + 32 * (sub >> 1), 4 * (sub & 1)];
    for (let l = 0; l < 32; l++) {
      const high = (byte(bytes, at + 16 + l) >> sub) & 1;
      const q = ((byte(bytes, first + l) >> shift) & 15) + 16 * high;
      out[to + 32 * sub + l] = fround(scale * q) - least;
    }
  }
};

/** [128: 4 low bits][64: 2 high bits][16 scales of 8 bits][d] */
export const q6_k: ReadBlock = (bytes, at, out, to) => {
  const d = half(bytes, at + 208);
  for (let i = 0; i < 256; i++) {
    const { low, lowShift, high, highShift } = sixBits(i);
    const q =
      ((byte(bytes, at + low) >> lowShift) & 15) | (((byte(bytes, at + 128 + high) >> highShift) & 3) << 4);
    out[to + i] = fround(d * signed(bytes, at + 192 + (i >> 4))) * (q - 32);
  }
};

/** Bytes and shifts of element i's low and high bits: quarters of 32 of each half share bytes. */
export function sixBits(i: number): { low: number; lowShift: number; high: number; highShift: number } {
  const [part, quarter, l] = [i >> 7, (i >> 5) & 3, i & 31];
  return {
    low: 64 * part + 32 * (quarter & 1) + l,
    lowShift: 4 * (quarter >> 1),
    high: 32 * part + l,
    highShift: 2 * quarter,
  };
}

/** [d: float32][256: 8 bits][16 sums of 16 bits, for products] */
export const q8_k: ReadBlock = (bytes, at, out, to) => {
  const d = new DataView(bytes.buffer, bytes.byteOffset).getFloat32(at, true);
  for (let i = 0; i < 256; i++) out[to + i] = d * signed(bytes, at + 4 + i);
};
