/**
 * Rounding whole matrices to symmetric blocks in one pass, straight into the bytes that products read: for weights that
 * are packed while a model is opened.
 *
 * 1. What `rtn` with a float32 scale gives (see methods/fit.ts): the extreme of larger magnitude gets the code without a
 *    mirror image, so scale = extreme / −2^(bits−1). At 4 bits and blocks of 32 these are llama.cpp's Q4_0 but for the
 *    rounding of scales to float16.
 * 2. No object a block, no array a row: several hundred million weights a second, where the methods make a few.
 */

export interface PackFormat {
  readonly bits: 4 | 8;
  /** A power of two from 16 that divides the length of a row. */
  readonly blockSize: number;
}

export interface PackTarget {
  /** Low bits first; `bits / 8` bytes a weight. */
  readonly codes: Uint8Array;
  /** One a block. */
  readonly scales: Float32Array;
}

/** Packs `values`, whole blocks, into `target` from its block `first` on. */
export function packBlocks(
  values: Float32Array,
  target: PackTarget,
  first: number,
  format: PackFormat,
): void {
  const { blockSize, bits } = format;
  const patterns = new Int32Array(values.buffer, values.byteOffset, values.length);
  const blocks = values.length / blockSize;
  const write = bits === 4 ? writeNibbles : writeBytes;
  for (let block = 0; block < blocks; block++) {
    const start = block * blockSize;
    const extreme = extremeOf(patterns, start, start + blockSize);
    const scale = Math.fround(extreme / (bits === 4 ? -8 : -128)) || 1;
    target.scales[first + block] = scale;
    write(values, start, blockSize, 1 / scale, target.codes, ((first + block) * blockSize * bits) / 8);
  }
}

const FLOAT = new Float32Array(1);
const PATTERN = new Int32Array(FLOAT.buffer);

/**
 * The value of largest magnitude; of two such, the positive one. Floats of one sign are ordered as their bits are: two
 * maxima over integers, without the branches that random values would mispredict, take a third of the time.
 */
function extremeOf(patterns: Int32Array, start: number, end: number): number {
  let high = 0;
  let low = 0;
  for (let i = start; i < end; i++) {
    const bits = patterns[i] as number;
    const sign = bits >> 31; // 0 or −1
    const above = high - (bits & ~sign);
    high -= above & (above >> 31);
    const below = low - (bits & sign & 0x7fffffff);
    low -= below & (below >> 31);
  }
  PATTERN[0] = low > high ? low | 0x80000000 : high;
  return FLOAT[0] as number;
}

/** Codes are never negative: |w / scale| ≤ 8, so that w / scale + 8.5 is cut to the nearest; 16 becomes 15. */
function writeNibbles(
  values: Float32Array,
  start: number,
  count: number,
  inverse: number,
  codes: Uint8Array,
  at: number,
): void {
  for (let i = 0; i < count; i += 2) {
    const low = ((values[start + i] as number) * inverse + 8.5) | 0;
    const high = ((values[start + i + 1] as number) * inverse + 8.5) | 0;
    codes[at + (i >> 1)] = (low - (low >> 4)) | ((high - (high >> 4)) << 4);
  }
}

function writeBytes(
  values: Float32Array,
  start: number,
  count: number,
  inverse: number,
  codes: Uint8Array,
  at: number,
): void {
  for (let i = 0; i < count; i++) {
    const code = ((values[start + i] as number) * inverse + 128.5) | 0;
    codes[at + i] = code - (code >> 8);
  }
}
