/** Data of what learns from examples and is measured then: what one reads the other never sees. */
import type { ValueInfo } from '../../graph/ir.ts';
import type { FileStore } from '../../util/files.ts';
import { type Examples, splitExamples } from './examples.ts';
import { type OpenExamplesOptions, openExamples } from './open.ts';

export interface LearningNames extends OpenExamplesOptions {
  /** Path of what is learned from. */
  readonly data?: string;
  /** Path of what is measured on; what is left of `data` when absent. */
  readonly eval?: string;
  readonly seed: number;
}

export interface LearningData {
  /** For calibration, importance and training. */
  readonly learning?: Examples;
  readonly evaluation?: Examples;
  /** What the evaluation is on, in words. */
  readonly evaluated?: string;
}

/**
 * `wanted` examples of `data` to learn from; without `eval` no more than `share` of them, and the rest to be measured on.
 * Throws one sentence when data cannot be read or do not fit `inputs`.
 */
export async function openLearningData(
  files: FileStore,
  inputs: readonly ValueInfo[],
  { data: learned, eval: measured, seed, ...options }: LearningNames,
  wanted: number,
  share: number,
): Promise<LearningData> {
  const open = (path: string | undefined) => path && openExamples(files, path, inputs, options);
  const [data, separate] = await Promise.all([open(learned), open(measured)]);
  const own = separate
    ? { evaluation: separate, evaluated: `${counted(separate.count)} of ${measured}` }
    : undefined;
  if (!data) return own ?? {};
  const count = Math.min(wanted, separate ? data.count : Math.ceil(share * data.count));
  if (count === data.count) return { learning: data, ...own };
  const [learning, rest] = splitExamples(data, count, seed);
  const unseen = `${counted(rest.count)} of ${learned} that nothing was learned from`;
  return { learning, ...(own ?? { evaluation: rest, evaluated: unseen }) };
}

const counted = (n: number): string => `${n.toLocaleString('en')} example${n === 1 ? '' : 's'}`;
