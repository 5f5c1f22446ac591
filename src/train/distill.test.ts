import { beforeAll, describe, expect, it } from 'vitest';
import { promptDocument } from '../data/document.ts';
import type { DivergenceKind } from '../nn/losses.ts';
import { ParameterStore } from '../nn/parameters.ts';
import { nativeRuntime } from '../runtime/native/native.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Random } from '../util/random.ts';
import { type DistillOptions, distillTraining } from './distill.ts';
import { restoreSnapshot, snapshot, TINY_VOCABULARY, tinyModel, tinyStore } from './tiny.ts';

const [large, small] = [tinyModel(2), tinyModel(1)];
/** A teacher with opinions: its last matrix is larger than a fresh model's. */
const teacherStore = (): ParameterStore => {
  const store = tinyStore(large, 3);
  for (let i = 0; i < store.matrixEnd; i++) store.flat[i] = 4 * (store.flat[i] as number);
  return store;
};
const random = new Random(2);
const documents = Array.from({ length: 16 }, () =>
  promptDocument(
    [random.int(TINY_VOCABULARY)],
    Array.from({ length: 8 }, () => random.int(TINY_VOCABULARY)),
  ),
);

let runtime: Runtime;
beforeAll(async () => {
  runtime = await nativeRuntime();
});

const training = (more: Partial<DistillOptions> = {}, store = tinyStore(small)) =>
  distillTraining(runtime, small, store, {
    teacher: { model: large, store: teacherStore() },
    divergence: 'forward',
    documents: () => documents,
    seed: 1,
    schedule: { kind: 'constant', rate: 0.02 },
    optimizer: { kind: 'adamw', weightDecay: 0 },
    ...more,
  });

const KINDS: readonly DivergenceKind[] = ['forward', 'reverse', 'jensen-shannon'];

describe('distillation on logits', () => {
  it.each(KINDS)('%s: a student that is its teacher has nothing to learn', async divergence => {
    const teacher = { model: small, store: tinyStore(small) };
    using stage = await training({ divergence, teacher });
    const { loss, gradient_norm } = await stage.step(0);
    expect(Math.abs(loss as number)).toBeLessThan(1e-6);
    expect(gradient_norm).toBeLessThan(1e-5);
  });

  it.each(KINDS)('%s: a student comes near its teacher', async divergence => {
    using stage = await training({ divergence });
    const first = (await stage.step(0)).divergence as number;
    let last = first;
    for (let i = 1; i < 60; i++) last = (await stage.step(i)).divergence as number;
    expect(first).toBeGreaterThan(0.005);
    expect(last).toBeLessThan(0.3 * first);
  });

  it('both uniform: the divergence is 0 and cross-entropy log V, by its weight', async () => {
    const nothing = new ParameterStore(large.parameters);
    using stage = await training(
      { teacher: { model: large, store: nothing }, hardWeight: 0.5 },
      new ParameterStore(small.parameters),
    );
    const metrics = await stage.step(0);
    expect(metrics.divergence).toBeCloseTo(0, 6);
    expect(metrics.loss).toBeCloseTo(0.5 * Math.log(TINY_VOCABULARY), 5);
  });

  it('a high temperature T leaves the size of the loss: T² KL tends to half the variance of the differences', async () => {
    const at = async (temperature: number) => {
      using stage = await training({ temperature });
      return (await stage.step(0)).loss as number;
    };
    const [hot, hotter] = [await at(50), await at(100)];
    expect(hotter / hot).toBeCloseTo(1, 1);
  });
});

describe('on-policy', () => {
  const onPolicy = {
    prompts: (index: number) => Array.from({ length: 8 }, (_, i) => [(index + i) % TINY_VOCABULARY]),
    maxTokens: 7,
    stopIds: [TINY_VOCABULARY + 1],
    slots: 8,
  };
  const given = { documents: () => [promptDocument([1], [2, 3])] };

  it('learns from the student’s own answers in its share of the steps', async () => {
    const tokensOf = async (onPolicyShare: number) => {
      using stage = await training({ ...given, onPolicy, onPolicyShare });
      const tokens: number[] = [];
      for (let i = 0; i < 12; i++) tokens.push((await stage.step(i)).tokens as number);
      return tokens;
    };
    const own = 8 * 7; // 8 answers of 7 tokens each; the given document has 2
    expect(new Set(await tokensOf(1))).toEqual(new Set([own]));
    expect(new Set(await tokensOf(0))).toEqual(new Set([2]));
    expect(new Set(await tokensOf(0.5))).toEqual(new Set([own, 2]));
  });

  it('goes on from a snapshot as if unbroken', async () => {
    using whole = await training({ onPolicy, onPolicyShare: 1 });
    await whole.step(0);
    const saved = snapshot(whole);
    await whole.step(1);
    using other = await training({ onPolicy, onPolicyShare: 1 }, tinyStore(small, 8));
    restoreSnapshot(other, saved);
    await other.step(1);
    expect(snapshot(other)).toEqual(snapshot(whole));
  });
});
