/**
 * Recipe r1: DeepSeek-R1's pipeline on Countdown, from an empty model to a small one that reasons.
 *
 *   base → zero (RL from the base, no fine-tuning)
 *   base → cold-start (SFT on clean samples of zero) → reasoning-rl (accuracy + language consistency)
 *   base → rejection-sft (SFT on verified samples of reasoning-rl and general data) → all-scenarios-rl
 *   student-base → student-distilled (SFT on verified samples of the last model) → student-int8, student-int4
 *   student-base → student-rl-only (RL alone, at the compute that distilling took)
 *
 * 1. The rejection-sampling stage starts from the base again, not from the model that made its samples (R1 §2.3.3).
 * 2. Every stage is measured on the same held-out problems with the same seeds.
 * 3. Reward: accuracy 1, format 0.1 (TinyZero), and 0.3 for the share of stated calculations that are true, which a
 *    program checks as well: without it arithmetic erodes, since a wrong step in a failed attempt costs nothing
 *    (docs/LOG.md). Language consistency joins after the cold start (R1 §2.3.2).
 * Source: DeepSeek-R1 (2501.12948), reference figures in its tables; settings here are this scale's own.
 */

import { promptDocument } from '../../src/data/document.ts';
import { generated } from '../../src/data/stream.ts';
import { exportModel } from '../../src/export/directory.ts';
import { denseConfig, denseModel } from '../../src/models/dense/index.ts';
import type { CausalModel } from '../../src/models/model.ts';
import type { ParameterStore } from '../../src/nn/parameters.ts';
import { createCountdown } from '../../src/tasks/countdown.ts';
import { numberTokens } from '../../src/tasks/digits.ts';
import { TAGS } from '../../src/tasks/response.ts';
import { sorting } from '../../src/tasks/sorting.ts';
import type { Task } from '../../src/tasks/task.ts';
import { MARKS } from '../../src/tasks/transcript.ts';
import { CharacterTokenizer } from '../../src/tokenizer/character.ts';
import { heldOutProblems } from '../../src/train/evaluate.ts';
import { HELD_OUT_SEED } from '../../src/train/evaluate-model.ts';
import { grpoTraining } from '../../src/train/grpo.ts';
import { type BatchSource, languageModelTraining } from '../../src/train/language-model.ts';
import { type Totals, trainLoop } from '../../src/train/loop.ts';
import type { RunResult } from '../../src/train/run.ts';
import { type TaskShare, taskEnvironment } from '../../src/train/task-environment.ts';
import { Random } from '../../src/util/random.ts';
import { Pipeline, type Trained } from '../pipeline.ts';
import type { Recipe, RecipeContext } from '../recipe.ts';
import { epochBatches, MICRO_BATCH, packedSource } from './batches.ts';
import { R1_SIZES, type R1Config } from './config.ts';
import { type CorpusOptions, corpusText, drawLanguage, pretrainingDocument } from './corpus.ts';
import { textOf } from './stages.ts';
import { collectTraces, type Trace } from './traces.ts';

export const r1: Recipe = {
  name: 'r1',
  summary:
    'the DeepSeek-R1 pipeline on Countdown: base, R1-Zero, cold start, RL, rejection sampling, distillation, int8 and int4',
  sizes: {
    debug: 'every stage for a few steps, under a minute',
    small: 'the whole pipeline, under 15 minutes',
    full: 'a larger model with room for nearly all attempts, about 90 % right; an hour and more',
  },
  run: context => new R1(context).run(),
};

/** Weights of the reward parts that count. */
type Rewards = Partial<R1Config['rl']['rewards']>;

class R1 {
  readonly #context: RecipeContext;
  readonly #config: R1Config;
  readonly #countdown = createCountdown();
  readonly #tokenizer: CharacterTokenizer;
  readonly #pipeline: Pipeline;
  readonly #corpus: CorpusOptions;
  readonly #difficulty: number;

  constructor(context: RecipeContext) {
    this.#context = context;
    this.#config = R1_SIZES[context.size];
    const { corpus, maxNumber, evaluation, maxPositions, slots } = this.#config;
    this.#countdown = createCountdown({
      levels: [
        { count: 2, max: maxNumber },
        { count: 3, max: maxNumber },
      ],
      attempts: { maxResult: corpus.maxResult },
    });
    this.#difficulty = 1;
    this.#tokenizer = CharacterTokenizer.fromAlphabet(
      this.#countdown.alphabet + sorting.alphabet + MARKS.hit + MARKS.miss,
      {
        tags: [...TAGS, ...numberTokens()],
      },
    );
    this.#corpus = {
      ...corpus,
      countdown: this.#countdown,
      general: sorting,
      difficulties: [
        [0, corpus.twoNumberShare],
        [this.#difficulty, 1 - corpus.twoNumberShare],
      ],
      generalDifficulty: GENERAL_DIFFICULTY,
    };
    this.#pipeline = new Pipeline({
      context,
      tokenizer: this.#tokenizer,
      slots,
      evaluation: {
        task: this.#countdown,
        problems: heldOutProblems(this.#countdown, evaluation.problems, this.#difficulty, HELD_OUT_SEED),
        k: evaluation.k,
        maxTokens: maxPositions,
        other: [
          {
            task: sorting,
            problems: heldOutProblems(sorting, evaluation.problems, GENERAL_DIFFICULTY, HELD_OUT_SEED),
          },
        ],
      },
    });
  }

  async run(): Promise<RunResult> {
    const started = performance.now();
    const { context } = this.#p();
    const base = await this.#base();
    const zero = await this.#zero(base);
    const cold = await this.#coldStart(base, zero);
    const reasoning = await this.#reasoningRl(cold);
    const rejection = await this.#rejectionSft(base, reasoning);
    const final = await this.#allScenarios(rejection);
    await this.#students(final);
    const { recipe, size, seed, version } = { recipe: 'r1', ...context };
    const seconds = (performance.now() - started) / 1000;
    return { recipe, size, seed, version, seconds, report: 'report.html', stages: this.#pipeline.results };
  }

  #p(): Pipeline {
    return this.#pipeline;
  }

  #base(): Promise<Trained> {
    const { pretrain } = this.#config;
    return this.#pipeline.stage(
      textOf('base'),
      this.#model(this.#config.model),
      undefined,
      store => this.#pretrain('base', store, this.#model(this.#config.model), pretrain.steps),
      store => store.initialize(new Random(this.#context.seed).fork('base')),
    );
  }

  #zero(base: Trained): Promise<Trained> {
    const tasks = [{ task: this.#countdown as Task, weight: 1, difficulty: this.#difficulty }];
    const { rl } = this.#config;
    const rewards = this.#reasoningRewards();
    return this.#pipeline.stage(textOf('zero'), base.model, base.store, store =>
      this.#reinforce('zero', base.model, store, tasks, rewards, { steps: rl.zeroSteps, rate: rl.rate }),
    );
  }

  #coldStart(base: Trained, zero: Trained): Promise<Trained> {
    const { sft } = this.#config;
    return this.#pipeline.stage(textOf('cold-start'), base.model, base.store, async store => {
      const traces = await this.#traces('cold-start', zero, sft.coldStartSamples);
      return this.#fineTune('cold-start', base.model, store, traces, sft.epochs);
    });
  }

  #reasoningRl(cold: Trained): Promise<Trained> {
    const tasks = [{ task: this.#countdown as Task, weight: 1, difficulty: this.#difficulty }];
    const { rl } = this.#config;
    return this.#pipeline.stage(textOf('reasoning-rl'), cold.model, cold.store, store =>
      this.#reinforce('reasoning-rl', cold.model, store, tasks, rl.rewards, {
        steps: rl.reasoningSteps,
        rate: rl.laterRate,
      }),
    );
  }

  #rejectionSft(base: Trained, reasoning: Trained): Promise<Trained> {
    const { sft } = this.#config;
    return this.#pipeline.stage(textOf('rejection-sft'), base.model, base.store, async store => {
      const traces = await this.#traces('rejection-sft', reasoning, sft.rejectionSamples);
      return this.#fineTune(
        'rejection-sft',
        base.model,
        store,
        [...traces, ...this.#general(traces.length / 3)],
        sft.epochs,
      );
    });
  }

  #allScenarios(rejection: Trained): Promise<Trained> {
    const tasks = [
      { task: this.#countdown as Task, weight: 3, difficulty: this.#difficulty },
      { task: sorting as Task, weight: 1, difficulty: GENERAL_DIFFICULTY },
    ];
    const { rl } = this.#config;
    return this.#pipeline.stage(textOf('all-scenarios-rl'), rejection.model, rejection.store, store =>
      this.#reinforce('all-scenarios-rl', rejection.model, store, tasks, rl.rewards, {
        steps: rl.allScenariosSteps,
        rate: rl.laterRate,
      }),
    );
  }

  /** The student's base, then the distilled student and the one by RL alone, which may spend as much. */
  async #students(teacher: Trained): Promise<void> {
    const { sft, pretrain, rl } = this.#config;
    const model = this.#model(this.#config.student);
    const base = await this.#pipeline.stage(
      textOf('student-base'),
      model,
      undefined,
      store => this.#pretrain('student-base', store, model, pretrain.studentSteps),
      store => store.initialize(new Random(this.#context.seed).fork('student')),
    );
    const distilled = await this.#pipeline.stage(
      textOf('student-distilled'),
      model,
      base.store,
      async store => {
        const traces = await this.#traces('student-distilled', teacher, sft.distillSamples);
        const documents = [...traces, ...this.#general(traces.length / 3)];
        return this.#fineTune('student-distilled', model, store, documents, sft.distillEpochs);
      },
    );
    await this.#export(distilled, teacher);
    const tasks = [{ task: this.#countdown as Task, weight: 1, difficulty: this.#difficulty }];
    const budget = distilled.result.trainingFlops;
    await this.#pipeline.stage(textOf('student-rl-only'), model, base.store, store =>
      this.#reinforce('student-rl-only', model, store, tasks, this.#reasoningRewards(), {
        steps: rl.studentMaxSteps,
        rate: rl.rate,
        maxFlops: budget,
      }),
    );
  }

  /** The distilled student in every dtype, calibrated on its training data; f32 and f16 lie beside its weights. */
  async #export(distilled: Trained, teacher: Trained): Promise<void> {
    const { context, tokenizer } = this.#p();
    const folder = `${context.folder}/${distilled.result.model}`;
    for (const dtype of ['f32', 'f16'] as const) {
      await exportModel(context.files, folder, distilled.model, distilled.store, tokenizer, dtype, {
        version: context.version,
      });
    }
    const traces = await this.#traces('student-distilled', teacher, this.#config.sft.distillSamples);
    const texts = [...traces.slice(0, CALIBRATION_TEXTS), ...this.#general(CALIBRATION_TEXTS / 3)];
    const calibration = texts.map(t => [
      ...tokenizer.encode(t.prompt),
      ...tokenizer.encode(t.response),
      tokenizer.eos,
    ]);
    await this.#pipeline.variant(textOf('student-int8'), distilled, 'int8', calibration);
    await this.#pipeline.variant(textOf('student-int4'), distilled, 'int4', calibration, {
      bitsOf: name => (SENSITIVE.test(name) ? 8 : undefined),
    });
  }

  /** Without language consistency, which the cold start comes before. */
  #reasoningRewards(): Rewards {
    const { language: _, ...rewards } = this.#config.rl.rewards;
    return rewards;
  }

  #model(shape: R1Config['model']): CausalModel {
    return denseModel(
      denseConfig({
        vocabSize: this.#tokenizer.vocabSize,
        hiddenSize: shape.hiddenSize,
        numHiddenLayers: shape.layers,
        numAttentionHeads: shape.heads,
        intermediateSize: shape.ffn,
        maxPositionEmbeddings: this.#config.maxPositions,
        eosTokenId: this.#tokenizer.eos,
        padTokenId: this.#tokenizer.pad,
      }),
    );
  }

  async #pretrain(stage: string, store: ParameterStore, model: CausalModel, steps: number): Promise<Totals> {
    const { tokensPerStep, rate } = this.#config.pretrain;
    const source = generated(this.#context.seed, random =>
      pretrainingDocument(this.#tokenizer, corpusText(random, this.#corpus)),
    );
    const data = packedSource(source, this.#config.maxPositions, tokensPerStep, this.#tokenizer.pad);
    using training = await languageModelTraining(this.#context.runtime, model, store, {
      data,
      schedule: {
        kind: 'wsd',
        rate,
        finalRate: rate / 20,
        steps,
        decaySteps: steps / 2,
        warmupSteps: Math.min(30, steps / 10),
      },
      optimizer: { kind: 'adamw', beta2: 0.98, weightDecay: 0 },
    });
    return await trainLoop(this.#context, training, { stage, steps });
  }

  async #fineTune(
    stage: string,
    model: CausalModel,
    store: ParameterStore,
    traces: readonly Trace[],
    epochs: number,
  ): Promise<Totals> {
    const { tokensPerStep, rate } = this.#config.sft;
    const { tokenizer } = this.#p();
    const documents = traces.map(t =>
      promptDocument(tokenizer.encode(t.prompt), [...tokenizer.encode(t.response), tokenizer.eos]),
    );
    const steps = epochBatches(
      documents,
      epochs,
      this.#config.maxPositions,
      tokensPerStep,
      this.#context.seed,
      tokenizer.pad,
    );
    using training = await languageModelTraining(this.#context.runtime, model, store, {
      data: { next: index => steps[index] as ReturnType<BatchSource['next']> },
      schedule: {
        kind: 'cosine',
        rate,
        finalRate: rate / 10,
        steps: steps.length,
        warmupSteps: Math.min(10, steps.length / 10),
      },
      optimizer: { kind: 'adamw', weightDecay: 0 },
    });
    return await trainLoop(this.#context, training, { stage, steps: steps.length });
  }

  async #reinforce(
    stage: string,
    model: CausalModel,
    store: ParameterStore,
    tasks: readonly TaskShare[],
    rewards: Rewards,
    { steps, rate, maxFlops }: { steps: number; rate: number; maxFlops?: number },
  ): Promise<Totals> {
    const { rl, slots, maxPositions } = this.#config;
    const { tokenizer } = this.#p();
    using training = await grpoTraining(this.#context.runtime, model, store, {
      environment: taskEnvironment({
        tokenizer,
        tasks,
        parts: Object.keys(rewards) as (keyof typeof rewards)[],
        language: random => drawLanguage(random, this.#corpus),
      }),
      advantage: { weights: rewards },
      seed: this.#context.seed,
      prompts: rl.prompts,
      groupSize: rl.groupSize,
      minibatches: rl.minibatches,
      maxTokens: maxPositions,
      stopIds: [tokenizer.eos],
      // the rate falls: at a constant one arithmetic erodes faster than the search improves (docs/LOG.md)
      schedule: {
        kind: 'wsd',
        rate,
        finalRate: rate / 10,
        steps,
        decaySteps: steps * 0.7,
        warmupSteps: 5,
      },
      optimizer: { kind: 'adamw', beta2: 0.98, weightDecay: 0 },
      maxGradientNorm: 0.5,
      slots,
      rolloutCache: 'int8',
      maxPlaces: MICRO_BATCH,
    });
    return await trainLoop(this.#context, training, { stage, steps, maxFlops });
  }

  #traces(name: string, from: Trained, wanted: number): Promise<Trace[]> {
    return collectTraces(this.#pipeline, from, {
      name,
      task: this.#countdown,
      difficulty: this.#difficulty,
      language: random => drawLanguage(random, this.#corpus),
      wanted,
      answersEach: 2,
      perProblem: 2,
      maxTokens: this.#config.maxPositions,
      slots: this.#config.slots,
      seed: this.#context.seed,
    });
  }

  /** Right answers of the general task: the non-reasoning data of the later stages. */
  #general(count: number): Trace[] {
    const random = new Random(this.#context.seed).fork('general');
    return Array.from({ length: Math.round(count) }, (_, i) => {
      const r = random.fork(i);
      const problem = sorting.sample(r, GENERAL_DIFFICULTY, 'train', drawLanguage(r, this.#corpus));
      return { prompt: sorting.prompt(problem), response: sorting.truth(problem) };
    });
  }
}

/** The third of the sorting task's levels: four numbers up to 99. */
const GENERAL_DIFFICULTY = 0.5;
/** What the 4-bit student keeps in 8 bits: a sixth more bytes win back half of the loss (docs/LOG.md). */
const SENSITIVE = /\.(v|o)_proj\./;
/** Reasoning texts whose activations calibrate the quantized students. */
const CALIBRATION_TEXTS = 128;
