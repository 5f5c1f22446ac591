/** Two engines beside each other: each in a process of its own (generation-worker.ts), with the same prompts. */
import { fileURLToPath } from 'node:url';
import { median } from '../src/util/statistics.ts';
import type { RunTimes } from './generation-worker.ts';
import { Worker } from './worker.ts';

interface Reply extends RunTimes {
  readonly loadSeconds: number;
  readonly peakRssBytes: number;
}

const PROMPTS = [128, 512];
const NEW_TOKENS = 128;
const WORKER = fileURLToPath(new URL('./generation-worker.js', import.meta.url));

export type Figures = Record<string, number>;

export interface Measured {
  readonly figures: Figures;
  /** Ids that were chosen, by prompt. */
  readonly answers: readonly (readonly number[])[];
}

/** One process from loading to its end. */
export async function measure(args: readonly string[]): Promise<Measured> {
  const worker = new Worker<Reply>(process.execPath, [WORKER, ...args]);
  const figures: Figures = { loadSeconds: (await worker.read()).loadSeconds };
  await worker.ask('run 32 8'); // warms up
  let peak = 0;
  const answers: (readonly number[])[] = [];
  for (const prompt of PROMPTS) {
    const { prefillMs, decodeMs, peakRssBytes, ids } = await worker.ask(`run ${prompt} ${NEW_TOKENS}`);
    figures[`prefill${prompt}TokensPerSecond`] = prompt / (prefillMs / 1000);
    figures[`decodeAfter${prompt}TokensPerSecond`] = (NEW_TOKENS - 1) / (decodeMs / 1000);
    peak = Math.max(peak, peakRssBytes);
    answers.push(ids);
  }
  await worker.quit();
  return { figures: { ...figures, peakRssBytes: peak }, answers };
}

/** Median, least and greatest of each figure over the rounds. */
export function summary(
  rounds: readonly Figures[],
): Record<string, { median: number; range: [number, number] }> {
  const names = Object.keys(rounds[0] ?? {});
  return Object.fromEntries(
    names.map(name => {
      const values = rounds.map(r => r[name] as number);
      return [name, { median: median(values), range: [Math.min(...values), Math.max(...values)] }];
    }),
  );
}

/** Median over the rounds of ours divided by theirs. */
export const ratios = (ours: readonly Figures[], theirs: readonly Figures[]): Figures =>
  Object.fromEntries(
    Object.keys(ours[0] ?? {}).map(name => [
      name,
      median(ours.map((o, i) => (o[name] as number) / (theirs[i]?.[name] as number))),
    ]),
  );
