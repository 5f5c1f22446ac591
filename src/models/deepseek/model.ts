/**
 * DeepSeek's decoder: RMSNorm, multi-head latent attention, dense layers first and experts after.
 *
 * 1. `deepseekHidden` is the training form: whole rows, plain attention, sorted experts; plain ops that differentiate.
 * 2. `deepseekStep` is the inference form: absorbed attention over a cache of latents.
 * 3. Both trace the same parameters by name, so one ParameterStore serves both.
 * Shapes: B batch, T positions (S new ones in a step), M = B·T, d width, V vocabulary.
 */
import { type RotaryTables, rotaryTables } from '../../nn/attention.ts';
import { type Experts, expertMatrices, sortedExperts } from '../../nn/experts.ts';
import { type AttentionRows, rowMasks } from '../../nn/grouped-attention.ts';
import {
  cachedLatentAttention,
  type LatentAttention,
  type LatentForm,
  latentAttention,
} from '../../nn/latent-attention.ts';
import { embedding, linear, rmsNorm, skipRmsNorm, swiglu } from '../../nn/layers.ts';
import { normal, type Scope } from '../../nn/parameters.ts';
import { type Gate, type Routing, route } from '../../nn/routing.ts';
import type { Builder, Value } from '../../ops/builder.ts';
import { pastOf, vocabularyLogits } from '../decoder.ts';
import type { AheadInputs, ForwardInputs, StepInputs, StepOutputs } from '../model.ts';
import { type DeepseekConfig, isSparse, scoreScale } from './config.ts';

/** How experts are computed; `declared` only names their parameters. */
export type ExpertForm = 'sorted' | 'declared';

export interface HiddenOptions {
  readonly attention?: LatentForm;
  readonly experts?: ExpertForm;
  /** Sees the routing of each layer with experts. */
  readonly onRouting?: (layer: number, routing: Routing) => void;
}

/** As in the dense family; matrices that read a latent start wider, by the square root of what it is narrower. */
const initOf = (c: DeepseekConfig) => ({
  in: normal(c.initializerRange),
  latent: (width: number) => normal(c.initializerRange * Math.sqrt(c.hiddenSize / width)),
  out: normal(0.02 / Math.sqrt(2 * c.numHiddenLayers)),
  embedding: normal(Math.min(0.05, c.initializerRange)),
  head: normal(0.02),
});

export const attentionOf = (c: DeepseekConfig): LatentAttention => ({
  heads: c.numAttentionHeads,
  hiddenSize: c.hiddenSize,
  qLoraRank: c.qLoraRank,
  kvLoraRank: c.kvLoraRank,
  qkNopeHeadDim: c.qkNopeHeadDim,
  qkRopeHeadDim: c.qkRopeHeadDim,
  vHeadDim: c.vHeadDim,
  scale: scoreScale(c),
  bias: c.attentionBias,
  interleaved: c.ropeInterleave,
  init: initOf(c),
});

const gateOf = (c: DeepseekConfig): Gate => {
  const v3 = c.modelType === 'deepseek_v3';
  return {
    experts: c.nRoutedExperts,
    topK: c.numExpertsPerTok,
    scoring: v3 ? 'sigmoid' : 'softmax',
    groups: c.nGroup,
    topGroups: c.topkGroup,
    bestOfGroup: v3 ? 2 : 1,
    correction: c.topkMethod === 'noaux_tc',
    normalize: c.normTopkProb && (v3 || c.numExpertsPerTok > 1),
    factor: v3 || !c.normTopkProb ? c.routedScalingFactor : 1,
    init: normal(c.initializerRange),
  };
};

const expertsOf = (c: DeepseekConfig): Experts => ({
  count: c.nRoutedExperts,
  topK: c.numExpertsPerTok,
  hiddenSize: c.hiddenSize,
  width: c.moeIntermediateSize,
  init: initOf(c),
});

const tablesOf = (b: Builder, c: DeepseekConfig, name?: string): RotaryTables =>
  rotaryTables(b, {
    name,
    headDim: c.qkRopeHeadDim,
    theta: c.ropeTheta,
    scaling: c.ropeScaling,
    maxPositions: c.maxPositionEmbeddings,
  });

const embed = (model: Scope, c: DeepseekConfig, ids: Value): Value =>
  embedding(model.child('embed_tokens'), ids, c.vocabSize, c.hiddenSize, initOf(c).embedding);

/** Hidden states [B, T, d] after the final norm. */
export function deepseekHidden(
  scope: Scope,
  c: DeepseekConfig,
  inputs: ForwardInputs,
  options: HiddenOptions = {},
): Value {
  const model = scope.child('model');
  const rows = rowsOf(scope.builder, c, inputs);
  let x = embed(model, c, inputs.ids);
  for (let i = 0; i < c.numHiddenLayers; i++) {
    x = model.within(`layers.${i}`, layer => block(layer, c, x, rows, i, options));
  }
  return rmsNorm(model.child('norm'), x, c.rmsNormEps);
}

const rowsOf = (b: Builder, c: DeepseekConfig, inputs: ForwardInputs, name?: string): AttentionRows => ({
  tables: tablesOf(b, c, name),
  positions: inputs.positions.cast('int64'),
  mask: rowMasks(inputs.ids, inputs.segments)(),
});

/** One decoder block of x [B, T, d]. */
function block(
  layer: Scope,
  c: DeepseekConfig,
  x: Value,
  rows: AttentionRows,
  i: number,
  options: HiddenOptions,
): Value {
  const h = rmsNorm(layer.child('input_layernorm'), x, c.rmsNormEps);
  const y = x.add(latentAttention(layer.child('self_attn'), attentionOf(c), h, rows, options.attention));
  return y.add(
    feedForward(layer, c, i, rmsNorm(layer.child('post_attention_layernorm'), y, c.rmsNormEps), options),
  );
}

/**
 * Multi-token prediction: h' = M [norm(Emb(t_{i+1})); norm(h_i)], one block, a norm; embedding and head are the model's.
 * The files' order of the two halves is the released code's; the paper (eq. 21) writes them the other way round.
 */
export function deepseekAhead(
  scope: Scope,
  c: DeepseekConfig,
  inputs: ForwardInputs,
  previous: Value,
  options: HiddenOptions = {},
): Value {
  const rows = rowsOf(scope.builder, c, inputs, AHEAD_TABLES);
  return aheadLayer(scope, c, layer => {
    const x = aheadInput(scope, layer, c, inputs.ids, previous);
    const y = block(layer, c, x, rows, c.numHiddenLayers, options);
    return rmsNorm(layer.child('shared_head.norm'), y, c.rmsNormEps);
  });
}

/** Tables of its own, so that it can be traced beside the model or alone. */
const AHEAD_TABLES = 'rotary.ahead';

const aheadLayer = (scope: Scope, c: DeepseekConfig, body: (layer: Scope) => Value): Value =>
  scope.child('model').within(`layers.${c.numHiddenLayers}`, body);

function aheadInput(scope: Scope, layer: Scope, c: DeepseekConfig, ids: Value, previous: Value): Value {
  const embedded = rmsNorm(layer.child('enorm'), embed(scope.child('model'), c, ids), c.rmsNormEps);
  const both = ids.builder.concat([embedded, rmsNorm(layer.child('hnorm'), previous, c.rmsNormEps)], 2);
  return linear(layer.child('eh_proj'), both, c.hiddenSize, { init: initOf(c).latent(2 * c.hiddenSize) });
}

/** The same as a step over a cache of its own. */
export function deepseekAheadStep(scope: Scope, c: DeepseekConfig, inputs: AheadInputs): StepOutputs {
  const tables = tablesOf(scope.builder, c, AHEAD_TABLES);
  const cache: Value[] = [];
  const hidden = aheadLayer(scope, c, layer => {
    const x = aheadInput(scope, layer, c, inputs.ids, inputs.previous);
    const h = rmsNorm(layer.child('input_layernorm'), x, c.rmsNormEps);
    const attention = layer.child('self_attn');
    const mixed = cachedLatentAttention(attention, attentionOf(c), h, inputs, pastOf(inputs, 0), tables);
    cache.push(mixed.key, mixed.value);
    const y = x.add(mixed.output);
    const normed = rmsNorm(layer.child('post_attention_layernorm'), y, c.rmsNormEps);
    const out = y.add(feedForward(layer, c, c.numHiddenLayers, normed, {}, true));
    return rmsNorm(layer.child('shared_head.norm'), out, c.rmsNormEps);
  });
  return { hidden, cache };
}

/** Logits [..., V] of hidden states [..., d]. */
export function deepseekLogits(scope: Scope, c: DeepseekConfig, hidden: Value): Value {
  return vocabularyLogits(scope, c, hidden, initOf(c).head);
}

function feedForward(
  layer: Scope,
  c: DeepseekConfig,
  i: number,
  h: Value,
  { experts = 'sorted', onRouting }: HiddenOptions,
  joined = false,
): Value {
  const mlp = layer.child('mlp');
  const options = { ...initOf(c), joined };
  if (!isSparse(c, i)) return swiglu(mlp, h, c.intermediateSize, options);
  const x = h.reshape([-1, c.hiddenSize]);
  const routing = route(mlp.child('gate'), gateOf(c), x);
  onRouting?.(i, routing);
  const routed = routedExperts(mlp.child('experts'), expertsOf(c), x, routing, experts).reshapeTo(h.dims());
  if (c.nSharedExperts === 0) return routed;
  const width = c.nSharedExperts * c.moeIntermediateSize;
  return routed.add(swiglu(mlp.child('shared_experts'), h, width, options));
}

function routedExperts(scope: Scope, e: Experts, x: Value, routing: Routing, form: ExpertForm): Value {
  if (form === 'sorted') return sortedExperts(scope, e, x, routing);
  expertMatrices(scope, e);
  return x;
}

/** One inference step over S new tokens a row. */
export function deepseekStep(scope: Scope, c: DeepseekConfig, inputs: StepInputs): StepOutputs {
  const model = scope.child('model');
  const tables = tablesOf(scope.builder, c);
  const attention = attentionOf(c);
  let sum = embed(model, c, inputs.ids);
  let h = rmsNorm(model.child('layers.0.input_layernorm'), sum, c.rmsNormEps);
  const cache: Value[] = [];
  const addNorm = (norm: Scope, x: Value) => {
    ({ normed: h, sum } = skipRmsNorm(norm, x, sum, c.rmsNormEps));
  };
  for (let i = 0; i < c.numHiddenLayers; i++) {
    const layer = model.child(`layers.${i}`);
    const past = pastOf(inputs, i);
    const mixed = cachedLatentAttention(layer.child('self_attn'), attention, h, inputs, past, tables);
    cache.push(mixed.key, mixed.value);
    addNorm(layer.child('post_attention_layernorm'), mixed.output);
    const last = i + 1 === c.numHiddenLayers;
    const fed = feedForward(layer, c, i, h, {}, true);
    addNorm(model.child(last ? 'norm' : `layers.${i + 1}.input_layernorm`), fed);
  }
  return { hidden: h, cache };
}
