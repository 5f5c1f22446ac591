/**
 * Losses over a vocabulary, written so that their gradients touch the logits as few times as possible.
 *
 * 1. log p(target) is a value with a hand-placed gradient: d/dlogits log p(y) = onehot(y) − p. The forward value comes
 *    from LogSoftmax and GatherElements; the gradient flows through Σ logits · stop(onehot − p), joined to it by
 *    StraightThrough. That is three passes over [M, V] instead of six. First order only: second derivatives
 *    through it are not the loss's; `tokenScores(…, { exact: true })` gives the plain form.
 * 2. Every loss returns values a token, so that stages weight, clip and sum as their formulas say.
 * 3. For large vocabularies logits are made in chunks of tokens that the backward pass computes again, so that the
 *    logits of one chunk at a time are alive (`chunkedTokenLogProbs` with `recompute: chunkScopes(…)`).
 * Shapes: M = tokens, V = vocabulary, d = model width.
 */
import type { Value } from '../ops/builder.ts';

/** What losses ask of a token's logits. What a loss does not use costs nothing: lowering takes it out. */
export interface TokenScores {
  /** log p(target) [M]. */
  readonly logProb: Value;
  /** log Σ exp logits [M]. */
  readonly logZ: Value;
  /** Entropy −Σ p log p of the next-token distribution in nats [M]. */
  readonly entropy: Value;
}

export interface ScoreOptions {
  /** Plain gradients, which can be differentiated again. */
  readonly exact?: boolean;
}

/** Scores of each row: logits [M, V], targets [M] (int32 or int64, in range). */
export function tokenScores(logits: Value, targets: Value, options: ScoreOptions = {}): TokenScores {
  const b = logits.builder;
  const index = targets.unsqueeze([1]);
  const all = logits.logSoftmax(-1);
  const picked = b.op('GatherElements', [all, index], { axis: 1 }).squeeze([1]);
  const logZ = b.op('ReduceLogSumExp', [logits, b.ints([1])], { keepdims: 0 });
  const logProb = options.exact ? picked : withPlacedGradient(picked, logits, all, index);
  return { logProb, logZ, entropy: entropy(all) };
}

/** `picked` with the gradient onehot − p towards the logits. */
function withPlacedGradient(picked: Value, logits: Value, all: Value, index: Value): Value {
  const b = logits.builder;
  const minusOne = b.scalar(-1, logits.dtype).expandTo(index.dims());
  const pMinusOneHot = b.op('ScatterElements', [all.exp(), index, minusOne], { axis: 1, reduction: 'add' });
  const surrogate = logits.mul(pMinusOneHot.stopGradient()).sum([1], false).neg();
  return b.op('gaslaw.StraightThrough', [picked, surrogate], {});
}

/** The scopes of the chunks, which `gradients(…, { recompute })` takes as its regions. */
export const chunkScopes = (chunks: number): string[] =>
  Array.from({ length: chunks }, (_, i) => `logits.${i}`);

/**
 * `tokenScores` of head(hidden) in `chunks` pieces of the tokens, under the scopes `chunkScopes(chunks)`.
 * hidden [M, d], targets [M]; `head` makes logits [m, V] of m hidden states. Tokens that do not divide go to the last chunk.
 */
export function chunkedTokenLogProbs(
  hidden: Value,
  head: (hidden: Value) => Value,
  targets: Value,
  chunks: number,
  options: ScoreOptions = {},
): TokenScores {
  const b = hidden.builder;
  const sizes = chunkSizes(hidden, chunks);
  const split = (x: Value) => b.ops('Split', [x, sizes], { axis: 0 }, chunks);
  const [states, ids] = [split(hidden), split(targets)];
  const scored = chunkScopes(chunks).map((scope, i) =>
    b.scope(scope, () => tokenScores(head(states[i] as Value), ids[i] as Value, options)),
  );
  const joined = (part: keyof TokenScores) =>
    b.concat(
      scored.map(s => s[part]),
      0,
    );
  return { logProb: joined('logProb'), logZ: joined('logZ'), entropy: joined('entropy') };
}

/** ⌊M / chunks⌋ for all but the last chunk, which takes the rest: int64 [chunks]. */
function chunkSizes(hidden: Value, chunks: number): Value {
  const b = hidden.builder;
  const rows = hidden.shape[0];
  if (typeof rows === 'number') {
    const each = Math.floor(rows / chunks);
    return b.ints(
      Array.from({ length: chunks }, (_, i) => (i + 1 < chunks ? each : rows - each * (chunks - 1))),
    );
  }
  const total = b.op('Shape', [hidden], { start: 0, end: 1 });
  const each = total.div(chunks);
  const others = Array.from({ length: chunks - 1 }, () => each);
  return b.concat([...others, total.sub(each.mul(chunks - 1))], 0);
}

/** Σ weights · (−log p(target)), a scalar. With weights that sum to 1 it is a weighted mean, in nats a token. */
export const crossEntropy = (scores: Pick<TokenScores, 'logProb'>, weights: Value): Value =>
  scores.logProb.mul(weights).sum(undefined, false).neg();

/** z-loss (PaLM §5): Σ weights · (log Σ exp logits)², which keeps the logits' normalizer near 0. */
export const zLoss = (scores: Pick<TokenScores, 'logZ'>, weights: Value): Value =>
  scores.logZ.mul(scores.logZ).mul(weights).sum(undefined, false);

/** Entropy −Σ p log p of each row, from log-probabilities [M, V]; returns [M]. */
export const entropy = (logProbs: Value): Value => logProbs.exp().mul(logProbs).sum([1], false).neg();

export type DivergenceKind = 'forward' | 'reverse' | 'jensen-shannon' | 'skew-forward' | 'skew-reverse';

/**
 * Divergence between a teacher's and a student's next-token distributions, a row: [M].
 * forward: Σ t (log t − log s); reverse: Σ s (log s − log t); jensen-shannon at weight β as in
 * generalized knowledge distillation (Agarwal et al. 2024): β KL(t‖m) + (1−β) KL(s‖m), m = β t + (1−β) s, which is
 * taken to be forward at β = 0 and reverse at β = 1, as in TRL; skew-forward: KL(t‖α t + (1−α) s) and skew-reverse:
 * KL(s‖α s + (1−α) t), whose gradients stay bounded where one of them is near 0 (DistiLLM, Ko et al. 2024, arXiv:2402.03898).
 */
export function divergence(
  kind: DivergenceKind,
  studentLogits: Value,
  teacherLogits: Value,
  options: { temperature?: number; beta?: number; alpha?: number } = {},
): Value {
  const inverse = 1 / (options.temperature ?? 1);
  const s = studentLogits.mul(inverse).logSoftmax(-1);
  const t = teacherLogits.mul(inverse).logSoftmax(-1).stopGradient();
  const beta = options.beta ?? 0.5;
  if (kind === 'forward' || (kind === 'jensen-shannon' && beta === 0)) return kl(t, s);
  if (kind === 'reverse' || (kind === 'jensen-shannon' && beta === 1)) return kl(s, t);
  const alpha = options.alpha ?? 0.1;
  if (kind === 'skew-forward') return kl(t, mixed(t, s, alpha));
  if (kind === 'skew-reverse') return kl(s, mixed(s, t, alpha));
  const mixture = mixed(t, s, beta);
  return kl(t, mixture)
    .mul(beta)
    .add(kl(s, mixture).mul(1 - beta));
}

/** KL(p‖q) of each row from log-probabilities [M, V]. */
const kl = (logP: Value, logQ: Value): Value => logP.exp().mul(logP.sub(logQ)).sum([1], false);

/** log(share · p + (1 − share) · q) from log-probabilities; 0 < share < 1. */
const mixed = (logP: Value, logQ: Value, share: number): Value =>
  logAddExp(logP.add(Math.log(share)), logQ.add(Math.log(1 - share)));

/** log(eᵃ + eᵇ), also where both underflow. */
function logAddExp(a: Value, b: Value): Value {
  const most = a.max(b).stopGradient();
  return a.sub(most).exp().add(b.sub(most).exp()).log().add(most);
}
