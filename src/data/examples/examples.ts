/**
 * Examples for graphs: what goes in by input name, and where it is known the class that should come out.
 *
 * 1. `batch` is a pure function of its indices, so calibration, evaluation and training read the same data in any order.
 * 2. Splits are by seed: what calibrates never evaluates.
 */
import type { Tensor, ValueInfo } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { Random } from '../../util/random.ts';

export interface Examples {
  readonly name: string;
  readonly count: number;
  /** One class index an example. */
  readonly labels?: Int32Array;
  /** Names of the classes, by index. */
  readonly classes?: readonly string[];
  /** Inputs by name; the first dim of each counts the indices. */
  batch(indices: readonly number[]): Readonly<Record<string, Tensor>>;
}

/** The labels. Throws a GaslawError that names the data when there are none. */
export function labelsOf(examples: Examples): Int32Array {
  if (examples.labels) return examples.labels;
  throw new GaslawError(
    `${examples.name}: there are no labels; add a "labels" array, a label byte to each record, class folders or labels.csv`,
  );
}

/** The examples at `indices`, in that order. */
export function subset(examples: Examples, indices: readonly number[], name = examples.name): Examples {
  const { labels, classes } = examples;
  return {
    name,
    count: indices.length,
    ...(labels && { labels: Int32Array.from(indices, i => labels[i]) }),
    ...(classes && { classes }),
    batch: at => examples.batch(at.map(i => indices[i])),
  };
}

/** The first `count` examples, or all where there are fewer. */
export const firstOf = (examples: Examples, count: number): Examples =>
  subset(examples, [...Array(Math.min(count, examples.count)).keys()]);

/** `first` examples chosen by `seed`, and all others. Throws when that leaves one side empty. */
export function splitExamples(examples: Examples, first: number, seed: number): [Examples, Examples] {
  if (first < 1 || first >= examples.count) {
    throw new GaslawError(
      `${examples.name}: ${examples.count} examples cannot be split into ${first} and others; give more data`,
    );
  }
  const all = Array.from({ length: examples.count }, (_, i) => i);
  const order = new Random(seed).fork('split').shuffled(all);
  return [subset(examples, order.slice(0, first)), subset(examples, order.slice(first))];
}

/** Indices 0 to `count` in runs of `size`; the last may be shorter. */
export function* batchesOf(count: number, size: number): Generator<number[]> {
  for (let from = 0; from < count; from += size) {
    yield Array.from({ length: Math.min(size, count - from) }, (_, i) => from + i);
  }
}

/**
 * Examples that a graph with these inputs takes at a time: their first dim where it is fixed, one where inputs have no batch in
 * common (a state with the batch in another place, a number beside it), `undefined` where any count will do.
 */
export function fixedBatch(inputs: readonly ValueInfo[]): number | undefined {
  const firsts = [...new Set(inputs.map(({ shape }) => shape?.[0]))];
  if (firsts.every(dim => typeof dim === 'string')) return undefined;
  return firsts.length === 1 && typeof firsts[0] === 'number' ? firsts[0] : 1;
}

/** `indices` with the last one repeated until there are `count`: the last batch of a graph that fixes its batch. */
export const filledTo = (indices: readonly number[], count: number): number[] =>
  Array.from({ length: count }, (_, i) => indices[Math.min(i, indices.length - 1)]);
