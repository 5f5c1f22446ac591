import { beforeAll, describe, expect, it } from 'vitest';
import { type Batch, BatchBuilder } from '../data/batch.ts';
import { liveness } from '../graph/liveness.ts';
import { denseConfig, denseModel } from '../models/dense/index.ts';
import { crossEntropy, zLoss } from '../nn/losses.ts';
import type { Optimizer } from '../nn/optim/optimizer.ts';
import { ParameterStore } from '../nn/parameters.ts';
import { nativeRuntime } from '../runtime/native/native.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Random } from '../util/random.ts';
import {
  gradientGraph,
  Learner,
  type LearnerOptions,
  type LossFunction,
  type TraceOptions,
} from './learner.ts';

const VOCABULARY = 24;
const model = denseModel(
  denseConfig({
    vocabSize: VOCABULARY,
    hiddenSize: 32,
    numHiddenLayers: 2,
    numAttentionHeads: 2,
    intermediateSize: 48,
    maxPositionEmbeddings: 32,
  }),
);
const loss: LossFunction = c => {
  const scores = c.scores();
  const weights = c.token('weights');
  return { loss: crossEntropy(scores, weights).add(zLoss(scores, weights).mul(0.01)) };
};

const random = new Random(7);
const LENGTHS = [9, 5, 12, 7];
const documents = LENGTHS.map(n => ({ ids: Array.from({ length: n }, () => random.int(VOCABULARY)) }));
const PLACES = LENGTHS.reduce((sum, n) => sum + n - 1, 0);

/** One document a row; weights are a mean over all documents. */
function batchOf(chosen: readonly { ids: number[] }[], length = 12): Batch {
  const builder = new BatchBuilder({ rows: chosen.length, length });
  chosen.forEach((document, row) => {
    builder.place(row, { document, start: 0, count: document.ids.length - 1 });
  });
  const batch = builder.finish();
  return { ...batch, weights: batch.weights.map(w => w / PLACES) };
}

/** An optimizer that only writes down what it is told. */
function recorder(): { steps: { rate: number; scale: number }[]; make: LearnerOptions['optimizer'] } {
  const steps: { rate: number; scale: number }[] = [];
  const optimizer: Optimizer = {
    state: {},
    steps: 0,
    step: async (rate, scale) => void steps.push({ rate, scale }),
    [Symbol.dispose]: () => {},
  };
  return { steps, make: async () => optimizer };
}

let runtime: Runtime;
beforeAll(async () => {
  runtime = await nativeRuntime();
});

const newStore = () => new ParameterStore(model.parameters).initialize(new Random(1));
const learnerOf = (options: Partial<LearnerOptions> = {}, store = newStore()) =>
  Learner.create(runtime, model, store, loss, { optimizer: recorder().make, ...options });

/** Loss and gradients of the sum over some batches. */
async function gradientsOf(batches: readonly Batch[], options: Partial<LearnerOptions> = {}) {
  using learner = await learnerOf(options);
  let total = 0;
  for (const batch of batches) total += (await learner.backward(batch)).loss as number;
  return { loss: total, gradients: learner.gradients.slice() };
}

const distance = (a: Float32Array, b: Float32Array): number =>
  Math.hypot(...a.map((x, i) => x - (b[i] as number))) / Math.hypot(...b);

describe('gradients', () => {
  it('accumulated over small batches are those of the big one', async () => {
    const whole = await gradientsOf([batchOf(documents)]);
    const parts = await gradientsOf([
      batchOf(documents.slice(0, 1)),
      batchOf(documents.slice(1, 3)),
      batchOf(documents.slice(3)),
    ]);
    expect(parts.loss).toBeCloseTo(whole.loss, 5);
    expect(distance(parts.gradients, whole.gradients)).toBeLessThan(1e-5);
  });

  it('do not depend on padding', async () => {
    const [tight, wide] = await Promise.all([12, 20].map(n => gradientsOf([batchOf(documents, n)])));
    expect(distance(wide!.gradients, tight!.gradients)).toBeLessThan(1e-5);
  });

  it('of documents packed into one row are those of a row each', async () => {
    const builder = new BatchBuilder({ rows: 1, length: 32 });
    for (const document of documents)
      builder.place(0, { document, start: 0, count: document.ids.length - 1 });
    const packed = builder.finish();
    const batch = { ...packed, weights: packed.weights.map(w => w / PLACES) };
    const apart = await gradientsOf([batchOf(documents)]);
    const together = await gradientsOf([batch], { packed: true });
    expect(together.loss).toBeCloseTo(apart.loss, 5);
    expect(distance(together.gradients, apart.gradients)).toBeLessThan(1e-5);
    const blind = await gradientsOf([batch]); // attention across documents is another function
    expect(distance(blind.gradients, apart.gradients)).toBeGreaterThan(0.05);
  });

  const MEMORY: TraceOptions[] = [
    { recomputeLayers: true },
    { logitChunks: 3 },
    { recomputeLayers: true, logitChunks: 4 },
  ];
  it.each(MEMORY)('computed again are the same: %o', async options => {
    const plain = await gradientsOf([batchOf(documents)]);
    const again = await gradientsOf([batchOf(documents)], options);
    expect(again.loss).toBeCloseTo(plain.loss, 5);
    expect(distance(again.gradients, plain.gradients)).toBeLessThan(1e-5);
  });

  it('computed again need less memory', () => {
    const deep = denseModel(
      denseConfig({
        vocabSize: 4096,
        hiddenSize: 64,
        numHiddenLayers: 8,
        numAttentionHeads: 2,
        maxPositionEmbeddings: 128,
      }),
    );
    // 4 rows of 128 places; every other dim is min(1, …)
    const sizes = new Map([
      ['B', 4],
      ['T', 128],
      ['B*T', 512],
      ['floor(B*T/8)', 64],
      ['B*T-7*floor(B*T/8)', 64],
    ]);
    const peak = (options: TraceOptions) =>
      liveness(gradientGraph(deep, loss, options).graph, dim => sizes.get(dim) ?? 1).peakBytes;
    const plain = peak({});
    expect(peak({ recomputeLayers: true })).toBeLessThan(0.8 * plain);
    expect(peak({ logitChunks: 8 })).toBeLessThan(0.8 * plain);
    expect(peak({ recomputeLayers: true, logitChunks: 8 })).toBeLessThan(0.4 * plain);
  });
});

describe('an update', () => {
  it('scales gradients down to the largest norm, reports the norm before, and forgets them', async () => {
    const { steps, make } = recorder();
    using learner = await learnerOf({ optimizer: make, maxGradientNorm: 0.01 });
    await learner.backward(batchOf(documents));
    const norm = Math.hypot(...learner.gradients);
    expect(await learner.update(0.5)).toBeCloseTo(norm, 4);
    expect(steps).toEqual([{ rate: 0.5, scale: expect.closeTo(0.01 / norm, 5) }]);
    await learner.backward(batchOf(documents));
    expect(Math.hypot(...learner.gradients)).toBeCloseTo(norm, 5);
  });

  it('leaves smaller gradients as they are', async () => {
    const { steps, make } = recorder();
    using learner = await learnerOf({ optimizer: make, maxGradientNorm: Number.POSITIVE_INFINITY });
    await learner.backward(batchOf(documents));
    await learner.update(0.5);
    expect(steps[0]?.scale).toBe(1);
  });

  it('does not happen without gradients, or when their norm is no number', async () => {
    const { steps, make } = recorder();
    using learner = await learnerOf({ optimizer: make });
    expect(await learner.update(1)).toBe(0);
    const batch = batchOf(documents);
    await learner.backward({ ...batch, weights: batch.weights.map(() => Number.NaN) });
    expect(await learner.update(1)).toBeNaN();
    expect(steps).toEqual([]);
    await learner.backward(batch);
    expect(await learner.update(1)).toBeGreaterThan(0);
  });
});

describe('shapes', () => {
  it('more of them than are kept bound give the same gradients again', async () => {
    using learner = await learnerOf();
    const first = async () => {
      const { loss: value } = await learner.backward(batchOf(documents));
      await learner.update(0);
      return value;
    };
    const before = await first();
    for (let n = 0; n < 30; n++) {
      await learner.backward(batchOf(documents.slice(0, 1 + (n % 3)), 12 + Math.floor(n / 3)));
      await learner.update(0);
    }
    expect(await first()).toBe(before);
  });

  it('a column that the batch lacks, and a document that is too long, are named', async () => {
    using learner = await Learner.create(
      runtime,
      model,
      newStore(),
      c => ({ loss: c.token('advantage').sum(undefined, false) }),
      {
        optimizer: recorder().make,
      },
    );
    await expect(learner.backward(batchOf(documents))).rejects.toThrow(
      'the loss reads "advantage" for every token',
    );
    const long = { ids: Array.from({ length: 40 }, () => 1) };
    await expect(learner.backward(batchOf([long], 39))).rejects.toThrow(
      'a document has 40 tokens but the model reads 32',
    );
  });
});
