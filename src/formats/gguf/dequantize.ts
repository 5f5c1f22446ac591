/**
 * Stored values to float32, bit for bit as ggml computes them.
 * Source: ggml-quants.c of llama.cpp.
 */
import { decodeFloatsInto, fromBfloat16, fromFloat16, type SmallFloat } from '../../util/float16.ts';
import type { ReadBlock } from './blocks/block.ts';
import { q2_k, q3_k, q4_k, q5_k, q6_k, q8_k } from './blocks/k.ts';
import { q4_0, q4_1, q5_0, q5_1, q8_0 } from './blocks/legacy.ts';
import { iq4_nl, iq4_xs, mxfp4, tq1_0, tq2_0 } from './blocks/tables.ts';
import { iq1_m, iq1_s, iq2_s, iq2_xs, iq2_xxs, iq3_s, iq3_xxs } from './blocks/vectors.ts';
import { GGML_TYPES, type GgmlType } from './types.ts';

const element =
  (read: (view: DataView) => number): ReadBlock =>
  (bytes, at, out, to) => {
    out[to] = read(new DataView(bytes.buffer, bytes.byteOffset + at));
  };

const READERS = {
  F32: element(v => v.getFloat32(0, true)),
  F16: element(v => fromFloat16(v.getUint16(0, true))),
  BF16: element(v => fromBfloat16(v.getUint16(0, true))),
  F64: element(v => v.getFloat64(0, true)),
  Q4_0: q4_0,
  Q4_1: q4_1,
  Q5_0: q5_0,
  Q5_1: q5_1,
  Q8_0: q8_0,
  Q2_K: q2_k,
  Q3_K: q3_k,
  Q4_K: q4_k,
  Q5_K: q5_k,
  Q6_K: q6_k,
  Q8_K: q8_k,
  IQ1_S: iq1_s,
  IQ1_M: iq1_m,
  IQ2_XXS: iq2_xxs,
  IQ2_XS: iq2_xs,
  IQ2_S: iq2_s,
  IQ3_XXS: iq3_xxs,
  IQ3_S: iq3_s,
  IQ4_NL: iq4_nl,
  IQ4_XS: iq4_xs,
  TQ1_0: tq1_0,
  TQ2_0: tq2_0,
  MXFP4: mxfp4,
} as const satisfies Partial<Record<GgmlType, ReadBlock>>;

export type ReadableType = keyof typeof READERS;

export const isReadable = (type: GgmlType): type is ReadableType => Object.hasOwn(READERS, type);

/** Types that `dequantize` reads, for messages. */
export const READABLE_TYPES = Object.keys(READERS) as ReadableType[];

const HALVES: Readonly<Partial<Record<ReadableType, SmallFloat>>> = { F16: 'float16', BF16: 'bfloat16' };

/** Reads whole blocks of `bytes` into `out`. */
export function dequantize(type: ReadableType, bytes: Uint8Array, out: Float32Array): void {
  if (type === 'F32' && bytes.byteOffset % 4 === 0) {
    out.set(new Float32Array(bytes.buffer, bytes.byteOffset, out.length));
    return;
  }
  const half = HALVES[type];
  if (half && bytes.byteOffset % 2 === 0) {
    decodeFloatsInto(out, new Uint16Array(bytes.buffer, bytes.byteOffset, out.length), half);
    return;
  }
  const { elements, bytes: size } = GGML_TYPES[type];
  const read: ReadBlock = READERS[type];
  for (let block = 0; block * elements < out.length; block++)
    read(bytes, block * size, out, block * elements);
}
