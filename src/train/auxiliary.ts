/**
 * What a model adds to next-token training by itself: losses that balance its experts, a loss on the token after the next.
 *
 * 1. Token weights add up to 1 over a whole step. A balance loss counts by the share of the step that its batch is, so the
 *    sum over batches is a mean.
 * 2. The token after the next is the next token of the place to the right: targets and weights shift left by one, and the
 *    last place of each document predicts nothing.
 * Shapes: B rows, T positions, M = B·T, d width, V vocabulary.
 */
import type { CausalModel, TrainingForm, TrainingInputs } from '../models/model.ts';
import { crossEntropy, tokenScores } from '../nn/losses.ts';
import type { Scope } from '../nn/parameters.ts';
import type { Value } from '../ops/builder.ts';

/** The model's training form; hidden states alone where it has no other. */
export const trainingForm = (model: CausalModel, scope: Scope, inputs: TrainingInputs): TrainingForm =>
  model.training?.(scope, inputs) ?? { hidden: model.hidden(scope, inputs) };

export interface AddedLoss {
  /** Absent when the model adds none. */
  readonly loss?: Value;
  readonly metrics: Readonly<Record<string, Value>>;
}

/** @param weights of tokens [M] */
export function addedLoss(
  model: CausalModel,
  form: TrainingForm,
  head: (hidden: Value) => Value,
  inputs: TrainingInputs,
  weights: Value,
): AddedLoss {
  const balance = form.balance?.mul(weights.sum([0], false));
  const ahead = form.ahead && aheadLoss(form.ahead, head, inputs, weights);
  const terms = [balance, ahead?.mul(model.aheadWeight ?? 1)].filter(term => term !== undefined);
  return {
    loss: terms.length > 0 ? terms.reduce((a, b) => a.add(b)) : undefined,
    metrics: { ...(balance && { 'loss/balance': balance }), ...(ahead && { 'loss/ahead': ahead }) },
  };
}

/** Mean −log p of the token after the next. */
function aheadLoss(
  hidden: Value,
  head: (hidden: Value) => Value,
  { targets, segments }: TrainingInputs,
  weights: Value,
): Value {
  const width = hidden.shape[2] as number;
  const scores = tokenScores(head(hidden.reshape([-1, width])), shifted(targets).reshape([-1]));
  const moved = shifted(weights.reshapeTo(targets.dims()));
  const same = segments?.equal(shifted(segments)).cast('float32');
  return crossEntropy(scores, (same ? moved.mul(same) : moved).reshape([-1]));
}

/** x [B, T] with each row moved left by one place, 0 at its end. */
function shifted(x: Value): Value {
  const b = x.builder;
  const padded = b.op('Pad', [x, b.ints([0, 0, 0, 1])], {});
  return padded.slice(1, 1, Number.MAX_SAFE_INTEGER).reshapeTo(x.dims());
}
