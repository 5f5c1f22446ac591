import { expect, it } from 'vitest';
import { soak } from '../bench/soak.ts';

it('300 random requests get the answers that they get alone', { timeout: 120_000 }, async () => {
  const report = await soak(300, 1);
  expect(report.wrong).toEqual([]);
  const { stop, length, aborted } = report.ends;
  expect(stop + length + aborted).toBe(300);
  const { lookup, module } = report.acceptedDrafts;
  for (const count of [stop, length, aborted, report.cachedTokens, lookup, module])
    expect(count).toBeGreaterThan(10);
});
