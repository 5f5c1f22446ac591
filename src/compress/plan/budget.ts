/**
 * Which candidate to take: the best within the budget, or the one that comes nearest to it.
 *
 * 1. With a limit on latency or memory the least loss within it is taken, of equal losses the fastest, then the smallest file.
 * 2. Without one the smallest file that loses no more than `maxDropPoints` is (1 point when nothing is said), unless it is slower than
 *    the original by more than a tenth; of equal sizes the fastest.
 * 3. What counts is the loss that was measured. Its interval is that of a paired comparison; where it reaches beyond the limit, that
 *    is said.
 * 4. A candidate with an error of the device's validator, or in no format that the device takes, is outside every budget.
 * 5. Distance is the sum of relative excesses; points lost over are counted in points.
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
  /** Null where it is not known. */
  readonly value: number | null;
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

/** `0.20 points of accuracy lost [-0.30, 0.80 at 95 %]`. */
export function lostText(c: Judged, baseline: Judged): string {
  const { kind, lost } = c.quality;
  const ends = lost?.map(share => (100 * share).toFixed(2)).join(', ');
  const interval = ends !== undefined && c !== baseline ? ` [${ends} at 95 %]` : '';
  return `${dropOf(c, baseline).toFixed(2)} points of ${kind} lost${interval}`;
}

const mostOf = (budget: Budget): number | undefined =>
  budget.maxDropPoints ?? (isLimited(budget) ? undefined : DEFAULT_DROP);

/** How the choice is made, in words. */
export function ruleOf(budget: Budget): string {
  const { maxLatencyMs: ms, maxMemoryBytes: bytes } = budget;
  const most = mostOf(budget);
  const drop =
    most === undefined ? [] : [`at most ${most} ${most === 1 ? 'point' : 'points'} lost as measured`];
  const limits = [
    ...(ms === undefined ? [] : [`at most ${ms} ms`]),
    ...(bytes === undefined ? [] : [`at most ${bytes} bytes of memory`]),
  ];
  return limits.length > 0
    ? `the least loss with ${[...limits, ...drop].join(', ')}`
    : `the smallest file with ${drop.join()} that is no slower than the original`;
}

export function missesOf(c: Judged, baseline: Judged, budget: Budget): Miss[] {
  const drop = dropOf(c, baseline);
  const latency = latencyOf(c);
  const most = mostOf(budget);
  const error = c.findings.find(f => f.severity === 'error');
  return [
    ...(error ? [miss('device', 1, 0, `${error.node || 'the model'}: ${error.why}`)] : []),
    ...(c.formats.length === 0
      ? [miss('format', 1, 0, c.whyNotWritten ?? 'the device takes no format of it')]
      : []),
    ...over('latency', latency, budget.maxLatencyMs, 'ms'),
    ...over('memory', c.peakMemoryBytes, budget.maxMemoryBytes, 'bytes'),
    ...(most !== undefined && drop > most + 1e-9
      ? [miss('quality', drop, most, `${lostText(c, baseline)}, ${most} allowed`)]
      : []),
  ];
}

const isLimited = (b: Budget): boolean => b.maxLatencyMs !== undefined || b.maxMemoryBytes !== undefined;

const miss = (what: Miss['what'], value: Miss['value'], limit: number, text: string): Miss => ({
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
  if (value === undefined) return [miss(what, null, limit, `${what} is not known on this device`)];
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
  /** Why the data leave open whether too much is lost. */
  readonly unsure?: string;
}

/** The candidate to take of at least one; the first is the original. */
export function choose(candidates: readonly Judged[], budget: Budget): Choice {
  const [baseline] = candidates;
  const judged = candidates.map(c => ({ chosen: c, misses: missesOf(c, baseline, budget) }));
  const within = judged.filter(j => j.misses.length === 0);
  const order = orderOf(candidates, isLimited(budget));
  const best = (within.length > 0 ? within : judged).reduce((a, b) => (isBetter(order(b, a)) ? b : a));
  const unsure = unsureOf(best.chosen, baseline, budget);
  return { ...best, met: within.length > 0, ...(unsure && { unsure }) };
}

function unsureOf(chosen: Judged, baseline: Judged, budget: Budget): string | undefined {
  const most = mostOf(budget);
  const { lost, examples } = chosen.quality;
  if (chosen === baseline || most === undefined || !lost || 100 * lost[1] <= most) return undefined;
  return `${examples} examples do not exclude that more than ${most} is lost`;
}

type Misses = Omit<Choice, 'met' | 'unsure'>;

/** Positive where the first is better in a criterion, the criteria by weight. */
type Order = (a: Misses, b: Misses) => readonly number[];

const isBetter = (differences: readonly number[]): boolean => (differences.find(d => d !== 0) ?? 0) > 0;

function orderOf(candidates: readonly Judged[], limited: boolean): Order {
  const [cost, [baseline]] = [costIn(candidates), candidates];
  const slow = (c: Judged) => (cost(c) > SLOWER * cost(baseline) ? 1 : 0);
  return (a, b) => {
    const nearer = distance(b.misses) - distance(a.misses);
    const better = a.chosen.quality.value - b.chosen.quality.value;
    const faster = difference(cost(b.chosen), cost(a.chosen));
    const smaller = difference(b.chosen.bytes, a.chosen.bytes);
    return limited
      ? [nearer, better, faster, smaller]
      : [nearer, slow(b.chosen) - slow(a.chosen), smaller, faster, better];
  };
}

/** What counts as slower than the original. */
const SLOWER = 1.1;

const difference = (a: number, b: number): number => (isNear(a, b) ? 0 : a - b);

/** Within a hundredth: estimates tell no more apart. */
const isNear = (a: number, b: number): boolean => {
  const larger = Math.max(a, b);
  return a === b || (Number.isFinite(larger) && Math.abs(a - b) <= 0.01 * larger);
};

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
  if (value === null) return 1e6;
  return what === 'quality' ? (value - limit) / 10 : value / limit - 1;
}

/** The candidates that no other beats in quality, latency, memory and bytes, the cheapest first. */
export function frontOf<T extends Judged>(candidates: readonly T[]): T[] {
  const cost = costIn(candidates);
  return paretoFront(candidates, c => [cost(c), -c.quality.value, c.peakMemoryBytes ?? c.bytes, c.bytes]);
}
