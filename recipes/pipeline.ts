/**
 * Running a recipe's stages one after another in a run folder: done stages are loaded, the rest trained, evaluated on
 * the same held-out problems, and saved.
 */
import { calibrate } from '../src/export/calibration.ts';
import { exportModel } from '../src/export/directory.ts';
import type { ExportDType, ExportOptions } from '../src/export/dtypes.ts';
import { loadOnnxModel, onnxDecoder } from '../src/export/load.ts';
import { Decoder } from '../src/generate/decoder.ts';
import { Engine } from '../src/generate/engine.ts';
import { loadModel, saveModel } from '../src/models/files.ts';
import type { CausalModel } from '../src/models/model.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import type { Problem, Task } from '../src/tasks/task.ts';
import type { Tokenizer } from '../src/tokenizer/tokenizer.ts';
import { type Evaluation, evaluate } from '../src/train/evaluate.ts';
import type { Totals } from '../src/train/loop.ts';
import {
  finishedStage,
  finishStage,
  isReasoning,
  type SampleLine,
  type StageResult,
  writeSamples,
} from '../src/train/run.ts';
import type { RecipeContext } from './recipe.ts';

export interface Trained {
  readonly model: CausalModel;
  readonly store: ParameterStore;
  readonly result: StageResult;
}

export interface StageText {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly from: readonly string[];
}

export interface EvaluationPlan {
  readonly task: Task;
  readonly problems: readonly Problem[];
  readonly k: number;
  readonly maxTokens: number;
  /** Other tasks, measured at one response a problem. */
  readonly other: readonly { readonly task: Task; readonly problems: readonly Problem[] }[];
}

export interface PipelineOptions {
  readonly context: RecipeContext;
  readonly tokenizer: Tokenizer;
  readonly evaluation: EvaluationPlan;
  readonly slots: number;
}

export class Pipeline {
  readonly context: RecipeContext;
  readonly tokenizer: Tokenizer;
  readonly results: StageResult[] = [];
  readonly #o: PipelineOptions;

  constructor(options: PipelineOptions) {
    this.context = options.context;
    this.tokenizer = options.tokenizer;
    this.#o = options;
  }

  /**
   * One stage. `train` gets a store to change and returns what it cost.
   * @param start values to start from; random ones when absent
   */
  async stage(
    text: StageText,
    model: CausalModel,
    start: ParameterStore | undefined,
    train: (store: ParameterStore) => Promise<Totals>,
    seed: (store: ParameterStore) => void = () => {},
  ): Promise<Trained> {
    const { context } = this;
    const done = await finishedStage(context.files, context.folder, text.name);
    if (done && isReasoning(done)) {
      this.results.push(done);
      const { store } = await loadModel(context.files, `${context.folder}/${done.model}`);
      context.log(`${text.name}: done before, pass@1 ${percent(done.passAt1)}`);
      return { model, store, result: done };
    }
    context.log(`${text.name}: ${text.summary}`);
    const started = performance.now();
    const store = new ParameterStore(model.parameters);
    if (start) store.flat.set(start.flat);
    else seed(store);
    const totals = await train(store);
    const result = await this.#finish(text, model, store, totals, started);
    return { model, store, result };
  }

  async #finish(
    text: StageText,
    model: CausalModel,
    store: ParameterStore,
    totals: Totals,
    started: number,
  ): Promise<StageResult> {
    const { context, tokenizer } = this;
    const folder = `models/${text.name}`;
    await saveModel(context.files, `${context.folder}/${folder}`, model, store, tokenizer);
    const measured = await this.evaluate(model, store);
    const { evaluation } = measured;
    const result: StageResult = {
      ...text,
      model: folder,
      parameters: store.count,
      activeParameters: store.count,
      bytes: await context.files.size(`${context.folder}/${folder}/model.safetensors`),
      ...figures(evaluation),
      other: measured.other,
      seconds: (performance.now() - started) / 1000,
      trainingFlops: totals.trainingFlops,
      samplingFlops: totals.samplingFlops,
    };
    await this.record(result, evaluation);
    return result;
  }

  /**
   * A stage that is an exported form of a trained model: written, read back, and measured as the file has it.
   * @param calibration token sequences like those it will see
   * @param quantize how to differ from the dtype's defaults
   */
  async variant(
    text: StageText,
    from: Trained,
    dtype: ExportDType,
    calibration: readonly (readonly number[])[],
    quantize: ExportOptions['quantize'] = {},
  ): Promise<void> {
    const { context, tokenizer } = this;
    const done = await finishedStage(context.files, context.folder, text.name);
    if (done && isReasoning(done)) {
      this.results.push(done);
      context.log(`${text.name}: done before, pass@1 ${percent(done.passAt1)}`);
      return;
    }
    context.log(`${text.name}: ${text.summary}`);
    const started = performance.now();
    const model = `models/${text.name}`;
    const folder = `${context.folder}/${model}`;
    const inputs = await calibrate(context.runtime, from.model, from.store, calibration);
    const { path, bytes } = await exportModel(
      context.files,
      folder,
      from.model,
      from.store,
      tokenizer,
      dtype,
      { version: context.version, quantize: { ...quantize, inputs } },
    );
    using decoder = await onnxDecoder(context.runtime, await loadOnnxModel(context.files, path));
    const { evaluation, other } = await this.evaluateDecoder(decoder);
    const result: StageResult = {
      ...text,
      model,
      parameters: from.store.count,
      activeParameters: from.store.count,
      bytes,
      ...figures(evaluation),
      other,
      seconds: (performance.now() - started) / 1000,
      trainingFlops: 0,
      samplingFlops: 0,
    };
    await this.record(result, evaluation);
  }

  /** Saves a finished stage's samples and result. */
  async record(result: StageResult, evaluation: Evaluation): Promise<void> {
    const { context } = this;
    await writeSamples(context.files, context.folder, sampleLines(result.name, evaluation));
    await finishStage(context.files, context.folder, result);
    this.results.push(result);
    const [low, high] = evaluation.passAt1Interval;
    context.log(
      `${result.name}: pass@1 ${percent(result.passAt1)} [${percent(low)}, ${percent(high)}], pass@${result.k} ${percent(result.passAtK)}, ` +
        `${result.responseTokens.toFixed(1)} tokens an answer, ${result.seconds.toFixed(0)} s`,
    );
  }

  /** Evaluates a model on the recipe's held-out problems. */
  async evaluate(
    model: CausalModel,
    store: ParameterStore,
  ): Promise<{ evaluation: Evaluation; other: Record<string, number> }> {
    using decoder = await Decoder.create(this.context.runtime, model, store.tensors());
    return await this.evaluateDecoder(decoder);
  }

  /** The same over any decoder. */
  async evaluateDecoder(
    decoder: Decoder,
  ): Promise<{ evaluation: Evaluation; other: Record<string, number> }> {
    const { evaluation: plan, slots } = this.#o;
    using engine = new Engine(decoder, { slots, capacity: decoder.model.maxPositions });
    const run = (task: Task, problems: readonly Problem[], k: number) =>
      evaluate(engine, this.tokenizer, task, {
        samples: problems.length,
        problems,
        k,
        maxTokens: plan.maxTokens,
        seed: this.context.seed,
      });
    const evaluation = await run(plan.task, plan.problems, plan.k);
    const other: Record<string, number> = {};
    for (const { task, problems } of plan.other) other[task.name] = (await run(task, problems, 1)).passAt1;
    return { evaluation, other };
  }
}

export const figures = (e: Evaluation) => ({
  passAt1: e.passAt1,
  passAt1Interval: e.passAt1Interval,
  passAtK: e.passAtK,
  passAtKInterval: e.passAtKInterval,
  k: e.k,
  samples: e.samples,
  responseTokens: e.responseTokens,
  language: e.language,
});

export const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;

const SHOWN = 24;

const sampleLines = (stage: string, e: Evaluation): SampleLine[] =>
  e.answers.slice(0, SHOWN).map((a, i) => ({
    stage,
    task: e.task,
    problem: i,
    prompt: a.prompt,
    response: a.response,
    correct: a.correct,
  }));
