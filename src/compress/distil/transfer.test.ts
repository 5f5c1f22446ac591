/** What a student asks about lies between examples, and labels stay with what they belong to. */
import { describe, expect, it } from 'vitest';
import type { Examples } from '../../data/examples/examples.ts';
import { float32 } from '../../graph/ir.ts';
import { Random } from '../../util/random.ts';
import { transferBatches } from './transfer.ts';

/** Image i is i + 1 everywhere. */
const images = (channels: number): Examples => ({
  name: 'images',
  count: 5,
  labels: Int32Array.of(0, 1, 2, 3, 4),
  batch: at => ({
    x: float32(
      [at.length, channels, 12, 12],
      at.flatMap(i => new Array<number>(channels * 144).fill(i + 1)),
    ),
  }),
});

const valuesOf = (t: { data: ArrayLike<unknown> } | undefined): number[] => Array.from(t?.data ?? [], Number);

describe('transfer batches', () => {
  it('are the same for the same stream', () => {
    const batches = transferBatches(images(3), { batchSize: 8 });
    expect(batches(0, new Random(3))).toEqual(batches(0, new Random(3)));
    expect(batches(0, new Random(3))).not.toEqual(batches(0, new Random(4)));
  });

  it('mix images evenly or by rectangles, and leave some alone', () => {
    const [feeds] = transferBatches(images(1), { batchSize: 64 })(0, new Random(1));
    expect(feeds?.x?.dims).toEqual([64, 1, 12, 12]);
    expect(feeds?.labels).toBeUndefined();
    const rows = Array.from({ length: 64 }, (_, i) => valuesOf(feeds?.x).slice(i * 144, (i + 1) * 144));
    // the edge that a shift brings in is 0
    const kinds = rows.map(row => new Set(row.filter(v => v !== 0)).size);
    expect(kinds.filter(n => n === 1).length).toBeGreaterThan(10);
    expect(kinds.filter(n => n > 1).length).toBeGreaterThan(20);
    for (const v of rows.flat()) expect(v >= 0 && v <= 5).toBe(true);
    const between = rows.filter(row => row.some(v => v !== Math.round(v)));
    expect(between.length).toBeGreaterThan(3);
  });

  it('with labels nothing is mixed', () => {
    const [feeds] = transferBatches(images(1), { batchSize: 32, labels: true })(0, new Random(2));
    const values = valuesOf(feeds?.x);
    valuesOf(feeds?.labels).forEach((label, i) => {
      const row = values.slice(i * 144, (i + 1) * 144).filter(v => v !== 0);
      expect(new Set(row)).toEqual(new Set([label + 1]));
    });
  });

  it('other inputs are mixed evenly, and integers not at all', () => {
    const rows: Examples = {
      name: 'rows',
      count: 2,
      batch: at => ({
        x: float32(
          [at.length, 2],
          at.flatMap(i => [i, 1 - i]),
        ),
        ids: { dtype: 'int32', dims: [at.length], data: Int32Array.from(at) },
      }),
    };
    const [feeds] = transferBatches(rows, { batchSize: 64 })(0, new Random(5));
    const x = valuesOf(feeds?.x);
    for (let i = 0; i < 64; i++) expect((x[2 * i] as number) + (x[2 * i + 1] as number)).toBeCloseTo(1, 6);
    expect(x.some(v => v > 0.05 && v < 0.95)).toBe(true);
    expect(valuesOf(feeds?.ids).every(v => v === 0 || v === 1)).toBe(true);
  });

  it('a change that is asked for takes the place of the usual ones', () => {
    const negated = (values: Float32Array) => values.map(v => -v);
    const options = { batchSize: 16, labels: true, augment: negated };
    const [feeds] = transferBatches(images(3), options)(0, new Random(6));
    const values = valuesOf(feeds?.x);
    valuesOf(feeds?.labels).forEach((label, i) => {
      expect(new Set(values.slice(i * 432, (i + 1) * 432))).toEqual(new Set([-label - 1]));
    });
  });

  it('asks for labels where there are none', () => {
    const { labels: _labels, ...plain } = images(1);
    expect(() => transferBatches(plain, { batchSize: 2, labels: true })).toThrow(/there are no labels/);
  });
});
