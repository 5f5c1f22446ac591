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
import { type Figures, measure, ratios, summary } from './beside.ts';

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

export async function benchLlamaCpp({ models, peer, rounds, threads, shapes }: LlamaCppOptions) {
  const results = [];
  for (const shape of shapes ?? ['qwen2.5-0.5b', 'qwen3-0.6b']) {
    for (const [dtype, theirDtype] of PAIRS) {
      const gguf = `${models}/${shape}-${theirDtype}.gguf`;
      const ours: Figures[] = [];
      const theirs: Figures[] = [];
      for (let round = 0; round < rounds; round++) {
        const own = dtype === 'stored' ? gguf : `${models}/${shape}`;
        ours.push((await measure(['gaslaw', own, dtype, String(threads)])).figures);
        theirs.push((await measure(['llama-cpp', gguf, peer, String(threads)])).figures);
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
