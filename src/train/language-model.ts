/**
 * Next-token training: pretraining, supervised fine-tuning and distillation on traces differ only in their data.
 *
 * 1. Loss = Σ w (−log p) / Σ w over the whole step, however many batches it is split into, plus an optional z-loss.
 * 2. `flops` counts 3 · forward (backward costs twice the forward) with full rows as context, PaLM's convention.
 */
import type { Batch } from '../data/batch.ts';
import type { CausalModel } from '../models/model.ts';
import { crossEntropy, zLoss } from '../nn/losses.ts';
import { type AdamWOptions, adamw } from '../nn/optim/adamw.ts';
import { movingAverage } from '../nn/optim/elementwise.ts';
import { type MuonOptions, muon } from '../nn/optim/muon.ts';
import type { Optimizer } from '../nn/optim/optimizer.ts';
import { rateAt, type Schedule } from '../nn/optim/schedule.ts';
import { type SgdOptions, sgd } from '../nn/optim/sgd.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Json } from './checkpoint.ts';
import { Learner, type LossFunction, type MemoryOptions } from './learner.ts';
import type { Trainable } from './loop.ts';

export type OptimizerConfig =
  | ({ readonly kind: 'adamw' } & AdamWOptions)
  | ({ readonly kind: 'sgd' } & SgdOptions)
  | ({ readonly kind: 'muon' } & MuonOptions);

export const makeOptimizer =
  (config: OptimizerConfig) =>
  (runtime: Runtime, store: ParameterStore, gradients: Float32Array): Promise<Optimizer> => {
    switch (config.kind) {
      case 'adamw':
        return adamw(runtime, store, gradients, config);
      case 'sgd':
        return sgd(runtime, store, gradients, config);
      case 'muon':
        return muon(runtime, store, gradients, config);
    }
  };

/** Where a stage's batches come from: index → the batches of one step. A state, if any, makes it resumable. */
export interface BatchSource {
  next(index: number): readonly Batch[];
  state?(): Json;
  restore?(state: Json): void;
}

export interface LanguageModelOptions extends MemoryOptions {
  readonly data: BatchSource;
  readonly schedule: Schedule;
  readonly optimizer: OptimizerConfig;
  readonly maxGradientNorm?: number;
  /** Weight of the z-loss; 0 leaves it out. */
  readonly zLossWeight?: number;
  /** Decay of a moving average of the parameters, kept as array `average`; off when absent. */
  readonly emaDecay?: number;
  /** Rows hold several documents. Default true. */
  readonly packed?: boolean;
  readonly threads?: number;
}

const lossOf =
  (zLossWeight: number): LossFunction =>
  c => {
    const weights = c.token('weights');
    const scores = c.scores();
    const nats = crossEntropy(scores, weights);
    const added = c.added(weights);
    const terms = [zLossWeight > 0 ? zLoss(scores, weights).mul(zLossWeight) : undefined, added.loss].filter(
      term => term !== undefined,
    );
    return {
      loss: terms.reduce((sum, term) => sum.add(term), nats),
      metrics: { ...added.metrics, ...(added.loss && { 'loss/next': nats }) },
    };
  };

export interface LanguageModelTraining extends Trainable, Disposable {}

/** A stage that trains `store` on next tokens. */
export async function languageModelTraining(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  options: LanguageModelOptions,
): Promise<LanguageModelTraining> {
  const learner = await Learner.create(runtime, model, store, lossOf(options.zLossWeight ?? 0), {
    packed: options.packed ?? true,
    maxGradientNorm: options.maxGradientNorm,
    logitChunks: options.logitChunks,
    recomputeLayers: options.recomputeLayers,
    threads: options.threads,
    optimizer: makeOptimizer(options.optimizer),
  });
  const average = options.emaDecay === undefined ? undefined : new Float32Array(store.flat);
  const ema = average && (await movingAverage(runtime, average, store.flat, options.emaDecay as number));
  return {
    store,
    arrays: { ...prefixed('optimizer', learner.optimizer.state), ...(average && { average }) },
    state: () => ({ optimizerSteps: learner.optimizer.steps, data: options.data.state?.() ?? null }),
    restore(state) {
      const { optimizerSteps, data } = state as { optimizerSteps: number; data: Json };
      learner.optimizer.steps = optimizerSteps;
      options.data.restore?.(data);
    },
    async step(index) {
      const metrics = await trainOn(learner, options.data.next(index), rateAt(options.schedule, index));
      await ema?.run();
      return metrics;
    },
    [Symbol.dispose]() {
      ema?.[Symbol.dispose]();
      learner[Symbol.dispose]();
    },
  };
}

export const prefixed = <T>(prefix: string, record: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [`${prefix}.${name}`, value]));

/** One update on `batches`, their weights normalized together. */
async function trainOn(
  learner: Learner,
  batches: readonly Batch[],
  rate: number,
): Promise<Record<string, number>> {
  const total = batches.reduce((sum, batch) => sum + sumOf(batch.weights), 0);
  const sums: Record<string, number> = {};
  let tokens = 0;
  let flops = 0;
  for (const batch of batches) {
    const weights = batch.weights.map(w => w / total);
    const metrics = await learner.backward({ ...batch, weights });
    for (const [name, value] of Object.entries(metrics)) sums[name] = (sums[name] ?? 0) + value;
    tokens += batch.tokens;
    flops += trainingFlops(learner.model, batch);
  }
  const norm = await learner.update(rate);
  return {
    loss: 0,
    ...sums,
    ...learner.modelMetrics,
    gradient_norm: norm,
    learning_rate: rate,
    tokens,
    flops,
  };
}

/** Model FLOPs of forward and backward on a batch, padding included. */
export const trainingFlops = (model: CausalModel, batch: Batch): number =>
  3 * model.forwardFlops(batch.length) * batch.rows * batch.length;

const sumOf = (array: Float32Array): number => array.reduce((a, b) => a + b, 0);
