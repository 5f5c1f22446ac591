/**
 * A language model, in whatever form it is stored, with fewer layers, feed-forward channels or heads: a model directory.
 *
 * 1. Of a text its first nine tenths choose what goes and teach what is left; the rest is scored before and after.
 * 2. Layers go before widths, whose statistics are of the layers that stay.
 * 3. Recovery: what is left learns the whole model's answers on windows of the text, forward KL and cross-entropy one each, with
 *    Muon on a cosine.
 */
import { pruneLayers, pruneWidth, type SizedModel, type WidthOptions } from '../compress/prune/decoder.ts';
import type { TokenDocument } from '../data/document.ts';
import { stepsOf } from '../data/stream.ts';
import { saveModel } from '../models/files.ts';
import type { CausalModel } from '../models/model.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { distillTraining } from '../train/distill.ts';
import { UsageError } from '../util/errors.ts';
import type { FileStore } from '../util/files.ts';
import { Random } from '../util/random.ts';
import { calibrateParameters } from './calibration.ts';
import { openLanguageModel } from './language-model.ts';
import { type CalibrationText, perplexityOf, readCalibrationText } from './text.ts';

export interface PruneLanguageOptions {
  /** How many layers go. */
  readonly layers?: number;
  /** Share of feed-forward channels and of groups of heads that stay, in (0, 1). */
  readonly keep?: number;
  /** Channels that stay are a multiple of this. Default 1. */
  readonly align?: number;
  /** Path of a text, UTF-8. */
  readonly data: string;
  /** Path of the tokenizer, of a llama2.c file. */
  readonly tokenizer?: string;
  /** A folder. */
  readonly out: string;
  readonly recovery?: RecoveryPlan;
}

export interface RecoveryPlan {
  /** Passes over the text. */
  readonly epochs: number;
  /** Peak learning rate. Default 0.005. */
  readonly rate?: number;
  readonly seed: number;
  readonly onStep?: (step: number, steps: number, loss: number) => void;
}

export interface PruneLanguageReport {
  readonly output: string;
  readonly parametersBefore: number;
  readonly parametersAfter: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Multiply-adds a token. */
  readonly macsBefore: number;
  readonly macsAfter: number;
  /** Perplexity on the held-out end of the text. */
  readonly qualityBefore: number;
  readonly qualityAfter: number;
}

/** Writes the smaller model. Throws one sentence naming what does not fit together. */
export async function pruneLanguageModel(
  files: FileStore,
  runtime: Runtime,
  path: string,
  options: PruneLanguageOptions,
): Promise<PruneLanguageReport> {
  const { out, recovery } = options;
  const language = await openLanguageModel(files, path, { tokenizer: options.tokenizer });
  const { model, store, tokenizer, bytes, origin } = language;
  if (!store)
    throw new UsageError(`${origin}: an exported file is not pruned; give the model that it came from`);
  const text = await readCalibrationText(files, options.data, tokenizer, model);
  const whole: SizedModel = { model, store };
  const left = await smaller(runtime, whole, text, options);
  if (recovery) await learn(runtime, whole, left, text, recovery);
  await saveModel(files, out, left.model, left.store, tokenizer);
  return {
    output: out,
    parametersBefore: store.count,
    parametersAfter: left.store.count,
    bytesBefore: bytes,
    bytesAfter: (await openLanguageModel(files, out)).bytes,
    macsBefore: model.forwardFlops(1) / 2,
    macsAfter: left.model.forwardFlops(1) / 2,
    qualityBefore: await perplexityOf(runtime, whole, text),
    qualityAfter: await perplexityOf(runtime, left, text),
  };
}

async function smaller(
  runtime: Runtime,
  whole: SizedModel,
  { sequences, length }: CalibrationText,
  { layers: gone = 0, keep = 1, align = 1 }: PruneLanguageOptions,
): Promise<SizedModel> {
  const ids = Int32Array.from(sequences.flat());
  const layers = whole.model.layers - gone;
  if (layers < 1)
    throw new UsageError(`${gone} layers cannot go of ${whole.model.layers}; at least one has to stay`);
  const left = await pruneLayers(runtime, whole.model, whole.store, { layers, ids, length });
  if (keep === 1) return left;
  const statistics = await calibrateParameters(runtime, left.model, left.store, sequences);
  return pruneWidth(left.model, { store: left.store, statistics }, widthsOf(left.model, keep, align));
}

function widthsOf(model: CausalModel, keep: number, align: number): WidthOptions {
  const { intermediate_size: channels, num_key_value_heads: heads } = model.toHuggingFace();
  const aligned = Math.ceil((Number(channels) * keep) / align) * align;
  return {
    intermediateSize: Math.min(Number(channels), aligned),
    numKeyValueHeads: Math.ceil(Number(heads) * keep),
  };
}

const TOKENS_A_STEP = 2048;

async function learn(
  runtime: Runtime,
  teacher: SizedModel,
  { model, store }: SizedModel,
  { train, length }: CalibrationText,
  { epochs, rate = 0.005, seed, onStep }: RecoveryPlan,
): Promise<void> {
  const rows = Math.ceil(TOKENS_A_STEP / length);
  const steps = stepsOf(epochs, train.length, rows * length);
  const random = new Random(seed).fork('windows');
  const windows = (index: number): TokenDocument[] => {
    const draw = random.fork(index);
    return Array.from({ length: rows }, () => {
      const at = draw.int(train.length - length);
      return { ids: train.subarray(at, at + length + 1) };
    });
  };
  const warmupSteps = Math.floor(steps / 15);
  using stage = await distillTraining(runtime, model, store, {
    teacher,
    divergence: 'forward',
    hardWeight: 1,
    documents: windows,
    seed,
    schedule: { kind: 'cosine', rate, finalRate: rate / 10, steps, warmupSteps },
    optimizer: { kind: 'muon', adamw: { rateFactor: 0.4, weightDecay: 0 } },
  });
  for (let step = 0; step < steps; step++) {
    const { loss = Number.NaN } = await stage.step(step);
    onStep?.(step, steps, loss);
  }
}
