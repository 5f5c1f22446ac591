/**
 * What values of a graph look like on calibration data.
 *
 * 1. One compiled graph has every wanted value as an output. Values that will share a scale are seen as one.
 * 2. Two passes where a method wants a histogram: the first finds its ends.
 * 3. A value that is not finite, or that reaches where only masks do (beyond ±1e4 times the rest), is reported as such.
 */
import { type Graph, type Model, type Tensor, typeOf } from '../../../graph/ir.ts';
import { cloneGraph } from '../../../graph/walk.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import { assert } from '../../../util/errors.ts';
import type { Feeds } from '../calibrate.ts';
import type { Range } from './affine.ts';
import { Histogram } from './histogram.ts';
import { needsHistogram, type ObserverOptions, type Seen } from './observers.ts';

/** Values that are observed together: names of the graph, and constants. */
export interface Watch {
  readonly names: readonly string[];
  readonly constants: readonly Tensor[];
}

const BINS = 4096;
const DEFAULT_AVERAGING = 0.01;

interface Sight {
  low: number;
  high: number;
  averageLow: number;
  averageHigh: number;
  batches: number;
}

/** What was seen of each watch, in order. Throws when there are no data. */
export async function observe(
  runtime: Runtime,
  model: Model,
  watches: readonly Watch[],
  data: Iterable<Feeds>,
  options: ObserverOptions,
): Promise<Seen[]> {
  const names = [...new Set(watches.flatMap(watch => watch.names))];
  using program = await runtime.compile({ ...model, graph: tapped(model.graph, names) });
  const sights = watches.map(emptySight);
  let batches = 0;
  for (const feeds of data) {
    const values = await program.call(feeds, names);
    watches.forEach((watch, i) => {
      follow(sights[i] as Sight, tensorsOf(watch, values), options);
    });
    batches++;
  }
  assert(batches > 0, 'calibration needs data: the list of batches is empty');
  const histograms = sights.map(sight => new Histogram(sight, BINS));
  if (needsHistogram(options.method)) {
    for (const feeds of data) {
      const values = await program.call(feeds, names);
      watches.forEach((watch, i) => {
        for (const { data } of tensorsOf(watch, values)) histograms[i]?.add(data as Float32Array);
      });
    }
  }
  return sights.map((sight, i) => seenOf(sight, needsHistogram(options.method) ? histograms[i] : undefined));
}

const tensorsOf = ({ names, constants }: Watch, values: Readonly<Record<string, Tensor>>): Tensor[] => [
  ...names.map(name => values[name] as Tensor),
  ...constants,
];

/** The graph with `names` as its only outputs. */
export function tapped(graph: Graph, names: readonly string[]): Graph {
  const outputs = names.map(name => ({ dtype: 'float32' as const, ...typeOf(graph, name), name }));
  return { ...cloneGraph(graph), outputs };
}

const emptySight = (): Sight => ({
  low: Number.POSITIVE_INFINITY,
  high: Number.NEGATIVE_INFINITY,
  averageLow: 0,
  averageHigh: 0,
  batches: 0,
});

function follow(
  sight: Sight,
  tensors: readonly Tensor[],
  { averaging = DEFAULT_AVERAGING }: ObserverOptions,
): void {
  const { low, high } = rangeOf(tensors);
  sight.low = Math.min(sight.low, low);
  sight.high = Math.max(sight.high, high);
  const weight = sight.batches === 0 ? 1 : averaging;
  sight.averageLow += weight * (low - sight.averageLow);
  sight.averageHigh += weight * (high - sight.averageHigh);
  sight.batches++;
}

/** Least and greatest; NaN where one is not a number. */
export function rangeOf(tensors: readonly Tensor[]): Range {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { data } of tensors) {
    for (const x of data as Float32Array) {
      if (!(x >= low)) low = x;
      if (!(x <= high)) high = x;
    }
  }
  return { low, high };
}

const seenOf = (sight: Sight, histogram: Histogram | undefined): Seen => ({
  range: { low: sight.low, high: sight.high },
  average: { low: sight.averageLow, high: sight.averageHigh },
  ...(histogram && { histogram }),
});
