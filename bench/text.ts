/**
 * Recipe text in nanoGPT's CPU setting beside nanoGPT's model in PyTorch: seconds of training and loss over the whole
 * validation split (windows of 64 side by side, each character but the first predicted once), a seed after the other.
 * Usage: npm run bench -- text [--text FILE] [--python PATH] [--seed N] [--rounds N]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { text } from '../recipes/text/index.ts';
import { nodeFiles } from '../src/cli/node-files.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import type { TextStageResult } from '../src/train/run.ts';
import { median } from '../src/util/statistics.ts';

export interface TextBenchOptions {
  readonly python?: string;
  readonly text?: string;
  /** The first of the seeds. */
  readonly seed: number;
  /** How many seeds. */
  readonly rounds: number;
}

interface Trained {
  /** Training alone. */
  readonly seconds: number;
  readonly validationLoss: number;
  readonly parameters: number;
}

/** Ours and, with `python`, the peer, interleaved. */
export async function benchText(options: TextBenchOptions) {
  const { python, text: file = '../shared/data/tinyshakespeare.txt', seed, rounds } = options;
  const runtime = await nativeRuntime();
  const runs: { seed: number; ours: Trained; nanoGpt?: Trained }[] = [];
  for (let s = seed; s < seed + rounds; s++) {
    const ours = await train(runtime, file, s);
    runs.push({ seed: s, ours, nanoGpt: python === undefined ? undefined : nanoGpt(python, file, s) });
    process.stderr.write(`${JSON.stringify(runs.at(-1))}\n`);
  }
  const peers = runs.flatMap(run => run.nanoGpt ?? []);
  return {
    runs,
    medianSeconds: median(runs.map(run => run.ours.seconds)),
    worstLoss: Math.max(...runs.map(run => run.ours.validationLoss)),
    ...(peers.length > 0 && {
      nanoGptMedianSeconds: median(peers.map(peer => peer.seconds)),
      nanoGptBestLoss: Math.min(...peers.map(peer => peer.validationLoss)),
    }),
  };
}

/** A run of the recipe. Its clock starts with the first step's end, since what goes before is compiling. */
async function train(runtime: Runtime, file: string, seed: number): Promise<Trained> {
  const ends: number[] = [];
  const run = await text.run({
    files: nodeFiles(),
    folder: mkdtempSync(join(tmpdir(), 'gaslaw-text-')),
    runtime,
    size: 'small',
    seed,
    version: 'bench',
    options: { text: file },
    log: () => {},
    progress: () => ends.push(performance.now()),
  });
  const stage = run.stages[0] as TextStageResult; // the recipe has this stage alone
  const steps = ends.length;
  const seconds = (((ends.at(-1) as number) - (ends[0] as number)) / 1000) * (steps / (steps - 1));
  return { seconds, validationLoss: stage.natsPerToken, parameters: stage.parameters };
}

function nanoGpt(python: string, file: string, seed: number): Trained {
  const script = fileURLToPath(new URL('../../bench/peers/nanogpt.py', import.meta.url));
  const args = ['-B', script, file, '--seed', String(seed), '--eval-every', '0'];
  const output = execFileSync(python, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const { seconds, valLossFull, parameters } = JSON.parse(output) as {
    seconds: number;
    valLossFull: number;
    parameters: number;
  };
  return { seconds, validationLoss: valLossFull, parameters };
}
