/**
 * What a step of compression cost, as one number before and one after.
 *
 * 1. With labels it is accuracy. Without, and with classes, the share of examples that get the class the model gave before.
 * 2. With neither it is fidelity: 1 − √(Σ (y − ŷ)² / Σ y²) of the output that lost most, not below 0.
 */
import type { Examples } from '../data/examples/examples.ts';
import type { Model } from '../graph/ir.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Interval } from '../tasks/statistics.ts';
import { accuracyOf, compareModels } from './evaluate.ts';

export interface Quality {
  readonly quality: 'accuracy' | 'agreement' | 'fidelity';
  /** From 0 to 1, as all here. */
  readonly qualityBefore: number;
  readonly qualityAfter: number;
  /** Of `qualityAfter`, at 95 %; fidelity has none. */
  readonly qualityInterval?: Interval;
}

/** Quality of `after`, which was made of `before`, on the examples. */
export async function qualityOf(
  runtime: Runtime,
  before: Model,
  after: Model,
  examples: Examples,
): Promise<Quality> {
  if (examples.labels) {
    const was = await accuracyOf(runtime, before, examples);
    return judged('accuracy', was.accuracy, await accuracyOf(runtime, after, examples));
  }
  const { agreement, sqnr } = await compareModels(runtime, before, after, examples);
  if (agreement) return judged('agreement', 1, agreement);
  return { quality: 'fidelity', qualityBefore: 1, qualityAfter: fidelityOf(Object.values(sqnr)) };
}

const judged = (
  quality: Quality['quality'],
  qualityBefore: number,
  { accuracy, interval }: { accuracy: number; interval: Interval },
): Quality => ({ quality, qualityBefore, qualityAfter: accuracy, qualityInterval: interval });

/** Ratios in dB, as noise. */
const fidelityOf = (sqnr: readonly number[]): number => Math.max(0, 1 - 10 ** (-Math.min(...sqnr) / 20));
