/**
 * Figures with intervals: pass@1, unbiased pass@k, means, paired differences. All intervals are 95 %.
 *
 * 1. Samples of one problem are not independent, so the problem is the unit: pass@1 is the mean over problems of
 *    their pass rates, and its standard error comes from the spread between problems (cluster-robust).
 * 2. Proportions get Wilson's score interval (1927), which stays in [0, 1] and is honest at 0 and 1. With several
 *    samples a problem it is taken at the effective sample size p(1-p)/SE², so one sample a problem gives exactly
 *    Wilson's; at 0 and 1, where the spread says nothing, at the number of problems.
 * 3. pass@k = 1 - C(n-c,k)/C(n,k) as a product of ratios (Chen et al. 2107.03374): no large factorials.
 * 4. Two models on the same problems are compared by the differences problem by problem.
 */
import { GaslawError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';

/** The 97.5 % point of the normal distribution. */
export const Z95 = 1.959963984540054;

export type Interval = readonly [low: number, high: number];

export interface Estimate {
  readonly value: number;
  readonly standardError: number;
  readonly interval: Interval;
}

/** What came of the samples of one problem. */
export interface Tally {
  readonly samples: number;
  readonly correct: number;
}

/** Wilson's score interval; `samples` may be an effective size and need not be whole. */
export function wilson(successes: number, samples: number, z = Z95): Interval {
  if (samples <= 0) return [0, 1];
  const p = successes / samples;
  const zz = (z * z) / samples;
  const middle = (p + zz / 2) / (1 + zz);
  const half = (z * Math.sqrt((p * (1 - p)) / samples + zz / (4 * samples))) / (1 + zz);
  return [p === 0 ? 0 : Math.max(0, middle - half), p === 1 ? 1 : Math.min(1, middle + half)];
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const meanOf = (values: readonly number[]): number => sum(values) / values.length;

/** Sum of squared deviations from the mean. */
function squares(values: readonly number[]): number {
  const mean = meanOf(values);
  return sum(values.map(value => (value - mean) ** 2));
}

/** Mean ± standard error with a normal interval. Needs two values. */
export function meanEstimate(values: readonly number[]): Estimate {
  if (values.length < 2)
    throw new GaslawError(`statistics: a mean with an interval needs 2 values, not ${values.length}`);
  const value = meanOf(values);
  const standardError = Math.sqrt(squares(values) / (values.length - 1) / values.length);
  return { value, standardError, interval: [value - Z95 * standardError, value + Z95 * standardError] };
}

/** The mean of per-problem values in [0, 1], with Wilson's interval at the effective sample size, at most `samples`. */
function clusteredProportion(values: readonly number[], samples: number): Estimate {
  const value = meanOf(values);
  const variance = squares(values) / values.length;
  const spread = value * (1 - value);
  const size = spread === 0 ? values.length : Math.min(samples, (spread / variance) * values.length);
  const standardError = Math.sqrt(variance / Math.max(1, values.length - 1));
  return { value, standardError, interval: wilson(value * size, size) };
}

export interface PassAt1 extends Estimate {
  readonly problems: number;
  readonly samples: number;
  /** Wilson's interval as if all samples were independent: too narrow when problems differ. */
  readonly unclusteredInterval: Interval;
}

/** Mean pass rate over problems, its cluster-robust interval, and the unclustered one beside it. */
export function passAt1(tallies: readonly Tally[]): PassAt1 {
  checkTallies(tallies, 1);
  const samples = sum(tallies.map(t => t.samples));
  const correct = sum(tallies.map(t => t.correct));
  const rates = tallies.map(t => t.correct / t.samples);
  const unclusteredInterval = wilson(correct, samples);
  return { ...clusteredProportion(rates, samples), problems: tallies.length, samples, unclusteredInterval };
}

/** Probability that k samples drawn without replacement hold a right one: 1 - C(n-c,k)/C(n,k). */
export function passAtKOf({ samples, correct }: Tally, k: number): number {
  if (samples - correct < k) return 1;
  let miss = 1;
  for (let i = samples - correct + 1; i <= samples; i++) miss *= 1 - k / i;
  return 1 - miss;
}

/** Mean unbiased pass@k over problems. Throws when a problem has fewer than k samples. */
export function passAtK(tallies: readonly Tally[], k: number): Estimate {
  checkTallies(tallies, k);
  const values = tallies.map(tally => passAtKOf(tally, k));
  return clusteredProportion(values, tallies.length);
}

function checkTallies(tallies: readonly Tally[], k: number): void {
  if (tallies.length === 0) throw new GaslawError('statistics: there are no problems to average over');
  const short = tallies.find(t => t.samples < k);
  if (short !== undefined)
    throw new GaslawError(`statistics: pass@${k} needs ${k} samples a problem, one has ${short.samples}`);
}

/** Mean of a[i] - b[i] with a normal interval: the same problems under two models. */
export function pairedDifference(a: readonly number[], b: readonly number[]): Estimate {
  if (a.length !== b.length)
    throw new GaslawError(`statistics: paired values differ in number: ${a.length} and ${b.length}`);
  return meanEstimate(a.map((value, i) => value - b[i]!));
}

/** Percentile bootstrap interval of the mean, resampling problems. */
export function bootstrapInterval(values: readonly number[], random: Random, resamples = 2000): Interval {
  const means = Array.from({ length: resamples }, () => meanOf(values.map(() => random.pick(values))));
  means.sort((a, b) => a - b);
  const at = (share: number) => means[Math.min(resamples - 1, Math.floor(share * resamples))]!;
  return [at(0.025), at(0.975)];
}

/**
 * How much rarer success is in the second of two paired series of 0 and 1: (b − c)/n for b pairs that the first alone got and c
 * that the second alone did. The interval counts half a pair more of each of the four kinds, so that it does not vanish where
 * nothing differs (Agresti and Min 2005, Statistics in Medicine 24, 729–740).
 */
export function pairedLoss(onlyFirst: number, onlySecond: number, count: number): Estimate {
  const [b, c, n] = [onlyFirst + 0.5, onlySecond + 0.5, count + 2];
  const middle = (b - c) / n;
  const standardError = Math.sqrt(b + c - (b - c) ** 2 / n) / n;
  const half = Z95 * standardError;
  return {
    value: (onlyFirst - onlySecond) / count,
    standardError,
    interval: [Math.max(-1, middle - half), Math.min(1, middle + half)],
  };
}
