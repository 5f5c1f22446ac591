/**
 * Losses over a vocabulary, written so that their gradients touch the logits as few times as possible.
 *
 * 1. log p(target) is a value with a hand-placed gradient: d/dlogits log p(y) = onehot(y) − p. The forward value comes
 *    from LogSoftmax and GatherElements; the gradient flows through Σ logits · stop(onehot − p), joined to it by
 *    StraightThrough. That is three passes over [M, V] instead of six. First order only: second derivatives
 *    through it are not the loss's; `tokenLogProbs(…, { exact: true })` gives the plain form.
 * 2. Every loss returns values a token, so that stages weight, clip and sum as their formulas say.
 * Shapes: M = tokens, V = vocabulary.
 */
import type { Value } from '../ops/builder.ts';

export interface TokenLogProbs {
  /** log p(target) [M]. */
  readonly logProb: Value;
  /** log-probabilities of the whole vocabulary [M, V], without a gradient. */
  readonly all: Value;
}

/** log p(target) of each row: logits [M, V], targets [M] (int32 or int64, in range). */
export function tokenLogProbs(logits: Value, targets: Value, options: { exact?: boolean } = {}): TokenLogProbs {
  const b = logits.builder;
  const index = targets.unsqueeze([1]);
  const all = logits.logSoftmax(-1);
  const picked = b.op('GatherElements', [all, index], { axis: 1 }).squeeze([1]);
  if (options.exact) return { logProb: picked, all };
  const minusOne = b.scalar(-1).expandTo(index.dims());
  const pMinusOneHot = b.op('ScatterElements', [all.exp(), index, minusOne], { axis: 1, reduction: 'add' });
  const surrogate = logits.mul(pMinusOneHot.stopGradient()).sum([1], false).neg();
  return { logProb: b.op('gaslaw.StraightThrough', [picked, surrogate], {}), all: all.stopGradient() };
}

/** Σ weights · (−log p(target)), a scalar. With weights that sum to 1 it is a weighted mean, in nats a token. */
export const crossEntropy = (logits: Value, targets: Value, weights: Value): Value =>
  tokenLogProbs(logits, targets).logProb.mul(weights).sum(undefined, false).neg();

/** z-loss (PaLM §5): Σ weights · (log Σ exp logits)², which keeps the logits' normalizer near 0. */
export function zLoss(logits: Value, weights: Value): Value {
  const logZ = logits.builder.op('ReduceLogSumExp', [logits, logits.builder.ints([1])], { keepdims: 0 });
  return logZ.mul(logZ).mul(weights).sum(undefined, false);
}

/** Entropy −Σ p log p of each row, from log-probabilities [M, V]; returns [M]. */
export const entropy = (logProbs: Value): Value => logProbs.exp().mul(logProbs).sum([1], false).neg();

/**
 * Divergence between a teacher's and a student's next-token distributions, a row: [M].
 * forward: Σ t (log t − log s); reverse: Σ s (log s − log t); jensen-shannon at weight β as in
 * generalized knowledge distillation (Agarwal et al. 2024): β KL(t‖m) + (1−β) KL(s‖m), m = β t + (1−β) s.
 */
export function divergence(
  kind: 'forward' | 'reverse' | 'jensen-shannon',
  studentLogits: Value,
  teacherLogits: Value,
  options: { temperature?: number; beta?: number } = {},
): Value {
  const inverse = 1 / (options.temperature ?? 1);
  const s = studentLogits.mul(inverse).logSoftmax(-1);
  const t = teacherLogits.mul(inverse).logSoftmax(-1).stopGradient();
  if (kind === 'forward') return t.exp().mul(t.sub(s)).sum([1], false);
  if (kind === 'reverse') return s.exp().mul(s.sub(t)).sum([1], false);
  const beta = options.beta ?? 0.5;
  const mixture = t.exp().mul(beta).add(s.exp().mul(1 - beta)).log();
  const teacherPart = t.exp().mul(t.sub(mixture)).sum([1], false).mul(beta);
  return teacherPart.add(s.exp().mul(s.sub(mixture)).sum([1], false).mul(1 - beta));
}
