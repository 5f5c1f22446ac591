/** Shapes of softmax, normalizations and the cross-entropy that goes with them. */
import { type DType, dtypeOfCode } from '../../graph/dtype.ts';
import type { Dim, Shape } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import {
  axisAttribute,
  broadcast,
  input,
  requireKind,
  requireRank,
  shapeAt,
  type,
  unifyShapes,
  withoutDim,
} from './common.ts';
import { showShape, surelyDiffer } from './dims.ts';

const softmax: ShapeRule = c => {
  requireKind(c, 0, 'float');
  const s = shapeAt(c, 0);
  if (s) axisAttribute(c, -1, s.length);
  return [input(c, 0)];
};

/** Type of the statistics: dims from `axis` on become 1. */
function statistics(c: RuleContext): { dtype: DType; shape?: Shape } {
  const s = shapeAt(c, 0);
  const dtype = dtypeOfCode(c.attributes.int('stash_type', 1)) ?? 'float32';
  if (!s) return { dtype };
  const axis = axisAttribute(c, -1, s.length);
  return { dtype, shape: s.map((d, i) => (i < axis ? d : 1)) };
}

/** Scale and bias broadcast to x and must not enlarge it. */
function checkAffine(c: RuleContext, i: number): void {
  const [x, w] = [shapeAt(c, 0), c.inputs[i]?.shape];
  if (!x || !w) return;
  const both = broadcast(c, [x, w]) as Shape;
  if (both.length > x.length || both.some((d, j) => surelyDiffer(d, x[j] ?? 1))) {
    c.fail(`input ${i} ${showShape(w)} does not broadcast to ${showShape(x)}`);
  }
}

/** Y like x, then `count` statistics. */
const normalization =
  (count: number): ShapeRule =>
  c => {
    requireKind(c, 0, 'float');
    for (let i = 1; i < c.inputs.length; i++) checkAffine(c, i);
    return [input(c, 0), ...Array.from({ length: count }, () => statistics(c))];
  };

/** Skip(Simplified)LayerNormalization: output, mean, inverse deviation, input + skip (+ bias). */
const skipNormalization: ShapeRule = c => {
  requireKind(c, 0, 'float');
  for (let i = 1; i < c.inputs.length; i++) checkAffine(c, i);
  return [input(c, 0), statistics(c), statistics(c), input(c, 0)];
};

/** scores [N,C,D1..], labels [N,D1..] -> loss (labels' shape when not reduced, else a scalar), log-probabilities. */
const crossEntropy: ShapeRule = c => {
  const dtype = requireKind(c, 0, 'float');
  const scores = requireRank(c, 0, 2, Infinity);
  const labels = shapeAt(c, 1);
  requireKind(c, 1, 'integer');
  if (scores && labels) checkLabels(c, scores, labels);
  const unreduced = scores ? withoutDim(scores, 1) : labels;
  const loss = c.attributes.string('reduction', 'mean') === 'none' ? unreduced : [];
  return [type(dtype, loss), input(c, 0)];
};

function checkLabels(c: RuleContext, scores: Shape, labels: Shape): void {
  const wanted = withoutDim(scores, 1);
  const complaint = () =>
    `labels ${showShape(labels)} do not fit scores ${showShape(scores)}: they must be ${showShape(wanted)}`;
  unifyShapes(c, wanted, labels, complaint);
}

/** A per-channel parameter is [channels]. */
function checkPerChannel(c: RuleContext, inputs: readonly number[]): void {
  const channels = shapeAt(c, 0)?.[1];
  for (const i of inputs) {
    const s = c.inputs[i]?.shape;
    if (s && channels !== undefined && (s.length !== 1 || surelyDiffer(s[0] as Dim, channels)))
      c.fail(`input ${i} ${showShape(s)} must be [${channels}], one entry a channel`);
  }
}

/** BatchNormalization(x, scale, bias, mean, var) -> y, running_mean, running_var. */
const batchNormalization: ShapeRule = c => {
  requireKind(c, 0, 'float');
  requireRank(c, 0, 2, Infinity);
  checkPerChannel(c, [1, 2, 3, 4]);
  return [input(c, 0), input(c, 3), input(c, 4)];
};

const channelNormalization: ShapeRule = c => {
  requireKind(c, 0, 'float');
  requireRank(c, 0, 2, Infinity);
  checkPerChannel(c, [1, 2]);
  return [input(c, 0)];
};

const groupNormalization: ShapeRule = c => {
  const [groups, channels] = [c.attributes.int('num_groups', 1), shapeAt(c, 0)?.[1]];
  if (typeof channels === 'number' && channels % groups !== 0)
    c.fail(`${channels} channels do not divide into ${groups} groups`);
  return channelNormalization(c);
};

/** Softmax's and its kin's losses from log-probabilities. */
const negativeLogLikelihood: ShapeRule = c => crossEntropy(c).slice(0, 1);

const sameAsInput: ShapeRule = c => {
  requireKind(c, 0, 'float');
  return [input(c, 0)];
};

export const NORMALIZATION = {
  Softmax: softmax,
  LogSoftmax: softmax,
  Hardmax: softmax,
  NegativeLogLikelihoodLoss: negativeLogLikelihood,
  SoftmaxCrossEntropyLoss: crossEntropy,
  BatchNormalization: batchNormalization,
  InstanceNormalization: channelNormalization,
  GroupNormalization: groupNormalization,
  MeanVarianceNormalization: sameAsInput,
  LpNormalization: softmax,
  LRN: sameAsInput,
  LayerNormalization: normalization(2),
  RMSNormalization: normalization(0),
  SimplifiedLayerNormalization: normalization(1),
  'com.microsoft.SkipLayerNormalization': skipNormalization,
  'com.microsoft.SkipSimplifiedLayerNormalization': skipNormalization,
} satisfies Record<string, ShapeRule>;
