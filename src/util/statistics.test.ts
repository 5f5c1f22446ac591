import { expect, it } from 'vitest';
import { median, quantile } from './statistics.ts';

it.each([
  [[3], 3],
  [[5, 1, 3], 3],
  [[10, 2, 4, 1], 3],
  [[], Number.NaN],
])('the median of %j is %d', (values, middle) => {
  expect(median(values)).toBe(middle);
});

it.each([
  [0, 1],
  [0.25, 2],
  [0.3, 2.2],
  [1, 5],
])('at %d of 1 to 5 lies %d', (share, value) => {
  expect(quantile([4, 2, 5, 1, 3], share)).toBeCloseTo(value, 12);
});
