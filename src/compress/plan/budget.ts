/**
 * Which candidate to take: the best within the budget, or the one that comes nearest to it.
 *
 * 1. With a limit on latency or memory the least loss within it is taken, of equal losses the smallest model. Without one the cheapest
 *    candidate that loses no more than `maxDropPoints` is (1 point when nothing is said).
 * 2. A candidate with an error of the device's validator, or in no format that the device takes, is outside every budget.
 * 3. Distance is the sum of relative excesses; points lost over are counted in points.
 */
import { paretoFront } from '../search/pareto.ts';
import type { Measurements } from './measure.ts';

export interface Budget {
  readonly maxLatencyMs?: number;
  readonly maxMemoryBytes?: number;
  /** Of quality, in points (1 = one hundredth). */
  readonly maxDropPoints?: number;
}

/** What stands between a candidate and the budget. */
export interface Miss {
  readonly what: 'latency' | 'memory' | 'quality' | 'device' | 'format';
  readonly value: number;
  readonly limit: number;
  /** In words. */
  readonly text: string;
}

export interface Judged extends Measurements {
  readonly name: string;
  /** Bytes of the file. */
  readonly bytes: number;
  /** Formats in which it was written for the device; empty when none takes it. */
  readonly formats: readonly string[];
  readonly whyNotWritten?: string;
}

export const DEFAULT_DROP = 1;

/** Measured where there is a measurement. */
export const latencyOf = (m: Measurements): number | undefined => m.measuredMs ?? m.estimatedMs;

/** Points of quality that are lost against the original. */
export const dropOf = (c: Judged, baseline: Judged): number =>
  100 * (baseline.quality.value - c.quality.value);

export function missesOf(c: Judged, baseline: Judged, budget: Budget): Miss[] {
  const drop = dropOf(c, baseline);
  const latency = latencyOf(c);
  const most = budget.maxDropPoints ?? (isLimited(budget) ? undefined : DEFAULT_DROP);
  const error = c.findings.find(f => f.severity === 'error');
  return [
    ...(error ? [miss('device', 1, 0, `${error.node || 'the model'}: ${error.why}`)] : []),
    ...(c.formats.length === 0
      ? [miss('format', 1, 0, c.whyNotWritten ?? 'the device takes no format of it')]
      : []),
    ...over('latency', latency, budget.maxLatencyMs, 'ms'),
    ...over('memory', c.peakMemoryBytes, budget.maxMemoryBytes, 'bytes'),
    ...(most !== undefined && drop > most + 1e-9
      ? [miss('quality', drop, most, `${drop.toFixed(2)} points of ${c.quality.kind} lost, ${most} allowed`)]
      : []),
  ];
}

const isLimited = (b: Budget): boolean => b.maxLatencyMs !== undefined || b.maxMemoryBytes !== undefined;

const miss = (what: Miss['what'], value: number, limit: number, text: string): Miss => ({
  what,
  value,
  limit,
  text,
});

function over(
  what: 'latency' | 'memory',
  value: number | undefined,
  limit: number | undefined,
  unit: string,
): Miss[] {
  if (limit === undefined) return [];
  if (value === undefined) return [miss(what, Number.NaN, limit, `${what} is not known on this device`)];
  if (value <= limit) return [];
  const excess = Math.round(100 * (value / limit - 1));
  return [
    miss(
      what,
      value,
      limit,
      `${what} ${Number(value.toPrecision(4))} ${unit} where ${limit} are allowed (${excess} % over)`,
    ),
  ];
}

export interface Choice {
  readonly chosen: Judged;
  readonly met: boolean;
  /** Empty when the budget is met. */
  readonly misses: readonly Miss[];
}

/** The candidate to take of at least one; the first is the original. */
export function choose(candidates: readonly Judged[], budget: Budget): Choice {
  const [baseline] = candidates;
  const judged = candidates.map(c => ({ chosen: c, misses: missesOf(c, baseline, budget) }));
  const within = judged.filter(j => j.misses.length === 0);
  const [limited, cost] = [isLimited(budget), costIn(candidates)];
  const best = (within.length > 0 ? within : judged).reduce((a, b) =>
    isBetter(b, a, limited, cost) ? b : a,
  );
  return { ...best, met: within.length > 0 };
}

type Misses = Omit<Choice, 'met'>;

function isBetter(a: Misses, b: Misses, limited: boolean, cost: Cost): boolean {
  const nearer = distance(b.misses) - distance(a.misses);
  const better = a.chosen.quality.value - b.chosen.quality.value;
  const [x, y] = [cost(a.chosen), cost(b.chosen)];
  const faster = isNear(x, y) ? 0 : y - x;
  const smaller = b.chosen.bytes - a.chosen.bytes;
  const order = limited ? [nearer, better, faster, smaller] : [nearer, faster, smaller, better];
  return (order.find(difference => difference !== 0) ?? 0) > 0;
}

/** Within a hundredth: estimates tell no more apart. */
const isNear = (a: number, b: number): boolean => a === b || Math.abs(a - b) <= 0.01 * Math.max(a, b);

type Cost = (c: Judged) => number;

/** Latency where it is known of any, else bytes. */
function costIn(candidates: readonly Judged[]): Cost {
  const timed = candidates.some(c => latencyOf(c) !== undefined);
  return c => (timed ? (latencyOf(c) ?? Number.POSITIVE_INFINITY) : c.bytes);
}

const WEIGHTS: Readonly<Partial<Record<Miss['what'], number>>> = { device: 1e9, format: 1e9 };

const distance = (misses: readonly Miss[]): number =>
  misses.reduce((sum, m) => sum + (WEIGHTS[m.what] ?? excess(m)), 0);

function excess({ what, value, limit }: Miss): number {
  if (Number.isNaN(value)) return 1e6;
  return what === 'quality' ? (value - limit) / 10 : value / limit - 1;
}

/** The candidates that no other beats in quality, latency, memory and bytes, the cheapest first. */
export function frontOf<T extends Judged>(candidates: readonly T[]): T[] {
  const cost = costIn(candidates);
  return paretoFront(candidates, c => [cost(c), -c.quality.value, c.peakMemoryBytes ?? c.bytes, c.bytes]);
}
