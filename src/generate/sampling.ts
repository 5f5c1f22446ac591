/**
 * Choosing the next token: repetition penalty on the logits, temperature and softmax (distributions.ts), then top-k,
 * top-p and min-p on the probabilities, in that order.
 *
 * 1. Order and meaning follow Hugging Face's generation: the penalty divides positive logits and multiplies negative
 *    ones; min-p keeps tokens of at least minP · p(best).
 * 2. The reported log-probability is that of the distribution sampled from before truncation: log softmax(logits / T),
 *    which is what reinforcement learning at temperature T needs. At T = 0 it is the model's own.
 * 3. Plain temperature sampling allocates nothing; truncation sorts only what survives min-p.
 * 4. A draft that was drawn from q stays with probability min(1, p/q); else the token is drawn from max(0, p − q), scaled to
 *    sum to 1. What comes out is distributed as p, whatever q is (Leviathan et al. 2023, arXiv:2211.17192, theorem 1).
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

/** A token that was drawn before the model was asked, and the distribution q [V] that it was drawn from. */
export interface Draft {
  readonly token: number;
  /** Absent for a guess that was not drawn: q is 1 at the token, and sampling from p is the rejection rule. */
  readonly from?: Float32Array;
}

/** Draws a draft from the distribution `probabilities[offset … offset + size)`, cut off as `choose` does. */
export function drawDraft(
  probabilities: Float32Array,
  offset: number,
  size: number,
  options: SamplingOptions,
  random: Random,
): Draft {
  if (options.temperature === 0) return { token: likeliest(probabilities, offset, size) };
  const from = cutOff(probabilities, offset, size, options);
  return { token: drawn(from, random.uniform()), from };
}

/** Chooses as `choose` does, keeping the draft where the rejection rule keeps it. */
export function chooseDrafted(
  probabilities: Float32Array,
  offset: number,
  size: number,
  { token: drafted, from: q }: Draft,
  options: SamplingOptions,
  random: Random,
): Choice {
  if (q === undefined) return choose(probabilities, offset, size, options, random);
  const p = cutOff(probabilities, offset, size, options);
  const kept = random.uniform() * (q[drafted] as number) < (p[drafted] as number);
  const token = kept ? drafted : drawn(residual(p, q), random.uniform());
  return { token, logProb: Math.log(probabilities[offset + token] as number) };
}

/** What is drawn from: 0 where top-k, top-p or min-p cut off, the rest scaled to sum to 1. */
function cutOff(p: Float32Array, offset: number, size: number, options: SamplingOptions): Float32Array {
  const whole = p.slice(offset, offset + size);
  return scaled(truncates(options) ? only(whole, keep(whole, options)) : whole);
}

function only(p: Float32Array, ids: readonly number[]): Float32Array {
  const kept = new Float32Array(p.length);
  for (const id of ids) kept[id] = p[id] as number;
  return kept;
}

/** max(0, p − q), scaled; p where that is nothing but rounding. */
function residual(p: Float32Array, q: Float32Array): Float32Array {
  const left = p.map((x, i) => Math.max(0, x - (q[i] as number)));
  return left.some(x => x > 0) ? scaled(left) : p;
}

function scaled(p: Float32Array): Float32Array {
  let sum = 0;
  for (const x of p) sum += x;
  for (let i = 0; i < p.length; i++) p[i] = (p[i] as number) / sum;
  return p;
}

/** The id where the cumulative probability passes `u`. */
function drawn(p: Float32Array, u: number): number {
  const id = p.findIndex(x => (u -= x) < 0);
  return id >= 0 ? id : likeliest(p, 0, p.length); // they sum to a little less than 1
}

const truncates = (o: SamplingOptions): boolean =>
  (o.topK ?? 0) > 0 || (o.topP ?? 1) < 1 || (o.minP ?? 0) > 0;

function chosen(
  p: Float32Array,
  offset: number,
  size: number,
  options: SamplingOptions,
  random: Random,
): number {
  if (options.temperature === 0) return likeliest(p, offset, size);
  if (truncates(options)) return truncated(p.subarray(offset, offset + size), options, random);
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
