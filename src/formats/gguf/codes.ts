/**
 * Codes of quantized rows by themselves: what they stand for while the scales stay, and putting others in their place. So codes
 * can be chosen by more than nearness (GPTQ).
 *
 * 1. What a code stands for is asked of the reader: value = base + step · code.
 */

import { K_CODES } from './blocks/write-k.ts';
import { type BlockCodes, LEGACY_CODES } from './blocks/write-legacy.ts';
import { dequantize } from './dequantize.ts';
import { GGML_TYPES } from './types.ts';

const CODES = { ...LEGACY_CODES, ...K_CODES };
export type CodedType = keyof typeof CODES;

export const isCoded = (type: string): type is CodedType => Object.hasOwn(CODES, type);

export interface CodeGrid {
  /** What code 0 stands for, by element. */
  readonly base: Float32Array;
  readonly step: Float32Array;
  /** Codes are 0 to levels − 1. */
  readonly levels: number;
}

/** The grid of whole blocks. */
export function gridOf(type: CodedType, bytes: Uint8Array): CodeGrid {
  const { elements, bytes: blockBytes } = GGML_TYPES[type];
  const count = (bytes.length / blockBytes) * elements;
  const all = (code: number): Float32Array => {
    const copy = bytes.slice();
    putCodes(type, new Uint8Array(count).fill(code), copy);
    const values = new Float32Array(count);
    dequantize(type, copy, values);
    return values;
  };
  const [base, next] = [all(0), all(1)];
  return { base, step: next.map((v, i) => v - (base[i] as number)), levels: CODES[type].levels };
}

/** Puts `codes` in place of those of whole blocks. */
export function putCodes(type: CodedType, codes: Uint8Array, bytes: Uint8Array): void {
  const { elements, bytes: blockBytes } = GGML_TYPES[type];
  const { put }: BlockCodes = CODES[type];
  for (let from = 0, at = 0; at < bytes.length; from += elements, at += blockBytes)
    put(codes.subarray(from, from + elements), bytes, at);
}
