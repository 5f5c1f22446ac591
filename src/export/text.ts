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
      `--data ${path}: too short to calibrate on; give more than ${2 * length} tokens of text`,
    );
  const count = Math.min(SEQUENCES, Math.ceil(train.length / length));
  const sequences = Array.from({ length: count }, (_, i) => {
    const at = Math.floor((i * (train.length - length)) / count);
    return [...train.subarray(at, at + length)];
  });
  return { train, sequences, heldOut: heldOut.subarray(0, SCORED), length };
}

/** Perplexity on the held-out part. */
export const perplexityOf = async (
  runtime: Runtime,
  { model, store }: { readonly model: CausalModel; readonly store: ParameterStore },
  { heldOut, length }: CalibrationText,
): Promise<number> => (await scoreText(runtime, model, store, heldOut, { bytes: 1, length })).perplexity;
