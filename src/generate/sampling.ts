/**
 * Choosing the next token from logits: repetition penalty, temperature, top-k, top-p, min-p, in that order.
 *
 * 1. Order and meaning follow Hugging Face's generation: the penalty divides positive logits and multiplies negative
 *    ones; min-p keeps tokens of at least minP · p(best).
 * 2. The reported log-probability is that of the distribution sampled from before truncation: log softmax(logits / T),
 *    which is what reinforcement learning at temperature T needs. At T = 0 it is the model's own.
 * 3. Plain temperature sampling allocates nothing; truncation sorts only what survives min-p and top-k.
 */
import { UsageError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';

export interface SamplingOptions {
  /** 0 takes the most likely token. */
  readonly temperature?: number;
  /** Keep the k most likely; 0 keeps all. */
  readonly topK?: number;
  /** Keep the smallest set with at least this much probability. */
  readonly topP?: number;
  /** Keep tokens with at least minP times the best one's probability. */
  readonly minP?: number;
  /** Above 1 makes tokens of the prompt and the answer less likely. */
  readonly repetitionPenalty?: number;
}

export interface Choice {
  token: number;
  logProb: number;
}

/** Throws a UsageError on a value outside its range. */
export function checkSampling(o: SamplingOptions): void {
  const within = (name: keyof SamplingOptions, low: number, high: number) => {
    const value = o[name];
    if (value !== undefined && !(value >= low && value <= high)) {
      throw new UsageError(`${name} is ${value}; it must lie between ${low} and ${high}`);
    }
  };
  within('temperature', 0, 100);
  within('topK', 0, Number.MAX_SAFE_INTEGER);
  within('topP', 0, 1);
  within('minP', 0, 1);
  within('repetitionPenalty', 0.01, 100);
}

/** Chooses from `logits[offset … offset + size)`; `seen` are ids that the repetition penalty applies to. */
export function sample(
  logits: Float32Array,
  offset: number,
  size: number,
  options: SamplingOptions,
  random: Random,
  seen: readonly number[] = [],
): Choice {
  const penalty = options.repetitionPenalty ?? 1;
  if (penalty !== 1) penalize(logits, offset, seen, penalty);
  const temperature = options.temperature ?? 1;
  if (temperature === 0) return greedy(logits, offset, size);
  const truncates = (options.topK ?? 0) > 0 || (options.topP ?? 1) < 1 || (options.minP ?? 0) > 0;
  return truncates
    ? truncated(logits, offset, size, temperature, options, random)
    : categorical(logits, offset, size, temperature, random);
}

function penalize(logits: Float32Array, offset: number, seen: readonly number[], penalty: number): void {
  for (const id of new Set(seen)) {
    const z = logits[offset + id] as number;
    logits[offset + id] = z > 0 ? z / penalty : z * penalty;
  }
}

function maxOf(logits: Float32Array, offset: number, size: number): number {
  let best = Number.NEGATIVE_INFINITY;
  for (let i = offset; i < offset + size; i++) {
    const z = logits[i] as number;
    if (z > best) best = z;
  }
  return best;
}

function greedy(logits: Float32Array, offset: number, size: number): Choice {
  const best = maxOf(logits, offset, size);
  let token = 0;
  let sum = 0;
  for (let i = size - 1; i >= 0; i--) {
    const z = logits[offset + i] as number;
    if (z === best) token = i;
    sum += Math.exp(z - best);
  }
  return { token, logProb: -Math.log(sum) };
}

function categorical(
  logits: Float32Array,
  offset: number,
  size: number,
  temperature: number,
  random: Random,
): Choice {
  const inverse = 1 / temperature;
  const best = maxOf(logits, offset, size);
  let sum = 0;
  for (let i = offset; i < offset + size; i++) sum += Math.exp(((logits[i] as number) - best) * inverse);
  let left = random.uniform() * sum;
  let token = size - 1;
  for (let i = 0; i < size; i++) {
    left -= Math.exp(((logits[offset + i] as number) - best) * inverse);
    if (left < 0) {
      token = i;
      break;
    }
  }
  return { token, logProb: ((logits[offset + token] as number) - best) * inverse - Math.log(sum) };
}

function truncated(
  logits: Float32Array,
  offset: number,
  size: number,
  temperature: number,
  options: SamplingOptions,
  random: Random,
): Choice {
  const inverse = 1 / temperature;
  const best = maxOf(logits, offset, size);
  const weights = new Float64Array(size);
  let sum = 0;
  for (let i = 0; i < size; i++)
    sum += weights[i] = Math.exp(((logits[offset + i] as number) - best) * inverse);
  const kept = keep(weights, sum, options);
  const total = kept.reduce((t, i) => t + (weights[i] as number), 0);
  let left = random.uniform() * total;
  let token = kept[kept.length - 1] as number;
  for (const i of kept) {
    left -= weights[i] as number;
    if (left < 0) {
      token = i;
      break;
    }
  }
  return { token, logProb: Math.log((weights[token] as number) / sum) };
}

/** Ids that survive top-k, top-p and min-p, most likely first; never empty. */
function keep(weights: Float64Array, sum: number, options: SamplingOptions): number[] {
  const floor = options.minP ?? 0; // the best weight is 1
  let ids = Array.from(weights.keys()).filter(i => (weights[i] as number) >= floor);
  ids.sort((a, b) => (weights[b] as number) - (weights[a] as number) || a - b);
  if (options.topK) ids = ids.slice(0, options.topK);
  const topP = options.topP ?? 1;
  if (topP < 1) {
    let cumulative = 0;
    const end = ids.findIndex(i => (cumulative += (weights[i] as number) / sum) >= topP);
    if (end >= 0) ids = ids.slice(0, end + 1);
  }
  return ids;
}
