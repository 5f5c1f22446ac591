/**
 * Thousands of random requests to one engine: lengths, shared beginnings, stops, aborts, arrivals while others answer. Every
 * answer must be the one that the request gets alone and without drafts, and memory must not grow. Half of the requests go to
 * a dense model that is drafted by prompt lookup, half to a DeepSeek model that is drafted by its own module.
 * Usage: npm run bench -- soak [--requests N] [--seed N]
 */
import { Decoder } from '../src/generate/decoder.ts';
import { promptLookup } from '../src/generate/drafts.ts';
import { type Completion, Engine, type GenerateRequest } from '../src/generate/engine.ts';
import { deepseekConfig, deepseekModel } from '../src/models/deepseek/index.ts';
import { denseConfig, denseModel } from '../src/models/dense/index.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { Random } from '../src/util/random.ts';

const CONTEXT = 128;
const VOCABULARY = 64;
const SHAPE = {
  vocabSize: VOCABULARY,
  hiddenSize: 32,
  numHiddenLayers: 2,
  numAttentionHeads: 4,
  maxPositionEmbeddings: CONTEXT,
  initializerRange: 0.3,
};
const MODELS = {
  lookup: () => denseModel(denseConfig({ ...SHAPE, numKeyValueHeads: 2 })),
  module: () => deepseekModel(deepseekConfig(SHAPE), { aheadWeight: 1 }),
} as const;
type DraftedBy = keyof typeof MODELS;

export interface SoakReport {
  readonly requests: number;
  readonly tokens: number;
  /** How answers ended. */
  readonly ends: Readonly<Record<Completion['finishReason'], number>>;
  readonly cachedTokens: number;
  readonly acceptedDrafts: Readonly<Record<DraftedBy, number>>;
  /** Answers that part from those alone where two tokens are as likely to seven digits. */
  readonly ties: number;
  /** Requests whose answer was another one than alone. */
  readonly wrong: readonly string[];
  /** Resident memory of each half after a fifth of its requests, and at its end. */
  readonly rssBytes: readonly (readonly [early: number, end: number])[];
}

interface Planned {
  readonly request: GenerateRequest;
  /** Tokens after which the caller aborts. */
  readonly abortAfter?: number;
}

/** Requests that arrive together at most. */
const AT_ONCE = 48;

/** Runs `count` requests; throws when the engine does. */
export async function soak(count: number, seed: number): Promise<SoakReport> {
  const halves = { lookup: Math.ceil(count / 2), module: Math.floor(count / 2) };
  const [lookup, module] = [
    await half('lookup', halves.lookup, seed),
    await half('module', halves.module, seed),
  ];
  const sum = (of: (report: Half) => number) => of(lookup) + of(module);
  return {
    requests: count,
    tokens: sum(r => r.tokens),
    ends: {
      stop: sum(r => r.ends.stop),
      length: sum(r => r.ends.length),
      aborted: sum(r => r.ends.aborted),
    },
    cachedTokens: sum(r => r.cachedTokens),
    ties: sum(r => r.ties),
    acceptedDrafts: { lookup: lookup.accepted, module: module.accepted },
    wrong: [...lookup.wrong.map(i => `lookup ${i}`), ...module.wrong.map(i => `module ${i}`)],
    rssBytes: [lookup.rssBytes, module.rssBytes],
  };
}

interface Half {
  tokens: number;
  readonly ends: Record<Completion['finishReason'], number>;
  cachedTokens: number;
  accepted: number;
  ties: number;
  readonly wrong: number[];
  readonly rssBytes: readonly [early: number, end: number];
}

async function half(by: DraftedBy, count: number, seed: number): Promise<Half> {
  const runtime = await nativeRuntime();
  const model = MODELS[by]();
  const store = new ParameterStore(model.parameters).initialize(new Random(seed).fork('weights'));
  const options = { prepacked: true, threads: 1 };
  using decoder = await Decoder.create(runtime, model, store, {
    ...options,
    ahead: by === 'module',
    several: 4,
  });
  using plain = await Decoder.create(runtime, model, store, options);
  using engine = new Engine(decoder, {
    slots: 12,
    capacity: CONTEXT,
    prefillPiece: 24,
    prefillPositions: 200,
    prefixCacheBytes: 200_000,
    maxDraft: 3,
    draftRows: 4,
    ...(by === 'lookup' && { drafter: promptLookup(2, 1) }),
  });
  using alone = new Engine(plain, { slots: 1, capacity: CONTEXT, prefillPiece: CONTEXT });
  const random = new Random(seed).fork('requests');
  const beginnings = Array.from({ length: 5 }, () => someIds(random, 8 + random.int(50)));
  const report = {
    tokens: 0,
    ends: { stop: 0, length: 0, aborted: 0 },
    cachedTokens: 0,
    ties: 0,
    wrong: [] as number[],
  };
  let early = 0;
  for (let first = 0; first < count; ) {
    const size = random.int(4) === 0 ? 1 : 1 + random.int(AT_ONCE);
    const wave = Array.from({ length: Math.min(size, count - first) }, () => plan(random, beginnings));
    const answers = await Promise.all(wave.map(planned => submitLater(engine, planned, random)));
    for (const [i, answer] of answers.entries()) {
      report.tokens += answer.ids.length;
      report.ends[answer.finishReason]++;
      report.cachedTokens += answer.cachedTokens;
      const verdict = await beside(alone, wave[i] as Planned, answer);
      if (verdict === 'wrong') report.wrong.push(first + i);
      if (verdict === 'tie') report.ties++;
    }
    if (first < count / 5) early = process.memoryUsage.rss();
    first += wave.length;
  }
  return { ...report, accepted: engine.acceptedTokens, rssBytes: [early, process.memoryUsage.rss()] };
}

const someIds = (random: Random, count: number): number[] =>
  Array.from({ length: count }, () => random.int(VOCABULARY));

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

/** How an answer compares with what the request gets alone. */
type Verdict = 'same' | 'tie' | 'wrong';

/** Two tokens that are as likely to seven digits: batches of other sizes round other ways (see the engine's note 3). */
const TIE = 1e-5;

async function beside(alone: Engine, { request }: Planned, answer: Completion): Promise<Verdict> {
  const expected = await alone.submit(request);
  const { ids, finishReason, logProbs } = answer;
  const at = ids.findIndex((id, i) => id !== expected.ids[i]);
  if (at < 0) {
    const whole = finishReason === expected.finishReason && ids.length === expected.ids.length;
    return whole || finishReason === 'aborted' ? 'same' : 'wrong';
  }
  const differs = (p: number, i: number) => !(Math.abs(p - (expected.logProbs[i] ?? Number.NaN)) < TIE);
  return logProbs.slice(0, at + 1).some(differs) ? 'wrong' : 'tie';
}
