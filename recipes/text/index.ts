/**
 * Recipe text: language modelling on real text, measured in nats a character and bits per byte.
 *
 * 1. Characters are tokens; the last tenth of the text is held out (nanoGPT's split).
 * 2. `small` is nanoGPT's CPU setting in size and data: 4 layers, width 128, context 64, 12 rows, 2,000 steps. The model is
 *    this project's dense decoder (rotary positions, RMSNorm, SwiGLU), hidden matrices are trained by Muon.
 * 3. The text comes from a file (`--set text=FILE`) or an installed npm package (`--set package=NAME`).
 */
import { randomWindows, splitText } from '../../src/data/windows.ts';
import { deepseekConfig, deepseekModel } from '../../src/models/deepseek/index.ts';
import { denseConfig, denseModel } from '../../src/models/dense/index.ts';
import { loadModel, saveModel } from '../../src/models/files.ts';
import type { CausalModel } from '../../src/models/model.ts';
import { ParameterStore } from '../../src/nn/parameters.ts';
import { CharacterTokenizer } from '../../src/tokenizer/character.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { languageModelTraining } from '../../src/train/language-model.ts';
import { type Totals, trainLoop } from '../../src/train/loop.ts';
import { scoreText } from '../../src/train/perplexity.ts';
import { finishedStage, finishStage, type RunResult, type TextStageResult } from '../../src/train/run.ts';
import { UsageError } from '../../src/util/errors.ts';
import { Random } from '../../src/util/random.ts';
import type { Recipe, RecipeContext, Size } from '../recipe.ts';
import { DEFAULT_PACKAGE, readCorpus } from './corpus.ts';
import { writePassages } from './passages.ts';

interface TextConfig {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly ffn: number;
  readonly length: number;
  readonly rows: number;
  readonly steps: number;
  readonly rate: number;
  readonly adamRate: number;
}

const SIZES: Readonly<Record<Size, TextConfig>> = {
  debug: {
    hiddenSize: 32,
    layers: 2,
    heads: 2,
    ffn: 64,
    length: 32,
    rows: 8,
    steps: 40,
    rate: 0.02,
    adamRate: 5e-3,
  },
  small: {
    hiddenSize: 128,
    layers: 4,
    heads: 4,
    ffn: 352,
    length: 64,
    rows: 12,
    steps: 2000,
    rate: 0.01,
    adamRate: 4e-3,
  },
  full: {
    hiddenSize: 384,
    layers: 6,
    heads: 6,
    ffn: 1024,
    length: 256,
    rows: 32,
    steps: 3000,
    rate: 0.02,
    adamRate: 3e-3,
  },
};

export const text: Recipe = {
  name: 'text',
  summary: 'a language model on real text: characters, bits per byte',
  sizes: {
    debug: 'a few steps of a tiny model',
    small: "nanoGPT's CPU setting, a minute or two",
    full: "nanoGPT's GPU setting (10.6M parameters), hours on two cores",
  },
  options: {
    text: 'a text file to learn',
    architecture: 'dense (default) or deepseek: latent attention, routed experts balanced by a bias',
    package: `an installed npm package whose texts to learn (default ${DEFAULT_PACKAGE})`,
  },
  run,
};

async function run(context: RecipeContext): Promise<RunResult> {
  const started = performance.now();
  const config = SIZES[context.size];
  const content = await readCorpus(context.files, context.options);
  const tokenizer = CharacterTokenizer.fromAlphabet(content);
  const ids = Int32Array.from(tokenizer.encode(content));
  const model = textModel(config, tokenizer, context.options.architecture ?? 'dense');
  const result = await stage(context, config, model, tokenizer, ids);
  const { size, seed, version } = context;
  const seconds = (performance.now() - started) / 1000;
  return { recipe: 'text', size, seed, version, seconds, report: 'report.html', stages: [result] };
}

/** γ of the bias that balances experts: runs of thousands of steps need a larger one than V3's 0.001. */
const BIAS_RATE = 0.005;

function textModel(c: TextConfig, tokenizer: Tokenizer, architecture: string): CausalModel {
  const shape = {
    vocabSize: tokenizer.vocabSize,
    hiddenSize: c.hiddenSize,
    numHiddenLayers: c.layers,
    numAttentionHeads: c.heads,
    intermediateSize: c.ffn,
    maxPositionEmbeddings: c.length,
    eosTokenId: tokenizer.eos,
  };
  if (architecture === 'dense') return denseModel(denseConfig(shape));
  if (architecture === 'deepseek') return deepseekModel(deepseekConfig(shape), { biasRate: BIAS_RATE });
  throw new UsageError(`--set architecture=${architecture}: known are dense and deepseek`);
}

async function stage(
  context: RecipeContext,
  c: TextConfig,
  model: CausalModel,
  tokenizer: Tokenizer,
  ids: Int32Array,
): Promise<TextStageResult> {
  const done = await finishedStage(context.files, context.folder, 'text');
  if (done && 'natsPerToken' in done) return done;
  const started = performance.now();
  const { train, validation } = splitText(ids);
  const store = new ParameterStore(model.parameters).initialize(new Random(context.seed).fork('text'));
  const totals = await learn(context, c, model, store, train);
  const folder = `${context.folder}/models/text`;
  await saveModel(context.files, folder, model, store, tokenizer);
  const bytes = new TextEncoder().encode(tokenizer.decode(validation.subarray(1))).length;
  const score = await scoreText(context.runtime, model, store, validation, { bytes, rows: 64 });
  const passages = await writePassages(context.runtime, model, store, tokenizer, validation, {
    count: 6,
    temperature: 0.8,
    seed: context.seed,
  });
  const { bytes: weightBytes } = await loadModel(context.files, folder);
  const result: TextStageResult = {
    name: 'text',
    title: 'Language model',
    summary: `predicts the next character; ${ids.length.toLocaleString('en')} characters, the last tenth held out`,
    from: [],
    model: 'models/text',
    parameters: store.count,
    activeParameters: model.activeParameters ?? store.count,
    bytes: weightBytes,
    validationTokens: score.tokens,
    natsPerToken: score.natsPerToken,
    bitsPerByte: score.bitsPerByte,
    passages,
    seconds: (performance.now() - started) / 1000,
    trainingFlops: totals.trainingFlops,
    samplingFlops: 0,
  };
  await finishStage(context.files, context.folder, result);
  context.log(
    `text: ${score.natsPerToken.toFixed(4)} nats a character held out, ${score.bitsPerByte.toFixed(3)} bits per byte`,
  );
  return result;
}

async function learn(
  context: RecipeContext,
  c: TextConfig,
  model: CausalModel,
  store: ParameterStore,
  train: Int32Array,
): Promise<Totals> {
  const windows = randomWindows(train, { rows: c.rows, length: c.length }, context.seed);
  using training = await languageModelTraining(context.runtime, model, store, {
    data: { next: index => [windows(index)] },
    packed: false,
    schedule: {
      kind: 'wsd',
      rate: c.rate,
      finalRate: 0,
      steps: c.steps,
      decaySteps: c.steps * 0.6,
      warmupSteps: Math.min(50, c.steps / 10),
    },
    optimizer: { kind: 'muon', adamw: { rateFactor: c.adamRate / c.rate, weightDecay: 0 } },
  });
  return await trainLoop(context, training, { stage: 'text', steps: c.steps });
}
