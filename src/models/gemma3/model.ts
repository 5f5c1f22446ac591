/**
 * Gemma 3's text decoder: norms before and after both halves of a block, GELU-gated feed-forward, norms of heads, local
 * and global layers with rotary tables of their own.
 *
 * 1. `gemma3Hidden` is the training form, `gemma3Step` the inference form over a cache; both trace the same parameters.
 * 2. Gains are stored as their distance from 1. Embeddings are scaled by √d on the way in and not on the way out, though
 *    both ends share one table. transformers rounds √d to the dtype that it computes in: here float32.
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
import { embedding, geglu, rmsNorm, skipRmsNorm } from '../../nn/layers.ts';
import { normal, type Scope } from '../../nn/parameters.ts';
import type { Builder, Value } from '../../ops/builder.ts';
import { pastOf, vocabularyLogits } from '../decoder.ts';
import { windowOf } from '../decoder-config.ts';
import type { ForwardInputs, StepInputs, StepOutputs } from '../model.ts';
import type { Gemma3Config } from './config.ts';

/** As in the dense family; the table starts at 1/√d of the others, since it is scaled by √d. */
const initOf = (c: Gemma3Config) => ({
  in: normal(c.initializerRange),
  out: normal(0.02 / Math.sqrt(2 * c.numHiddenLayers)),
  table: normal(Math.min(0.02, 1 / Math.sqrt(c.hiddenSize))),
});

const norm = (scope: Scope, c: Gemma3Config, x: Value): Value => rmsNorm(scope, x, c.rmsNormEps, 'offset');

const attentionOf = (c: Gemma3Config, layer: number): AttentionBlock => ({
  heads: c.numAttentionHeads,
  keyHeads: c.numKeyValueHeads,
  headDim: c.headDim,
  hiddenSize: c.hiddenSize,
  bias: c.attentionBias,
  outputBias: c.attentionBias,
  headNorm: (scope, x) => norm(scope, c, x),
  scale: 1 / Math.sqrt(c.queryPreAttnScalar),
  window: windowOf(c, layer),
  init: initOf(c),
});

/** The tables of a layer: `rotary.local` for sliding ones, `rotary` for the others. */
function tablesOf(b: Builder, c: Gemma3Config): (layer: number) => RotaryTables {
  const shape = { headDim: c.headDim, maxPositions: c.maxPositionEmbeddings };
  const local = rotaryTables(b, { ...shape, theta: c.ropeLocalBaseFreq, name: 'rotary.local' });
  const global = rotaryTables(b, { ...shape, theta: c.ropeTheta, scaling: c.ropeScaling });
  return layer => (c.layerTypes[layer] === 'sliding_attention' ? local : global);
}

function embed(model: Scope, c: Gemma3Config, ids: Value): Value {
  const x = embedding(model.child('embed_tokens'), ids, c.vocabSize, c.hiddenSize, initOf(c).table);
  return x.mul(Math.sqrt(c.hiddenSize));
}

function feedForward(layer: Scope, c: Gemma3Config, h: Value, joined = false): Value {
  const fed = geglu(layer.child('mlp'), h, c.intermediateSize, { ...initOf(c), joined });
  return norm(layer.child('post_feedforward_layernorm'), c, fed);
}

/** Hidden states [B, T, d] after the final norm. */
export function gemma3Hidden(scope: Scope, c: Gemma3Config, inputs: ForwardInputs): Value {
  const model = scope.child('model');
  const tables = tablesOf(scope.builder, c);
  const positions = inputs.positions.cast('int64');
  const maskFor = rowMasks(inputs.ids, inputs.segments);
  let x = embed(model, c, inputs.ids);
  for (let i = 0; i < c.numHiddenLayers; i++) {
    const rows = { positions, tables: tables(i), mask: maskFor(windowOf(c, i)) };
    x = model.within(`layers.${i}`, layer => block(layer, c, x, attentionOf(c, i), rows));
  }
  return norm(model.child('norm'), c, x);
}

function block(layer: Scope, c: Gemma3Config, x: Value, a: AttentionBlock, rows: AttentionRows): Value {
  const h = norm(layer.child('input_layernorm'), c, x);
  const mixed = groupedAttention(layer.child('self_attn'), a, h, rows);
  const y = x.add(norm(layer.child('post_attention_layernorm'), c, mixed));
  return y.add(feedForward(layer, c, norm(layer.child('pre_feedforward_layernorm'), c, y)));
}

/** Logits [..., V] of hidden states [..., d]. */
export function gemma3Logits(scope: Scope, c: Gemma3Config, hidden: Value): Value {
  const logits = vocabularyLogits(scope, c, hidden, initOf(c).table);
  const cap = c.finalLogitSoftcapping;
  return cap === undefined
    ? logits
    : logits
        .mul(1 / cap)
        .tanh()
        .mul(cap);
}

/** One inference step over S new tokens a row. */
export function gemma3Step(scope: Scope, c: Gemma3Config, inputs: StepInputs): StepOutputs {
  const model = scope.child('model');
  const tables = tablesOf(scope.builder, c);
  let sum = embed(model, c, inputs.ids);
  let h = norm(model.child('layers.0.input_layernorm'), c, sum);
  const cache: Value[] = [];
  const addNorm = (scope: Scope, x: Value) => {
    ({ normed: h, sum } = skipRmsNorm(scope, x, sum, c.rmsNormEps, 'offset'));
  };
  for (let i = 0; i < c.numHiddenLayers; i++) {
    const layer = model.child(`layers.${i}`);
    const past = pastOf(inputs, i);
    const mixed = cachedAttention(layer.child('self_attn'), attentionOf(c, i), h, inputs, past, tables(i));
    cache.push(mixed.key, mixed.value);
    const normed = norm(layer.child('post_attention_layernorm'), c, mixed.output);
    addNorm(layer.child('pre_feedforward_layernorm'), normed);
    const last = i + 1 === c.numHiddenLayers;
    addNorm(model.child(last ? 'norm' : `layers.${i + 1}.input_layernorm`), feedForward(layer, c, h, true));
  }
  return { hidden: h, cache };
}
