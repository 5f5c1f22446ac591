/**
 * The Qwen-shaped model with half its layers, or half its feed-forward channels and heads, learning from the whole one, beside
 * the same small shape trained from its initial values on the same tokens in the same order.
 * Usage: npm run bench -- decoder-pruning [--data DIR] [--models DIR] [--seeds N] [--steps N] [--log FILE]
 *
 * 1. The whole model answers the training part; the loss is forward KL and cross-entropy, one each.
 * 2. Muon and a cosine for all; rate 0.01 from initial values (the rate that the whole model was trained with), 0.005 from
 *    pruned ones. Scores are of the held-out end.
 */
import { appendFileSync } from 'node:fs';
import { pruneLayers, pruneWidth, type SizedModel } from '../../src/compress/prune/decoder.ts';
import { copyOf } from '../../src/compress/quantize/language-model/smooth-quant.ts';
import type { Batch } from '../../src/data/batch.ts';
import type { TokenDocument } from '../../src/data/document.ts';
import { randomWindows } from '../../src/data/windows.ts';
import { calibrateParameters } from '../../src/export/calibration.ts';
import type { LoadedModel } from '../../src/models/files.ts';
import { ParameterStore } from '../../src/nn/parameters.ts';
import { nativeRuntime } from '../../src/runtime/native/native.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { distillTraining } from '../../src/train/distill.ts';
import { languageModelTraining } from '../../src/train/language-model.ts';
import { scoreText } from '../../src/train/perplexity.ts';
import { Random } from '../../src/util/random.ts';
import { readTexts, trainedQwen } from './qwen.ts';

export interface DecoderPruningOptions {
  readonly data: string;
  readonly models: string;
  readonly seeds: number;
  readonly steps: number;
  readonly log?: string;
}

const [ROWS, LENGTH, CALIBRATION, SCORED] = [16, 128, 48, 16_384];
const WAYS = ['scratch', 'distilled'] as const;

interface Job extends DecoderPruningOptions {
  readonly runtime: Runtime;
  readonly whole: LoadedModel;
  readonly train: Int32Array;
  readonly heldOut: Int32Array;
}

export async function benchDecoderPruning(options: DecoderPruningOptions): Promise<unknown> {
  const runtime = await nativeRuntime();
  const whole = await trainedQwen(runtime, `${options.models}/qwen-256`, options.data);
  const text = readTexts(options.data);
  const ids = (part: string) => Int32Array.from(whole.tokenizer.encode(part));
  const heldOut = ids(text.heldOut).subarray(0, SCORED);
  const job: Job = { ...options, runtime, whole, train: ids(text.train), heldOut };
  const tell = (row: object) => {
    process.stderr.write(`${JSON.stringify(row)}\n`);
    if (options.log) appendFileSync(options.log, `${JSON.stringify(row)}\n`);
    return row;
  };
  const rows: object[] = [tell({ shape: 'whole', perplexity: await score(job, whole) })];
  const shapes = Object.entries(await prunedModels(job));
  for (const [shape, pruned] of shapes)
    rows.push(tell({ shape, parameters: pruned.store.count, perplexity: await score(job, pruned) }));
  for (let seed = 1; seed <= options.seeds; seed++)
    for (const [shape, pruned] of shapes)
      for (const way of WAYS) {
        const start = way === 'scratch' ? fresh(pruned, seed) : { ...pruned, store: copyOf(pruned.store) };
        await train(job, start, way, seed);
        rows.push(tell({ shape, way, seed, perplexity: await score(job, start) }));
      }
  return rows;
}

const score = async ({ runtime, heldOut }: Job, { model, store }: SizedModel): Promise<number> =>
  (await scoreText(runtime, model, store, heldOut, { bytes: 1, length: LENGTH })).perplexity;

const fresh = ({ model }: SizedModel, seed: number): SizedModel => ({
  model,
  store: new ParameterStore(model.parameters).initialize(new Random(seed)),
});

async function prunedModels({ runtime, whole, train }: Job): Promise<Record<string, SizedModel>> {
  const { model, store } = whole;
  const sequences = Array.from({ length: CALIBRATION }, (_, i) => {
    const at = Math.floor((i * (train.length - LENGTH)) / CALIBRATION);
    return [...train.subarray(at, at + LENGTH)];
  });
  const statistics = await calibrateParameters(runtime, model, store, sequences);
  const ids = train.subarray(0, CALIBRATION * LENGTH);
  return {
    depth: await pruneLayers(runtime, model, store, { layers: 2, ids, length: LENGTH }),
    width: pruneWidth(model, { store, statistics }, { intermediateSize: 256, numKeyValueHeads: 2 }),
  };
}

/** Rows of a batch with the token after each last one. */
function documentsOf({ rows, length, ids, targets }: Batch): TokenDocument[] {
  return Array.from({ length: rows }, (_, row) => ({
    ids: [...ids.subarray(row * length, (row + 1) * length), targets[(row + 1) * length - 1] as number],
  }));
}

async function train(job: Job, start: SizedModel, way: (typeof WAYS)[number], seed: number): Promise<void> {
  const { runtime, whole, steps } = job;
  const rate = way === 'scratch' ? 0.01 : 0.005;
  const schedule = {
    kind: 'cosine',
    rate,
    finalRate: rate / 10,
    steps,
    warmupSteps: Math.floor(steps / 15),
  } as const;
  const optimizer = { kind: 'muon', adamw: { rateFactor: 0.4, weightDecay: 0 } } as const;
  const windows = randomWindows(job.train, { rows: ROWS, length: LENGTH }, seed);
  const common = { schedule, optimizer };
  using stage =
    way === 'distilled'
      ? await distillTraining(runtime, start.model, start.store, {
          ...common,
          seed,
          teacher: whole,
          divergence: 'forward',
          hardWeight: 1,
          documents: index => documentsOf(windows(index)),
        })
      : await languageModelTraining(runtime, start.model, start.store, {
          ...common,
          data: { next: index => [windows(index)] },
          packed: false,
        });
  for (let step = 0; step < steps; step++) {
    const { loss } = await stage.step(step);
    if (step % 50 === 0) process.stderr.write(`${way} ${seed} step ${step}: ${loss?.toFixed(3)}\n`);
  }
}
