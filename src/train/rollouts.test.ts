/** Rollouts over rounded caches against the training graph's own log-probabilities. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { CacheDType } from '../generate/cache-format.ts';
import type { GenerateRequest } from '../generate/engine.ts';
import { denseConfig, denseModel } from '../models/dense/index.ts';
import { ParameterStore } from '../nn/parameters.ts';
import { nativeRuntime } from '../runtime/native/native.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Random } from '../util/random.ts';
import { Rollouts } from './rollouts.ts';
import { Scorer } from './scorer.ts';

const model = denseModel(
  denseConfig({
    vocabSize: 40,
    hiddenSize: 32,
    numHiddenLayers: 2,
    numAttentionHeads: 2,
    intermediateSize: 64,
    maxPositionEmbeddings: 64,
    initializerRange: 0.2,
  }),
);
const weights = (seed: number) => new ParameterStore(model.parameters).initialize(new Random(seed));
const requests = (seed: number): GenerateRequest[] =>
  Array.from({ length: 6 }, (_, i) => ({ prompt: [1 + i, 2, 3], maxTokens: 40, seed: seed * 100 + i }));

let runtime: Runtime;
beforeAll(async () => {
  runtime = await nativeRuntime();
});

/** Largest difference between the sampler's log-probabilities and those of the training graph. */
async function deviation(rollouts: Rollouts, store: ParameterStore): Promise<number> {
  const asked = requests(7);
  const answers = await rollouts.engine.generate(asked);
  using scorer = await Scorer.create(runtime, model, store);
  const pairs = answers.map((a, i) => ({ prompt: asked[i]?.prompt ?? [], response: a.ids }));
  const exact = await scorer.logProbs(pairs);
  return Math.max(
    ...answers.flatMap((a, i) => a.logProbs.map((p, t) => Math.abs(p - (exact[i]?.[t] ?? Number.NaN)))),
  );
}

/** Values 50 times as large, undone by the projection behind them: the same model with other ranges. */
function enlargeValues(store: ParameterStore): void {
  for (const { name } of store.specs) {
    const factor = /v_proj/.test(name) ? 50 : /o_proj/.test(name) ? 1 / 50 : 1;
    const data = store.tensor(name).data as Float32Array;
    for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) * factor;
  }
}

describe('rollouts', () => {
  it.each([
    ['f32', 2e-5],
    ['int8', 0.06],
    ['int4', 1],
  ] as const)('over a %s cache sample within %d of the trained policy', async (cache: CacheDType, bound) => {
    const store = weights(3);
    using rollouts = await Rollouts.create(runtime, model, store, { slots: 4, cache });
    await rollouts.refresh(() => requests(1));
    expect(await deviation(rollouts, store)).toBeLessThan(bound);
  });

  it('take over new weights and the ranges that come with them', async () => {
    const store = weights(3);
    using rollouts = await Rollouts.create(runtime, model, store, { slots: 4, cache: 'int8' });
    await rollouts.refresh(() => requests(1));
    store.flat.set(weights(4).flat);
    enlargeValues(store);
    expect(await deviation(rollouts, store)).toBeGreaterThan(0.3);
    await rollouts.refresh(() => requests(1));
    expect(await deviation(rollouts, store)).toBeLessThan(0.06);
  });
});
