import { describe, expect, it } from 'vitest';
import { float32, int32 } from '../../graph/ir.ts';
import { Random } from '../../util/random.ts';
import { inTurn } from '../augment.ts';
import type { Examples } from './examples.ts';
import { trainingBatches } from './training.ts';

describe('batches', () => {
  const examples: Examples = {
    name: 'four',
    count: 4,
    labels: Int32Array.of(0, 1, 2, 3),
    batch: at => ({
      x: float32(
        [at.length, 2],
        at.flatMap(i => [i, i]),
      ),
      ids: int32([at.length], [...at]),
    }),
  };
  const options = { batchSize: 2, seed: 1 };

  it('an epoch has every example once, with its label', () => {
    const batches = trainingBatches(examples, options);
    const seen = [0, 1]
      .flatMap(i => batches(i, new Random(i)))
      .flatMap(feeds => {
        const [x, labels] = [feeds.x?.data as Float32Array, feeds.labels?.data as Int32Array];
        expect([...labels].map((_, i) => x[2 * i])).toEqual([...labels]);
        return [...labels];
      });
    expect(seen.sort()).toEqual([0, 1, 2, 3]);
  });

  it('the same index gives the same batch, augmented and mixed', () => {
    const augment = inTurn((values, _, random) => values.map(v => v + random.uniform()));
    const make = () =>
      trainingBatches(examples, {
        ...options,
        batchesPerStep: 2,
        augment,
        mixup: { alpha: 0.4, classes: 4 },
      })(3, new Random(9));
    const [first, again] = [make(), make()];
    expect(first).toEqual(again);
    expect(first).toHaveLength(2);
    expect(first[0]?.labels?.dims).toEqual([2, 4]);
    expect(first[0]?.x).not.toEqual(first[1]?.x);
  });

  it('without labels come without, and cannot be mixed', () => {
    const { labels: _, ...bare } = examples;
    expect(Object.keys(trainingBatches(bare, options)(0, new Random(1))[0])).toEqual(['x', 'ids']);
    expect(() => trainingBatches(bare, { ...options, mixup: { alpha: 1, classes: 4 } })).toThrow('no labels');
  });
});
