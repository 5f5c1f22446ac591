/**
 * Series of a metric over the steps of a stage: taking them out of the lines, thinning, smoothing.
 *
 * 1. Thinning keeps the least and the greatest value of every bucket, so no spike is lost.
 * 2. Values that are not finite stay as NaN: a line breaks there instead of hiding them.
 */
import type { MetricsLine } from '../train/metrics.ts';
import { isNumber } from './format.ts';

export interface Series {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** Values of `name` in the lines of `stage`, by step; lines without it are left out. */
export function seriesOf(lines: readonly MetricsLine[], stage: string, name: string): Series {
  const own = lines.filter(line => line.stage === stage && line[name] !== undefined);
  return {
    x: own.map(line => line.step),
    y: own.map(line => (isNumber(line[name]) ? line[name] : Number.NaN)),
  };
}

export const hasValues = (series: Series): boolean => series.y.some(Number.isFinite);

/** The last finite value. */
export const lastOf = (series: Series): number | undefined => series.y.findLast(Number.isFinite);

/** At most about `limit` points: of every bucket its least and greatest one, and both ends. */
export function thin(series: Series, limit = 240): Series {
  const { x, y } = series;
  if (x.length <= limit) return series;
  const buckets = Math.max(1, Math.floor(limit / 2) - 1);
  const kept = new Set([0, x.length - 1]);
  for (let b = 0; b < buckets; b++) {
    const from = Math.floor((b * x.length) / buckets);
    for (const i of ends(y, from, Math.floor(((b + 1) * x.length) / buckets))) kept.add(i);
  }
  const order = [...kept].sort((a, b) => a - b);
  return { x: order.map(i => x[i] as number), y: order.map(i => y[i] as number) };
}

/** Places of the least and the greatest finite value in [from, to); the first place when there are none. */
function ends(y: readonly number[], from: number, to: number): number[] {
  let low = -1;
  let high = -1;
  for (let i = from; i < to; i++) {
    const value = y[i] as number;
    if (!Number.isFinite(value)) continue;
    if (low < 0 || value < (y[low] as number)) low = i;
    if (high < 0 || value > (y[high] as number)) high = i;
  }
  return low < 0 ? [from] : [low, high];
}

/** Centred moving mean over about a fifteenth of the series; gaps stay gaps. */
export function smooth({ x, y }: Series, window = Math.max(1, Math.round(y.length / 15))): Series {
  const half = Math.floor(window / 2);
  return { x, y: y.map((value, i) => (Number.isFinite(value) ? meanAround(y, i, half) : value)) };
}

function meanAround(y: readonly number[], at: number, half: number): number {
  const reach = Math.min(half, at, y.length - 1 - at);
  const near = y.slice(at - reach, at + reach + 1).filter(Number.isFinite);
  return near.reduce((a, b) => a + b, 0) / near.length;
}

/** Names of the metrics of a stage, in order of first appearance. */
export function metricNames(lines: readonly MetricsLine[], stage: string): string[] {
  const names = new Set(lines.filter(line => line.stage === stage).flatMap(line => Object.keys(line)));
  return [...names].filter(name => name !== 'stage' && name !== 'step');
}
