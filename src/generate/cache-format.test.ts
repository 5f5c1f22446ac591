/** Caches of few bits against float ones, over the same weights and ids. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { denseConfig, denseModel } from '../models/dense/index.ts';
import { ParameterStore } from '../nn/parameters.ts';
import { nativeRuntime } from '../runtime/native/native.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Random } from '../util/random.ts';
import { measureCache, quantizeCache } from './cache-format.ts';
import { Decoder } from './decoder.ts';
import { Engine } from './engine.ts';
import { decodeGraph } from './graphs.ts';
import { positionBytes } from './rows.ts';

const model = denseModel(
  denseConfig({
    modelType: 'qwen2',
    vocabSize: 64,
    hiddenSize: 64,
    numHiddenLayers: 2,
    numAttentionHeads: 4,
    numKeyValueHeads: 2,
    headDim: 32,
    maxPositionEmbeddings: 128,
    initializerRange: 0.15,
  }),
);
const store = new ParameterStore(model.parameters).initialize(new Random(5));
const random = new Random(6);
const ids = Array.from({ length: 60 }, () => random.int(model.vocabSize));

let runtime: Runtime;
let exact: Decoder;
beforeAll(async () => {
  runtime = await nativeRuntime();
  exact = await Decoder.create(runtime, model, store);
});
afterAll(() => exact[Symbol.dispose]());

async function quantized(bits: 4 | 8): Promise<Decoder> {
  const format = await measureCache(exact, [ids], bits);
  const graph = decodeGraph(model, name => store.tensor(name));
  return Decoder.fromGraph(runtime, quantizeCache(graph, model, format), graph);
}

/** log p of each id after the first ten, read one by one over the cache. */
async function logProbs(decoder: Decoder): Promise<number[]> {
  const cache = decoder.allocateCache(1, ids.length);
  const logits = new Float32Array(model.vocabSize);
  using prompt = decoder.lane(cache, { rows: 1, length: 10 }, logits);
  prompt.ids.set(ids.slice(0, 10));
  prompt.lastPosition[0] = 9;
  await prompt.run();
  using step = decoder.lane(cache, { rows: 1, length: 1 }, logits);
  const found: number[] = [];
  for (let at = 10; at < ids.length; at++) {
    const total = logits.reduce((sum, z) => sum + Math.exp(z), 0);
    found.push((logits[ids[at] as number] as number) - Math.log(total));
    step.ids[0] = ids[at] as number;
    step.lastPosition[0] = at;
    step.total = at + 1;
    await step.run();
  }
  return found;
}

describe('a cache of few bits', () => {
  it.each([
    [8, 4, 0.01],
    [4, 8, 0.15],
  ] as const)('of %d bits takes a %dth and changes log p by less than %d', async (bits, share, bound) => {
    using decoder = await quantized(bits);
    expect(positionBytes(decoder)).toBe(positionBytes(exact) / share);
    const [a, b] = [await logProbs(exact), await logProbs(decoder)];
    const differences = a.map((p, i) => Math.abs(p - (b[i] as number)));
    const mean = differences.reduce((sum, d) => sum + d, 0) / differences.length;
    expect(mean).toBeLessThan(bound);
    expect(mean).toBeGreaterThan(0);
  });

  it('serves the engine: batches, pieces, growth, beginnings taken over', async () => {
    using decoder = await quantized(8);
    using engine = new Engine(decoder, { slots: 3, capacity: 128, prefillPiece: 16, prefixCacheBytes: 1e5 });
    const prompts = [ids.slice(0, 40), ids.slice(0, 3), ids.slice(5, 12)];
    const request = (prompt: number[]) => ({ prompt, maxTokens: 20, seed: 1, temperature: 0 });
    const together = await engine.generate(prompts.map(request));
    for (const [i, prompt] of prompts.entries())
      expect((await engine.submit(request(prompt))).ids).toEqual(together[i]?.ids);
  });
});
