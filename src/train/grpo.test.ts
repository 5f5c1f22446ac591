import { beforeAll, describe, expect, it } from 'vitest';
import { Decoder } from '../generate/decoder.ts';
import { Engine } from '../generate/engine.ts';
import { nativeRuntime } from '../runtime/native/native.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Episode, GrpoOptions } from './grpo.ts';
import { grpoTraining } from './grpo.ts';
import { Scorer } from './scorer.ts';
import { restoreSnapshot, snapshot, TINY_VOCABULARY, tinyModel, tinyStore } from './tiny.ts';

const END = 0;
const model = tinyModel();

let runtime: Runtime;
beforeAll(async () => {
  runtime = await nativeRuntime();
});

/** Prompts of one token; `reward` judges the answer's ids. */
const environmentOf = (
  reward: (ids: readonly number[], prompt: number) => number,
  passed?: (rate: number) => void,
) => ({
  episode: (random: { between(low: number, high: number): number }): Episode => {
    const prompt = random.between(1, 4);
    return { prompt: [prompt], reward: ids => ({ accuracy: reward(ids, prompt) }), passed };
  },
});

/** Right when the answer begins with the prompt's double. */
const doubling = environmentOf((ids, prompt) => (ids[0] === 2 * prompt ? 1 : 0));

const options = (more: Partial<GrpoOptions> = {}): GrpoOptions => ({
  environment: doubling,
  seed: 5,
  prompts: 4,
  groupSize: 8,
  maxTokens: 6,
  stopIds: [END],
  schedule: { kind: 'constant', rate: 0.01 },
  optimizer: { kind: 'adamw', weightDecay: 0 },
  ...more,
});
const training = (more: Partial<GrpoOptions> = {}) =>
  grpoTraining(runtime, model, tinyStore(model), options(more));

/** Metrics of the first steps, and the stage after them. */
async function metricsOf(more: Partial<GrpoOptions>, steps = 1) {
  using stage = await training(more);
  const metrics: Record<string, number>[] = [];
  for (let i = 0; i < steps; i++) metrics.push(await stage.step(i));
  return {
    metrics,
    first: metrics[0] as Record<string, number>,
    after: snapshot(stage),
    groups: stage.lastGroups,
  };
}

describe('a step', () => {
  it('learns: right answers from one in twelve to nearly all', async () => {
    const { metrics } = await metricsOf({ prompts: 8, minibatches: 2 }, 60);
    const rate = (from: number, to: number) =>
      metrics.slice(from, to).reduce((sum, m) => sum + (m['reward/accuracy'] as number), 0) / (to - from);
    expect(rate(0, 3)).toBeLessThan(0.25);
    expect(rate(50, 60)).toBeGreaterThan(0.9);
  });

  it.each([
    ['a reference', { loss: { klWeight: 0.1 } }],
    ['a rounded cache', { rolloutCache: 'int8' }],
  ] as const)(
    'with %s is a function of weights, state and index: restored elsewhere it comes out the same',
    async (_, more) => {
      using whole = await training(more);
      for (let i = 0; i < 2; i++) await whole.step(i);
      const saved = snapshot(whole);
      const expected = await whole.step(2);
      using other = await training(more);
      await other.step(7); // whatever it did before must not matter
      restoreSnapshot(other, saved);
      const { rollout_seconds: _seconds, ...got } = await other.step(2);
      expect(expected).toMatchObject(got);
      expect(snapshot(other)).toEqual(snapshot(whole));
    },
  );

  it('goes through its responses in minibatches, several times', async () => {
    const steps = async (more: Partial<GrpoOptions>) =>
      (JSON.parse((await metricsOf(more)).after.state) as { optimizerSteps: number }).optimizerSteps;
    expect(await steps({})).toBe(1);
    expect(await steps({ minibatches: 4 })).toBe(4);
    expect(await steps({ minibatches: 4, epochs: 3 })).toBe(12);
  });

  it('computed with chunks of logits and recomputed layers moves the weights alike', async () => {
    const plain = await metricsOf({});
    const spare = await metricsOf({ logitChunks: 3, recomputeLayers: true });
    expect(spare.first.gradient_norm).toBeCloseTo(plain.first.gradient_norm as number, 5);
    expect(spare.first.entropy).toBeCloseTo(plain.first.entropy as number, 5);
  });

  it('tells each episode the share of its own answers that were right', async () => {
    const rates: number[] = [];
    const always = environmentOf(
      (_, prompt) => (prompt > 2 ? 1 : 0),
      rate => void rates.push(rate),
    );
    const { groups } = await metricsOf({ environment: always, dynamicSamplingFactor: 1 });
    expect(groups).toEqual([]); // each group is equal in itself: nothing to learn from
    expect(rates).toHaveLength(4);
    expect(new Set(rates)).toEqual(new Set([0, 1]));
  });
});

describe('old log-probabilities', () => {
  it('of the sampler are those of a full forward pass', async () => {
    const store = tinyStore(model);
    using decoder = await Decoder.create(runtime, model, store);
    using engine = new Engine(decoder, { slots: 4, capacity: 32 });
    const prompts = [[1, 2, 3], [4], [5, 6], [7, 8, 9, 10], [1, 1], [3]];
    for (const temperature of [1, 0.6]) {
      const answers = await engine.generate(
        prompts.map((prompt, seed) => ({ prompt, maxTokens: 12, seed, temperature })),
      );
      using scorer = await Scorer.create(runtime, model, store, { temperature });
      const pairs = prompts.map((prompt, i) => ({ prompt, response: answers[i]?.ids ?? [] }));
      for (const [i, logProbs] of (await scorer.logProbs(pairs, 64)).entries()) {
        expect(logProbs).toHaveLength(answers[i]?.ids.length as number);
        logProbs.forEach((x, t) => void expect(x).toBeCloseTo(answers[i]?.logProbs[t] as number, 4));
      }
    }
  });

  it('recomputed or sampled: the first update is at ratio 1 either way', async () => {
    const sampled = await metricsOf({});
    const recomputed = await metricsOf({ oldLogProbs: 'recomputed' });
    expect(recomputed.first.gradient_norm).toBeCloseTo(sampled.first.gradient_norm as number, 4);
    for (const { first } of [sampled, recomputed])
      expect([first['clip_ratio/low'], first['clip_ratio/high']]).toEqual([0, 0]);
  });

  it('stay those of the rollout: later updates on the same responses meet the bounds', async () => {
    const schedule = { kind: 'constant', rate: 0.05 } as const;
    const { first } = await metricsOf({ schedule, epochs: 6, prompts: 8 });
    expect((first['clip_ratio/low'] as number) + (first['clip_ratio/high'] as number)).toBeGreaterThan(0);
  });
});

describe('groups without signal', () => {
  // prompts 1 and 2 are always right
  const half = environmentOf((ids, prompt) => (prompt <= 2 || (ids[0] as number) % 2 === 0 ? 1 : 0));

  it('are left out', async () => {
    const { first, groups } = await metricsOf({ environment: half, prompts: 16 });
    expect(first.problems_sampled).toBe(16);
    expect(first.equal_groups).toBeGreaterThan(0.2);
    expect(groups).toHaveLength(Math.round(16 * (1 - (first.equal_groups as number))));
    for (const group of groups) expect(new Set(group.map(r => r.rewards.accuracy)).size).toBe(2);
  });

  it('are replaced by dynamic sampling until the batch is full', async () => {
    const { first, groups } = await metricsOf({ environment: half, prompts: 16, dynamicSamplingFactor: 8 });
    expect(groups).toHaveLength(16);
    expect(first.problems_sampled).toBeGreaterThan(16);
    expect(first.problems_sampled).toBeLessThanOrEqual(16 * 8);
  });

  it('alone change nothing, and end after the sampling that was allowed', async () => {
    const never = environmentOf(() => 0);
    const before = tinyStore(model).flat;
    const { first, after } = await metricsOf({ environment: never, dynamicSamplingFactor: 3 });
    expect(first).toMatchObject({ loss: 0, gradient_norm: 0, equal_groups: 1, problems_sampled: 12 });
    expect(after.weights).toEqual(before);
  });
});

describe('answers that are too long', () => {
  // never ends: token 0 is no stop id here
  const endless = { stopIds: [TINY_VOCABULARY + 1] };

  it('masked, all of them: no gradient', async () => {
    const before = tinyStore(model).flat;
    const { first, after } = await metricsOf({ ...endless, maskTruncated: true });
    expect(first).toMatchObject({ truncated: 1, response_length: 6, response_length_max: 6 });
    expect(first.gradient_norm).toBe(0);
    expect(after.weights).toEqual(before);
  });

  it('unmasked they teach', async () => {
    expect((await metricsOf(endless)).first.gradient_norm).toBeGreaterThan(0);
  });

  it('lose a point, and those near the end a part of it', async () => {
    const { first, groups } = await metricsOf({ overlongCache: 4 });
    for (const { completion, rewards } of groups.flat())
      expect(rewards.overlong ?? 0).toBeCloseTo(-Math.max(0, completion.ids.length - 2) / 4, 12);
    expect(first['reward/overlong'] ?? 0).toBeLessThan(0);
  });
});

describe('the reference of the KL penalty', () => {
  const kl = { loss: { klWeight: 0.05 } };
  const referenceOf = (s: ReturnType<typeof snapshot>) => new Map(s.arrays).get('reference') as Float32Array;

  it('is the first policy, and the penalty is 0 there', async () => {
    const { first, after, metrics } = await metricsOf(kl, 3);
    expect(referenceOf(after)).toEqual(tinyStore(model).flat);
    expect(Math.abs(first.kl as number)).toBeLessThan(1e-6);
    expect(metrics[2]?.kl).toBeGreaterThan(1e-6);
  });

  it.each([1, 0.6])('is mixed with %d of the policy every so many steps', async referenceMix => {
    using stage = await training({ ...kl, referenceRefreshSteps: 2, referenceMix });
    await stage.step(0);
    await stage.step(1);
    const [policy, old] = [stage.store.flat.slice(), referenceOf(snapshot(stage))];
    await stage.step(2);
    referenceOf(snapshot(stage)).forEach((x, i) => {
      const wanted = (1 - referenceMix) * (old[i] as number) + referenceMix * (policy[i] as number);
      expect(x).toBeCloseTo(wanted, 6);
    });
  });
});
