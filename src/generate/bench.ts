/**
 * How fast a language model reads and writes: one row, random prompt, greedy answers.
 *
 * 1. Time to first token is reading the prompt and choosing one token; prefill speed is the prompt over that time.
 *    Decode speed counts the tokens after the first over the time between them.
 * 2. One answer warms up; medians over the others are reported, with the least and the greatest.
 */
import type { CausalModel } from '../models/model.ts';
import { UsageError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { median } from '../util/statistics.ts';
import type { Decoder } from './decoder.ts';
import { Engine } from './engine.ts';
import { type DraftFigures, type Drafting, draftFigures, draftOptions } from './open.ts';

export interface GenerationBenchOptions {
  readonly promptTokens?: number;
  readonly newTokens?: number;
  readonly runs: number;
  readonly seed: number;
  readonly draft?: Drafting;
}

export interface GenerationBench {
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
  /** Least and greatest of the runs, in tokens a second. */
  readonly prefillRange: readonly [number, number];
  readonly decodeRange: readonly [number, number];
  readonly timeToFirstTokenMs: number;
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly runs: number;
  /** How drafts fared; absent without them. */
  readonly drafts?: DraftFigures;
}

/** Times a model. Throws a UsageError when prompt and answer do not fit its context. */
export async function benchGeneration(
  decoder: Decoder,
  options: GenerationBenchOptions,
): Promise<GenerationBench> {
  const { model } = decoder;
  const { runs, seed } = options;
  const { promptTokens, newTokens } = lengths(model, options);
  const capacity = promptTokens + newTokens;
  using engine = new Engine(decoder, { slots: 1, capacity, ...draftOptions(options.draft) });
  const random = new Random(seed).fork('prompt');
  const prompt = Array.from({ length: promptTokens }, () => random.int(model.vocabSize));
  await timeAnswer(engine, prompt, newTokens);
  const times: Times[] = [];
  for (let run = 0; run < runs; run++) times.push(await timeAnswer(engine, prompt, newTokens));
  const prefill = times.map(t => promptTokens / (t.firstMs / 1000));
  const decode = times.map(t => (newTokens - 1) / (t.restMs / 1000));
  return {
    prefillTokensPerSecond: median(prefill),
    decodeTokensPerSecond: median(decode),
    prefillRange: rangeOf(prefill),
    decodeRange: rangeOf(decode),
    timeToFirstTokenMs: median(times.map(t => t.firstMs)),
    promptTokens,
    newTokens,
    runs,
    ...(options.draft && { drafts: draftFigures(engine) }),
  };
}

const rangeOf = (values: readonly number[]): [number, number] => [Math.min(...values), Math.max(...values)];

/** By default a prompt of half the context, at most 512 tokens, and an answer of a quarter, at most 128. */
function lengths(model: CausalModel, o: GenerationBenchOptions): { promptTokens: number; newTokens: number } {
  const context = model.maxPositions;
  const promptTokens = o.promptTokens ?? Math.max(1, Math.min(512, context >> 1));
  const newTokens = o.newTokens ?? Math.max(2, Math.min(128, context >> 2));
  if (promptTokens + newTokens > context) {
    throw new UsageError(
      `a prompt of ${promptTokens} and an answer of ${newTokens} tokens do not fit the context of ${context}; ask for fewer`,
    );
  }
  return { promptTokens, newTokens };
}

interface Times {
  readonly firstMs: number;
  readonly restMs: number;
}

async function timeAnswer(engine: Engine, prompt: readonly number[], maxTokens: number): Promise<Times> {
  const started = performance.now();
  let first = started;
  let count = 0;
  const onToken = () => {
    if (count++ === 0) first = performance.now();
  };
  await engine.submit({ prompt, maxTokens, seed: 0, temperature: 0, onToken });
  return { firstMs: first - started, restMs: performance.now() - first };
}
