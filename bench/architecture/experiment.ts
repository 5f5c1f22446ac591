/**
 * Trains the variants of an experiment and keeps one line of a log for each run.
 *
 * 1. The text is characters of prose, stories and worked arithmetic, a third each; the last tenth of each is held out.
 * 2. AdamW, cosine from 3e-3 to a tenth, rows of 64 characters, 16 rows a step. Batches depend on the seed alone, so
 *    variants see the same ones.
 * 3. Runs take turns over variants within a seed. A run in the log is not done again; lines of other steps are passed over.
 * 4. Intervals are 95 % of Student's t over seeds. Milliseconds a step are medians, of no use on a busy machine.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { randomWindows, splitText } from '../../src/data/windows.ts';
import { sizeOf } from '../../src/graph/ir.ts';
import { type CausalModel, elementsPerToken } from '../../src/models/model.ts';
import { ParameterStore } from '../../src/nn/parameters.ts';
import { nativeRuntime } from '../../src/runtime/native/native.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { CharacterTokenizer } from '../../src/tokenizer/character.ts';
import { languageModelTraining } from '../../src/train/language-model.ts';
import { scoreText } from '../../src/train/perplexity.ts';
import { Random } from '../../src/util/random.ts';
import { median } from '../../src/util/statistics.ts';
import { acceptance } from './drafting.ts';
import { CONTEXT, EXPERIMENTS, type ExperimentName, type Variant } from './variants.ts';

export interface ExperimentOptions {
  readonly steps: number;
  readonly seeds: number;
  /** Folder of the texts. */
  readonly data?: string;
  /** Lines of finished runs. */
  readonly log?: string;
}

interface RunRecord {
  readonly variant: string;
  readonly seed: number;
  readonly steps: number;
  readonly parameters: number;
  readonly activeParameters: number;
  readonly cacheElementsPerToken: number;
  /** Nats a character on held-out text. */
  readonly loss: number;
  readonly msPerStep: number;
  /** Mean over the second half of the steps. */
  readonly maxVio?: number;
  readonly acceptance?: number;
  readonly tokensPerStep?: number;
  /** Time of answers without drafts over that with. */
  readonly draftSpeedup?: number;
}

const ROWS = 16;
const HELD_OUT = 16_384;
const SHARE = 190_000;

/** Trains what the log lacks; returns a summary of each variant over its seeds. */
export async function experiment(name: ExperimentName, options: ExperimentOptions) {
  const log = options.log ?? 'runs/architecture.jsonl';
  mkdirSync(dirname(log), { recursive: true });
  const runtime = await nativeRuntime();
  const corpus = readTexts(options.data ?? '../shared/data');
  const records = readLog(log).filter(r => r.steps === options.steps);
  for (let seed = 1; seed <= options.seeds; seed++) {
    for (const variant of EXPERIMENTS[name]) {
      if (records.some(r => r.variant === variant.name && r.seed === seed)) continue;
      const record = await trainOne(runtime, corpus, variant, seed, options.steps);
      records.push(record);
      appendFileSync(log, `${JSON.stringify(record)}\n`);
      process.stderr.write(`${JSON.stringify(record)}\n`);
    }
  }
  return EXPERIMENTS[name].map(({ name: variant }) =>
    summary(
      variant,
      records.filter(r => r.variant === variant && r.seed <= options.seeds),
    ),
  );
}

const readLog = (path: string): RunRecord[] =>
  existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter(line => line.endsWith('}'))
        .map(line => JSON.parse(line) as RunRecord)
    : [];

interface Corpus {
  readonly tokenizer: CharacterTokenizer;
  readonly train: Int32Array;
  readonly validation: Int32Array;
}

function readTexts(folder: string): Corpus {
  const read = (file: string) => readFileSync(join(folder, file), 'utf8');
  const arithmetic = read('gsm8k_train.jsonl')
    .split('\n')
    .slice(0, 500)
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as { question: string; answer: string })
    .map(({ question, answer }) => `${question}\n${answer}\n\n`)
    .join('');
  const texts = [read('tinyshakespeare.txt'), read('tinystories_niklas6_197k.txt'), arithmetic].map(text =>
    text.slice(0, SHARE).replaceAll(/[^\n -~]/g, ''),
  );
  const tokenizer = CharacterTokenizer.fromAlphabet(texts.join(''));
  const parts = texts.map(text => splitText(Int32Array.from(tokenizer.encode(text))));
  const joined = (pieces: readonly Int32Array[]) => Int32Array.from(pieces.flatMap(piece => [...piece]));
  const third = Math.floor(HELD_OUT / 3);
  return {
    tokenizer,
    train: joined(parts.map(p => p.train)),
    validation: joined(parts.map(p => p.validation.subarray(0, third))),
  };
}

async function trainOne(
  runtime: Runtime,
  { tokenizer, train, validation }: Corpus,
  variant: Variant,
  seed: number,
  steps: number,
): Promise<RunRecord> {
  const model = variant.make(tokenizer.vocabSize);
  const store = new ParameterStore(model.parameters).initialize(new Random(seed).fork('weights'));
  const { times, violations } = await learn(runtime, model, store, train, seed, steps);
  const bytes = validation.length - 1;
  const score = await scoreText(runtime, model, store, validation, { bytes, rows: 64 });
  const late = violations.slice(violations.length / 2);
  const mean = late.reduce((a, b) => a + b, 0) / late.length;
  const drafts =
    model.aheadWeight === undefined ? undefined : await acceptance(runtime, model, store, validation);
  return {
    variant: variant.name,
    seed,
    steps,
    parameters: store.count,
    activeParameters: model.activeParameters ?? model.parameters.reduce((n, { dims }) => n + sizeOf(dims), 0),
    cacheElementsPerToken: elementsPerToken(model.cacheSlots),
    loss: score.natsPerToken,
    msPerStep: median(times),
    ...(late.length > 0 && { maxVio: mean }),
    ...drafts,
  };
}

async function learn(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  train: Int32Array,
  seed: number,
  steps: number,
) {
  const windows = randomWindows(train, { rows: ROWS, length: CONTEXT }, seed);
  using stage = await languageModelTraining(runtime, model, store, {
    data: { next: i => [windows(i)] },
    schedule: { kind: 'cosine', rate: 3e-3, finalRate: 3e-4, steps, warmupSteps: Math.min(50, steps / 10) },
    optimizer: { kind: 'adamw' },
    packed: false,
  });
  const [times, violations]: [number[], number[]] = [[], []];
  for (let i = 0; i < steps; i++) {
    const start = performance.now();
    const metrics = await stage.step(i);
    times.push(performance.now() - start);
    if (metrics['moe/max_vio'] !== undefined) violations.push(metrics['moe/max_vio']);
  }
  return { times, violations };
}

function summary(variant: string, runs: readonly RunRecord[]) {
  const { parameters, activeParameters, cacheElementsPerToken } = runs[0] as RunRecord;
  const over = (field: 'loss' | 'maxVio' | 'acceptance' | 'tokensPerStep' | 'draftSpeedup') => {
    const values = runs.map(r => r[field]).filter(v => v !== undefined);
    return values.length > 0 ? { [field]: meanAndInterval(values) } : {};
  };
  return {
    variant,
    seeds: runs.map(r => r.seed),
    parameters,
    activeParameters,
    cacheElementsPerToken,
    ...over('loss'),
    ...over('maxVio'),
    ...over('acceptance'),
    ...over('tokensPerStep'),
    ...over('draftSpeedup'),
    msPerStep: median(runs.map(r => r.msPerStep)),
  };
}

/** Quantiles of Student's t at 97.5 %, by degrees of freedom. */
const STUDENT = [Number.NaN, 12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

function meanAndInterval(values: readonly number[]) {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const variance = values.reduce((s, v) => s + (v - mean) ** 2, 0) / (n - 1);
  return { mean, plusMinus: (STUDENT[n - 1] ?? 1.96) * Math.sqrt(variance / n) };
}
