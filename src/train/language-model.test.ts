import { beforeAll, describe, expect, it } from 'vitest';
import { batchesByLength } from '../data/by-length.ts';
import { promptDocument } from '../data/document.ts';
import { ParameterStore } from '../nn/parameters.ts';
import { nativeRuntime } from '../runtime/native/native.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { type LanguageModelOptions, languageModelTraining } from './language-model.ts';
import { restoreSnapshot, snapshot, TINY_VOCABULARY, tinyModel, tinyStore } from './tiny.ts';

const model = tinyModel(2);
/** Every text counts up, from anywhere. */
const countingUp = Array.from({ length: TINY_VOCABULARY }, (_, start) =>
  promptDocument(
    [start],
    Array.from({ length: 9 }, (_, i) => (start + i + 1) % TINY_VOCABULARY),
  ),
);
const batches = batchesByLength(countingUp, { maxPlaces: 64 });

let runtime: Runtime;
beforeAll(async () => {
  runtime = await nativeRuntime();
});

const training = (more: Partial<LanguageModelOptions> = {}, store = tinyStore(model)) =>
  languageModelTraining(runtime, model, store, {
    data: { next: () => batches },
    schedule: { kind: 'constant', rate: 0.01 },
    optimizer: { kind: 'adamw', weightDecay: 0 },
    packed: false,
    ...more,
  });

describe('next-token training', () => {
  it.each(['adamw', 'muon'] as const)('learns to count with %s', async kind => {
    using stage = await training({ optimizer: { kind } });
    let loss = 0;
    for (let i = 0; i < 80; i++) loss = (await stage.step(i)).loss as number;
    expect(loss).toBeLessThan(0.1);
  });

  it('of a model that is 0 everywhere loses log V, and its z-loss is the square of that', async () => {
    const nothing = () => new ParameterStore(model.parameters);
    using plain = await training({}, nothing());
    expect((await plain.step(0)).loss).toBeCloseTo(Math.log(TINY_VOCABULARY), 5);
    using penalized = await training({ zLossWeight: 0.1 }, nothing());
    expect((await penalized.step(0)).loss).toBeCloseTo(
      Math.log(TINY_VOCABULARY) + 0.1 * Math.log(TINY_VOCABULARY) ** 2,
      5,
    );
  });

  it('with large vocabularies in chunks and layers recomputed takes the same steps', async () => {
    using plain = await training();
    using spare = await training({ logitChunks: 4, recomputeLayers: true });
    for (let i = 0; i < 5; i++) {
      const [a, b] = [await plain.step(i), await spare.step(i)];
      expect(b.loss).toBeCloseTo(a.loss as number, 4);
    }
  });

  it('weighs a token by its document’s share of all weights, however batches are split', async () => {
    const losses = [];
    for (const maxPlaces of [16, 64, 1024]) {
      using stage = await training({ data: { next: () => batchesByLength(countingUp, { maxPlaces }) } });
      losses.push((await stage.step(0)).loss as number);
    }
    for (const loss of losses) expect(loss).toBeCloseTo(losses[0] as number, 5);
  });

  it('goes on from a snapshot as if unbroken', async () => {
    using whole = await training({ emaDecay: 0.9 });
    for (let i = 0; i < 3; i++) await whole.step(i);
    const saved = snapshot(whole);
    await whole.step(3);
    using other = await training({ emaDecay: 0.9 }, tinyStore(model, 9));
    restoreSnapshot(other, saved);
    await other.step(3);
    expect(snapshot(other)).toEqual(snapshot(whole));
  });
});

it('the moving average follows a_t = d a + (1 − d) p from the first weights', async () => {
  const decay = 0.8;
  using stage = await training({ emaDecay: decay });
  let wanted = stage.store.flat.slice();
  for (let i = 0; i < 4; i++) {
    await stage.step(i);
    wanted = wanted.map((a, k) => decay * a + (1 - decay) * (stage.store.flat[k] as number));
  }
  stage.arrays.average?.forEach((a, k) => void expect(a).toBeCloseTo(wanted[k] as number, 6));
  expect(stage.arrays.average).not.toEqual(stage.store.flat);
});
