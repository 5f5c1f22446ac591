/**
 * Blocks of 32: one scale, or a scale and a minimum, and 4, 5 or 8 bits an element.
 * Element j < 16 lies in the low half of byte j, element j + 16 in the high half.
 * Source: ggml-quants.c of llama.cpp.
 */
import { byte, fround, half, type ReadBlock, signed } from './block.ts';

const HALF = 16;

export const q4_0: ReadBlock = (bytes, at, out, to) => {
  const d = half(bytes, at);
  for (let j = 0; j < HALF; j++) {
    const q = byte(bytes, at + 2 + j);
    out[to + j] = ((q & 15) - 8) * d;
    out[to + j + HALF] = ((q >> 4) - 8) * d;
  }
};

export const q4_1: ReadBlock = (bytes, at, out, to) => {
  const [d, m] = [half(bytes, at), half(bytes, at + 2)];
  for (let j = 0; j < HALF; j++) {
    const q = byte(bytes, at + 4 + j);
    out[to + j] = fround((q & 15) * d) + m;
    out[to + j + HALF] = fround((q >> 4) * d) + m;
  }
};

/** Fifth bits of a block: bit j of the 32-bit word belongs to element j. */
const fifth = (bytes: Uint8Array, at: number, j: number): number =>
  ((byte(bytes, at + (j >> 3)) >> (j & 7)) & 1) << 4;

export const q5_0: ReadBlock = (bytes, at, out, to) => {
  const d = half(bytes, at);
  for (let j = 0; j < HALF; j++) {
    const q = byte(bytes, at + 6 + j);
    out[to + j] = (((q & 15) | fifth(bytes, at + 2, j)) - 16) * d;
    out[to + j + HALF] = (((q >> 4) | fifth(bytes, at + 2, j + HALF)) - 16) * d;
  }
};

export const q5_1: ReadBlock = (bytes, at, out, to) => {
  const [d, m] = [half(bytes, at), half(bytes, at + 2)];
  for (let j = 0; j < HALF; j++) {
    const q = byte(bytes, at + 8 + j);
    out[to + j] = fround(((q & 15) | fifth(bytes, at + 4, j)) * d) + m;
    out[to + j + HALF] = fround(((q >> 4) | fifth(bytes, at + 4, j + HALF)) * d) + m;
  }
};

export const q8_0: ReadBlock = (bytes, at, out, to) => {
  const d = half(bytes, at);
  for (let j = 0; j < 2 * HALF; j++) out[to + j] = signed(bytes, at + 2 + j) * d;
};
