/**
 * Thousands of random requests to one engine: lengths, shared beginnings, stops, aborts, arrivals while others answer. Every
 * answer must be the one that the request gets alone, and memory must not grow.
 * Usage: npm run bench -- soak [--requests N] [--seed N]
 */
import { Decoder } from '../src/generate/decoder.ts';
import { promptLookup } from '../src/generate/drafts.ts';
import { type Completion, Engine, type GenerateRequest } from '../src/generate/engine.ts';
import { denseConfig, denseModel } from '../src/models/dense/index.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { Random } from '../src/util/random.ts';

const CONTEXT = 128;
const model = denseModel(
  denseConfig({
    vocabSize: 64,
    hiddenSize: 32,
    numHiddenLayers: 2,
    numAttentionHeads: 4,
    numKeyValueHeads: 2,
    maxPositionEmbeddings: CONTEXT,
    initializerRange: 0.3,
  }),
);

export interface SoakReport {
  readonly requests: number;
  readonly tokens: number;
  /** How answers ended. */
  readonly ends: Readonly<Record<Completion['finishReason'], number>>;
  readonly cachedTokens: number;
  /** Requests whose answer was another one than alone. */
  readonly wrong: readonly number[];
  /** Resident memory after a fifth of the requests, and at the end. */
  readonly rssBytes: readonly [early: number, end: number];
}

interface Planned {
  readonly request: GenerateRequest;
  /** Tokens after which the caller aborts. */
  readonly abortAfter?: number;
}

const AT_ONCE = 48;

/** Runs `count` requests; throws when the engine does. */
export async function soak(count: number, seed: number): Promise<SoakReport> {
  const runtime = await nativeRuntime();
  const store = new ParameterStore(model.parameters).initialize(new Random(seed).fork('weights'));
  using decoder = await Decoder.create(runtime, model, store, { prepacked: true, threads: 1 });
  using engine = new Engine(decoder, {
    slots: 12,
    capacity: CONTEXT,
    prefillPiece: 24,
    prefillPositions: 200,
    prefixCacheBytes: 200_000,
    drafter: promptLookup(2, 1),
  });
  using alone = new Engine(decoder, { slots: 1, capacity: CONTEXT, prefillPiece: CONTEXT });
  const random = new Random(seed).fork('requests');
  const beginnings = Array.from({ length: 5 }, () => someIds(random, 8 + random.int(50)));
  const report = {
    requests: count,
    tokens: 0,
    ends: { stop: 0, length: 0, aborted: 0 },
    cachedTokens: 0,
    wrong: [] as number[],
  };
  let early = 0;
  for (let first = 0; first < count; first += AT_ONCE) {
    const wave = Array.from({ length: Math.min(AT_ONCE, count - first) }, () => plan(random, beginnings));
    const answers = await Promise.all(wave.map(planned => submitLater(engine, planned, random)));
    for (const [i, answer] of answers.entries()) {
      report.tokens += answer.ids.length;
      report.ends[answer.finishReason]++;
      report.cachedTokens += answer.cachedTokens;
      if (!(await sameAlone(alone, wave[i] as Planned, answer))) report.wrong.push(first + i);
    }
    if (first < count / 5) early = process.memoryUsage.rss();
  }
  return { ...report, rssBytes: [early, process.memoryUsage.rss()] };
}

const someIds = (random: Random, count: number): number[] =>
  Array.from({ length: count }, () => random.int(model.vocabSize));

function plan(random: Random, beginnings: readonly number[][]): Planned {
  const shared = random.int(3) === 0 ? (beginnings[random.int(beginnings.length)] as number[]) : [];
  const prompt = [...shared, ...someIds(random, 1 + random.int(30))];
  const request = {
    prompt,
    maxTokens: 1 + random.int(40),
    seed: random.int(2 ** 20),
    temperature: 0,
    stopIds: random.int(2) === 0 ? someIds(random, 2) : [],
  };
  return random.int(8) === 0 ? { request, abortAfter: random.int(10) } : { request };
}

/** Submits now or a few turns of the event loop later, and aborts where that is planned. */
async function submitLater(
  engine: Engine,
  { request, abortAfter }: Planned,
  random: Random,
): Promise<Completion> {
  for (let wait = random.int(6); wait > 0; wait--) await new Promise(resolve => setImmediate(resolve));
  const abort = new AbortController();
  if (abortAfter === 0) abort.abort();
  let count = 0;
  const onToken = () => {
    if (++count === abortAfter) abort.abort();
  };
  return engine.submit({ ...request, onToken, signal: abort.signal });
}

async function sameAlone(alone: Engine, { request }: Planned, answer: Completion): Promise<boolean> {
  const expected = await alone.submit(request);
  if (answer.finishReason !== 'aborted')
    return answer.finishReason === expected.finishReason && answer.ids.join() === expected.ids.join();
  return answer.ids.join() === expected.ids.slice(0, answer.ids.length).join();
}
