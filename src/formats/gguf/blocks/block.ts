/** What readers of blocks share: half-precision scales, and float32 arithmetic in the order that ggml has it. */
import { fromFloat16 } from '../../../util/float16.ts';

/** Values of one block: bytes of it begin at `at`, elements go to `out` from `to` on. */
export type ReadBlock = (bytes: Uint8Array, at: number, out: Float32Array, to: number) => void;

export const half = (bytes: Uint8Array, at: number): number =>
  fromFloat16((bytes[at] as number) | ((bytes[at + 1] as number) << 8));

export const byte = (bytes: Uint8Array, at: number): number => bytes[at] as number;

/** The byte as a number of -128 to 127. */
export const signed = (bytes: Uint8Array, at: number): number => ((bytes[at] as number) << 24) >> 24;

export const { fround } = Math;
