/** Decoding that drafts with the model's own module says what decoding without drafts says, only in fewer passes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLanguageModel } from '../src/export/language-model.ts';
import { encodeSafetensors } from '../src/formats/safetensors.ts';
import { Decoder } from '../src/generate/decoder.ts';
import { Engine, type EngineOptions, type GenerateRequest } from '../src/generate/engine.ts';
import { draftFigures } from '../src/generate/open.ts';
import { int32, modelOf, type Tensor } from '../src/graph/ir.ts';
import { deepseekConfig, deepseekModel } from '../src/models/deepseek/index.ts';
import { deepseekAhead, deepseekHidden, deepseekLogits } from '../src/models/deepseek/model.ts';
import { loadModel, saveModel } from '../src/models/files.ts';
import { ggufOf } from '../src/models/gguf/write.ts';
import type { CausalModel } from '../src/models/model.ts';
import { ParameterStore, ParameterTrace } from '../src/nn/parameters.ts';
import { Builder } from '../src/ops/builder.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { ggufVocabulary } from '../src/tokenizer/gguf-vocabulary.ts';
import { trainBpe } from '../src/tokenizer/train-bpe.ts';
import { concatBytes, memoryFiles } from '../src/util/files.ts';
import { Random } from '../src/util/random.ts';
import { config, tokenizer, trained } from './trained-deepseek.ts';

let runtime: Runtime;
let model: CausalModel;
let store: ParameterStore;
let drafting: Decoder;
let plain: Decoder;

beforeAll(async () => {
  runtime = await nativeRuntime();
  ({ model, store } = await trained(runtime, { aheadWeight: 0.3 }));
  drafting = await Decoder.create(runtime, model, store, { ahead: true });
  plain = await Decoder.create(runtime, model, store);
});
afterAll(() => {
  drafting[Symbol.dispose]();
  plain[Symbol.dispose]();
});

const engine = (decoder: Decoder, options: Partial<EngineOptions> = {}) =>
  new Engine(decoder, { slots: 1, capacity: 32, ...options });
const request = (text: string, maxTokens: number, more: Partial<GenerateRequest> = {}): GenerateRequest => ({
  prompt: tokenizer.encode(text),
  maxTokens,
  temperature: 0,
  seed: 1,
  ...more,
});

describe('greedy text', () => {
  it.each([1, 2, 3])('is that without drafts, %d drafted at a time', async maxDraft => {
    using fast = engine(drafting, { maxDraft });
    using slow = engine(plain);
    for (const text of ['a', 'abc ', 'hgf hge', 'dddd', 'abc abd abe hg']) {
      const [got, wanted] = [await fast.submit(request(text, 40)), await slow.submit(request(text, 40))];
      expect(got.ids).toEqual(wanted.ids);
      expect(got.finishReason).toBe(wanted.finishReason);
      got.logProbs.forEach((p, i) => void expect(p).toBeCloseTo(wanted.logProbs[i] as number, 4));
    }
    const { acceptance, tokensPerStep } = draftFigures(fast);
    expect(acceptance).toBeGreaterThan(0.3);
    expect(tokensPerStep).toBeGreaterThan(1.3);
  });

  it('takes the passes that the module’s guesses over whole rows foretell', async () => {
    const prompt = 'abc ab';
    using fast = engine(drafting);
    const { ids } = await fast.submit(request(prompt, 24));
    const row = [...tokenizer.encode(prompt), ...ids];
    const named = await guesses(row);
    const start = row.length - ids.length;
    let [drafted, accepted, steps] = [0, 0, 0];
    for (let known = 1; known < ids.length; known++, steps++) {
      if (ids.length - known < 2) continue; // the last token is not worth a draft
      drafted++;
      // named[i] is made of the tokens up to i + 1
      if (named[start + known - 2] !== ids[known]) continue;
      accepted++;
      known++;
    }
    expect([fast.draftedTokens, fast.acceptedTokens, fast.steps]).toEqual([drafted, accepted, steps]);
    expect(accepted).toBeGreaterThan(3);
  });

  it.each([1, 2, 3])(
    'of many requests at once, %d of them drafted, with beginnings in common, stops and aborts',
    async draftRows => {
      const options = { slots: 3, prefixCacheBytes: 1e6, prefillPiece: 6, maxDraft: 2, draftRows };
      using checking = await Decoder.create(runtime, model, store, { ahead: true, several: 3 });
      using fast = engine(checking, options);
      using slow = engine(plain);
      const stop = tokenizer.encode('g')[0] as number;
      const random = new Random(4);
      const letters = 'abcdefgh ';
      const requests = Array.from({ length: 40 }, (_, i) => {
        const own = Array.from({ length: random.int(7) }, () => letters[random.int(letters.length)]).join('');
        const text = `${i % 3 === 0 ? 'abc abd abe' : ''}a${own}`;
        return request(text, 1 + random.int(14), { stopIds: i % 4 === 0 ? [stop] : [] });
      });
      for (const wave of [requests.slice(0, 25), requests.slice(25, 26), requests.slice(26)]) {
        const answers = await fast.generate(wave);
        for (const [i, answer] of answers.entries()) {
          const wanted = await slow.submit(wave[i] as GenerateRequest);
          expect([answer.ids, answer.finishReason]).toEqual([wanted.ids, wanted.finishReason]);
        }
      }
      const abort = new AbortController();
      let told = 0;
      const onToken = () => void (++told === 4 && abort.abort());
      const cut = await fast.submit(request('abc a', 20, { onToken, signal: abort.signal }));
      expect([cut.finishReason, cut.ids.length]).toEqual(['aborted', 4]);
      const again = await fast.submit(request('abc abd abe', 15));
      expect(again.cachedTokens).toBeGreaterThan(7);
      expect(again.ids).toEqual((await slow.submit(request('abc abd abe', 15))).ids);
      expect(fast.acceptedTokens).toBeGreaterThan(5);
    },
  );
});

it('rows that accept different numbers of drafts go on as each does alone', async () => {
  using checking = await Decoder.create(runtime, model, store, { ahead: true, several: 3, prepacked: true });
  const requests = ['a', 'abc ', 'hgf hge', 'dddd'].map(text => request(text, 20));
  using together = engine(checking, { slots: 4, maxDraft: 2, draftRows: 4 });
  using alone = engine(drafting, { maxDraft: 2 });
  const answers = await together.generate(requests);
  const each = [];
  for (const asked of requests) {
    const { acceptedTokens } = alone;
    const { ids } = await alone.submit(asked);
    each.push({ ids, accepted: alone.acceptedTokens - acceptedTokens });
  }
  expect(answers.map(({ ids }) => ids)).toEqual(each.map(({ ids }) => ids));
  expect(new Set(each.map(({ accepted }) => accepted)).size).toBeGreaterThan(1);
  const counts = (e: Engine) => [e.draftedTokens, e.acceptedTokens, e.steps];
  expect(counts(together)).toEqual(counts(alone));
  await together.refresh();
  expect((await together.generate(requests)).map(({ ids }) => ids)).toEqual(each.map(({ ids }) => ids));
});

/** The module's most likely token at each place i of a row, from the tokens up to i + 1. */
async function guesses(row: readonly number[]): Promise<number[]> {
  const b = new Builder('rows');
  const scope = new ParameterTrace(b, name => store.tensor(name)).scope();
  const [now, next, positions] = ['now', 'next', 'positions'].map(n => b.input(n, 'int32', ['B', 'T']));
  if (!now || !next || !positions) throw new Error('no inputs');
  const hidden = deepseekHidden(scope, config, { ids: now, positions });
  const ahead = deepseekAhead(scope, config, { ids: next, positions }, hidden);
  b.output(
    b.op('ArgMax', [deepseekLogits(scope, config, ahead)], { axis: -1, keepdims: 0 }).cast('int32'),
    'named',
  );
  using program = await runtime.compile(modelOf(b.graph));
  const length = row.length - 1;
  const table = (values: readonly number[]) => int32([1, length], values);
  const { named } = await program.call({
    now: table(row.slice(0, length)),
    next: table(row.slice(1)),
    positions: table(Array.from({ length }, (_, i) => i)),
  });
  return [...((named as Tensor).data as Int32Array)];
}

it('sampling has the model’s own distribution, whatever the module drafts', { timeout: 60_000 }, async () => {
  const small = deepseekModel(
    deepseekConfig({
      vocabSize: 5,
      hiddenSize: 16,
      numHiddenLayers: 1,
      numAttentionHeads: 2,
      maxPositionEmbeddings: 16,
      nRoutedExperts: 0,
      initializerRange: 0.8,
      numNextnPredictLayers: 1,
    }),
    { aheadWeight: 1 },
  );
  const weights = new ParameterStore(small.parameters).initialize(new Random(8));
  for (const name of ['lm_head.weight', 'model.embed_tokens.weight'])
    for (let i = 0, { data } = weights.tensor(name); i < data.length; i++)
      (data as Float32Array)[i] = 40 * (data[i] as number); // probabilities far from even
  using decoder = await Decoder.create(runtime, small, weights, { ahead: true });
  using fast = engine(decoder, { capacity: 16, maxDraft: 2 });
  const options = { temperature: 1.3, topK: 4 };
  const prompt = [1, 2, 3];
  const wanted = await jointProbabilities(small, weights, prompt, options);
  const [count, counts] = [2500, new Float64Array(125)];
  for (let seed = 0; seed < count; seed++) {
    const { ids } = await fast.submit({ ...options, prompt, maxTokens: 4, seed });
    const [a, b, c] = ids.slice(1) as [number, number, number];
    counts[25 * a + 5 * b + c] = (counts[25 * a + 5 * b + c] as number) + 1;
  }
  const { statistic, freedom } = chiSquared(
    counts,
    wanted.map(p => p * count),
  );
  // mean `freedom`, standard deviation √(2 freedom): five of them
  expect(statistic).toBeLessThan(freedom + 5 * Math.sqrt(2 * freedom));
  expect(freedom).toBeGreaterThan(20);
  const { acceptance } = draftFigures(fast);
  expect(acceptance).toBeGreaterThan(0.1);
  expect(acceptance).toBeLessThan(0.95);
});

/** Probabilities of the second, third and fourth token that follow a prompt [5³], of whole rows. */
async function jointProbabilities(
  small: CausalModel,
  weights: ParameterStore,
  prompt: readonly number[],
  { temperature }: { temperature: number },
): Promise<number[]> {
  const three = Array.from({ length: 125 }, (_, i) => [Math.floor(i / 25), Math.floor(i / 5) % 5, i % 5]);
  const rows = three.map(ids => [...prompt, ...ids]);
  const length = prompt.length + 3;
  const b = new Builder('whole');
  const scope = new ParameterTrace(b, name => weights.tensor(name)).scope();
  const [ids, positions] = ['ids', 'positions'].map(n => b.input(n, 'int32', ['B', 'T']));
  if (!ids || !positions) throw new Error('no inputs');
  b.output(small.logits(scope, small.hidden(scope, { ids, positions })), 'logits');
  using program = await runtime.compile(modelOf(b.graph));
  const table = (value: (row: readonly number[], i: number) => number) =>
    int32(
      [125, length],
      rows.flatMap(row => row.map((_, i) => value(row, i))),
    );
  const out = await program.call({ ids: table((row, i) => row[i] as number), positions: table((_, i) => i) });
  const logits = (out.logits as Tensor).data as Float32Array;
  const next = (row: number, place: number): number[] => {
    const at = (row * length + place) * 5;
    const weighed = [...logits.subarray(at, at + 5)].map(z => Math.exp(z / temperature));
    const least = Math.min(...weighed); // top-k 4 of 5
    const total = weighed.reduce((sum, w) => sum + w, 0) - least;
    return weighed.map(w => (w === least ? 0 : w / total));
  };
  const joint = new Array<number>(125).fill(0);
  const last = prompt.length - 1;
  three.forEach(([x1 = 0, x2 = 0, x3 = 0], r) => {
    const before = [x1, x2, x3].map((x, k) => next(r, last + k)[x] as number);
    const p = before.reduce((a, c) => a * c, 1);
    next(r, last + 3).forEach((q, x4) => {
      const cell = 25 * x2 + 5 * x3 + x4;
      joint[cell] = (joint[cell] as number) + p * q;
    });
  });
  return joint;
}

/** Cells that expect fewer than 8 count as one. */
function chiSquared(counts: ArrayLike<number>, expected: readonly number[]) {
  let [statistic, freedom, rareSeen, rareExpected] = [0, -1, 0, 0];
  const add = (seen: number, wanted: number) => {
    statistic += (seen - wanted) ** 2 / wanted;
    freedom++;
  };
  for (const [i, wanted] of expected.entries()) {
    const seen = counts[i] as number;
    if (wanted >= 8) add(seen, wanted);
    else {
      rareSeen += seen;
      rareExpected += wanted;
    }
  }
  if (rareExpected >= 8) add(rareSeen, rareExpected);
  else expect(rareSeen).toBeLessThan(40);
  return { statistic, freedom };
}

describe('files', () => {
  it('keep the module: a directory and GGUF, opened again, draft as before', async () => {
    const files = memoryFiles();
    await saveModel(files, 'm', model, store, tokenizer);
    const loaded = await loadModel(files, 'm');
    expect(loaded.store.flat).toEqual(store.flat);
    await saveModel(files, 'again', loaded.model, loaded.store, tokenizer);
    expect((await loadModel(files, 'again')).store.flat).toEqual(store.flat);
    const opened = await openLanguageModel(files, 'again');
    using decoder = await opened.decoder(runtime, { ahead: true });
    using fast = engine(decoder);
    using before = engine(drafting);
    const asked = request('abc ab', 20);
    expect((await fast.submit(asked)).ids).toEqual((await before.submit(asked)).ids);
    expect(fast.acceptedTokens).toBe(before.acceptedTokens);
  });

  it('as DeepSeek publishes them have copies of the embedding and the head, which are passed over; a module in part is refused', async () => {
    const files = memoryFiles();
    await saveModel(files, 'm', model, store, tokenizer);
    const tensors = new Map<string, Tensor>(store.tensors());
    for (const name of ['embed_tokens', 'shared_head.head'])
      tensors.set(`model.layers.2.${name}.weight`, store.tensor('model.embed_tokens.weight'));
    await files.write('m/model.safetensors', encodeSafetensors(tensors));
    expect((await loadModel(files, 'm')).store.flat).toEqual(store.flat);
    tensors.delete('model.layers.2.hnorm.weight');
    await files.write('m/model.safetensors', encodeSafetensors(tensors));
    await expect(loadModel(files, 'm')).rejects.toThrow('tensor "model.layers.2.hnorm.weight" is missing');
  });

  it.each(['F32', 'Q8_0'] as const)('of GGUF in %s draft too, as they are stored', async type => {
    const words = trainBpe(['abc abd abe hgf hge hgd '.repeat(20)], { vocabSize: 270 });
    const own = deepseekModel(
      deepseekConfig({ ...config, hiddenSize: 64, vocabSize: 270, kvLoraRank: 32, moeIntermediateSize: 32 }),
      { aheadWeight: 1 },
    );
    const values = new ParameterStore(own.parameters).initialize(new Random(3));
    const vocabulary = ggufVocabulary(words, { size: 270 });
    const files = memoryFiles({
      'm.gguf': concatBytes([...ggufOf(own, values, { type, name: 'm', vocabulary })]),
    });
    const opened = await openLanguageModel(files, 'm.gguf');
    using decoder = await opened.decoder(runtime, { ahead: true });
    using without = await opened.decoder(runtime);
    using fast = engine(decoder);
    using slow = engine(without);
    for (const prompt of [[1, 2, 3], [40], [7, 7, 7, 7]]) {
      const asked = { prompt, maxTokens: 16, temperature: 0, seed: 1 };
      expect((await fast.submit(asked)).ids).toEqual((await slow.submit(asked)).ids);
    }
    expect(fast.draftedTokens).toBeGreaterThan(10);
  });

  it('without the module are models all the same, and refused where it is asked for', async () => {
    const main = deepseekModel(config);
    const values = new ParameterStore(main.parameters).load(store.tensors(), 'the trained one');
    const files = memoryFiles();
    await saveModel(files, 'm', main, values, tokenizer);
    const opened = await openLanguageModel(files, 'm');
    expect(opened.model.toHuggingFace().num_nextn_predict_layers).toBe(1);
    await expect(opened.decoder(runtime, { ahead: true })).rejects.toThrow(
      'the files of this deepseek_v3 model hold no module that predicts further ("model.layers.2.enorm.weight" is missing); it cannot draft with one',
    );
    const never = deepseekModel({ ...config, numNextnPredictLayers: 0 });
    await expect(Decoder.create(runtime, never, values, { ahead: true })).rejects.toThrow(
      'has no module that predicts further (num_nextn_predict_layers)',
    );
  });
});
