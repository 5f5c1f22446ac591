/**
 * The dense decoder: RMSNorm, rotary grouped-query attention, SwiGLU (Llama 2/3; Qwen2 with biases, Qwen3 with q/k norm).
 *
 * 1. `denseHidden` is the training form: whole rows, plain attention that differentiates.
 * 2. `denseStep` is the inference form: GroupQueryAttention over a cache that is updated in place. q, k and v are read
 *    as one matrix where they lie side by side, residual additions are fused with the norms after them.
 * 3. Both trace the same parameters by name, so one ParameterStore serves both.
 * 4. GroupQueryAttention rotates heads whose width is a multiple of 16 and takes multiples of 8 (ONNX Runtime 1.30 on
 *    CPU). Other heads are rotated before it, and padded with zeros to a multiple of 8, which changes no score.
 * Shapes: B batch, T positions (S new ones in a step), d width, H heads, K key heads, D head width, C cache length.
 */

import { attend, causalMask, rotaryTables, rotate, segmentMask } from '../../nn/attention.ts';
import { embedding, linear, project, rmsNorm, silu, swiglu } from '../../nn/layers.ts';
import { canStack, normal, ones, type Scope } from '../../nn/parameters.ts';
import type { Builder, Value } from '../../ops/builder.ts';
import type { ForwardInputs, StepInputs, StepOutputs } from '../model.ts';
import type { DenseConfig } from './config.ts';

/**
 * Matrices that read the residual stream start at `initializerRange`; those that write to it are scaled down by the
 * number of writes (GPT-2); the tables start small, so that the first loss is ln V.
 */
const initOf = (c: DenseConfig) => ({
  in: normal(c.initializerRange),
  out: normal(0.02 / Math.sqrt(2 * c.numHiddenLayers)),
  embedding: normal(Math.min(0.05, c.initializerRange)),
  head: normal(0.02),
});

/** Hidden states [B, T, d] after the final norm. */
export function denseHidden(scope: Scope, c: DenseConfig, inputs: ForwardInputs): Value {
  const b = scope.builder;
  const model = scope.child('model');
  const tables = rotaryTables(b, {
    headDim: c.headDim,
    maxPositions: c.maxPositionEmbeddings,
    theta: c.ropeTheta,
  });
  const index = rowIndex(b, inputs.ids);
  const mask = inputs.segments ? segmentMask(inputs.segments, index) : causalMask(index);
  const positions = inputs.positions.cast('int64');
  let x = embedding(model.child('embed_tokens'), inputs.ids, c.vocabSize, c.hiddenSize, initOf(c).embedding);
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
    .parameter('weight', [c.vocabSize, c.hiddenSize], initOf(c).head);

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
  const tables = rotaryTables(b, {
    headDim: c.headDim,
    maxPositions: c.maxPositionEmbeddings,
    theta: c.ropeTheta,
  });
  let sum = embedding(
    model.child('embed_tokens'),
    inputs.ids,
    c.vocabSize,
    c.hiddenSize,
    initOf(c).embedding,
  );
  let h = rmsNorm(model.child('layers.0.input_layernorm'), sum, c.rmsNormEps);
  const cache: Value[] = [];
  for (let i = 0; i < c.numHiddenLayers; i++) {
    const layer = model.child(`layers.${i}`);
    const next =
      i + 1 < c.numHiddenLayers ? model.child(`layers.${i + 1}.input_layernorm`) : model.child('norm');
    const mixed = stepAttention(layer.child('self_attn'), c, h, inputs, i, tables);
    cache.push(mixed.key, mixed.value);
    [h, sum] = addNorm(layer.child('post_attention_layernorm'), c, mixed.output, sum);
    const fed = stepSwiglu(layer.child('mlp'), c, h);
    [h, sum] = addNorm(next, c, fed, sum);
  }
  return { hidden: h, cache };
}

/** SwiGLU with gate and up as one product where they lie side by side. */
function stepSwiglu(scope: Scope, c: DenseConfig, h: Value): Value {
  const rows = [c.intermediateSize, c.intermediateSize];
  if (!canStack(rows, c.hiddenSize)) return swiglu(scope, h, c.intermediateSize, initOf(c));
  const weight = scope.stacked(['gate_proj.weight', 'up_proj.weight'], rows, c.hiddenSize, initOf(c).in);
  const [gate, up] = h.builder.ops('Split', [project(h, weight)], { axis: -1, num_outputs: 2 }, 2) as [
    Value,
    Value,
  ];
  return linear(scope.child('down_proj'), silu(gate).mul(up), c.hiddenSize, { init: initOf(c).out });
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
  const width = cacheWidth(c);
  const fused = c.headDim % ROTATED_HEADS === 0;
  const projected = fused ? projections(scope, c, h) : prepared(separate(scope, c, h), c, inputs, tables);
  const rotation = fused ? [tables.cos, tables.sin] : [];
  const [mixed, key, value] = b.ops(
    'com.microsoft.GroupQueryAttention',
    [...projected, pastKey, pastValue, inputs.lastPosition, inputs.total, ...rotation],
    {
      num_heads: c.numAttentionHeads,
      kv_num_heads: c.numKeyValueHeads,
      do_rotary: fused ? 1 : 0,
      scale: width === c.headDim ? undefined : 1 / Math.sqrt(c.headDim),
    },
    3,
  ) as [Value, Value, Value];
  const heads = resized(mixed, c.numAttentionHeads, width, c.headDim);
  const output = linear(scope.child('o_proj'), heads, c.hiddenSize, { init: initOf(c).out });
  return { output, key, value };
}

const ROTATED_HEADS = 16;
const ATTENDED_HEADS = 8;

/** Width of a head in the cache. */
export const cacheWidth = (c: DenseConfig): number => Math.ceil(c.headDim / ATTENDED_HEADS) * ATTENDED_HEADS;

/** q, k and v rotated and padded, for heads that GroupQueryAttention does not rotate. */
function prepared(
  [q, k, v]: readonly [Value, Value, Value],
  c: DenseConfig,
  inputs: StepInputs,
  tables: { cos: Value; sin: Value },
): [Value, Value, Value] {
  const { numAttentionHeads: heads, numKeyValueHeads: keyHeads, headDim } = c;
  const positions = stepPositions(inputs);
  const pad = (x: Value, n: number) => resized(x, n, headDim, cacheWidth(c));
  return [
    pad(rotate(q, positions, tables, heads), heads),
    pad(rotate(k, positions, tables, keyHeads), keyHeads),
    pad(v, keyHeads),
  ];
}

/** Positions [B, S] of the new tokens: they start at 0 in a prompt and otherwise end at the row's last position. */
function stepPositions({ ids, lastPosition, total }: StepInputs): Value {
  const b = ids.builder;
  const steps = rowIndex(b, ids);
  const length = b.op('Shape', [ids], { start: 1, end: 2 });
  const past = lastPosition.cast('int64').add(1).sub(length);
  const start = b.where(total.cast('int64').equal(length), 0, past);
  return start
    .unsqueeze([1])
    .add(steps.unsqueeze([0]))
    .max(0);
}

/** Each head of x [B, S, heads·from] cut or padded with zeros to the width `to`. */
function resized(x: Value, heads: number, from: number, to: number): Value {
  if (from === to) return x;
  const split = x.reshape([0, 0, heads, from]);
  const padding = split.builder.ints([0, 0, 0, 0, 0, 0, 0, to - from]);
  return split.builder.op('Pad', [split, padding], {}).reshape([0, 0, heads * to]);
}

const NAMES = ['q_proj', 'k_proj', 'v_proj'] as const;

/** q, k and v, or all three as one matrix [B, S, (H + 2K)·D]. */
function projections(scope: Scope, c: DenseConfig, h: Value): (Value | undefined)[] {
  const rows = [c.numAttentionHeads, c.numKeyValueHeads, c.numKeyValueHeads].map(n => n * c.headDim);
  if (c.qkNorm || c.attentionBias || !canStack(rows, c.hiddenSize)) return separate(scope, c, h);
  const names = NAMES.map(n => `${n}.weight`);
  const weight = scope.stacked(names, rows, c.hiddenSize, initOf(c).in);
  return [project(h, weight), undefined, undefined];
}

function separate(scope: Scope, c: DenseConfig, h: Value): [Value, Value, Value] {
  const heads = { q_proj: c.numAttentionHeads, k_proj: c.numKeyValueHeads, v_proj: c.numKeyValueHeads };
  const [q, k, v] = NAMES.map(name =>
    linear(scope.child(name), h, heads[name] * c.headDim, { bias: c.attentionBias, init: initOf(c).in }),
  ) as [Value, Value, Value];
  const qn = headNorm(scope.child('q_norm'), c, q, c.numAttentionHeads);
  return [qn, headNorm(scope.child('k_norm'), c, k, c.numKeyValueHeads), v];
}
