/**
 * Weight-only quantization of stories260K and of the Qwen-shaped model.
 * Usage: npm run bench -- weight-only [--data DIR] [--models DIR] [--peer DIR]
 * DIR of `--data` has stories260K.bin, tok512.bin and the texts; of `--models` the trained model, made when absent.
 */
import { nodeFiles } from '../../src/cli/node-files.ts';
import { openLanguageModel } from '../../src/export/language-model.ts';
import type { ParameterStore } from '../../src/nn/parameters.ts';
import { nativeRuntime } from '../../src/runtime/native/native.ts';
import { ggmlQuantizer } from '../ggml.ts';
import { readTexts, trainedQwen } from './qwen.ts';
import { perplexityTable, type Row, type Subject } from './table.ts';

export interface WeightOnlyOptions {
  readonly data: string;
  readonly models: string;
  readonly peer?: string;
}

export async function benchWeightOnly({ data, models, peer }: WeightOnlyOptions) {
  const runtime = await nativeRuntime();
  const theirs = peer === undefined ? undefined : ggmlQuantizer(peer);
  const tell = (row: Row) => void process.stderr.write(`${row.name}: ${row.perplexity.toFixed(3)}\n`);
  const stories = await openLanguageModel(nodeFiles(), `${data}/stories260K.bin`);
  const small: Subject = {
    ...stories,
    store: stories.store as ParameterStore, // opened as f32
    text: readTexts(data, ['tinystories_niklas6_197k.txt']),
    types: ['Q8_0', 'Q5_1', 'Q5_0', 'Q4_1', 'Q4_0'],
  };
  const qwen: Subject = {
    ...(await trainedQwen(runtime, `${models}/qwen-256`, data)),
    text: readTexts(data),
    types: ['Q8_0', 'Q6_K', 'Q5_K', 'Q4_K', 'Q3_K', 'Q2_K'],
  };
  return {
    stories260K: await perplexityTable(runtime, small, theirs, tell),
    qwen: await perplexityTable(runtime, qwen, theirs, tell),
  };
}
