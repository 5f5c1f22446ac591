/**
 * Blocks whose codes stand for vectors of four or eight elements: the IQ1, IQ2 and IQ3 types.
 *
 * 1. IQ2 and IQ3 vectors hold magnitudes; signs are stored apart, either a bit each or seven of eight, the last making
 *    their number even.
 * 2. IQ1 vectors hold -1, 0 and 1, shifted by an eighth up or down.
 * Source: ggml-quants.c of llama.cpp; the vectors are those of the gguf package (make_grids.py).
 */
import { fromFloat16 } from '../../../util/float16.ts';
import { byte, half, type ReadBlock } from './block.ts';
import { GRIDS } from './grids.ts';

const LEVELS: Readonly<Record<keyof typeof GRIDS, readonly number[]>> = {
  IQ1_S: [-1, 0, 1],
  IQ2_XXS: [8, 25, 43],
  IQ2_XS: [8, 25, 43],
  IQ2_S: [8, 25, 43],
  IQ3_XXS: [4, 12, 20, 28, 36, 44, 52, 62],
  IQ3_S: [1, 3, 5, 7, 9, 11, 13, 15],
};

const unpacked = new Map<keyof typeof GRIDS, Int8Array>();

/** All vectors of a type, one after another. */
function gridOf(name: keyof typeof GRIDS): Int8Array {
  const known = unpacked.get(name);
  if (known) return known;
  const packed = atob(GRIDS[name]);
  const levels = LEVELS[name];
  const grid = Int8Array.from({ length: 2 * packed.length }, (_, i) => {
    return levels[(packed.charCodeAt(i >> 1) >> (4 * (i & 1))) & 15] as number;
  });
  unpacked.set(name, grid);
  return grid;
}

const word = (bytes: Uint8Array, at: number): number => byte(bytes, at) | (byte(bytes, at + 1) << 8);
const nibble = (bytes: Uint8Array, at: number, i: number): number =>
  (byte(bytes, at + (i >> 1)) >> (4 * (i & 1))) & 15;

/** Signs of eight elements from seven bits: the eighth makes their number even. */
function evenSigns(seven: number): number {
  let parity = seven ^ (seven >> 4);
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return seven | ((parity & 1) << 7);
}

/** `width` elements of a grid from vector `code`, with the signs of the low bits of `signs`. */
function put(
  grid: Int8Array,
  code: number,
  width: number,
  scale: number,
  signs: number,
  out: Float32Array,
  to: number,
): void {
  for (let i = 0; i < width; i++) {
    const x = scale * (grid[code * width + i] as number);
    out[to + i] = (signs >> i) & 1 ? -x : x;
  }
}

/** Four times seven bits of signs and, on top, four bits of scale. */
const signsAndScale = (bytes: Uint8Array, at: number): number =>
  (word(bytes, at) | (word(bytes, at + 2) << 16)) >>> 0;

/** [d][8: four codes, their signs and scale] */
export const iq2_xxs: ReadBlock = (bytes, at, out, to) => {
  const [grid, d] = [gridOf('IQ2_XXS'), half(bytes, at)];
  for (let v = 0; v < 32; v++) {
    const from = at + 2 + 8 * (v >> 2);
    const packed = signsAndScale(bytes, from + 4);
    const scale = d * (0.5 + (packed >>> 28)) * 0.25;
    const signs = evenSigns((packed >>> (7 * (v & 3))) & 127);
    put(grid, byte(bytes, from + (v & 3)), 8, scale, signs, out, to + 8 * v);
  }
};

/** [d][32: nine bits of code, seven of signs][16: 4 bits of scale] */
export const iq2_xs: ReadBlock = (bytes, at, out, to) => {
  const [grid, d] = [gridOf('IQ2_XS'), half(bytes, at)];
  for (let v = 0; v < 32; v++) {
    const code = word(bytes, at + 2 + 2 * v);
    const scale = d * (0.5 + nibble(bytes, at + 66, v >> 1)) * 0.25;
    put(grid, code & 511, 8, scale, evenSigns(code >> 9), out, to + 8 * v);
  }
};

/** [d][32: low bits of codes][32: signs][32: 2 high bits][16: 4 bits of scale] */
export const iq2_s: ReadBlock = (bytes, at, out, to) => {
  const [grid, d] = [gridOf('IQ2_S'), half(bytes, at)];
  for (let v = 0; v < 32; v++) {
    const high = (byte(bytes, at + 66 + (v >> 2)) >> (2 * (v & 3))) & 3;
    const scale = d * (0.5 + nibble(bytes, at + 74, v >> 1)) * 0.25;
    const code = byte(bytes, at + 2 + v) | (high << 8);
    put(grid, code, 8, scale, byte(bytes, at + 34 + v), out, to + 8 * v);
  }
};

/** [d][64: codes][8: signs of eight of them and scale] */
export const iq3_xxs: ReadBlock = (bytes, at, out, to) => {
  const [grid, d] = [gridOf('IQ3_XXS'), half(bytes, at)];
  for (let v = 0; v < 64; v++) {
    const packed = signsAndScale(bytes, at + 66 + 4 * (v >> 3));
    const signs = evenSigns((packed >>> (7 * ((v >> 1) & 3))) & 127) >> (4 * (v & 1));
    put(grid, byte(bytes, at + 2 + v), 4, d * (0.5 + (packed >>> 28)) * 0.5, signs, out, to + 4 * v);
  }
};

/** [d][64: low bits of codes][64: high bit][32: signs][8: 4 bits of scale] */
export const iq3_s: ReadBlock = (bytes, at, out, to) => {
  const [grid, d] = [gridOf('IQ3_S'), half(bytes, at)];
  for (let v = 0; v < 64; v++) {
    const high = (byte(bytes, at + 66 + (v >> 3)) >> (v & 7)) & 1;
    const signs = byte(bytes, at + 74 + (v >> 1)) >> (4 * (v & 1));
    const scale = d * (1 + 2 * nibble(bytes, at + 106, v >> 3));
    put(grid, byte(bytes, at + 2 + v) | (high << 8), 4, scale, signs, out, to + 4 * v);
  }
};

const SHIFT = 0.125;

/** Eight elements of an IQ1 grid. */
function shifted(code: number, scale: number, shift: number, out: Float32Array, to: number): void {
  const grid = gridOf('IQ1_S');
  for (let i = 0; i < 8; i++) out[to + i] = scale * ((grid[8 * code + i] as number) + shift);
}

/** [d][32: low bits of codes][8: 3 high bits of four codes, scale, sign of the shift] */
export const iq1_s: ReadBlock = (bytes, at, out, to) => {
  const d = half(bytes, at);
  for (let v = 0; v < 32; v++) {
    const extra = word(bytes, at + 34 + 2 * (v >> 2));
    const code = byte(bytes, at + 2 + v) | (((extra >> (3 * (v & 3))) & 7) << 8);
    const scale = d * (2 * ((extra >> 12) & 7) + 1);
    shifted(code, scale, extra & 0x8000 ? -SHIFT : SHIFT, out, to + 8 * v);
  }
};

/** [32: low bits of codes][32: 3 high bits, sign of the shift][4: scales of 3 bits, and a quarter of d on top] */
export const iq1_m: ReadBlock = (bytes, at, out, to) => {
  const scales = [0, 1, 2, 3].map(i => word(bytes, at + 48 + 2 * i));
  const d = fromFloat16(scales.reduce((bits, s, i) => bits | ((s >> 12) << (4 * i)), 0));
  for (let v = 0; v < 32; v++) {
    const extra = nibble(bytes, at + 32, v);
    const code = byte(bytes, at + v) | ((extra & 7) << 8);
    const scale = ((scales[v >> 3] as number) >> (3 * ((v >> 1) & 3))) & 7;
    shifted(code, d * (2 * scale + 1), extra & 8 ? -SHIFT : SHIFT, out, to + 8 * v);
  }
};
