import { describe, expect, it } from 'vitest';
import { advantages, overlongPenalty, tokenWeights } from './advantage.ts';

const parts = (...values: number[]) => values.map(accuracy => ({ accuracy }));
const plain = { scale: 'none', parts: 'sum-then-normalize' } as const;

describe('advantages', () => {
  it('are centred in each group, without a scale (Dr. GRPO)', () => {
    expect(advantages([parts(1, 0, 0, 0), parts(1, 1, 1, 1)], plain)).toEqual([
      [0.75, -0.25, -0.25, -0.25],
      [0, 0, 0, 0],
    ]);
  });

  it('have unit deviation in a group scaled by its own (GRPO)', () => {
    const [a] = advantages([parts(1, 0, 1, 0)], { ...plain, scale: 'group' }) as [number[]];
    expect(a[0]).toBeCloseTo(0.5 / (0.5 + 1e-4), 12);
  });

  it('normalize each part in its group, then add (GDPO)', () => {
    const group = [
      { accuracy: 1, format: 0 },
      { accuracy: 0, format: 1 },
    ];
    const [a] = advantages([group], {
      scale: 'group',
      parts: 'normalize-then-sum',
      weights: { format: 0.5 },
    }) as [number[]];
    expect(a[0]).toBeCloseTo((0.5 * 0.5) / (0.5 + 1e-4), 12);
  });
});

describe('token weights', () => {
  const lengths = [2, 4, 0];
  it.each([
    ['token-mean', [1 / 6, 1 / 6, 0]],
    ['seq-mean-token-sum', [1 / 2, 1 / 2, 0]],
    ['seq-mean-token-mean', [1 / 4, 1 / 8, 0]],
    ['seq-mean-token-sum-norm', [1 / 20, 1 / 20, 0]],
  ] as const)('%s', (aggregation, expected) => {
    expect(tokenWeights(lengths, aggregation, 10)).toEqual(expected);
  });
});

it('the overlong penalty falls linearly over the cache to −1', () => {
  expect([80, 90, 95, 100].map(n => overlongPenalty(n, 100, 10))).toEqual([0, 0, -0.5, -1]);
});
