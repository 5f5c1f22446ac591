/**
 * Matrices stored in blocks of low-bit codes with one scale (and zero point) each: w ≈ (code − zero) · scale.
 *
 * 1. Blocks run along the axis that a product sums over. A row whose length is no multiple of the block is padded with
 *    codes that mean zero.
 * 2. Codes and zero points are kept one a slot here and packed low bits first, as MatMulNBits and
 *    GatherBlockQuantized read them, when a graph is written.
 * 3. Scales may be rounded to float16, which files then hold: at blocks of 16 a float32 scale alone costs 2 bits a weight.
 * Source: ONNX Runtime's contrib operator documentation (1.30).
 */
import { float32, type Tensor } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { encodeFloats, fromFloat16, toFloat16 } from '../../util/float16.ts';

/** A matrix [rows, columns], row-major; products sum over columns. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

/** Widths of codes. Graphs hold 2, 4 and 8; of the others the values can be had (`dequantize`). */
export const BITS = [2, 3, 4, 5, 6, 8] as const;
export type Bits = (typeof BITS)[number];
/** Widths that divide a byte, which MatMulNBits and GatherBlockQuantized read. */
export type StoredBits = 2 | 4 | 8;

export interface BlockFormat {
  readonly bits: Bits;
  /** A power of two, 16 or more. */
  readonly blockSize: number;
  /** Without zero points: the middle code 2^(bits − 1) means 0. */
  readonly symmetric: boolean;
  readonly scales: 'float32' | 'float16';
}

/** Scale and zero point of one block. */
export interface BlockFit {
  readonly scale: number;
  /** A code: 0 to 2^bits − 1. */
  readonly zero: number;
}

export interface BlockQuantized {
  readonly format: BlockFormat;
  readonly rows: number;
  readonly columns: number;
  /** Blocks a row. */
  readonly blocks: number;
  /** [rows, blocks · blockSize], one code a slot. */
  readonly codes: Uint8Array;
  /** [rows, blocks]. */
  readonly scales: Float32Array;
  /** [rows, blocks], one code a slot. */
  readonly zeros: Uint8Array;
}

export const middleCode = (bits: number): number => 2 ** (bits - 1);
export const blocksOf = (columns: number, blockSize: number): number => Math.ceil(columns / blockSize);

/** The code whose value is nearest to `w`. */
export function encode(w: number, { scale, zero }: BlockFit, bits: number): number {
  const code = Math.floor(w / scale + 0.5) + zero;
  const top = (1 << bits) - 1;
  return Math.max(0, Math.min(code, top));
}

/** An empty result: every code means zero. */
export function emptyBlocks({ rows, columns }: Matrix, format: BlockFormat): BlockQuantized {
  const blocks = blocksOf(columns, format.blockSize);
  const middle = middleCode(format.bits);
  return {
    format,
    rows,
    columns,
    blocks,
    codes: new Uint8Array(rows * blocks * format.blockSize).fill(middle),
    scales: new Float32Array(rows * blocks).fill(1),
    zeros: new Uint8Array(rows * blocks).fill(middle),
  };
}

/** Sets scale and zero point of a block; the padding of its row keeps meaning zero. */
export function setFit(q: BlockQuantized, row: number, block: number, fit: BlockFit): void {
  const { blockSize } = q.format;
  const at = row * q.blocks + block;
  q.scales[at] = fit.scale;
  q.zeros[at] = fit.zero;
  q.codes.fill(fit.zero, at * blockSize, (at + 1) * blockSize);
}

/** The matrix that the codes stand for. */
export function dequantize(q: BlockQuantized): Matrix {
  const { rows, columns, blocks, codes, scales, zeros } = q;
  const { blockSize } = q.format;
  const data = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < columns; i++) {
      const at = row * blocks + Math.floor(i / blockSize);
      const code = codes[row * blocks * blockSize + i] as number;
      data[row * columns + i] = (code - (zeros[at] as number)) * (scales[at] as number);
    }
  }
  return { rows, columns, data };
}

/** What rounding did to a matrix. */
export interface MatrixError {
  /** ‖W − Ŵ‖ / ‖W‖ (Frobenius); 0 for a zero matrix. */
  readonly relative: number;
  /** Largest |w − ŵ|. */
  readonly largest: number;
}

export function errorOf(matrix: Matrix, q: BlockQuantized): MatrixError {
  const approximate = dequantize(q).data;
  let difference = 0;
  let total = 0;
  let largest = 0;
  matrix.data.forEach((w, i) => {
    const e = Math.abs(w - (approximate[i] as number));
    difference += e * e;
    total += w * w;
    if (e > largest) largest = e;
  });
  return { relative: total === 0 ? 0 : Math.sqrt(difference / total), largest };
}

/** `count` codes a row, packed low bits first; each row starts at a byte. */
export function packRows(codes: Uint8Array, rows: number, bits: StoredBits): Uint8Array {
  if (bits === 8) return codes;
  const count = codes.length / rows;
  const perByte = 8 / bits;
  const bytes = Math.ceil(count / perByte);
  const packed = new Uint8Array(rows * bytes);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < count; i++) {
      packed[row * bytes + Math.floor(i / perByte)] |=
        (codes[row * count + i] as number) << (bits * (i % perByte));
    }
  }
  return packed;
}

/** The width of a format that graphs hold. Throws for the others. */
export function storedBits({ bits }: BlockFormat): StoredBits {
  if (bits === 2 || bits === 4 || bits === 8) return bits;
  throw new GaslawError(`no op reads weights of ${bits} bits; take 2, 4 or 8, or a GGUF type`);
}

export const roundScale = (scale: number, format: BlockFormat): number => {
  if (format.scales === 'float32') return Math.fround(scale);
  return fromFloat16(toFloat16(scale));
};

/** The tensors of MatMulNBits: B [N, blocks, bytes], scales [N · blocks], zero points [N · packed] when asymmetric. */
export interface BlockTensors {
  readonly codes: Tensor;
  readonly scales: Tensor;
  readonly zeros?: Tensor;
}

export function blockTensors(q: BlockQuantized): BlockTensors {
  const { rows, blocks, format } = q;
  const bits = storedBits(format);
  const bytes = (format.blockSize * bits) / 8;
  const codes: Tensor = {
    dtype: 'uint8',
    dims: [rows, blocks, bytes],
    data: packRows(q.codes, rows, bits),
  };
  const scales = scaleTensor(q);
  if (format.symmetric) return { codes, scales };
  const zeros = packRows(q.zeros, rows, bits);
  return { codes, scales, zeros: { dtype: 'uint8', dims: [zeros.length], data: zeros } };
}

const scaleTensor = ({ scales, format }: BlockQuantized): Tensor =>
  format.scales === 'float32'
    ? float32([scales.length], scales)
    : { dtype: 'float16', dims: [scales.length], data: encodeFloats(scales, 'float16') };
