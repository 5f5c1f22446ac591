/** One number before and after: of labels, of classes without labels, of values. */
import { describe, expect, it } from 'vitest';
import type { Examples } from '../data/examples/examples.ts';
import { float32, type Model, modelOf } from '../graph/ir.ts';
import { Builder } from '../ops/builder.ts';
import { referenceRuntime } from '../runtime/reference/index.ts';
import { qualityOf } from './quality.ts';

/** y = x + shift over rows of two. */
function shifted(shift: readonly [number, number], rank = 2): Model {
  const b = new Builder('shifted');
  const x = b.input('x', 'float32', rank === 2 ? [4, 2] : [4, 1, 2]);
  b.output(x.add(b.initializer('shift', float32([2], [...shift]))), 'y');
  return modelOf(b.graph);
}

/** The second is larger in all but the last. */
const rows = [0, 1, 0, 2, 0, 3, 1, 0];

const examples = (labels?: readonly number[], rank = 2): Examples => ({
  name: 'rows',
  count: 4,
  ...(labels && { labels: Int32Array.from(labels) }),
  batch: indices => ({
    x: float32(
      rank === 2 ? [indices.length, 2] : [indices.length, 1, 2],
      indices.flatMap(i => rows.slice(2 * i, 2 * i + 2)),
    ),
  }),
});

describe('quality', () => {
  it('with labels is accuracy of both', async () => {
    const quality = await qualityOf(
      referenceRuntime(),
      shifted([0, 0]),
      shifted([1.5, 0]),
      examples([1, 1, 1, 1]),
    );
    expect(quality).toMatchObject({ quality: 'accuracy', qualityBefore: 0.75, qualityAfter: 0.5 });
    const [low = 1, high = 0] = quality.qualityInterval ?? [];
    expect(low < 0.5 && high > 0.5).toBe(true);
  });

  it('without labels is the share that keeps its class', async () => {
    const quality = await qualityOf(referenceRuntime(), shifted([0, 0]), shifted([1.5, 0]), examples());
    expect(quality).toMatchObject({ quality: 'agreement', qualityBefore: 1, qualityAfter: 0.75 });
  });

  it('of classes that are all one is that of values: a constant answer would keep them all', async () => {
    const before = shifted([0, 9]);
    const quality = await qualityOf(referenceRuntime(), before, shifted([0, 8]), examples());
    // y is x + (0, 9): Σ y² is 1 + (10² + 11² + 12² + 9²), Σ e² is 4
    expect(quality).toMatchObject({ quality: 'fidelity', qualityBefore: 1 });
    expect(quality.qualityAfter).toBeCloseTo(1 - Math.sqrt(4 / 447), 5);
  });

  it('of values is what is left beside the error: Σ y² is 15, Σ e² is 4 · 0.15', async () => {
    const [before, after] = [shifted([0, 0], 3), shifted([Math.sqrt(0.15), 0], 3)];
    const quality = await qualityOf(referenceRuntime(), before, after, examples(undefined, 3));
    expect(quality).toMatchObject({ quality: 'fidelity', qualityBefore: 1 });
    expect(quality.qualityAfter).toBeCloseTo(0.8, 5);
    expect(quality.qualityInterval).toBeUndefined();
  });
});
