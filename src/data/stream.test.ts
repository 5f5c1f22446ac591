import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  apportion,
  batched,
  generated,
  Loader,
  mapped,
  mixture,
  type Source,
  shuffledEpochs,
} from './stream.ts';

const take = <T>(source: Source<T>, count: number, from = 0): T[] =>
  Array.from({ length: count }, (_, i) => source(from + i));

describe('sources', () => {
  it('give the same item for the same index in any order', () => {
    const make = () =>
      mixture(
        [
          { source: generated(1, random => random.int(1e9)), weight: 3 },
          { source: shuffledEpochs([1, 2, 3, 4, 5, 6, 7], 2), weight: 1 },
        ],
        5,
        16,
      );
    const forward = take(make(), 200);
    const source = make();
    for (let i = 199; i >= 0; i--) expect(source((i * 37) % 200)).toBe(forward[(i * 37) % 200]);
  });

  it('differ by seed', () => {
    const numbers = (seed: number) =>
      take(
        generated(seed, random => random.int(1e9)),
        8,
      );
    expect(numbers(1)).not.toEqual(numbers(2));
  });

  it('visit every item once an epoch, in another order', () => {
    const items = Array.from({ length: 50 }, (_, i) => i);
    const source = shuffledEpochs(items, 7);
    const epochs = [0, 1, 2].map(e => take(source, 50, 50 * e));
    for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual(items);
    expect(epochs[0]).not.toEqual(epochs[1]);
    expect(() => shuffledEpochs([], 1)).toThrow(/no documents/);
  });

  it('group and map', () => {
    const numbers: Source<number> = i => i;
    expect(batched(numbers, 3)(2)).toEqual([6, 7, 8]);
    expect(mapped(numbers, n => n * n)(4)).toBe(16);
  });
});

describe('mixture', () => {
  it('keeps exact proportions and reads each part in order without gaps', () => {
    const parts = [5, 2, 1].map((weight, part) => ({ weight, source: (index: number) => ({ part, index }) }));
    const items = take(mixture(parts, 9, 8), 800);
    [500, 200, 100].forEach((count, part) => {
      const indices = items.filter(item => item.part === part).map(item => item.index);
      expect(indices).toEqual(Array.from({ length: count }, (_, i) => i));
    });
  });

  it('shuffles the order within blocks', () => {
    const parts = [1, 1].map((weight, part) => ({ weight, source: () => part }));
    const items = take(mixture(parts, 4, 8), 64);
    expect(
      new Set(Array.from({ length: 8 }, (_, b) => items.slice(8 * b, 8 * b + 8).join(''))).size,
    ).toBeGreaterThan(3);
  });

  it('apportions all places, at least one each, else within one of the exact share', () => {
    const weight = fc.double({ min: 0.01, max: 100, noNaN: true });
    fc.assert(
      fc.property(fc.array(weight, { minLength: 1, maxLength: 20 }), weights => {
        const counts = apportion(weights, 256);
        const exact = weights.map(w => (256 * w) / weights.reduce((a, b) => a + b, 0));
        expect(counts.reduce((a, b) => a + b, 0)).toBe(256);
        expect(Math.min(...counts)).toBeGreaterThanOrEqual(1);
        const whole = Math.min(...exact) >= 1;
        if (whole)
          counts.forEach((count, i) => void expect(Math.abs(count - exact[i]!)).toBeLessThan(1 + 1e-9));
      }),
    );
    expect(apportion([1, 1000, 1000], 5)).toEqual([1, 2, 2]);
    expect(() => apportion([1, 0], 8)).toThrow(/must be positive/);
    expect(() => apportion([], 8)).toThrow(/this one has 0/);
  });
});

describe('Loader', () => {
  it('resumes from one number', () => {
    const source = generated(3, random => random.uniform());
    const whole = new Loader(source);
    const first = [whole.next(), whole.next()];
    const resumed = new Loader(source, JSON.parse(JSON.stringify(whole.state())));
    expect(first).toEqual(take(source, 2));
    expect([resumed.next(), resumed.next()]).toEqual([whole.next(), whole.next()]);
  });
});
