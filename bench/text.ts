/**
 * Recipe text in nanoGPT's CPU setting beside nanoGPT's model in PyTorch: seconds of training and validation loss.
 * Usage: npm run bench -- text --text FILE [--python PATH] [--seed N]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { text } from '../recipes/text/index.ts';
import { nodeFiles } from '../src/cli/node-files.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';

export interface TextBenchOptions {
  readonly python?: string;
  readonly text?: string;
  readonly seed: number;
}

export async function benchText({
  python,
  text: file = '../shared/data/tinyshakespeare.txt',
  seed,
}: TextBenchOptions) {
  const run = await text.run({
    files: nodeFiles(),
    folder: mkdtempSync(join(tmpdir(), 'gaslaw-text-')),
    runtime: await nativeRuntime(),
    size: 'small',
    seed,
    version: 'bench',
    options: { text: file },
    log: line => process.stderr.write(`${line}\n`),
  });
  const peer = python
    ? (JSON.parse(
        execFileSync(
          python,
          [
            '-B',
            fileURLToPath(new URL('../../bench/peers/nanogpt.py', import.meta.url)),
            file,
            '--seed',
            String(seed),
          ],
          {
            encoding: 'utf8',
            stdio: ['ignore', 'pipe', 'inherit'],
          },
        ),
      ) as unknown)
    : undefined;
  return { ours: run.stages[0], nanoGpt: peer };
}
