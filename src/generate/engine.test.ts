/** The engine against whole rows computed anew for every token, without a cache, batch or draft. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lower } from '../autodiff/lower.ts';
import { int32, modelOf, type Tensor } from '../graph/ir.ts';
import { denseConfig, denseModel } from '../models/dense/index.ts';
import { ParameterStore, ParameterTrace } from '../nn/parameters.ts';
import { Builder } from '../ops/builder.ts';
import { nativeRuntime } from '../runtime/native/native.ts';
import type { Program } from '../runtime/runtime.ts';
import { Random } from '../util/random.ts';
import { Decoder } from './decoder.ts';
import { type Drafter, promptLookup } from './drafts.ts';
import { Engine, type EngineOptions, type GenerateRequest } from './engine.ts';

const model = denseModel(
  denseConfig({
    vocabSize: 48,
    hiddenSize: 32,
    numHiddenLayers: 2,
    numAttentionHeads: 4,
    numKeyValueHeads: 2,
    maxPositionEmbeddings: 1024,
    initializerRange: 0.3,
  }),
);
const store = new ParameterStore(model.parameters).initialize(new Random(5));
let decoder: Decoder;
let whole: Program;

beforeAll(async () => {
  const runtime = await nativeRuntime();
  decoder = await Decoder.create(runtime, model, store);
  const b = new Builder('whole');
  const int = (name: string) => b.input(name, 'int32', ['B', 'T']);
  const scope = new ParameterTrace(b, name => store.tensor(name)).scope();
  const [ids, positions] = [int('ids'), int('positions')];
  b.output(model.logits(scope, model.hidden(scope, { ids, positions })), 'logits');
  whole = await runtime.compile(modelOf(lower(b.graph)));
});
afterAll(() => {
  decoder[Symbol.dispose]();
  whole[Symbol.dispose]();
});

/** The likeliest continuation, a whole row a token. */
async function greedy(prompt: readonly number[], count: number): Promise<number[]> {
  const ids = [...prompt];
  while (ids.length < prompt.length + count) {
    const dims = [1, ids.length];
    const positions = ids.map((_, i) => i);
    const out = await whole.call({ ids: int32(dims, ids), positions: int32(dims, positions) });
    const last = (out.logits as Tensor).data.slice(-model.vocabSize) as Float32Array;
    ids.push(last.indexOf(Math.max(...last)));
  }
  return ids.slice(prompt.length);
}

const random = new Random(9);
const someIds = (count: number): number[] => Array.from({ length: count }, () => random.int(model.vocabSize));
const request = (prompt: readonly number[], maxTokens: number, more: Partial<GenerateRequest> = {}) => ({
  prompt,
  maxTokens,
  seed: 1,
  temperature: 0,
  ...more,
});
const engineWith = (options: Partial<EngineOptions> = {}) =>
  new Engine(decoder, { slots: 1, capacity: 1024, ...options });

describe('rows', () => {
  it('grow without changing the answer', async () => {
    using engine = engineWith();
    const prompt = someIds(250);
    const [answer] = await engine.generate([request(prompt, 12)]);
    expect(answer?.ids).toEqual(await greedy(prompt, 12)); // 256 is passed on the way
  });

  it('read long prompts in pieces', async () => {
    using engine = engineWith({ prefillPiece: 7 });
    for (const length of [6, 7, 8, 50]) {
      const prompt = someIds(length);
      const [answer] = await engine.generate([request(prompt, 6)]);
      expect(answer?.ids).toEqual(await greedy(prompt, 6));
    }
  });

  it('answer requests of all kinds together as one by one', async () => {
    using engine = engineWith({ slots: 4, prefillPiece: 16 });
    const shared = someIds(9);
    const prompts = [shared, shared, shared, someIds(30), shared, ...[1, 2, 20, 5, 3].map(someIds), shared];
    const lengths = [1, 7, 1, 9, 4, 1, 6, 5, 8, 2, 3];
    const answers = await engine.generate(prompts.map((prompt, i) => request(prompt, lengths[i] as number)));
    for (const [i, { ids, finishReason }] of answers.entries()) {
      expect(ids).toEqual(await greedy(prompts[i] as number[], lengths[i] as number));
      expect(finishReason).toBe('length');
    }
  });

  it('of more bytes than allowed are refused with what would help', async () => {
    const bytes = 64 * 2 * 2 * 2 * 8 * 4 * 2; // positions · slots · layers · (key, value) · width · bytes · heads
    using engine = engineWith({ slots: 2, maxCacheBytes: bytes });
    await expect(engine.submit(request(someIds(64), 1))).rejects.toThrow(
      `the prompt has 64 tokens but the cache of 2 rows in ${bytes} bytes (maxCacheBytes) holds 64; shorten it by 1 or more, use fewer rows or allow more bytes`,
    );
    const { ids, finishReason } = await engine.submit(request(someIds(60), 100));
    expect([ids.length, finishReason]).toEqual([4, 'length']);
    expect(() => engineWith({ maxCacheBytes: 100 })).toThrow('one position of 1 rows takes 256 bytes');
  });

  it('of aborted requests are free again', async () => {
    using engine = engineWith({ slots: 2 });
    const abort = new AbortController();
    const onToken = () => abort.abort();
    const [stopped, other] = await engine.generate([
      request([1, 2], 20, { signal: abort.signal, onToken }),
      request([3, 4, 5], 20),
    ]);
    expect([stopped?.finishReason, stopped?.ids.length]).toEqual(['aborted', 1]);
    expect(other?.ids).toEqual(await greedy([3, 4, 5], 20));
  });
});

describe('the prefix cache', () => {
  it('takes over the longest beginning that was read, and answers the same', async () => {
    using engine = engineWith({ prefixCacheBytes: 1e6 });
    const prompt = someIds(20);
    const first = await engine.submit(request(prompt, 10));
    expect(first.cachedTokens).toBe(0);
    const turn = [...prompt, ...first.ids, 7, 8];
    const second = await engine.submit(request(turn, 5));
    expect(second.cachedTokens).toBe(prompt.length + first.ids.length - 1); // the last id was never read
    expect(second.ids).toEqual(await greedy(turn, 5));
    const again = await engine.submit(request(prompt, 10));
    expect([again.cachedTokens, again.ids]).toEqual([prompt.length - 1, first.ids]);
    const branch = [...prompt.slice(0, 12), 0, 0, 0];
    const other = await engine.submit(request(branch, 5));
    expect(other.cachedTokens).toBeGreaterThanOrEqual(12);
    expect(other.ids).toEqual(await greedy(branch, 5));
  });

  it('takes over from rows that are still answering', async () => {
    using engine = engineWith({ slots: 2, prefixCacheBytes: 1e6 });
    const prompt = someIds(30);
    const late = [...prompt.slice(0, 25), 3, 3];
    let second: Promise<{ ids: number[]; cachedTokens: number }> | undefined;
    const onToken = () => void (second ??= engine.submit(request(late, 6)));
    await engine.submit(request(prompt, 8, { onToken }));
    const answer = await (second as NonNullable<typeof second>);
    expect(answer.cachedTokens).toBeGreaterThanOrEqual(25);
    expect(answer.ids).toEqual(await greedy(late, 6));
  });

  it('stays within its bytes, the oldest going first, and is empty unless asked for', async () => {
    const perPosition = 256;
    using engine = engineWith({ prefixCacheBytes: 100 * perPosition });
    const prompts = [someIds(40), someIds(40), someIds(40)];
    for (const prompt of prompts) await engine.submit(request(prompt, 5));
    expect(engine.prefixCacheBytes).toBe(2 * 44 * perPosition);
    const taken = [];
    for (const prompt of [...prompts].reverse())
      taken.push((await engine.submit(request(prompt, 1))).cachedTokens);
    expect(taken).toEqual([39, 39, 0]);
    await engine.refresh();
    expect(engine.prefixCacheBytes).toBe(0);
    using plain = engineWith();
    await plain.submit(request(prompts[0] as number[], 5));
    expect((await plain.submit(request(prompts[0] as number[], 5))).cachedTokens).toBe(0);
  });
});

describe('drafts', () => {
  const prompt = [5, 6, 7, 8, 5, 6, 7, 8, 5, 6];
  /** Knows the answer, but for every `wrong`-th token. */
  const oracle = (answer: readonly number[], wrong = 0): Drafter => ({
    draft: (ids, most) =>
      answer
        .slice(ids.length - prompt.length)
        .slice(0, most)
        .map((id, i) => (wrong > 0 && (ids.length + i) % wrong === 0 ? (id + 1) % model.vocabSize : id)),
  });

  it.each([0, 1])('leave ids and their probabilities as they are at temperature %d', async temperature => {
    using plain = engineWith();
    const asked = request(prompt, 40, { temperature, repetitionPenalty: 1.2, topP: 0.9 });
    const expected = await plain.submit(asked);
    for (const drafter of [
      oracle(expected.ids),
      oracle(expected.ids, 3),
      oracle(expected.ids, 1),
      promptLookup(),
    ]) {
      using engine = engineWith({ drafter });
      const answer = await engine.submit(asked);
      expect(answer.ids).toEqual(expected.ids);
      for (const [i, p] of answer.logProbs.entries())
        expect(p).toBeCloseTo(expected.logProbs[i] as number, 4);
    }
  });

  it('are taken as far as they are right', async () => {
    const answer = await greedy(prompt, 41);
    using engine = engineWith({ drafter: oracle(answer), maxDraft: 3 });
    await engine.submit(request(prompt, 41));
    expect([engine.draftedTokens, engine.acceptedTokens]).toEqual([30, 30]); // 1 + 10 · (3 + 1)
    using hopeless = engineWith({ drafter: oracle(answer, 1), maxDraft: 3 });
    await hopeless.submit(request(prompt, 41));
    expect(hopeless.acceptedTokens).toBe(0);
  });

  it('of several rows are checked in one pass, each as far as it is right', async () => {
    using checking = await Decoder.create(await nativeRuntime(), model, store, { several: 4 });
    const prompts = [prompt, [...prompt, 3], someIds(20)];
    const wanted = await Promise.all(prompts.map(own => greedy(own, 30)));
    // knows the answers, but for every fifth token
    const drafter: Drafter = {
      draft(ids, most) {
        const r = prompts.findLastIndex(own => own.every((id, i) => id === ids[i]));
        const known = wanted[r] ?? [];
        const at = ids.length - (prompts[r]?.length ?? 0);
        return known
          .slice(at, at + most)
          .map((id, i) => ((at + i) % 5 === 0 ? (id + 1) % model.vocabSize : id));
      },
    };
    using engine = new Engine(checking, { slots: 3, capacity: 1024, drafter, maxDraft: 3, draftRows: 3 });
    const answers = await engine.generate(prompts.map((own, i) => request(own, 30 - 4 * i)));
    expect(answers.map(({ ids }) => ids)).toEqual(wanted.map((ids, i) => ids.slice(0, 30 - 4 * i)));
    expect(engine.acceptedTokens / engine.steps).toBeGreaterThan(1);
    using fewer = new Engine(checking, { slots: 3, capacity: 1024, drafter, maxDraft: 3, draftRows: 2 });
    await fewer.generate(prompts.map(own => request(own, 30)));
    expect(fewer.draftedTokens).toBeLessThan(engine.draftedTokens);
  });

  it('stop where the answer stops', async () => {
    const answer = await greedy(prompt, 30);
    using engine = engineWith({ drafter: oracle(answer) });
    const stop = answer[9] as number;
    const { ids } = await engine.submit(request(prompt, 30, { stopIds: [stop] }));
    expect(ids).toEqual(answer.slice(0, answer.indexOf(stop) + 1));
    using small = engineWith({ drafter: oracle(answer), capacity: prompt.length + 6 });
    expect((await small.submit(request(prompt, 30))).ids).toEqual(answer.slice(0, 6));
  });

  it('of prompt lookup are what followed the last tokens before', () => {
    expect(promptLookup(3, 2).draft([1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3], 4)).toEqual([4, 9, 2, 3]);
    expect(promptLookup(3, 2).draft([9, 2, 3, 4, 7, 2, 3], 2)).toEqual([4, 7]);
    expect(promptLookup(3, 2).draft([1, 2, 3], 4)).toEqual([]);
    expect(promptLookup(1, 1).draft([4, 4, 4], 4)).toEqual([4]);
  });
});
