/**
 * The policy-gradient losses of the GRPO family as graphs (reference: DeepSeekMath §4, R1 §2.2, DAPO, Dr. GRPO, GSPO,
 * CISPO; TRL and verl spell the options the same way).
 *
 * Per token: ρ = π/π_old, objective min(ρ A, clip(ρ, 1−ε_low, 1+ε_high) A); sequence level: ρ = exp(mean log ρ_t).
 * Loss = −Σ w · objective + β Σ w · KL − c Σ w · H, where the weights w carry the aggregation (advantage.ts).
 * Shapes: B rows (one response a row), T positions, M = B·T.
 */
import type { Value } from '../ops/builder.ts';
import type { LossContext, LossFunction } from './learner.ts';

export interface PolicyLossOptions {
  /** Importance ratio of each token, or of the whole sequence (GSPO). */
  readonly ratioLevel: 'token' | 'sequence';
  readonly clipLow: number;
  readonly clipHigh: number;
  /** `ppo` takes the pessimistic minimum; `cispo` clips the weight and keeps its token's gradient. */
  readonly objective: 'ppo' | 'cispo';
  /** Upper bound on ρ where the advantage is negative (two-sided clipping); off when absent. */
  readonly delta?: number;
  /** Weight of the KL penalty to the reference; 0 leaves the reference out. */
  readonly klWeight: number;
  readonly klEstimator: 'k1' | 'k2' | 'k3';
  readonly entropyWeight: number;
  /** Temperature that the responses were sampled at; logits are divided by it. */
  readonly temperature: number;
}

/**
 * Inputs a token: `advantage`, `weights`, `old_log_prob`, `mask` (1 on response tokens) and, with a KL penalty,
 * `reference_log_prob`.
 */
export function policyLoss(o: PolicyLossOptions): LossFunction {
  return c => {
    const { logProb, entropy } = c.scores({ temperature: o.temperature });
    const weight = c.token('weights');
    const logRatio = logProb.sub(c.token('old_log_prob')).mul(c.token('mask'));
    const ratio = (o.ratioLevel === 'sequence' ? sequenceMean(c, logRatio) : logRatio).exp();
    const terms = objective(o, ratio, logProb, c.token('advantage'));
    let loss = terms.objective.mul(weight).sum(undefined, false).neg();
    const metrics: Record<string, Value> = {
      'clip_ratio/low': share(c, terms.clippedLow),
      'clip_ratio/high': share(c, terms.clippedHigh),
      entropy: share(c, entropy),
    };
    if (o.klWeight > 0) {
      const kl = klDivergence(o.klEstimator, logProb, c.token('reference_log_prob'));
      loss = loss.add(kl.mul(weight).sum(undefined, false).mul(o.klWeight));
      metrics.kl = share(c, kl);
    }
    if (o.entropyWeight !== 0) {
      const bonus = entropy.mul(weight).sum(undefined, false);
      loss = loss.sub(bonus.mul(o.entropyWeight));
    }
    return { loss, metrics };
  };
}

/** Σ value · mask: summed here, divided by the number of response tokens by the caller (batches are split). */
const share = (c: LossContext, value: Value): Value => value.mul(c.token('mask')).sum(undefined, false);

/** Mean over each row's response tokens, given back to every token of the row. */
function sequenceMean(c: LossContext, x: Value): Value {
  const rows = x.reshapeTo(c.rowDims);
  const mask = c.token('mask').reshapeTo(c.rowDims);
  const mean = rows.sum([1]).div(mask.sum([1]).max(1));
  return mean.mul(mask).reshape([-1]);
}

function objective(
  o: PolicyLossOptions,
  ratio: Value,
  logProb: Value,
  advantage: Value,
): { objective: Value; clippedLow: Value; clippedHigh: Value } {
  const b = ratio.builder;
  const negative = advantage.less(0);
  const low = b.op('And', [ratio.less(1 - o.clipLow), negative], {}).cast(ratio.dtype);
  const high = b.op('And', [ratio.greater(1 + o.clipHigh), advantage.greater(0)], {}).cast(ratio.dtype);
  if (o.objective === 'cispo') {
    const weight = ratio.min(1 + o.clipHigh).stopGradient();
    return { objective: weight.mul(advantage).mul(logProb), clippedLow: low, clippedHigh: high };
  }
  const bounded = o.delta === undefined ? ratio : b.where(negative, ratio.min(o.delta), ratio);
  const clipped = ratio.max(1 - o.clipLow).min(1 + o.clipHigh);
  return {
    objective: bounded.mul(advantage).min(clipped.mul(advantage)),
    clippedLow: low,
    clippedHigh: high,
  };
}

/**
 * KL(π‖π_ref) from one sample (Schulman 2020). k1: log π/π_ref; k2: ½ (log π/π_ref)²;
 * k3: π_ref/π − log π_ref/π − 1, DeepSeek's, never negative.
 */
function klDivergence(kind: PolicyLossOptions['klEstimator'], logProb: Value, reference: Value): Value {
  const difference = logProb.sub(reference);
  if (kind === 'k1') return difference;
  if (kind === 'k2') return difference.mul(difference).mul(0.5);
  return difference.neg().exp().add(difference).sub(1);
}
