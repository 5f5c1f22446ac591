/** The built command line in processes of its own, for tests. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'vitest';
import { nodeFiles } from '../src/cli/node-files.ts';
import { denseConfig, denseModel } from '../src/models/dense/index.ts';
import { saveModel } from '../src/models/files.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import { CharacterTokenizer } from '../src/tokenizer/character.ts';
import { Random } from '../src/util/random.ts';

export const MAIN = join(import.meta.dirname, '../dist/src/cli/main.js');

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `gaslaw …args` in `folder`. */
export function gaslaw(
  folder: string,
  args: readonly string[],
  more: { input?: string; env?: Record<string, string> } = {},
): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    cwd: folder,
    input: more.input ?? '',
    env: { ...process.env, ...more.env },
  });
  return { status, stdout, stderr };
}

/** The one JSON object on stdout of a command that went well. */
export function jsonOf({ status, stdout, stderr }: Ended): unknown {
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.trim().split('\n')).toHaveLength(1);
  return JSON.parse(stdout);
}

/** Writes a small untrained model of the characters in `alphabet`. */
export async function writeTinyModel(
  folder: string,
  alphabet: string,
  context = 32,
  layers = 1,
): Promise<void> {
  const tokenizer = CharacterTokenizer.fromAlphabet(alphabet);
  const model = denseModel(
    denseConfig({
      vocabSize: tokenizer.vocabSize,
      hiddenSize: 16,
      numHiddenLayers: layers,
      numAttentionHeads: 2,
      intermediateSize: 32,
      maxPositionEmbeddings: context,
      eosTokenId: tokenizer.eos,
    }),
  );
  const store = new ParameterStore(model.parameters).initialize(new Random(1));
  await saveModel(nodeFiles(), folder, model, store, tokenizer);
}
