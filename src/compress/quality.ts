/**
 * What a step of compression cost, as one number before and one after.
 *
 * 1. With labels it is accuracy. Without, and with classes, the share of examples that get the class the model gave before.
 *    Where it gives all examples one class, as noise may get, that says nothing.
 * 2. With neither it is fidelity: 1 − √(Σ (y − ŷ)² / Σ y²) of the output that lost most, not below 0.
 */
import type { Examples } from '../data/examples/examples.ts';
import type { Model } from '../graph/ir.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { type Interval, pairedLoss } from '../tasks/statistics.ts';
import { accuracyOf, compareModels } from './evaluate.ts';

export type QualityKind = 'accuracy' | 'agreement' | 'fidelity';

/** How good one model is, `original` being the one that it was made of. */
export interface Measured {
  readonly kind: QualityKind;
  /** From 0 to 1. */
  readonly value: number;
  /** At 95 %; fidelity has none. */
  readonly interval?: Interval;
  /** What is lost against `original`, at 95 %: a paired interval where the answers of both are known. */
  readonly lost?: Interval;
}

/** Accuracy on labelled examples, else nearness to `original`, whose classes may be known `before`. */
export async function measuredQuality(
  runtime: Runtime,
  original: Model,
  model: Model,
  examples: Examples,
  before?: Int32Array,
): Promise<Measured> {
  if (examples.labels) {
    const { accuracy, interval, predictions } = await accuracyOf(runtime, model, examples);
    const lost = before && lostOf(examples.labels, before, predictions);
    return { kind: 'accuracy', value: accuracy, interval, ...(lost && { lost }) };
  }
  const { agreement, sqnr } = await compareModels(runtime, original, model, examples);
  if (agreement) {
    const { accuracy: value, interval } = agreement;
    return { kind: 'agreement', value, interval, lost: [1 - interval[1], 1 - interval[0]] };
  }
  return { kind: 'fidelity', value: fidelityOf(Object.values(sqnr)) };
}

/** Of the same examples' classes before and after. */
function lostOf(labels: Int32Array, before: Int32Array, after: Int32Array): Interval {
  const count = (right: Int32Array, wrong: Int32Array) =>
    labels.reduce((n, label, i) => n + (right[i] === label && wrong[i] !== label ? 1 : 0), 0);
  return pairedLoss(count(before, after), count(after, before), labels.length).interval;
}

export interface Quality {
  readonly quality: QualityKind;
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
  const { kind, value, interval } = await measuredQuality(runtime, before, after, examples);
  // near to itself a model is entirely
  const was = kind === 'accuracy' ? (await measuredQuality(runtime, before, before, examples)).value : 1;
  return {
    quality: kind,
    qualityBefore: was,
    qualityAfter: value,
    ...(interval && { qualityInterval: interval }),
  };
}

/** Ratios in dB, as noise. */
const fidelityOf = (sqnr: readonly number[]): number => Math.max(0, 1 - 10 ** (-Math.min(...sqnr) / 20));
