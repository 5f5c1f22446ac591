/**
 * The dense decoder: RMSNorm, rotary grouped-query attention, SwiGLU (Llama 2/3; Qwen2 with biases, Qwen3 with q/k norm).
 *
 * 1. `denseForward` is the training form: whole rows, plain attention that differentiates.
 * 2. `denseStep` is the inference form: GroupQueryAttention over a cache that is updated in place. q, k and v are read
 *    as one matrix, residual additions are fused with the norms after them.
 * 3. Both trace the same parameters in the same order, so one ParameterStore serves both.
 * Shapes: B batch, T positions (S new ones in a step), d width, H heads, K key heads, D head width, C cache length.
 */
import type { Builder, Value } from '../../ops/builder.ts';
import { attend, causalMask, rotaryTables, rotate, segmentMask } from '../../nn/attention.ts';
import { embedding, linear, project, rmsNorm, swiglu } from '../../nn/layers.ts';
import { normal, ones, type Scope } from '../../nn/parameters.ts';
import type { ForwardInputs, StepInputs, StepOutputs } from '../model.ts';
import type { DenseConfig } from './config.ts';

const initOf = (c: DenseConfig) => ({
  in: normal(c.initializerRange),
  out: normal(c.initializerRange / Math.sqrt(2 * c.numHiddenLayers)),
});

/** Hidden states [B, T, d] after the final norm. */
export function denseHidden(scope: Scope, c: DenseConfig, inputs: ForwardInputs): Value {
  const b = scope.builder;
  const model = scope.child('model');
  const tables = rotaryTables(b, { headDim: c.headDim, maxPositions: c.maxPositionEmbeddings, theta: c.ropeTheta });
  const index = rowIndex(b, inputs.ids);
  const mask = inputs.segments ? segmentMask(inputs.segments, index) : causalMask(index);
  const positions = inputs.positions.cast('int64');
  let x = embedding(model.child('embed_tokens'), inputs.ids, c.vocabSize, c.hiddenSize, initOf(c).in);
  for (let i = 0; i < c.numHiddenLayers; i++) {
    x = model.within(`layers.${i}`, layer => block(layer, c, x, mask, positions, tables));
  }
  return rmsNorm(model.child('norm'), x, c.rmsNormEps);
}

/** Logits [..., V] of hidden states [..., d]. */
export function denseLogits(scope: Scope, c: DenseConfig, hidden: Value): Value {
  return project(hidden, headWeight(scope, c));
}

export const headWeight = (scope: Scope, c: DenseConfig): Value =>
  scope
    .child(c.tieWordEmbeddings ? 'model.embed_tokens' : 'lm_head')
    .parameter('weight', [c.vocabSize, c.hiddenSize], initOf(c).in);

/** 0 … T−1 as int32 [T], for a T that may be symbolic. */
function rowIndex(b: Builder, ids: Value): Value {
  const length = b.op('Shape', [ids], { start: 1, end: 2 }).squeeze([0]);
  return b.op('Range', [b.scalar(0, 'int64'), length, b.scalar(1, 'int64')], {});
}

function block(
  scope: Scope,
  c: DenseConfig,
  x: Value,
  mask: Value,
  positions: Value,
  tables: { cos: Value; sin: Value },
): Value {
  const { numAttentionHeads: heads, numKeyValueHeads: keyHeads, headDim } = c;
  const init = initOf(c);
  const h = rmsNorm(scope.child('input_layernorm'), x, c.rmsNormEps);
  const attention = scope.child('self_attn');
  const part = (name: string, n: number) =>
    linear(attention.child(name), h, n * headDim, { bias: c.attentionBias, init: init.in });
  const q0 = part('q_proj', heads);
  const k0 = part('k_proj', keyHeads);
  const v = part('v_proj', keyHeads);
  const q = rotate(headNorm(attention.child('q_norm'), c, q0, heads), positions, tables, heads);
  const k = rotate(headNorm(attention.child('k_norm'), c, k0, keyHeads), positions, tables, keyHeads);
  const mixed = attend(q, k, v, mask, { heads, keyHeads, headDim });
  const y = x.add(linear(attention.child('o_proj'), mixed, c.hiddenSize, { init: init.out }));
  const h2 = rmsNorm(scope.child('post_attention_layernorm'), y, c.rmsNormEps);
  return y.add(swiglu(scope.child('mlp'), h2, c.intermediateSize, init));
}

/** Qwen3's RMSNorm over each head of x [B, T, n·D]; x itself for the others. */
function headNorm(scope: Scope, c: DenseConfig, x: Value, heads: number): Value {
  if (!c.qkNorm) return x;
  const split = x.reshape([0, 0, heads, c.headDim]);
  return rmsNorm(scope, split, c.rmsNormEps).reshape([0, 0, heads * c.headDim]);
}

/** One inference step over S new tokens a row. */
export function denseStep(scope: Scope, c: DenseConfig, inputs: StepInputs): StepOutputs {
  const b = scope.builder;
  const model = scope.child('model');
  const tables = rotaryTables(b, { headDim: c.headDim, maxPositions: c.maxPositionEmbeddings, theta: c.ropeTheta });
  let sum = embedding(model.child('embed_tokens'), inputs.ids, c.vocabSize, c.hiddenSize, initOf(c).in);
  let h = rmsNorm(model.child('layers.0.input_layernorm'), sum, c.rmsNormEps);
  const cache: Value[] = [];
  for (let i = 0; i < c.numHiddenLayers; i++) {
    const layer = model.child(`layers.${i}`);
    const next = i + 1 < c.numHiddenLayers ? model.child(`layers.${i + 1}.input_layernorm`) : model.child('norm');
    const mixed = stepAttention(layer.child('self_attn'), c, h, inputs, i, tables);
    cache.push(mixed.key, mixed.value);
    [h, sum] = addNorm(layer.child('post_attention_layernorm'), c, mixed.output, sum);
    const fed = swiglu(layer.child('mlp'), h, c.intermediateSize, initOf(c));
    [h, sum] = addNorm(next, c, fed, sum);
  }
  return { hidden: h, cache };
}

/** RMSNorm(x + skip) and the sum itself, in one kernel. */
function addNorm(scope: Scope, c: DenseConfig, x: Value, skip: Value): [Value, Value] {
  const gain = scope.parameter('weight', [c.hiddenSize], ones);
  const outputs = scope.builder.ops(
    'com.microsoft.SkipSimplifiedLayerNormalization',
    [x, skip, gain],
    { epsilon: c.rmsNormEps },
    4,
  );
  return [outputs[0] as Value, outputs[3] as Value];
}

function stepAttention(
  scope: Scope,
  c: DenseConfig,
  h: Value,
  inputs: StepInputs,
  layer: number,
  tables: { cos: Value; sin: Value },
): { output: Value; key: Value; value: Value } {
  const b = scope.builder;
  const [pastKey, pastValue] = inputs.cache.slice(2 * layer, 2 * layer + 2);
  const [q, k, v] = c.qkNorm || c.attentionBias ? separate(scope, c, h) : [packed(scope, c, h)];
  const [mixed, key, value] = b.ops(
    'com.microsoft.GroupQueryAttention',
    [q, k, v, pastKey, pastValue, inputs.lastPosition, inputs.total, tables.cos, tables.sin],
    { num_heads: c.numAttentionHeads, kv_num_heads: c.numKeyValueHeads, do_rotary: 1 },
    3,
  ) as [Value, Value, Value];
  const output = linear(scope.child('o_proj'), mixed, c.hiddenSize, { init: initOf(c).out });
  return { output, key, value };
}

const NAMES = ['q_proj', 'k_proj', 'v_proj'] as const;

/** q, k and v by one product with their stacked weights: [B, S, (H + 2K)·D]. */
function packed(scope: Scope, c: DenseConfig, h: Value): Value {
  const rows = [c.numAttentionHeads, c.numKeyValueHeads, c.numKeyValueHeads].map(n => n * c.headDim);
  const names = NAMES.map(n => `${n}.weight`);
  return project(h, scope.stacked(names, rows, c.hiddenSize, initOf(c).in));
}

function separate(scope: Scope, c: DenseConfig, h: Value): [Value, Value, Value] {
  const heads = { q_proj: c.numAttentionHeads, k_proj: c.numKeyValueHeads, v_proj: c.numKeyValueHeads };
  const [q, k, v] = NAMES.map(name =>
    linear(scope.child(name), h, heads[name] * c.headDim, { bias: c.attentionBias, init: initOf(c).in }),
  ) as [Value, Value, Value];
  const qn = headNorm(scope.child('q_norm'), c, q, c.numAttentionHeads);
  return [qn, headNorm(scope.child('k_norm'), c, k, c.numKeyValueHeads), v];
}
