import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Batch } from './batch.ts';
import { batchesByLength } from './by-length.ts';
import { promptDocument, type TokenDocument } from './document.ts';
import { PackedLoader, packAll } from './packing.ts';
import { generated } from './stream.ts';

/** Token ids that name their document and place: document d, token i → 1000 d + i + 1. */
const named = (d: number, length: number): TokenDocument => ({
  ids: Array.from({ length }, (_, i) => 1000 * d + i + 1),
});

interface Prediction {
  readonly from: number;
  readonly to: number;
}

/** Every (id → target) pair that is not padding, with the facts about rows that must hold. */
function predictions(batch: Batch): Prediction[] {
  const found: Prediction[] = [];
  for (let at = 0; at < batch.rows * batch.length; at++) {
    const starts = at % batch.length === 0 || batch.segments[at] !== batch.segments[at - 1];
    if (batch.segments[at] === 0) {
      expect([batch.ids[at], batch.targets[at], batch.weights[at], batch.positions[at]]).toEqual([
        0, 0, 0, 0,
      ]);
      continue;
    }
    expect(batch.positions[at]).toBe(starts ? 0 : batch.positions[at - 1]! + 1);
    if (!starts) expect(batch.ids[at]).toBe(batch.targets[at - 1]);
    found.push({ from: batch.ids[at]!, to: batch.targets[at]! });
  }
  expect(found).toHaveLength(batch.tokens);
  return found;
}

const wanted = (documents: readonly TokenDocument[]): Prediction[] =>
  documents.flatMap(({ ids }) =>
    Array.from({ length: Math.max(0, ids.length - 1) }, (_, i) => ({ from: ids[i]!, to: ids[i + 1]! })),
  );

const byFrom = (a: Prediction, b: Prediction) => a.from - b.from;

const LENGTHS = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 40 });

describe('packAll', () => {
  it('keeps every prediction of every document exactly once and crosses no segment', () => {
    fc.assert(
      fc.property(
        LENGTHS,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 16 }),
        (lengths, rows, length) => {
          const documents = lengths.map((n, d) => named(d, n));
          const found = packAll(documents, { rows, length }).flatMap(predictions);
          expect(found.sort(byFrom)).toEqual(wanted(documents).sort(byFrom));
        },
      ),
      { numRuns: 150 },
    );
  });

  it('fills rows by first fit', () => {
    const documents = [5, 4, 3, 2].map((places, d) => named(d, places + 1));
    const [batch, ...rest] = packAll(documents, { rows: 2, length: 7 });
    expect(rest).toEqual([]);
    expect([...batch!.segments]).toEqual([1, 1, 1, 1, 1, 2, 2, 1, 1, 1, 1, 2, 2, 2]);
    expect([...batch!.positions]).toEqual([0, 1, 2, 3, 4, 0, 1, 0, 1, 2, 3, 0, 1, 2]);
  });

  it('gives a prompt weight 0 and its response weight, at the place that predicts the token', () => {
    const [batch] = packAll([promptDocument([7, 8, 9], [4, 5], 0.5)], { rows: 1, length: 5, pad: 3 });
    expect([...batch!.ids]).toEqual([7, 8, 9, 4, 3]);
    expect([...batch!.targets]).toEqual([8, 9, 4, 5, 0]);
    expect([...batch!.weights]).toEqual([0, 0, 0.5, 0.5, 0]);
  });

  it('carries columns along with their tokens', () => {
    const first = { ids: [1, 2, 3], columns: { advantages: [9, 0.25, -1] } };
    const [batch] = packAll([named(5, 3), first], { rows: 1, length: 4 });
    expect([...batch!.columns.advantages!]).toEqual([0, 0, 0.25, -1]);
  });

  it('refuses weights that do not match', () => {
    expect(() => packAll([{ ids: [1, 2], weights: [1] }], { rows: 1, length: 4 })).toThrow(
      'document: weights has 1 values for 2 tokens',
    );
  });
});

describe('PackedLoader', () => {
  const source = generated(3, (random, d) => named(d, random.between(0, 30)));
  const shape = { rows: 3, length: 24 };

  it('resumes exactly, at any batch', () => {
    const whole = new PackedLoader(source, shape);
    let parted = new PackedLoader(source, shape);
    for (let i = 0; i < 25; i++) {
      parted = new PackedLoader(source, shape, JSON.parse(JSON.stringify(parted.state())));
      expect(parted.next()).toEqual(whole.next());
      expect(parted.state()).toEqual(whole.state());
    }
  });

  it('loses and repeats nothing', () => {
    const loader = new PackedLoader(source, shape);
    const found = Array.from({ length: 40 }, () => predictions(loader.next())).flat();
    const { next, waiting } = loader.state();
    const pending = new Set(waiting.filter((_, i) => i % 2 === 0));
    const read = Array.from({ length: next }, (_, d) => source(d));
    const placed = read.filter((_, d) => !pending.has(d));
    expect(found.filter(p => !pending.has(Math.floor((p.from - 1) / 1000))).sort(byFrom)).toEqual(
      wanted(placed).sort(byFrom),
    );
    expect(new Set(found.map(p => p.from)).size).toBe(found.length);
  });

  it('leaves little padding', () => {
    const loader = new PackedLoader(source, shape);
    const tokens = Array.from({ length: 20 }, () => loader.next().tokens).reduce((a, b) => a + b, 0);
    expect(tokens / (20 * 72)).toBeGreaterThan(0.97);
  });

  it('says so when no document has anything to predict', () => {
    const empty = new PackedLoader(() => ({ ids: [1] }), shape);
    expect(() => empty.next()).toThrow(/fewer than two tokens/);
  });
});

describe('batchesByLength', () => {
  const options = { maxPlaces: 64, lengthMultiple: 8, rowMultiple: 2 };

  it('gives every document a row of its own and keeps every prediction', () => {
    fc.assert(
      fc.property(LENGTHS, lengths => {
        const documents = lengths.map((n, d) => named(d, n));
        const batches = batchesByLength(documents, options);
        expect(batches.flatMap(predictions).sort(byFrom)).toEqual(wanted(documents).sort(byFrom));
        for (const batch of batches) {
          expect(batch.length % 8).toBe(0);
          expect(batch.rows * batch.length <= 64 || batch.rows === 1).toBe(true);
          expect(Math.max(...batch.segments)).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('puts like lengths together', () => {
    const documents = [4, 30, 5, 28].map((n, d) => named(d, n));
    const lengths = batchesByLength(documents, options).map(b => [b.length, b.tokens]);
    expect(lengths).toEqual([
      [32, 29 + 27],
      [8, 3 + 4],
    ]);
  });
});
