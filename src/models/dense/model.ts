/**
 * The dense decoder: RMSNorm, rotary grouped-query attention, SwiGLU.
 *
 * 1. `denseHidden` is the training form: whole rows, plain ops that differentiate.
 * 2. `denseStep` is the inference form over a cache; residual additions are fused with the norms after them.
 * 3. Both trace the same parameters by name, so one ParameterStore serves both.
 * 4. The feed-forward network is an argument: a family with experts (../qwen3-moe) has another.
 * Shapes: B batch, T positions (S new ones in a step), d width, D head width, V vocabulary.
 */

import { type RotaryTables, rotaryTables } from '../../nn/attention.ts';
import {
  type AttentionBlock,
  type AttentionRows,
  cachedAttention,
  groupedAttention,
  rowMasks,
} from '../../nn/grouped-attention.ts';
import { embedding, rmsNorm, skipRmsNorm, swiglu } from '../../nn/layers.ts';
import { normal, type Scope } from '../../nn/parameters.ts';
import type { Builder, Value } from '../../ops/builder.ts';
import { pastOf, vocabularyLogits } from '../decoder.ts';
import { windowOf } from '../decoder-config.ts';
import type { ForwardInputs, StepInputs, StepOutputs } from '../model.ts';
import { type DenseConfig, hasOutputBias } from './config.ts';

/**
 * Matrices that read the residual stream start at `initializerRange`; those that write to it are scaled down by the
 * number of writes (GPT-2); the tables start small, so that the first loss is ln V.
 */
export const initOf = (c: DenseConfig) => ({
  in: normal(c.initializerRange),
  out: normal(0.02 / Math.sqrt(2 * c.numHiddenLayers)),
  embedding: normal(Math.min(0.05, c.initializerRange)),
  head: normal(0.02),
});

const attentionOf = (c: DenseConfig, layer: number): AttentionBlock => ({
  heads: c.numAttentionHeads,
  keyHeads: c.numKeyValueHeads,
  headDim: c.headDim,
  hiddenSize: c.hiddenSize,
  bias: c.attentionBias,
  outputBias: hasOutputBias(c),
  headNorm: c.qkNorm ? (scope, x) => rmsNorm(scope, x, c.rmsNormEps) : undefined,
  window: windowOf(c, layer),
  init: initOf(c),
});

const tablesOf = (b: Builder, c: DenseConfig): RotaryTables =>
  rotaryTables(b, {
    headDim: c.headDim,
    theta: c.ropeTheta,
    scaling: c.ropeScaling,
    maxPositions: c.maxPositionEmbeddings,
  });

const embed = (model: Scope, c: DenseConfig, ids: Value): Value =>
  embedding(model.child('embed_tokens'), ids, c.vocabSize, c.hiddenSize, initOf(c).embedding);

/** What layer number `i` adds to h [B, S, d] after its attention; `joined` in the inference form. */
export type FeedForward = (layer: Scope, i: number, h: Value, joined: boolean) => Value;

export const denseFeedForward =
  (c: DenseConfig): FeedForward =>
  (layer, _, h, joined) =>
    swiglu(layer.child('mlp'), h, c.intermediateSize, { ...initOf(c), bias: c.mlpBias, joined });

/** Hidden states [B, T, d] after the final norm. */
export function denseHidden(
  scope: Scope,
  c: DenseConfig,
  inputs: ForwardInputs,
  feedForward: FeedForward = denseFeedForward(c),
): Value {
  const model = scope.child('model');
  const rowsAt = attentionRows(scope.builder, c, inputs);
  let x = embed(model, c, inputs.ids);
  for (let i = 0; i < c.numHiddenLayers; i++) {
    x = model.within(`layers.${i}`, layer => {
      const y = attended(layer, c, x, attentionOf(c, i), rowsAt(i));
      const h = rmsNorm(layer.child('post_attention_layernorm'), y, c.rmsNormEps);
      return y.add(feedForward(layer, i, h, false));
    });
  }
  return rmsNorm(model.child('norm'), x, c.rmsNormEps);
}

/** What the attention of each layer reads besides its input; masks are made once a window. */
function attentionRows(b: Builder, c: DenseConfig, inputs: ForwardInputs): (layer: number) => AttentionRows {
  const tables = tablesOf(b, c);
  const positions = inputs.positions.cast('int64');
  const maskFor = rowMasks(inputs.ids, inputs.segments);
  return layer => ({ tables, positions, mask: maskFor(windowOf(c, layer)) });
}

/** Logits [..., V] of hidden states [..., d]. */
export function denseLogits(scope: Scope, c: DenseConfig, hidden: Value): Value {
  return vocabularyLogits(scope, c, hidden, initOf(c).head);
}

/** x [B, T, d] with what a layer's attention adds to it. */
function attended(
  layer: Scope,
  c: DenseConfig,
  x: Value,
  attention: AttentionBlock,
  rows: AttentionRows,
): Value {
  const h = rmsNorm(layer.child('input_layernorm'), x, c.rmsNormEps);
  return x.add(groupedAttention(layer.child('self_attn'), attention, h, rows));
}

/** One inference step over S new tokens a row. */
export function denseStep(
  scope: Scope,
  c: DenseConfig,
  inputs: StepInputs,
  feedForward: FeedForward = denseFeedForward(c),
): StepOutputs {
  const model = scope.child('model');
  const tables = tablesOf(scope.builder, c);
  let sum = embed(model, c, inputs.ids);
  let h = rmsNorm(model.child('layers.0.input_layernorm'), sum, c.rmsNormEps);
  const cache: Value[] = [];
  const addNorm = (norm: Scope, x: Value) => {
    ({ normed: h, sum } = skipRmsNorm(norm, x, sum, c.rmsNormEps));
  };
  for (let i = 0; i < c.numHiddenLayers; i++) {
    const layer = model.child(`layers.${i}`);
    const past = pastOf(inputs, i);
    const mixed = cachedAttention(layer.child('self_attn'), attentionOf(c, i), h, inputs, past, tables);
    cache.push(mixed.key, mixed.value);
    addNorm(layer.child('post_attention_layernorm'), mixed.output);
    const last = i + 1 === c.numHiddenLayers;
    addNorm(model.child(last ? 'norm' : `layers.${i + 1}.input_layernorm`), feedForward(layer, i, h, true));
  }
  return { hidden: h, cache };
}
