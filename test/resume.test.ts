/** A run that is killed at random moments and resumed is the unbroken run, bit for bit (bench/kill.ts does it twenty times). */
import { expect, it } from 'vitest';
import { killRuns } from '../bench/kill.ts';
import { MAIN } from './gaslaw.ts';

it('kill -9, then --resume: the same models, answers and metrics', { timeout: 300_000 }, async () => {
  const report = await killRuns({ main: MAIN, recipe: ['r1', '--size', 'debug'], kills: 5, seed: 1 });
  expect(report.failures).toEqual([]);
  expect(report.different).toEqual([]);
  expect(report.met).toBeGreaterThanOrEqual(3);
  expect(report.compared.filter(name => name.endsWith('model.safetensors')).length).toBe(9);
  expect(report.compared).toContain('samples.jsonl');
});
