/** Data of commands that learn from examples and measure what became of the model: what one reads the other never sees. */
import { type Examples, splitExamples } from '../data/examples/examples.ts';
import { openExamples } from '../data/examples/open.ts';
import type { ValueInfo } from '../graph/ir.ts';
import type { FileStore } from '../util/files.ts';
import { loadModule } from './environment.ts';

export interface DataNames {
  readonly data?: string;
  readonly eval?: string;
  readonly seed: number;
}

export interface LearningData {
  /** For calibration, importance and training. */
  readonly learning?: Examples;
  readonly evaluation?: Examples;
}

/**
 * `wanted` examples of `--data` to learn from; without `--eval` no more than `share` of them, and the rest to be measured on.
 * Throws one sentence when data cannot be read or do not fit `inputs`.
 */
export async function openLearningData(
  files: FileStore,
  inputs: readonly ValueInfo[],
  names: DataNames,
  wanted: number,
  share: number,
): Promise<LearningData> {
  const open = (path: string | undefined) => path && openExamples(files, path, inputs, { loadModule });
  const [data, separate] = await Promise.all([open(names.data), open(names.eval)]);
  if (!data) return separate ? { evaluation: separate } : {};
  const count = Math.min(wanted, separate ? data.count : Math.ceil(share * data.count));
  if (count === data.count) return { learning: data, ...(separate && { evaluation: separate }) };
  const [learning, rest] = splitExamples(data, count, names.seed);
  return { learning, evaluation: separate || rest };
}
