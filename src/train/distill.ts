/**
 * Distillation from a teacher with the same tokenizer: on its logits, on given text or on the student's own samples.
 *
 * 1. On verified traces alone (no logits) distillation is language-model training: language-model.ts.
 * 2. Divergences: forward KL (mode-covering), reverse KL (mode-seeking), Jensen–Shannon at weight β (GKD).
 * 3. On-policy (Agarwal et al. 2024; Thinking Machines 2025): the student answers, the teacher scores every token of the answer.
 *    `onPolicyShare` of the steps do that, the others read the given documents.
 */

import { lower } from '../autodiff/lower.ts';
import type { Batch } from '../data/batch.ts';
import { batchesByLength } from '../data/by-length.ts';
import type { TokenDocument } from '../data/document.ts';
import { promptDocument } from '../data/document.ts';
import { Decoder } from '../generate/decoder.ts';
import { Engine } from '../generate/engine.ts';
import type { SamplingOptions } from '../generate/sampling.ts';
import { float32, int32, modelOf, type Tensor } from '../graph/ir.ts';
import type { CausalModel } from '../models/model.ts';
import { crossEntropy, type DivergenceKind, divergence, tokenScores } from '../nn/losses.ts';
import { rateAt, type Schedule } from '../nn/optim/schedule.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import type { Program, Runtime } from '../runtime/runtime.ts';
import { Random } from '../util/random.ts';
import { makeOptimizer, type OptimizerConfig, prefixed, trainingFlops } from './language-model.ts';
import { Learner, type LossFunction, traceLoss } from './learner.ts';
import type { Trainable } from './loop.ts';

export interface DistillOptions {
  readonly teacher: { readonly model: CausalModel; readonly store: ParameterStore };
  readonly divergence: DivergenceKind;
  /** β of Jensen–Shannon. */
  readonly beta?: number;
  /** Softens both distributions; the loss is scaled by its square (Hinton et al. 2015). */
  readonly temperature?: number;
  /** Weight of ordinary cross-entropy on the documents' tokens, beside the divergence. */
  readonly hardWeight?: number;
  /** Documents of one step when it is not on-policy. */
  readonly documents: (index: number) => readonly TokenDocument[];
  /** Share of steps on the student's own answers, 0 to 1. */
  readonly onPolicyShare?: number;
  readonly onPolicy?: {
    readonly prompts: (index: number) => readonly (readonly number[])[];
    readonly maxTokens: number;
    readonly stopIds: readonly number[];
    readonly sampling?: SamplingOptions;
    readonly slots?: number;
  };
  readonly seed: number;
  readonly schedule: Schedule;
  readonly optimizer: OptimizerConfig;
  readonly maxGradientNorm?: number;
  readonly maxPlaces?: number;
  readonly threads?: number;
}

/** Loss a token: divergence to the teacher's logits (column `teacher_logits`) and, on request, cross-entropy. */
function distillLoss(o: DistillOptions, vocabSize: number): LossFunction {
  const temperature = o.temperature ?? 1;
  return c => {
    const weights = c.token('weights');
    const teacher = c.tokenVector('teacher_logits', vocabSize);
    const d = divergence(o.divergence, c.logits, teacher, { temperature, beta: o.beta });
    const soft = d
      .mul(weights)
      .sum(undefined, false)
      .mul(temperature ** 2);
    if (!o.hardWeight) return { loss: soft, metrics: { divergence: soft } };
    const hard = crossEntropy(tokenScores(c.logits, c.targets), weights);
    return { loss: soft.add(hard.mul(o.hardWeight)), metrics: { divergence: soft } };
  };
}

export async function distillTraining(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  options: DistillOptions,
): Promise<Trainable & Disposable> {
  const learner = await Learner.create(runtime, model, store, distillLoss(options, model.vocabSize), {
    packed: false,
    maxGradientNorm: options.maxGradientNorm,
    threads: options.threads,
    optimizer: makeOptimizer(options.optimizer),
  });
  const teacher = await Teacher.create(runtime, options.teacher.model, options.teacher.store);
  const sampler = options.onPolicy && (await studentSampler(runtime, model, store, options));
  const random = new Random(options.seed).fork('distill');
  return {
    store,
    arrays: prefixed('optimizer', learner.optimizer.state),
    state: () => ({ optimizerSteps: learner.optimizer.steps }),
    restore(state) {
      learner.optimizer.steps = (state as { optimizerSteps: number }).optimizerSteps;
    },
    async step(index) {
      const own = sampler && random.fork(index).uniform() < (options.onPolicyShare ?? 0);
      const documents = own ? await sampler.documents(index) : options.documents(index);
      return learnFrom(
        learner,
        teacher,
        documents,
        rateAt(options.schedule, index),
        options.maxPlaces ?? 8192,
      );
    },
    [Symbol.dispose]() {
      for (const part of [learner, teacher, sampler]) part?.[Symbol.dispose]();
    },
  };
}

async function learnFrom(
  learner: Learner,
  teacher: Teacher,
  documents: readonly TokenDocument[],
  rate: number,
  maxPlaces: number,
): Promise<Record<string, number>> {
  const batches = batchesByLength(documents, { maxPlaces });
  const total = batches.reduce((sum, b) => sum + b.weights.reduce((x, y) => x + y, 0), 0);
  const sums = { loss: 0, divergence: 0, tokens: 0, flops: 0 };
  for (const batch of batches) {
    const weights = batch.weights.map(w => w / total);
    const columns = { ...batch.columns, teacher_logits: await teacher.logits(batch) };
    const result = await learner.backward({ ...batch, weights, columns });
    sums.loss += result.loss as number;
    sums.divergence += result.divergence as number;
    sums.tokens += batch.tokens;
    sums.flops += trainingFlops(learner.model, batch);
  }
  const norm = await learner.update(rate);
  return { ...sums, gradient_norm: norm, learning_rate: rate };
}

type Weights = Readonly<Record<string, Tensor>>;

/** The teacher's logits over a batch. */
class Teacher implements Disposable {
  readonly #program: Program;
  readonly #weights: Weights;
  readonly #vocabSize: number;

  private constructor(program: Program, weights: Weights, vocabSize: number) {
    this.#program = program;
    this.#weights = weights;
    this.#vocabSize = vocabSize;
  }

  static async create(runtime: Runtime, model: CausalModel, store: ParameterStore): Promise<Teacher> {
    const traced = traceLoss(model, c => ({ loss: c.logits }));
    traced.b.output(traced.loss, 'logits');
    const graph = lower(traced.b.graph);
    const program = await runtime.compile(
      modelOf({ ...graph, inputs: graph.inputs.filter(i => i.name !== 'targets') }),
    );
    const names = traced.trace.values().map(v => v.name);
    return new Teacher(program, Object.fromEntries(names.map(n => [n, store.tensor(n)])), model.vocabSize);
  }

  async logits(batch: Batch): Promise<Float32Array> {
    const dims = [batch.rows, batch.length];
    const places = batch.rows * batch.length;
    const logits = new Float32Array(places * this.#vocabSize);
    using binding = this.#program.bind({
      ids: int32(dims, batch.ids),
      positions: int32(dims, batch.positions),
      logits: float32([places, this.#vocabSize], logits),
      ...this.#weights,
    });
    await binding.run();
    return logits;
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
  }
}

/** The student's own answers as documents. */
async function studentSampler(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  options: DistillOptions,
) {
  const o = options.onPolicy as NonNullable<DistillOptions['onPolicy']>;
  const decoder = await Decoder.create(runtime, model, store, { threads: options.threads });
  const engine = new Engine(decoder, { slots: o.slots ?? 256, capacity: model.maxPositions });
  const random = new Random(options.seed).fork('on-policy');
  return {
    async documents(index: number): Promise<TokenDocument[]> {
      const prompts = o.prompts(index);
      const answers = await engine.generate(
        prompts.map((prompt, i) => ({
          ...o.sampling,
          prompt,
          maxTokens: o.maxTokens,
          stopIds: o.stopIds,
          seed: random.fork(`${index} ${i}`).bits(),
        })),
      );
      return prompts.map((prompt, i) => promptDocument(prompt, (answers[i] as { ids: number[] }).ids));
    },
    [Symbol.dispose]() {
      engine[Symbol.dispose]();
      decoder[Symbol.dispose]();
    },
  };
}
