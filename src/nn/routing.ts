/**
 * Which experts a token goes to, and with what weight: DeepSeek-V2's and V3's gates.
 *
 * 1. Scores s = softmax or σ of u·e. The choice is made on s plus a correction bias (V3, arXiv:2412.19437 eq. 16), which
 *    never enters the weight: g = s of the chosen, normalized to 1 on request, times a factor.
 * 2. Groups of experts (devices, nodes) compete first: by their best expert (V2) or the sum of their best two (V3);
 *    experts of the groups that lose are not chosen.
 * 3. The gradient reaches the scores through the chosen gates alone; the choice itself is made of indices, which carry none.
 * Shapes: M tokens, d width, E experts, K chosen ones, G groups.
 */
import type { Value } from '../ops/builder.ts';
import { project } from './layers.ts';
import { type Init, type Scope, zeroInit } from './parameters.ts';

export interface Gate {
  readonly experts: number;
  readonly topK: number;
  readonly scoring: 'softmax' | 'sigmoid';
  /** Groups that experts are in, in order; 1 when all compete at once. */
  readonly groups: number;
  readonly topGroups: number;
  /** Experts whose scores add up to their group's. */
  readonly bestOfGroup: 1 | 2;
  /** Whether choices are corrected by `e_score_correction_bias` [E]. */
  readonly correction: boolean;
  readonly normalize: boolean;
  readonly factor: number;
  readonly init: Init;
}

export interface Routing {
  /** [M, E]. */
  readonly scores: Value;
  /** Numbers of the chosen experts [M, K], int64. */
  readonly chosen: Value;
  /** Their weights [M, K]. */
  readonly gates: Value;
}

const LOST = -1e30;

/** Routes x [M, d]. */
export function route(scope: Scope, gate: Gate, x: Value): Routing {
  const { experts, topK } = gate;
  const width = x.shape[1] as number;
  const logits = project(x, scope.parameter('weight', [experts, width], gate.init));
  const scores = gate.scoring === 'softmax' ? logits.softmax(-1) : logits.sigmoid();
  const chosen = best(competing(scope, gate, scores), topK, 1)[1];
  const picked = x.builder.op('GatherElements', [scores, chosen], { axis: 1 });
  const shares = gate.normalize ? picked.div(picked.sum([1]).add(1e-20)) : picked;
  return { scores, chosen, gates: gate.factor === 1 ? shares : shares.mul(gate.factor) };
}

/** What the choice goes by [M, E]: corrected scores, those of losing groups out of the race. */
function competing(scope: Scope, gate: Gate, scores: Value): Value {
  const { experts, groups, topGroups, bestOfGroup } = gate;
  const corrected = gate.correction
    ? scores.add(scope.parameter('e_score_correction_bias', [experts], zeroInit))
    : scores;
  if (groups === 1 || topGroups === groups) return corrected;
  const b = scores.builder;
  const grouped = corrected.reshape([-1, groups, experts / groups]);
  const ofGroup =
    bestOfGroup === 1 ? grouped.reduceMax([2], false) : best(grouped, bestOfGroup, 2)[0].sum([2], false);
  const winners = best(ofGroup, topGroups, 1)[1];
  const kept = oneHot(winners, groups).sum([1], false).greater(0).unsqueeze([2]);
  return b.where(kept, grouped, LOST).reshape([-1, experts]);
}

function best(x: Value, k: number, axis: number): [values: Value, indices: Value] {
  return x.builder.ops('TopK', [x, x.builder.ints([k])], { axis }, 2) as [Value, Value];
}

/** Ones at `indices` along a new last axis of `depth`, float. */
export function oneHot(indices: Value, depth: number): Value {
  const b = indices.builder;
  const values = b.constant({ dtype: 'float32', dims: [2], data: Float32Array.of(0, 1) });
  return b.op('OneHot', [indices, b.scalar(depth, 'int64'), values], { axis: -1 });
}

/** Tokens sent to each expert [E], float. */
export const loadOf = ({ chosen }: Routing, experts: number): Value =>
  oneHot(chosen, experts).sum([0, 1], false);
