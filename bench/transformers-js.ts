/**
 * The engine beside transformers.js: one exported directory, the same ONNX file, in processes of their own, asked by turns.
 *
 * 1. DIR/SHAPE is a directory of random weights (bench/random-model.ts); it is exported once to DIR/SHAPE-transformersjs.
 * 2. Greedy ids are compared: how many of a prompt's answer agree before the first that does not.
 * Usage: npm run bench -- transformers-js --models DIR --peer DIR [--shape NAME] [--rounds N] [--threads N]
 *        (@huggingface/transformers is installed in the peer's folder: npm install --ignore-scripts @huggingface/transformers)
 */
import { existsSync } from 'node:fs';
import { nodeFiles } from '../src/cli/node-files.ts';
import { exportModel } from '../src/export/directory.ts';
import { FILE_SUFFIX } from '../src/export/dtypes.ts';
import { loadModel } from '../src/models/files.ts';
import { type Figures, type Measured, measure, ratios, summary } from './beside.ts';

export interface TransformersJsOptions {
  readonly models: string;
  readonly peer: string;
  readonly rounds: number;
  readonly threads: number;
  readonly shape: string;
}

/** Our name of an export and theirs. */
const DTYPES = [
  ['int8', 'q8'],
  ['int4', 'q4'],
] as const;

export async function benchTransformersJs(options: TransformersJsOptions) {
  const { models, peer, rounds, shape } = options;
  const threads = String(options.threads);
  const results = [];
  for (const [dtype, theirDtype] of DTYPES) {
    const { folder, file } = await exported(`${models}/${shape}`, dtype);
    const ours: Measured[] = [];
    const theirs: Measured[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(await measure(['gaslaw', file, 'as-exported', threads]));
      theirs.push(await measure(['transformers-js', `${folder}:${theirDtype}`, peer, threads]));
    }
    const [a, b] = [ours, theirs].map(all => all.map(({ figures }) => figures)) as [Figures[], Figures[]];
    results.push({
      shape,
      dtype,
      agreeing: agreement(ours[0] as Measured, theirs[0] as Measured),
      ratio: ratios(a, b),
      gaslaw: summary(a),
      transformersJs: summary(b),
    });
    process.stderr.write(`${JSON.stringify(results.at(-1)?.ratio)}\n`);
  }
  return results;
}

async function exported(source: string, dtype: 'int8' | 'int4'): Promise<{ folder: string; file: string }> {
  const folder = `${source}-transformersjs`;
  const file = `${folder}/onnx/model${FILE_SUFFIX[dtype]}.onnx`;
  if (!existsSync(file)) {
    const { model, store, tokenizer } = await loadModel(nodeFiles(), source);
    await exportModel(nodeFiles(), folder, model, store, tokenizer, dtype);
  }
  return { folder, file };
}

/** Equal ids at the beginning of each answer. */
const agreement = ({ answers }: Measured, other: Measured) =>
  answers.map((ids, i) => {
    const theirs = other.answers[i] ?? [];
    const at = ids.findIndex((id, j) => id !== theirs[j]);
    return { equal: at < 0 ? ids.length : at, of: ids.length };
  });
