/**
 * Blocks whose codes stand for levels of a table: IQ4_NL and IQ4_XS (non-linear), MXFP4 (floats of 4 bits), TQ1_0 and
 * TQ2_0 (ternary).
 * Source: ggml-quants.c of llama.cpp; OCP Microscaling Formats 1.0 for MXFP4.
 */
import { byte, fround, half, type ReadBlock } from './block.ts';

const NON_LINEAR = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/** E2M1's values, doubled, so that they are whole; the scale is halved. */
const FLOAT4 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/** 32 elements of 4 bits, low halves first. */
function levels(
  bytes: Uint8Array,
  at: number,
  table: readonly number[],
  scale: number,
  out: Float32Array,
  to: number,
): void {
  for (let j = 0; j < 16; j++) {
    const q = byte(bytes, at + j);
    out[to + j] = scale * (table[q & 15] as number);
    out[to + j + 16] = scale * (table[q >> 4] as number);
  }
}

export const iq4_nl: ReadBlock = (bytes, at, out, to) =>
  levels(bytes, at + 2, NON_LINEAR, half(bytes, at), out, to);

/** [d][2: high bits of 8 scales][4: low bits][128: 4 bits] */
export const iq4_xs: ReadBlock = (bytes, at, out, to) => {
  const d = half(bytes, at);
  const high = byte(bytes, at + 2) | (byte(bytes, at + 3) << 8);
  for (let sub = 0; sub < 8; sub++) {
    const low = (byte(bytes, at + 4 + (sub >> 1)) >> (4 * (sub & 1))) & 15;
    const scale = (low | (((high >> (2 * sub)) & 3) << 4)) - 32;
    levels(bytes, at + 8 + 16 * sub, NON_LINEAR, fround(d * scale), out, to + 32 * sub);
  }
};

/** [exponent][16: 4 bits] */
export const mxfp4: ReadBlock = (bytes, at, out, to) =>
  levels(bytes, at + 1, FLOAT4, 2 ** (byte(bytes, at) - 128), out, to);

/** [64: 2 bits][d]; element 32 l + m of a half lies in byte m. */
export const tq2_0: ReadBlock = (bytes, at, out, to) => {
  const d = half(bytes, at + 64);
  for (let i = 0; i < 256; i++) {
    const [part, l, m] = [i >> 7, (i >> 5) & 3, i & 31];
    out[to + i] = (((byte(bytes, at + 32 * part + m) >> (2 * l)) & 3) - 1) * d;
  }
};

const POWERS_OF_3 = [1, 3, 9, 27, 81];

/** Ternary digit n of a byte that holds five as a fraction of 256. */
const digit = (code: number, n: number): number =>
  ((((code * (POWERS_OF_3[n] as number)) & 255) * 3) >> 8) - 1;

/** [48: five digits a byte][4: four digits a byte][d] */
export const tq1_0: ReadBlock = (bytes, at, out, to) => {
  const d = half(bytes, at + 52);
  const run = (first: number, count: number, digits: number, from: number): void => {
    for (let n = 0; n < digits; n++) {
      for (let m = 0; m < count; m++)
        out[to + from + n * count + m] = digit(byte(bytes, at + first + m), n) * d;
    }
  };
  run(0, 32, 5, 0);
  run(32, 16, 5, 160);
  run(48, 4, 4, 240);
};
