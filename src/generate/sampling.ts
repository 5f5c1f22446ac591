/**
 * Choosing the next token: repetition penalty on the logits, temperature and softmax (distributions.ts), then top-k,
 * top-p and min-p on the probabilities, in that order.
 *
 * 1. Order and meaning follow Hugging Face's generation: the penalty divides positive logits and multiplies negative
 *    ones; min-p keeps tokens of at least minP · p(best).
 * 2. The reported log-probability is that of the distribution sampled from before truncation: log softmax(logits / T),
 *    which is what reinforcement learning at temperature T needs. At T = 0 it is the model's own.
 * 3. Plain temperature sampling allocates nothing; truncation sorts only what survives min-p.
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

/** 1/T that a row's logits are multiplied by before softmax; greedy choice needs none. */
export const inverseTemperature = ({ temperature = 1 }: SamplingOptions): number =>
  temperature === 0 ? 1 : 1 / temperature;

/** Applies the repetition penalty to `logits[offset …]` in place; `seen` are ids of the prompt and the answer. */
export function penalize(
  logits: Float32Array,
  offset: number,
  seen: Iterable<number>,
  { repetitionPenalty: penalty = 1 }: SamplingOptions,
): void {
  if (penalty === 1) return;
  for (const id of new Set(seen)) {
    const z = logits[offset + id] as number;
    logits[offset + id] = z > 0 ? z / penalty : z * penalty;
  }
}

/** Chooses from the distribution `probabilities[offset … offset + size)`, which is softmax(logits / T). */
export function choose(
  probabilities: Float32Array,
  offset: number,
  size: number,
  options: SamplingOptions,
  random: Random,
): Choice {
  const token = offset + chosen(probabilities, offset, size, options, random);
  return { token: token - offset, logProb: Math.log(probabilities[token] as number) };
}

function chosen(
  p: Float32Array,
  offset: number,
  size: number,
  options: SamplingOptions,
  random: Random,
): number {
  if (options.temperature === 0) return likeliest(p, offset, size);
  const truncates = (options.topK ?? 0) > 0 || (options.topP ?? 1) < 1 || (options.minP ?? 0) > 0;
  if (truncates) return truncated(p.subarray(offset, offset + size), options, random);
  let left = random.uniform();
  for (let i = offset; i < offset + size; i++) {
    left -= p[i] as number;
    if (left < 0) return i - offset;
  }
  // the probabilities sum to a little less than 1
  return likeliest(p, offset, size);
}

/** The first of the most likely. */
function likeliest(p: Float32Array, offset: number, size: number): number {
  let best = offset;
  for (let i = offset + 1; i < offset + size; i++) if ((p[i] as number) > (p[best] as number)) best = i;
  return best - offset;
}

function truncated(p: Float32Array, options: SamplingOptions, random: Random): number {
  const kept = keep(p, options);
  let left = random.uniform() * kept.reduce((total, i) => total + (p[i] as number), 0);
  return kept.find(i => (left -= p[i] as number) < 0) ?? (kept[0] as number);
}

/**
 * Ids that survive top-k, top-p and min-p, most likely first; never empty. Tokens below (1 − topP)/V together weigh less
 * than 1 − topP, so top-p never keeps them and they need no sorting (llama2.c).
 */
function keep(p: Float32Array, options: SamplingOptions): number[] {
  const floor = Math.max(
    (options.minP ?? 0) * (p[likeliest(p, 0, p.length)] as number),
    (1 - (options.topP ?? 1)) / p.length,
  );
  let ids: number[] = [];
  for (let i = 0; i < p.length; i++) if ((p[i] as number) >= floor) ids.push(i);
  ids.sort((a, b) => (p[b] as number) - (p[a] as number) || a - b);
  if (options.topK) ids = ids.slice(0, options.topK);
  const topP = options.topP ?? 1;
  if (topP < 1) {
    let cumulative = 0;
    const end = ids.findIndex(i => (cumulative += p[i] as number) >= topP);
    if (end >= 0) ids.length = end + 1;
  }
  return ids;
}
