/**
 * A small trained model in the shape of Qwen 3, 256 wide so that K-quants' blocks of 256 fit every row: made once from two
 * texts, then read from its folder.
 *
 * 1. 4 layers, 8 heads of 32 with 4 key heads, feed-forward 512, tied table of 1,024 byte-pair tokens learnt on the training
 *    part: 2.6M parameters.
 * 2. 500 steps of 12 rows of 128 tokens, Muon for hidden matrices, cosine. Seed 1 throughout.
 * 3. The last tenth of each text is held out: nothing is trained, calibrated or chosen on it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFiles } from '../../src/cli/node-files.ts';
import { randomWindows } from '../../src/data/windows.ts';
import { denseConfig, denseModel } from '../../src/models/dense/index.ts';
import { type LoadedModel, loadModel, saveModel } from '../../src/models/files.ts';
import { ParameterStore } from '../../src/nn/parameters.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { trainBpe } from '../../src/tokenizer/train-bpe.ts';
import { languageModelTraining } from '../../src/train/language-model.ts';
import { Random } from '../../src/util/random.ts';

const TEXTS = ['tinyshakespeare.txt', 'tinystories_niklas6_197k.txt'];
const HELD_OUT = 0.1;
const [STEPS, ROWS, LENGTH, SEED] = [500, 12, 128, 1];

export interface SplitText {
  readonly train: string;
  readonly heldOut: string;
}

/** Training parts, and held-out ends, of the texts in `folder`. */
export function readTexts(folder: string, names: readonly string[] = TEXTS): SplitText {
  const parts = names.map(name => {
    const text = readFileSync(join(folder, name), 'utf8');
    const cut = Math.floor(text.length * (1 - HELD_OUT));
    return [text.slice(0, cut), text.slice(cut)] as const;
  });
  return { train: parts.map(p => p[0]).join('\n\n'), heldOut: parts.map(p => p[1]).join('\n\n') };
}

export const qwenShape = (vocabSize: number, changes: { layers?: number; ffn?: number } = {}) =>
  denseConfig({
    modelType: 'qwen3',
    qkNorm: true,
    vocabSize,
    hiddenSize: 256,
    numHiddenLayers: changes.layers ?? 4,
    numAttentionHeads: 8,
    numKeyValueHeads: 4,
    headDim: 32,
    intermediateSize: changes.ffn ?? 512,
    maxPositionEmbeddings: 256,
    tieWordEmbeddings: true,
  });

/** The model in `folder`, trained first when it is not there. */
export async function trainedQwen(runtime: Runtime, folder: string, data: string): Promise<LoadedModel> {
  const files = nodeFiles();
  if (await files.exists(`${folder}/config.json`)) return loadModel(files, folder);
  const { train } = readTexts(data);
  const tokenizer = trainBpe([train], { vocabSize: 1024 });
  const model = denseModel(qwenShape(tokenizer.vocabSize));
  const store = new ParameterStore(model.parameters).initialize(new Random(SEED));
  const windows = randomWindows(
    Int32Array.from(tokenizer.encode(train)),
    { rows: ROWS, length: LENGTH },
    SEED,
  );
  using stage = await languageModelTraining(runtime, model, store, {
    data: { next: i => [windows(i)] },
    schedule: { kind: 'cosine', rate: 0.01, finalRate: 0.001, steps: STEPS, warmupSteps: 30 },
    optimizer: { kind: 'muon', adamw: { rateFactor: 0.4, weightDecay: 0 } },
    packed: false,
  });
  for (let i = 0; i < STEPS; i++) {
    const { loss } = await stage.step(i);
    if (i % 50 === 0) process.stderr.write(`step ${i}: loss ${loss?.toFixed(3)}\n`);
  }
  await saveModel(files, folder, model, store, tokenizer);
  return loadModel(files, folder);
}
