/**
 * Qwen3's decoder with routed experts: the dense decoder with another feed-forward network.
 * Shapes: B batch, T positions, M = B·T, d width.
 */
import { type Experts, expertMatrices, sortedExperts } from '../../nn/experts.ts';
import { normal, type Scope } from '../../nn/parameters.ts';
import { type Gate, route } from '../../nn/routing.ts';
import type { Value } from '../../ops/builder.ts';
import { denseFeedForward, denseHidden, denseStep, type FeedForward, initOf } from '../dense/model.ts';
import type { ForwardInputs, StepInputs, StepOutputs } from '../model.ts';
import { isSparse, type Qwen3MoeConfig } from './config.ts';

/** How experts are computed; `declared` only names their parameters. */
type ExpertForm = 'sorted' | 'declared';

const gateOf = (c: Qwen3MoeConfig): Gate => ({
  experts: c.numExperts,
  topK: c.numExpertsPerTok,
  scoring: 'softmax',
  groups: 1,
  topGroups: 1,
  bestOfGroup: 1,
  correction: false,
  normalize: c.normTopkProb,
  factor: 1,
  init: normal(c.initializerRange),
});

const expertsOf = (c: Qwen3MoeConfig): Experts => ({
  count: c.numExperts,
  topK: c.numExpertsPerTok,
  hiddenSize: c.hiddenSize,
  width: c.moeIntermediateSize,
  init: initOf(c),
});

function feedForwardOf(c: Qwen3MoeConfig, form: ExpertForm): FeedForward {
  const dense = denseFeedForward(c);
  return (layer, i, h, joined) =>
    isSparse(c, i) ? routed(layer.child('mlp'), c, h, form) : dense(layer, i, h, joined);
}

function routed(mlp: Scope, c: Qwen3MoeConfig, h: Value, form: ExpertForm): Value {
  const x = h.reshape([-1, c.hiddenSize]);
  const routing = route(mlp.child('gate'), gateOf(c), x);
  const experts = mlp.child('experts');
  if (form === 'sorted') return sortedExperts(experts, expertsOf(c), x, routing).reshapeTo(h.dims());
  expertMatrices(experts, expertsOf(c));
  return h;
}

/** Hidden states [B, T, d] after the final norm. */
export const qwen3MoeHidden = (
  scope: Scope,
  c: Qwen3MoeConfig,
  inputs: ForwardInputs,
  form: ExpertForm = 'sorted',
): Value => denseHidden(scope, c, inputs, feedForwardOf(c, form));

/** One inference step over S new tokens a row. */
export const qwen3MoeStep = (scope: Scope, c: Qwen3MoeConfig, inputs: StepInputs): StepOutputs =>
  denseStep(scope, c, inputs, feedForwardOf(c, 'sorted'));
