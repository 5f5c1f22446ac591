/**
 * Keeping experts evenly busy.
 *
 * 1. Losses of DeepSeek-V2 (arXiv:2405.04434 §2.2.3) and V3's sequence-wise loss (arXiv:2412.19437 eq. 17–20), over each
 *    row of T tokens. With f_i = E/(K T) Σ_t 1(t goes to i) and P_i = mean_t s_i / Σ_j s_j:
 *      expert          Σ_i f_i P_i, 1 when all is even
 *      device          Σ_D (mean of f in D) (Σ of P in D)
 *      communication   Σ_D D/(M T) Σ_t 1(t is sent to D) (Σ of P in D), for tokens that visit M of D devices
 *    The gradient goes through P alone.
 * 2. V3's balancing needs no gradient: after a step the bias of an expert goes down by γ if it had more than the mean load,
 *    else up (Wang et al. 2024, arXiv:2408.15664). `updateBiases` does so to values in a store.
 * 3. MaxVio = (largest load − mean) / mean, of a whole step's tokens.
 * Shapes: B rows, T positions, M = B·T, E experts, K chosen ones, D devices.
 */
import type { Value } from '../ops/builder.ts';
import { oneHot, type Routing } from './routing.ts';

export interface BalanceWeights {
  /** V2's α1; in V3 the weight of the sequence-wise loss. */
  readonly expert?: number;
  /** α2. */
  readonly device?: number;
  /** α3. */
  readonly communication?: number;
}

export interface BalanceShape {
  readonly experts: number;
  readonly topK: number;
  readonly devices: number;
  /** Devices that a token may be sent to. */
  readonly devicesPerToken: number;
}

/** What is known of the tokens of a batch. */
export interface BalanceRows {
  /** [B, T] as run-time dims. */
  readonly dims: Value;
  /** 1 for a token, 0 for padding [B, T]; all are tokens when absent. */
  readonly valid?: Value;
}

/** Experts that each token goes to, as ones [B, T, E]; padding goes nowhere. */
export function sentTo({ chosen }: Routing, experts: number, rows: BalanceRows): Value {
  const sent = perRow(oneHot(chosen, experts).sum([1], false), experts, rows);
  return rows.valid ? sent.mul(rows.valid.unsqueeze([2])) : sent;
}

const perRow = (x: Value, width: number, { dims }: BalanceRows): Value =>
  x.reshapeTo(x.builder.concat([dims, x.builder.ints([width])], 0));

/** The weighted sum of the losses of one layer, a scalar, mean over rows; undefined when no weight is given. */
export function balanceLoss(
  routing: Routing,
  shape: BalanceShape,
  rows: BalanceRows,
  weights: BalanceWeights,
): Value | undefined {
  const { experts, topK, devices, devicesPerToken } = shape;
  const sent = sentTo(routing, experts, rows);
  const tokens = rows.valid
    ? rows.valid.sum([1]).max(1)
    : sent
        .sum([1, 2], false)
        .unsqueeze([1])
        .mul(1 / topK);
  const shares = routing.scores.div(routing.scores.sum([1]).add(1e-20));
  const valid = rows.valid
    ? perRow(shares, experts, rows).mul(rows.valid.unsqueeze([2]))
    : perRow(shares, experts, rows);
  const p = valid.sum([1], false).div(tokens);
  const f = sent
    .sum([1], false)
    .div(tokens)
    .mul(experts / topK);
  const byDevice = (x: Value) => x.reshape([-1, devices, experts / devices]);
  const deviceP = () => byDevice(p).sum([2], false);
  const visits = () => {
    const b = sent.builder;
    const onDevice = sent.reshapeTo(b.concat([rows.dims, b.ints([devices, experts / devices])], 0));
    return onDevice
      .reduceMax([3], false)
      .sum([1], false)
      .div(tokens)
      .mul(devices / devicesPerToken);
  };
  const terms = [
    weights.expert ? meanSum(f.mul(p)).mul(weights.expert) : undefined,
    weights.device ? meanSum(byDevice(f).mean([2], false).mul(deviceP())).mul(weights.device) : undefined,
    weights.communication ? meanSum(visits().mul(deviceP())).mul(weights.communication) : undefined,
  ].filter(term => term !== undefined);
  return terms.length > 0 ? terms.reduce((a, b) => a.add(b)) : undefined;
}

/** Sum over the last axis, mean over rows. */
const meanSum = (x: Value): Value => x.sum([1], false).mean([0], false);

/** (Largest load − mean) / mean. */
export function maxViolation(loads: Float32Array): number {
  const mean = meanOf(loads);
  return mean === 0 ? 0 : (loads.reduce((a, b) => Math.max(a, b), 0) - mean) / mean;
}

/** b_i ← b_i − γ for experts above the mean load, + γ below it. */
export function updateBiases(biases: Float32Array, loads: Float32Array, gamma: number): void {
  const mean = meanOf(loads);
  for (let i = 0; i < biases.length; i++) {
    biases[i] = (biases[i] as number) + gamma * Math.sign(mean - (loads[i] as number));
  }
}

const meanOf = (values: Float32Array): number => values.reduce((a, b) => a + b, 0) / values.length;
