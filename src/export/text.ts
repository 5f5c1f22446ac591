/** A text for compressing a language model: its first nine tenths calibrate and teach, the rest is scored. */
import type { CausalModel } from '../models/model.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { scoreText } from '../train/perplexity.ts';
import { UsageError } from '../util/errors.ts';
import { type FileStore, readText } from '../util/files.ts';

const HELD_OUT = 0.1;
const [SEQUENCES, LENGTH, SCORED] = [64, 128, 16_384];

export interface CalibrationText {
  readonly train: Int32Array;
  /** Sequences of `length` tokens spread over the training part. */
  readonly sequences: readonly (readonly number[])[];
  /** About as many between them: ways of calibrating are compared on these. */
  readonly between: readonly Int32Array[];
  readonly heldOut: Int32Array;
  /** Tokens of a sequence, and of a window that is scored. */
  readonly length: number;
}

/** Reads `path`, UTF-8. Throws when it is too short for one sequence. */
export async function readCalibrationText(
  files: FileStore,
  path: string,
  tokenizer: Tokenizer,
  model: CausalModel,
): Promise<CalibrationText> {
  const text = await readText(files, path);
  const cut = Math.floor(text.length * (1 - HELD_OUT));
  const ids = (part: string) => Int32Array.from(tokenizer.encode(part));
  const [train, heldOut] = [ids(text.slice(0, cut)), ids(text.slice(cut))];
  const length = Math.min(LENGTH, model.maxPositions);
  if (train.length <= length || heldOut.length < 2)
    throw new UsageError(
      `${path}: too short to calibrate on; give more than ${2 * length} tokens of text`,
      'data',
    );
  return { ...calibrationWindows(train, length), train, heldOut: heldOut.subarray(0, SCORED), length };
}

/** Sequences that calibrate, half of a short text at most, and what lies between them. */
export function calibrationWindows(
  train: Int32Array,
  length: number,
): Pick<CalibrationText, 'sequences' | 'between'> {
  const count = Math.min(SEQUENCES, Math.max(1, Math.floor(train.length / (2 * length))));
  const starts = Array.from({ length: count }, (_, i) => Math.floor((i * (train.length - length)) / count));
  return {
    sequences: starts.map(at => [...train.subarray(at, at + length)]),
    between: betweenOf(train, starts, length),
  };
}

/** Of `length` tokens, from the end of each sequence on; none where the next begins before they end. */
function betweenOf(train: Int32Array, starts: readonly number[], length: number): Int32Array[] {
  const ends = [...starts.slice(1), train.length];
  return starts.flatMap((start, i) =>
    start + 2 * length <= ends[i] ? [train.subarray(start + length, start + 2 * length)] : [],
  );
}

/** Perplexity on the held-out part. */
export const perplexityOf = async (
  runtime: Runtime,
  { model, store }: { readonly model: CausalModel; readonly store: ParameterStore },
  { heldOut, length }: CalibrationText,
): Promise<number> => (await scoreText(runtime, model, store, heldOut, { bytes: 1, length })).perplexity;
