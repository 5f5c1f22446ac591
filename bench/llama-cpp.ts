/**
 * The engine beside llama.cpp: the same random weights at the same bits, in processes of their own, asked by turns.
 *
 * 1. Both read one GGUF file, Q4_0 or Q8_0 (bench/peers/random_gguf.py), each in its own form of the same blocks. q4 and q4g128 are
 *    rounded here from the directory that the file was made of (bench/random-model.ts) while it is opened; q4g128 has blocks
 *    of 128: the same bits, but more coarse than what it is set beside.
 * 2. Both load anew in every round. Medians, least and greatest are given, and the median of the rounds' ratios.
 * Usage: npm run bench -- llama-cpp --models DIR --peer DIR [--rounds N] [--threads N]
 *        (node-llama-cpp is installed in the peer's folder; DIR has SHAPE/, SHAPE-q4.gguf and SHAPE-q8.gguf)
 */
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RunTimes } from './generation-worker.ts';
import { median } from './statistics.ts';
import { Worker } from './worker.ts';

interface Reply extends RunTimes {
  readonly loadSeconds: number;
  readonly peakRssBytes: number;
}

export interface LlamaCppOptions {
  readonly models: string;
  readonly peer: string;
  readonly rounds: number;
  readonly threads: number;
  readonly shapes?: readonly string[];
}

/** Our format, and the file that is theirs; ours too when it is `stored`. */
const PAIRS = [
  ['stored', 'q4'],
  ['q4', 'q4'],
  ['q4g128', 'q4'],
  ['stored', 'q8'],
] as const;
const PROMPTS = [128, 512];
const NEW_TOKENS = 128;
const WORKER = fileURLToPath(new URL('./generation-worker.js', import.meta.url));

type Figures = Record<string, number>;

/** One process from loading to its end. */
async function measure(args: readonly string[]): Promise<Figures> {
  const worker = new Worker<Reply>(process.execPath, [WORKER, ...args]);
  const figures: Figures = { loadSeconds: (await worker.read()).loadSeconds };
  await worker.ask('run 32 8'); // warms up
  let peak = 0;
  for (const prompt of PROMPTS) {
    const { prefillMs, decodeMs, peakRssBytes } = await worker.ask(`run ${prompt} ${NEW_TOKENS}`);
    figures[`prefill${prompt}TokensPerSecond`] = prompt / (prefillMs / 1000);
    figures[`decodeAfter${prompt}TokensPerSecond`] = (NEW_TOKENS - 1) / (decodeMs / 1000);
    peak = Math.max(peak, peakRssBytes);
  }
  await worker.quit();
  return { ...figures, peakRssBytes: peak };
}

/** Median, least and greatest of each figure over the rounds. */
function summary(rounds: readonly Figures[]): Record<string, { median: number; range: [number, number] }> {
  const names = Object.keys(rounds[0] ?? {});
  return Object.fromEntries(
    names.map(name => {
      const values = rounds.map(r => r[name] as number);
      return [name, { median: median(values), range: [Math.min(...values), Math.max(...values)] }];
    }),
  );
}

/** Median over the rounds of ours divided by theirs. */
const ratios = (ours: readonly Figures[], theirs: readonly Figures[]): Figures =>
  Object.fromEntries(
    Object.keys(ours[0] ?? {}).map(name => [
      name,
      median(ours.map((o, i) => (o[name] as number) / (theirs[i]?.[name] as number))),
    ]),
  );

export async function benchLlamaCpp({ models, peer, rounds, threads, shapes }: LlamaCppOptions) {
  const results = [];
  for (const shape of shapes ?? ['qwen2.5-0.5b', 'qwen3-0.6b']) {
    for (const [dtype, theirDtype] of PAIRS) {
      const gguf = `${models}/${shape}-${theirDtype}.gguf`;
      const ours: Figures[] = [];
      const theirs: Figures[] = [];
      for (let round = 0; round < rounds; round++) {
        const own = dtype === 'stored' ? gguf : `${models}/${shape}`;
        ours.push(await measure(['gaslaw', own, dtype, String(threads)]));
        theirs.push(await measure(['llama-cpp', gguf, peer, String(threads)]));
      }
      results.push({
        shape,
        dtype,
        file: theirDtype,
        ggufBytes: statSync(gguf).size,
        ratio: ratios(ours, theirs),
        gaslaw: summary(ours),
        llamaCpp: summary(theirs),
      });
      process.stderr.write(`${JSON.stringify(results.at(-1)?.ratio)}\n`);
    }
  }
  return results;
}
