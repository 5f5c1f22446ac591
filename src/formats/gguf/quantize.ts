/**
 * Float32 rows to stored bytes. Types of 32 elements a block come out as llama.cpp's own quantizer writes them; for
 * K-quants, and with importance for all, the search is Gaslaw’s, with an error no larger on average.
 */
import { encodeFloats } from '../../util/float16.ts';
import { writeQ2_K, writeQ3_K, writeQ4_K, writeQ5_K, writeQ6_K } from './blocks/write-k.ts';
import {
  type WriteBlock,
  writeQ4_0,
  writeQ4_1,
  writeQ5_0,
  writeQ5_1,
  writeQ8_0,
} from './blocks/write-legacy.ts';
import { GGML_TYPES, type GgmlType, ggmlBytes } from './types.ts';

const WRITERS = {
  Q4_0: writeQ4_0,
  Q4_1: writeQ4_1,
  Q5_0: writeQ5_0,
  Q5_1: writeQ5_1,
  Q8_0: writeQ8_0,
  Q2_K: writeQ2_K,
  Q3_K: writeQ3_K,
  Q4_K: writeQ4_K,
  Q5_K: writeQ5_K,
  Q6_K: writeQ6_K,
} as const satisfies Partial<Record<GgmlType, WriteBlock>>;

export const WRITABLE_TYPES = ['F32', 'F16', 'BF16', ...Object.keys(WRITERS)] as WritableType[];
export type WritableType = 'F32' | 'F16' | 'BF16' | keyof typeof WRITERS;

/**
 * The bytes of `values`, whole rows of `columns`.
 * @param importance E[a²] of each column's input, from calibration; [columns]
 */
export function quantize(
  type: WritableType,
  values: Float32Array,
  columns: number,
  importance?: Float64Array,
): Uint8Array {
  if (type === 'F32') return new Uint8Array(Float32Array.from(values).buffer);
  if (type === 'F16' || type === 'BF16') {
    const codes = encodeFloats(values, type === 'F16' ? 'float16' : 'bfloat16');
    return new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength);
  }
  const { elements, bytes } = GGML_TYPES[type];
  const out = new Uint8Array(ggmlBytes(type, values.length));
  const write: WriteBlock = WRITERS[type];
  for (let at = 0, to = 0; at < values.length; at += elements, to += bytes) {
    const column = at % columns;
    write(values.subarray(at, at + elements), out, to, importance?.subarray(column, column + elements));
  }
  return out;
}
