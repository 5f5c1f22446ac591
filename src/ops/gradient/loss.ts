/**
 * The gradient of SoftmaxCrossEntropyLoss: (softmax − onehot) · weight, in three passes over the scores.
 *
 * The one-hot is never made: the scaled softmax has the coefficient subtracted at each label's place.
 */
import type { Value } from '../builder.ts';
import type { GradientContext } from '../rule.ts';
import { expandLike, filledLike, first, type Gradients, input, output } from './common.ts';
import type { Family } from './family.ts';

interface Labels {
  /** Labels with ignored ones replaced by 0. [N, d…] */
  readonly safe: Value;
  /** Weight of each position; undefined when all are 1. [N, d…] */
  readonly weight?: Value;
}

function labelsOf(c: GradientContext, dtype: Value['dtype']): Labels {
  const [labels, classWeights] = [input(c, 1), c.inputs[2]];
  const valid = c.attributes.has('ignore_index')
    ? labels.equal(c.attributes.int('ignore_index', -100)).not()
    : undefined;
  const safe = valid ? c.b.where(valid, labels, 0) : labels;
  const weight = classWeights?.gather(safe);
  if (!valid) return { safe, weight };
  return { safe, weight: weight ? weight.mul(valid.cast(dtype)) : valid.cast(dtype) };
}

/** What one unit of (softmax − onehot) counts at each position. [N, d…] */
function coefficient(c: GradientContext, g: Value, { safe, weight }: Labels): Value {
  const one = weight ?? filledLike(c.b.op('CastLike', [safe, g], {}), 1);
  const reduction = c.attributes.string('reduction', 'mean');
  if (reduction === 'none') return weight ? g.mul(weight) : g;
  const share = reduction === 'mean' ? g.div(one.sum(undefined, false)) : g;
  return expandLike(share.mul(one), safe);
}

function scoresGradient(c: GradientContext, g: Value | undefined, gLog: Value | undefined): Value {
  const probabilities = c.outputs[1]?.exp() ?? input(c, 0).softmax(1);
  const fromLog = gLog?.sub(probabilities.mul(gLog.sum([1])));
  if (!g) return fromLog as Value;
  const labels = labelsOf(c, g.dtype);
  const k = coefficient(c, g, labels).unsqueeze([1]);
  const inputs = [probabilities.mul(k), labels.safe.unsqueeze([1]), k.neg()];
  const fromLoss = c.b.op('ScatterElements', inputs, { axis: 1, reduction: 'add' });
  return fromLog ? fromLoss.add(fromLog) : fromLoss;
}

function crossEntropy(c: GradientContext): Gradients {
  if (c.wants(2)) c.fail('has no gradient for class weights; apply stopGradient to them');
  output(c);
  return [scoresGradient(c, c.grads[0], c.grads[1])];
}

/** −weight at each label's place, from log-probabilities. */
function negativeLogLikelihood(c: GradientContext, g: Value): Gradients {
  if (c.wants(2)) c.fail('has no gradient for class weights; apply stopGradient to them');
  const labels = labelsOf(c, g.dtype);
  const k = coefficient(c, g, labels).unsqueeze([1]).neg();
  const inputs = [filledLike(input(c, 0)), labels.safe.unsqueeze([1]), k];
  return [c.b.op('ScatterElements', inputs, { axis: 1, reduction: 'add' })];
}

export const LOSS = {
  SoftmaxCrossEntropyLoss: crossEntropy,
  NegativeLogLikelihoodLoss: first(negativeLogLikelihood),
} satisfies Family;
