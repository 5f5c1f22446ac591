/**
 * Group relative policy optimization (Shao et al. 2024) with the choices of its successors.
 *
 * One step: sample problems → G responses each → verify → advantages within the group → one or more updates.
 * 1. The gradient graph reads the policy's weights in place; the rollouts' decoder takes them over before each step.
 * 2. Dynamic sampling (DAPO §3.2): groups whose rewards are all equal teach nothing and are replaced by fresh ones.
 * 3. Old log-probabilities come from the sampler (what rounding its cache changes, the importance ratios make up for), or are
 *    recomputed by the training graph's own arithmetic.
 * 4. The reference of the KL penalty is a copy of the parameters, refreshed every `referenceRefreshSteps`.
 */
import { batchesByLength } from '../data/by-length.ts';
import type { TokenDocument } from '../data/document.ts';
import type { CacheDType } from '../generate/cache-format.ts';
import type { Completion, GenerateRequest } from '../generate/engine.ts';
import type { SamplingOptions } from '../generate/sampling.ts';
import type { CausalModel } from '../models/model.ts';
import { rateAt, type Schedule } from '../nn/optim/schedule.ts';
import { ParameterStore } from '../nn/parameters.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { hash32, Random } from '../util/random.ts';
import {
  type AdvantageOptions,
  type Aggregation,
  advantages,
  overlongPenalty,
  type RewardParts,
  tokenWeights,
  totalReward,
} from './advantage.ts';
import type { Json } from './checkpoint.ts';
import { makeOptimizer, type OptimizerConfig, prefixed, trainingFlops } from './language-model.ts';
import { Learner, type MemoryOptions } from './learner.ts';
import type { Trainable } from './loop.ts';
import { type PolicyLossOptions, policyLoss } from './policy-loss.ts';
import { Rollouts } from './rollouts.ts';
import { Scorer } from './scorer.ts';

/** One problem, ready to be answered and judged. */
export interface Episode {
  readonly prompt: readonly number[];
  /** Reward parts of a response, before their weights; must not throw. The part `accuracy` is the pass rate. */
  reward(ids: readonly number[]): RewardParts;
  /** Told the share of its responses that were right. */
  passed?(passRate: number): void;
}

/** Where problems come from. A curriculum keeps its state here. */
export interface Environment {
  episode(random: Random): Episode;
  /** Reported with the metrics. */
  metrics?(): Record<string, number>;
  state?(): Json;
  restore?(state: Json): void;
}

export interface GrpoOptions extends MemoryOptions {
  readonly environment: Environment;
  readonly seed: number;
  /** Problems a step. */
  readonly prompts: number;
  /** Responses a problem (G). */
  readonly groupSize: number;
  /** Longest response in tokens. */
  readonly maxTokens: number;
  readonly stopIds: readonly number[];
  readonly sampling?: SamplingOptions;
  readonly schedule: Schedule;
  readonly optimizer: OptimizerConfig;
  readonly maxGradientNorm?: number;
  readonly loss?: Partial<Omit<PolicyLossOptions, 'temperature'>>;
  readonly advantage?: Partial<AdvantageOptions>;
  readonly aggregation?: Aggregation;
  /** Updates a step: the responses are split into this many minibatches (R1: 16) … */
  readonly minibatches?: number;
  /** … and gone through this many times. */
  readonly epochs?: number;
  /** Replace all-equal groups, sampling at most this many times as many problems. 1 switches it off. */
  readonly dynamicSamplingFactor?: number;
  /** Leave truncated responses out of the loss. */
  readonly maskTruncated?: boolean;
  /** Soft overlong penalty over the last so many tokens (DAPO); 0 switches it off. */
  readonly overlongCache?: number;
  readonly oldLogProbs?: 'sampler' | 'recomputed';
  /** Steps between copies of the policy into the reference; 0 keeps the first one. */
  readonly referenceRefreshSteps?: number;
  /** Share of the policy mixed into the reference at a refresh (TRL: 0.6). */
  readonly referenceMix?: number;
  /** Rows decoded together. */
  readonly slots?: number;
  /** Keys and values while answers are sampled: int8 reads a quarter of the bytes. */
  readonly rolloutCache?: CacheDType;
  /** Most places of one gradient batch. */
  readonly maxPlaces?: number;
  readonly threads?: number;
}

export interface Response {
  readonly episode: Episode;
  readonly completion: Completion;
  readonly rewards: RewardParts;
}

export interface GrpoTraining extends Trainable, Disposable {
  /** The last step's groups, for samples and reports. */
  readonly lastGroups: readonly (readonly Response[])[];
}

const LOSS_DEFAULTS = {
  ratioLevel: 'token',
  clipLow: 0.2,
  clipHigh: 0.28,
  objective: 'ppo',
  klWeight: 0,
  klEstimator: 'k3',
  entropyWeight: 0,
} as const;

/** Answers that the ranges of a rounded cache are taken from. */
const RANGE_PROBE = 4;

export async function grpoTraining(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  options: GrpoOptions,
): Promise<GrpoTraining> {
  const lossOptions: PolicyLossOptions = {
    ...LOSS_DEFAULTS,
    ...options.loss,
    temperature: options.sampling?.temperature ?? 1,
  };
  const learner = await Learner.create(runtime, model, store, policyLoss(lossOptions), {
    packed: false,
    maxGradientNorm: options.maxGradientNorm,
    logitChunks: options.logitChunks,
    recomputeLayers: options.recomputeLayers,
    threads: options.threads,
    optimizer: makeOptimizer(options.optimizer),
  });
  const rollouts = await Rollouts.create(runtime, model, store, {
    slots: options.slots ?? options.prompts * options.groupSize,
    cache: options.rolloutCache,
    threads: options.threads,
  });
  const reference = lossOptions.klWeight > 0 ? new ParameterStore(store.specs) : undefined;
  reference?.flat.set(store.flat);
  const scorer = (of: ParameterStore) =>
    Scorer.create(runtime, model, of, { temperature: lossOptions.temperature });
  const scorers = {
    reference: reference && (await scorer(reference)),
    policy: options.oldLogProbs === 'recomputed' ? await scorer(store) : undefined,
  };
  return new Grpo({ learner, rollouts, reference, scorers, options, lossOptions });
}

interface Parts {
  readonly learner: Learner;
  readonly rollouts: Rollouts;
  readonly reference: ParameterStore | undefined;
  readonly scorers: { readonly reference: Scorer | undefined; readonly policy: Scorer | undefined };
  readonly options: GrpoOptions;
  readonly lossOptions: PolicyLossOptions;
}

class Grpo implements GrpoTraining {
  readonly store: ParameterStore;
  readonly arrays: Readonly<Record<string, Float32Array>>;
  lastGroups: readonly (readonly Response[])[] = [];
  readonly #p: Parts;

  constructor(parts: Parts) {
    this.#p = parts;
    this.store = parts.learner.store;
    this.arrays = {
      ...prefixed('optimizer', parts.learner.optimizer.state),
      ...(parts.reference && { reference: parts.reference.flat }),
    };
  }

  state(): Json {
    const { learner, options } = this.#p;
    return { optimizerSteps: learner.optimizer.steps, environment: options.environment.state?.() ?? null };
  }

  restore(state: Json): void {
    const { optimizerSteps, environment } = state as { optimizerSteps: number; environment: Json };
    this.#p.learner.optimizer.steps = optimizerSteps;
    this.#p.options.environment.restore?.(environment);
  }

  async step(index: number): Promise<Record<string, number>> {
    const { options } = this.#p;
    this.#refreshReference(index);
    const random = new Random(hash32(`grpo ${index}`, options.seed));
    const started = performance.now();
    await this.#p.rollouts.refresh(() => this.#rangeProbe(random.fork('cache ranges')));
    const { groups, sampled } = await this.#collect(random);
    const rolloutSeconds = (performance.now() - started) / 1000;
    this.lastGroups = groups;
    for (const group of sampled) group[0]?.episode.passed?.(meanOf(group, r => r.rewards.accuracy ?? 0));
    const updated = await this.#learn(groups, rateAt(options.schedule, index), random.fork('order'));
    return {
      ...sampleMetrics(sampled, this.#p.learner.model, options),
      ...updated,
      ...options.environment.metrics?.(),
      rollout_seconds: rolloutSeconds,
    };
  }

  /** Groups to learn from, and all that were sampled on the way. */
  async #collect(random: Random): Promise<{ groups: Response[][]; sampled: Response[][] }> {
    const { prompts, dynamicSamplingFactor = 1 } = this.#p.options;
    const groups: Response[][] = [];
    const sampled: Response[][] = [];
    while (groups.length < prompts && sampled.length < prompts * dynamicSamplingFactor) {
      const fresh = await this.#rollout(prompts - groups.length, random.fork(`rollout ${sampled.length}`));
      sampled.push(...fresh);
      groups.push(...fresh.filter(group => !allEqual(group, this.#p.options)));
    }
    return { groups, sampled };
  }

  async #rollout(count: number, random: Random): Promise<Response[][]> {
    const { environment, groupSize, maxTokens, overlongCache = 0 } = this.#p.options;
    const episodes = Array.from({ length: count }, (_, i) =>
      environment.episode(random.fork(`problem ${i}`)),
    );
    const requests = episodes.flatMap((episode, i) =>
      Array.from({ length: groupSize }, (_, j) => this.#request(episode, random.fork(`response ${i} ${j}`))),
    );
    const completions = await this.#p.rollouts.engine.generate(requests);
    return episodes.map((episode, i) =>
      completions.slice(i * groupSize, (i + 1) * groupSize).map((completion): Response => {
        const rewards = episode.reward(completion.ids);
        const penalty =
          overlongCache > 0 ? overlongPenalty(completion.ids.length, maxTokens, overlongCache) : 0;
        return { episode, completion, rewards: penalty === 0 ? rewards : { ...rewards, overlong: penalty } };
      }),
    );
  }

  #request({ prompt }: Episode, random: Random): GenerateRequest {
    const { maxTokens, stopIds, sampling } = this.#p.options;
    return { ...sampling, prompt, maxTokens, stopIds, seed: random.bits() };
  }

  /** Problems of their own whose answers show how large keys and values are. */
  #rangeProbe(random: Random): GenerateRequest[] {
    return Array.from({ length: RANGE_PROBE }, (_, i) => {
      const from = random.fork(`problem ${i}`);
      return this.#request(this.#p.options.environment.episode(from), from.fork('response'));
    });
  }

  async #learn(groups: readonly Response[][], rate: number, random: Random): Promise<Record<string, number>> {
    const { options, learner } = this.#p;
    if (groups.length === 0) return { loss: 0, gradient_norm: 0, learning_rate: rate, tokens: 0, flops: 0 };
    const examples = await this.#examples(groups);
    const sums: Record<string, number> = {};
    let norm = 0;
    let updates = 0;
    for (let epoch = 0; epoch < (options.epochs ?? 1); epoch++) {
      for (const minibatch of minibatches(random.shuffled(examples), options.minibatches ?? 1)) {
        const weights = tokenWeights(
          minibatch.map(e => (e.masked ? 0 : e.length)),
          options.aggregation ?? 'token-mean',
          options.maxTokens,
        );
        const documents = minibatch.map((e, i) => withWeight(e, weights[i] as number));
        for (const batch of batchesByLength(documents, { maxPlaces: options.maxPlaces ?? 8192 })) {
          add(sums, await learner.backward(batch));
          add(sums, { tokens: batch.tokens, flops: trainingFlops(learner.model, batch) });
        }
        norm += await learner.update(rate);
        updates++;
      }
    }
    const responseTokens = examples.reduce((n, e) => n + e.length, 0) * (options.epochs ?? 1);
    const perToken = ['entropy', 'kl', 'clip_ratio/low', 'clip_ratio/high'].filter(name => name in sums);
    const means = Object.fromEntries(perToken.map(name => [name, (sums[name] as number) / responseTokens]));
    const { tokens = 0, flops = 0, loss = 0 } = sums;
    return {
      loss: loss / updates,
      gradient_norm: norm / updates,
      learning_rate: rate,
      tokens,
      flops,
      ...means,
    };
  }

  async #examples(groups: readonly Response[][]): Promise<Example[]> {
    const { options, scorers } = this.#p;
    const advantage = advantages(
      groups.map(group => group.map(r => r.rewards)),
      { scale: 'group', parts: 'sum-then-normalize', ...options.advantage },
    ).flat();
    const responses = groups.flat();
    const pairs = responses.map(r => ({ prompt: r.episode.prompt, response: r.completion.ids }));
    const old = scorers.policy
      ? await scorers.policy.logProbs(pairs)
      : responses.map(r => r.completion.logProbs);
    const reference = await scorers.reference?.logProbs(pairs);
    return responses.map((r, i) => ({
      ids: [...r.episode.prompt, ...r.completion.ids],
      promptLength: r.episode.prompt.length,
      length: r.completion.ids.length,
      advantage: advantage[i] as number,
      oldLogProbs: old[i] as number[],
      referenceLogProbs: reference?.[i],
      masked: (options.maskTruncated ?? false) && r.completion.finishReason === 'length',
    }));
  }

  #refreshReference(index: number): void {
    const { reference, options } = this.#p;
    const every = options.referenceRefreshSteps ?? 0;
    if (!reference || every === 0 || index === 0 || index % every !== 0) return;
    const mix = options.referenceMix ?? 1;
    const policy = this.store.flat;
    const flat = reference.flat;
    for (let i = 0; i < flat.length; i++)
      flat[i] = (flat[i] as number) * (1 - mix) + (policy[i] as number) * mix;
  }

  [Symbol.dispose](): void {
    const { learner, rollouts, scorers } = this.#p;
    for (const part of [learner, rollouts, scorers.reference, scorers.policy]) part?.[Symbol.dispose]();
  }
}

interface Example {
  readonly ids: readonly number[];
  readonly promptLength: number;
  /** Response tokens. */
  readonly length: number;
  readonly advantage: number;
  readonly oldLogProbs: readonly number[];
  readonly referenceLogProbs: readonly number[] | undefined;
  readonly masked: boolean;
}

/** The example as a document whose response tokens carry `weight` and the loss's columns. */
function withWeight(e: Example, weight: number): TokenDocument {
  const column = (value: (i: number) => number) =>
    Float32Array.from(e.ids, (_, t) => (t < e.promptLength ? 0 : value(t - e.promptLength)));
  return {
    ids: e.ids,
    weights: column(() => weight),
    columns: {
      advantage: column(() => e.advantage),
      mask: column(() => 1),
      old_log_prob: column(i => e.oldLogProbs[i] as number),
      ...(e.referenceLogProbs && { reference_log_prob: column(i => e.referenceLogProbs?.[i] as number) }),
    },
  };
}

function minibatches<T>(items: readonly T[], count: number): T[][] {
  const size = Math.ceil(items.length / count);
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}

const allEqual = (group: readonly Response[], o: GrpoOptions): boolean => {
  const first = totalReward((group[0] as Response).rewards, o.advantage?.weights);
  return group.every(r => Math.abs(totalReward(r.rewards, o.advantage?.weights) - first) < 1e-9);
};

const meanOf = <T>(items: readonly T[], value: (item: T) => number): number =>
  items.reduce((sum, item) => sum + value(item), 0) / Math.max(1, items.length);

function add(sums: Record<string, number>, values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) sums[name] = (sums[name] ?? 0) + value;
}

/** What TRL and verl log of a rollout: rewards, lengths, truncation, groups without signal. */
function sampleMetrics(
  sampled: readonly (readonly Response[])[],
  model: CausalModel,
  o: GrpoOptions,
): Record<string, number> {
  const all = sampled.flat();
  const lengths = all.map(r => r.completion.ids.length);
  const parts = Object.keys(all[0]?.rewards ?? {});
  return {
    reward: meanOf(all, r => totalReward(r.rewards, o.advantage?.weights)),
    ...Object.fromEntries(parts.map(name => [`reward/${name}`, meanOf(all, r => r.rewards[name] ?? 0)])),
    response_length: meanOf(lengths, n => n),
    response_length_max: lengths.reduce((a, b) => Math.max(a, b), 0),
    truncated: meanOf(all, r => (r.completion.finishReason === 'length' ? 1 : 0)),
    equal_groups: meanOf(sampled, group => (allEqual(group, o) ? 1 : 0)),
    problems_sampled: sampled.length,
    sampled_tokens: lengths.reduce((a, b) => a + b, 0),
    sampling_flops: all.reduce((sum, r) => sum + samplingFlops(model, r), 0),
  };
}

/** Model FLOPs of one response: its tokens, each seeing half of the final length on average; the prompt is shared. */
function samplingFlops(model: CausalModel, r: Response): number {
  const length = r.episode.prompt.length + r.completion.ids.length;
  return r.completion.ids.length * model.forwardFlops(length / 2);
}
