import { expect, test } from 'vitest';
import { denseConfig, denseModel } from '../models/dense/index.ts';
import { ParameterStore } from '../nn/parameters.ts';
import { nativeRuntime } from '../runtime/native/native.ts';
import { Random } from '../util/random.ts';
import { Decoder } from './decoder.ts';
import { Engine } from './engine.ts';

const model = denseModel(
  denseConfig({ vocabSize: 40, hiddenSize: 32, numHiddenLayers: 2, numAttentionHeads: 2 }),
);
const requests = Array.from({ length: 5 }, (_, seed) => ({
  prompt: [1, 2, 3 + seed],
  maxTokens: 12,
  seed,
  temperature: 0,
}));

test('a prepacked decoder answers from the values it was made with until it is refreshed', async () => {
  const runtime = await nativeRuntime();
  const store = new ParameterStore(model.parameters).initialize(new Random(1));
  using live = await Decoder.create(runtime, model, store);
  using packed = await Decoder.create(runtime, model, store, { prepacked: true });
  using liveEngine = new Engine(live, { slots: 4, capacity: 32 });
  using packedEngine = new Engine(packed, { slots: 4, capacity: 32 });
  const answers = async (engine: Engine) => (await engine.generate(requests)).map(c => c.ids);
  const before = await answers(packedEngine);
  expect(before).toEqual(await answers(liveEngine));

  store.initialize(new Random(2));
  const changed = await answers(liveEngine);
  expect(changed).not.toEqual(before);
  await packedEngine.refresh();
  expect(await answers(packedEngine)).toEqual(changed);
});

test('an engine that is answering is not refreshed', async () => {
  const runtime = await nativeRuntime();
  const store = new ParameterStore(model.parameters).initialize(new Random(1));
  using decoder = await Decoder.create(runtime, model, store, { prepacked: true });
  using engine = new Engine(decoder, { slots: 4, capacity: 32 });
  const answers = engine.generate(requests);
  await expect(engine.refresh()).rejects.toThrow('is answering');
  expect(await answers).toHaveLength(requests.length);
});
