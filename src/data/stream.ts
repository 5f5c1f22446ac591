/**
 * Seeded streams whose k-th item is a pure function of (seed, k).
 *
 * 1. A source is a function from an index to an item, so the state of a reader is one number and a resumed run
 *    sees exactly what an unbroken one sees.
 * 2. `mixture` cuts the stream into blocks in which every part has a fixed number of places, shuffled: proportions are exact in every
 *    block, each part is read in order without gaps, and index k needs no history.
 */
import { GaslawError } from '../util/errors.ts';
import { Random } from '../util/random.ts';

/** The item at an index from 0; the same index gives the same item. */
export type Source<T> = (index: number) => T;

/** Items made by `make` from a random stream of their own. */
export function generated<T>(seed: number, make: (random: Random, index: number) => T): Source<T> {
  const root = new Random(seed);
  return index => make(root.fork(index), index);
}

/** `items` again and again, each epoch in its own order. */
export function shuffledEpochs<T>(items: readonly T[], seed: number): Source<T> {
  if (items.length === 0) throw new GaslawError('data: there are no documents to read');
  const root = new Random(seed);
  const orderOf = lastOnly(epoch => root.fork(epoch).shuffled(items));
  return index => orderOf(Math.floor(index / items.length))[index % items.length]!;
}

/** Steps of `perStep` items that see `count` of them `epochs` times; an epoch is whole steps. */
export const stepsOf = (epochs: number, count: number, perStep: number): number =>
  Math.ceil(epochs * Math.ceil(count / perStep));

/** Remembers the result of the last argument only. */
function lastOnly<T>(compute: (key: number) => T): (key: number) => T {
  let last: { key: number; value: T } | undefined;
  return key => {
    if (last?.key !== key) last = { key, value: compute(key) };
    return last.value;
  };
}

export interface MixturePart<T> {
  readonly source: Source<T>;
  /** Relative weight, above 0. */
  readonly weight: number;
}

/** Reads several sources in proportion to their weights, rounded to 1/`block`; every part gets at least one place a block. */
export function mixture<T>(parts: readonly MixturePart<T>[], seed: number, block = 256): Source<T> {
  const counts = apportion(
    parts.map(part => part.weight),
    block,
  );
  const places = counts.flatMap((count, part) =>
    Array.from({ length: count }, (_, rank) => ({ part, rank })),
  );
  const root = new Random(seed);
  const orderOf = lastOnly(blockIndex => shuffledInRank(root.fork(blockIndex), places, counts.length));
  return index => {
    const blockIndex = Math.floor(index / places.length);
    const { part, rank } = orderOf(blockIndex)[index % places.length]!;
    return parts[part]!.source(blockIndex * counts[part]! + rank);
  };
}

interface Place {
  readonly part: number;
  readonly rank: number;
}

/** Shuffled places, with the ranks of each part put back in rising order. */
function shuffledInRank(random: Random, places: readonly Place[], parts: number): Place[] {
  const next = new Array<number>(parts).fill(0);
  return random.shuffled(places).map(({ part }) => ({ part, rank: next[part]!++ }));
}

/** Whole places for each weight by largest remainder, at least one each. */
export function apportion(weights: readonly number[], places: number): number[] {
  if (weights.length === 0 || weights.length > places)
    throw new GaslawError(`data: a mixture has 1 to ${places} parts, this one has ${weights.length}`);
  if (!weights.every(weight => weight > 0 && Number.isFinite(weight)))
    throw new GaslawError(`data: mixture weights must be positive numbers, not ${weights.join(', ')}`);
  const total = weights.reduce((a, b) => a + b, 0);
  const exact = weights.map(weight => (places * weight) / total);
  const counts = exact.map(Math.floor);
  const byRemainder = exact.map((value, i) => ({ i, rest: value % 1 })).sort((a, b) => b.rest - a.rest);
  const left = places - counts.reduce((a, b) => a + b, 0);
  for (const { i } of byRemainder.slice(0, left)) counts[i]!++;
  return withoutZeros(counts);
}

/** Gives every part that came out empty one place of the largest part. */
function withoutZeros(counts: number[]): number[] {
  for (let empty = counts.indexOf(0); empty >= 0; empty = counts.indexOf(0)) {
    counts[counts.indexOf(Math.max(...counts))]!--;
    counts[empty] = 1;
  }
  return counts;
}

/** Consecutive items in groups of `size`. */
export function batched<T>(source: Source<T>, size: number): Source<T[]> {
  return index => Array.from({ length: size }, (_, i) => source(index * size + i));
}

export function mapped<T, U>(source: Source<T>, change: (item: T) => U): Source<U> {
  return index => change(source(index));
}

export interface LoaderState {
  /** Index of the next item. */
  readonly next: number;
}

/** Reads a source in order; `state()` is all that a checkpoint needs. */
export class Loader<T> {
  readonly #source: Source<T>;
  #next: number;

  constructor(source: Source<T>, state: LoaderState = { next: 0 }) {
    this.#source = source;
    this.#next = state.next;
  }

  next(): T {
    return this.#source(this.#next++);
  }

  state(): LoaderState {
    return { next: this.#next };
  }
}
