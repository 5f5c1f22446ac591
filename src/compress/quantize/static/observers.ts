/**
 * Which range of a value its integers should span, from what was seen of it.
 *
 * 1. `minmax` spans all that was seen. `moving-average` follows each batch's least and greatest value with a weight
 *    (Jacob et al. 2018); one odd batch then moves the range little.
 * 2. `percentile` leaves out the same share of values at both ends.
 * 3. `entropy` cuts where the histogram and its quantized form have the least Kullback-Leibler divergence (Migacz, GTC
 *    2017, s7310): windows grow from 0 to both sides.
 * 4. `mse` cuts where the mean square error of rounding and cutting together is least (Banner et al. 2019), measured with
 *    the very codes that the scheme gives, so that power-of-two scales are chosen by it as well.
 */
import { type Affine, affineOf, codesOf, type Range, rounded, type Scheme } from './affine.ts';
import type { Histogram } from './histogram.ts';

export const OBSERVERS = ['minmax', 'moving-average', 'percentile', 'entropy', 'mse'] as const;
export type ObserverName = (typeof OBSERVERS)[number];

export interface ObserverOptions {
  readonly method: ObserverName;
  /** `percentile`: share of values inside, in percent. Default 99.99. */
  readonly percentile?: number;
  /** `moving-average`: weight of a batch. Default 0.01. */
  readonly averaging?: number;
}

/** What was seen of a value. */
export interface Seen {
  readonly range: Range;
  /** The moving average of the batches' ranges. */
  readonly average: Range;
  /** Present for the methods that need one. */
  readonly histogram?: Histogram;
}

export const needsHistogram = (method: ObserverName): boolean =>
  method === 'percentile' || method === 'entropy' || method === 'mse';

/** Scale and zero point for a value. */
export function observed(seen: Seen, scheme: Scheme, options: ObserverOptions): Affine {
  const { histogram } = seen;
  if (options.method === 'moving-average') return affineOf(seen.average, scheme);
  if (options.method === 'minmax' || !histogram || seen.range.low === seen.range.high)
    return affineOf(seen.range, scheme);
  if (options.method === 'mse') return leastSquares(histogram, scheme);
  return affineOf(CUTS[options.method](histogram, scheme, options), scheme);
}

const CUTS = {
  percentile: (histogram: Histogram, _: Scheme, { percentile = 99.99 }: ObserverOptions): Range => {
    const outside = (1 - percentile / 100) / 2;
    return { low: histogram.quantile(outside), high: histogram.quantile(1 - outside) };
  },
  entropy: (histogram: Histogram, scheme: Scheme): Range => {
    const m = Math.max(-histogram.range.low, histogram.range.high);
    const levels = codesOf(scheme).high - codesOf(scheme).low + 1;
    // one side has half of the levels; more than 512 would make the windows as fine as the histogram
    const counts = histogram.centered(HALF_BINS);
    const reach = entropyWindow(counts, Math.min(levels, 512)) + 0.5;
    const cut = (reach * 2 * m) / counts.length;
    return { low: Math.max(histogram.range.low, -cut), high: Math.min(histogram.range.high, cut) };
  },
} as const;

const HALF_BINS = 1024;

/**
 * How many bins to each side of the middle one a window takes in, so that its counts (what lies outside added at its ends)
 * and their form in `levels` equal groups diverge least. `counts` has an odd length.
 */
export function entropyWindow(counts: Float64Array, levels: number): number {
  const middle = (counts.length - 1) / 2;
  let best = middle;
  let least = Number.POSITIVE_INFINITY;
  for (let reach = Math.floor(levels / 2); reach <= middle; reach++) {
    const divergence = divergenceOf(
      counts.subarray(middle - reach, middle + reach + 1),
      outside(counts, reach),
      levels,
    );
    if (divergence < least) [best, least] = [reach, divergence];
  }
  return best;
}

function outside(counts: Float64Array, reach: number): readonly [number, number] {
  const middle = (counts.length - 1) / 2;
  const sum = (part: Float64Array) => part.reduce((a, b) => a + b, 0);
  return [sum(counts.subarray(0, middle - reach)), sum(counts.subarray(middle + reach + 1))];
}

/** KL(p ‖ q) of a window with its outliers at the ends against its grouped form, both smoothed. */
function divergenceOf(
  window: Float64Array,
  [below, above]: readonly [number, number],
  levels: number,
): number {
  const p = window.slice();
  p[0] = (p[0] as number) + below;
  p[p.length - 1] = (p[p.length - 1] as number) + above;
  const q = grouped(window, p, levels);
  const [a, b] = [smoothed(p), smoothed(q)];
  if (!a || !b) return Number.POSITIVE_INFINITY;
  const [sumA, sumB] = [a, b].map(list => list.reduce((x, y) => x + y, 0)) as [number, number];
  return a.reduce((sum, x, i) => sum + (x / sumA) * Math.log(x / sumA / ((b[i] as number) / sumB)), 0);
}

/** The window's counts in `levels` groups (the last takes the rest), spread evenly over the bins of each that hold any. */
function grouped(window: Float64Array, p: Float64Array, levels: number): Float64Array {
  const size = Math.floor(window.length / levels);
  const q = new Float64Array(window.length);
  for (let level = 0; level < levels; level++) {
    const [start, end] = [level * size, level === levels - 1 ? window.length : (level + 1) * size];
    const filled = p.subarray(start, end).filter(n => n !== 0).length;
    const mean = window.subarray(start, end).reduce((a, b) => a + b, 0) / filled;
    for (let i = start; i < end; i++) q[i] = p[i] === 0 ? 0 : mean;
  }
  return q;
}

const EPSILON = 1e-4;

/** Zeros become EPSILON, taken evenly from the others; undefined where that would make one negative. */
function smoothed(counts: Float64Array): Float64Array | undefined {
  const zeros = counts.filter(n => n === 0).length;
  const others = counts.length - zeros;
  if (others === 0) return undefined;
  const taken = (EPSILON * zeros) / others;
  if (taken >= 1) return undefined;
  return counts.map(n => (n === 0 ? EPSILON : n - taken));
}

const STEPS = 60;
/** Narrowest range tried, as a share of what was seen. */
const NARROWEST = 0.2;

/** Ends are cut one after the other: first both by one share, then each alone around the best. */
function leastSquares(histogram: Histogram, scheme: Scheme): Affine {
  const { low, high } = histogram.range;
  let best = affineOf({ low, high }, scheme);
  let least = squareError(histogram, best, scheme);
  let kept: readonly [number, number] = [1, 1];
  const consider = (a: number, b: number): void => {
    const affine = affineOf({ low: low * a, high: high * b }, scheme);
    const error = squareError(histogram, affine, scheme);
    if (error < least) [best, least, kept] = [affine, error, [a, b]];
  };
  const shares = Array.from({ length: STEPS }, (_, i) => 1 - ((1 - NARROWEST) * i) / STEPS);
  for (const share of shares) consider(share, share);
  if (scheme.symmetric) return best;
  for (const share of shares) consider(share, kept[1]);
  for (const share of shares) consider(kept[0], share);
  return best;
}

/** Σ n (x − x̂)² over the bins, each taken as a point at its mean. */
export function squareError(histogram: Histogram, affine: Affine, scheme: Scheme): number {
  const codes = codesOf(scheme);
  const { counts } = histogram;
  let sum = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    const count = counts[bin] as number;
    if (count === 0) continue;
    const x = histogram.mean(bin);
    const e = x - rounded(x, affine, codes);
    sum += count * e * e;
  }
  return sum;
}
