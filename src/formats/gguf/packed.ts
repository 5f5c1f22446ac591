/**
 * Stored blocks as the operands of quantized products (ONNX Runtime's MatMulNBits), without a pass over floats.
 *
 *   Q4_0   w = d (q − 8)    nibbles of elements j and j + 16 → of elements 2i and 2i + 1, zero point 8
 *   Q8_0   w = d q          q of −128 … 127 → q + 128, zero point 128
 *
 * 1. Both keep every value bit for bit. Types with a minimum, a scale of scales or five bits have no such form.
 * 2. Two bytes are moved at a time: files align tensors to even addresses and both blocks have an even length.
 */
import { GGML_TYPES, type GgmlType } from './types.ts';

export const PACKED_TYPES = {
  Q4_0: { bits: 4, blockSize: 32 },
  Q8_0: { bits: 8, blockSize: 32 },
} as const satisfies Partial<Record<GgmlType, { bits: 4 | 8; blockSize: number }>>;
export type PackedType = keyof typeof PACKED_TYPES;

export const isPacked = (type: GgmlType): type is PackedType => Object.hasOwn(PACKED_TYPES, type);

export interface ProductBlocks {
  /** Low bits first; begins at an even address. */
  readonly codes: Uint8Array;
  /** One a block. */
  readonly scales: Float32Array;
}

/** Moves whole stored blocks into `target`, from its block `first` on. */
export function packStored(
  type: PackedType,
  stored: Uint8Array,
  { codes, scales }: ProductBlocks,
  first: number,
): void {
  const { bytes } = GGML_TYPES[type];
  const { bits, blockSize } = PACKED_TYPES[type];
  const patterns = new Int32Array(scales.buffer, scales.byteOffset, scales.length);
  const from = pairs(stored.byteOffset % 2 === 0 ? stored : stored.slice());
  const into = pairs(codes);
  const move = type === 'Q4_0' ? moveNibbles : moveBytes;
  for (let at = 0, block = first; at < from.length; at += bytes / 2, block++) {
    // the exponent's bias is 15, not 127: exact, but for infinity and NaN, which no scale is
    const half = from[at] as number;
    patterns[block] = ((half & 0x8000) << 16) | ((half & 0x7fff) << 13);
    scales[block] = (scales[block] as number) * 2 ** 112;
    move(from, at + 1, into, (block * blockSize * bits) / 16);
  }
}

const pairs = (bytes: Uint8Array): Uint16Array =>
  new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1);

/** Four stored bytes have two bytes of low halves, then of high ones. */
function moveNibbles(from: Uint16Array, at: number, into: Uint16Array, to: number): void {
  for (let i = 0; i < 4; i++) {
    const w = (from[at + 2 * i] as number) | ((from[at + 2 * i + 1] as number) << 16);
    into[to + i] = joined(w);
    into[to + 4 + i] = joined(w >>> 4);
  }
}

/** The low halves of four bytes in two. */
function joined(w: number): number {
  const low = w & 0x0f0f0f0f;
  const two = (low | (low >>> 4)) & 0x00ff00ff;
  return two | (two >>> 8); // cut to 16 bits by the array
}

function moveBytes(from: Uint16Array, at: number, into: Uint16Array, to: number): void {
  for (let i = 0; i < 16; i++) into[to + i] = (from[at + i] as number) ^ 0x8080;
}
