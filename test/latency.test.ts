/** The docs print the held-out errors that the fit gives. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { latencyTable } from '../bench/latency.ts';

it('the table of docs/RESULTS.md is what the latency models give', { timeout: 120_000 }, () => {
  const docs = readFileSync(new URL('../docs/RESULTS.md', import.meta.url), 'utf8');
  for (const line of latencyTable()) expect(docs).toContain(line);
});
