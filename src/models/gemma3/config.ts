/**
 * Configuration of Gemma 3's text decoder (Gemma Team 2025, arXiv:2503.19786): Hugging Face's fields in camel case.
 *
 * 1. Five layers with a sliding window and a rotary base of their own, then one that sees everything.
 * 2. `toHuggingFace`/`fromHuggingFace` are the only places that know config.json's spelling. What a config leaves out has
 *    the value of transformers' Gemma3TextConfig: the published 4B to 27B ones rely on it. Both spellings of the two rotary
 *    settings are read (`rope_local_base_freq` beside `rope_theta`, or one entry of `rope_parameters` a layer type) and
 *    the older one is written.
 * 3. A `gemma3` config, of a model with a vision tower, stands for its text part.
 */
import type { RopeScaling } from '../../nn/rope-scaling.ts';
import { assert, UsageError } from '../../util/errors.ts';
import {
  attentionFlops,
  checkActivation,
  checkShape,
  type DecoderShape,
  type DecoderTokens,
  type LayerType,
  layerCountOf,
  layerTypesOf,
  tokensFromFields,
} from '../decoder-config.ts';
import { defined, Fields } from '../fields.ts';
import { type RopeSettings, scalingFromFields, scalingToJson } from '../rope-fields.ts';

export interface Gemma3Config extends DecoderShape, DecoderTokens {
  readonly slidingWindow: number;
  readonly layerTypes: readonly LayerType[];
  /** Rotary base and scheme of the layers that see everything. */
  readonly ropeTheta: number;
  readonly ropeScaling?: RopeScaling;
  /** Rotary base of the sliding layers, which have the plain scheme. */
  readonly ropeLocalBaseFreq: number;
  readonly rmsNormEps: number;
  /** Scores are divided by its square root. */
  readonly queryPreAttnScalar: number;
  /** Biases on q, k, v and the attention's output. */
  readonly attentionBias: boolean;
  readonly tieWordEmbeddings: boolean;
  /** Logits z become cap · tanh(z / cap). */
  readonly finalLogitSoftcapping?: number;
  readonly initializerRange: number;
}

type Needed = Pick<Gemma3Config, 'vocabSize' | 'hiddenSize' | 'numHiddenLayers'>;

/**
 * A complete configuration: what is not given is derived. Throws on an impossible shape.
 * @param origin what errors begin with
 */
export function gemma3Config(given: Needed & Partial<Gemma3Config>, origin = 'model config'): Gemma3Config {
  const heads = given.numAttentionHeads ?? Math.max(1, Math.round(given.hiddenSize / 64));
  const headDim = given.headDim ?? Math.floor(given.hiddenSize / heads);
  const config: Gemma3Config = {
    intermediateSize: Math.ceil((given.hiddenSize * 8) / 3 / 32) * 32,
    numAttentionHeads: heads,
    numKeyValueHeads: heads,
    headDim,
    maxPositionEmbeddings: 256,
    slidingWindow: 64,
    layerTypes: everySixthFull(given.numHiddenLayers),
    ropeTheta: 1e6,
    ropeLocalBaseFreq: 1e4,
    rmsNormEps: 1e-6,
    queryPreAttnScalar: headDim,
    attentionBias: false,
    tieWordEmbeddings: true,
    initializerRange: 0.9 / Math.sqrt(given.hiddenSize),
    ...given,
  };
  checkShape(config, origin);
  return config;
}

/** Layer types with a full layer after every `pattern` − 1 sliding ones. */
const everySixthFull = (count: number, pattern = 6): LayerType[] =>
  Array.from({ length: count }, (_, i) => ((i + 1) % pattern === 0 ? 'full_attention' : 'sliding_attention'));

/** Parameters in closed form: embedding, L blocks of four norms and two head norms, final norm, head. */
export function gemma3ParameterCount(c: Gemma3Config): number {
  const [queries, keys] = [c.headDim * c.numAttentionHeads, c.headDim * c.numKeyValueHeads];
  const attention = c.hiddenSize * (2 * queries + 2 * keys);
  const biases = c.attentionBias ? queries + 2 * keys + c.hiddenSize : 0;
  const norms = 4 * c.hiddenSize + 2 * c.headDim;
  const block = attention + biases + 3 * c.hiddenSize * c.intermediateSize + norms;
  const tables = (c.tieWordEmbeddings ? 1 : 2) * c.vocabSize * c.hiddenSize;
  return tables + c.numHiddenLayers * block + c.hiddenSize;
}

/** FLOPs of one forward token at `context` positions seen on average: 2 a multiply-add of its matrices, plus attention. */
export function gemma3ForwardFlops(c: Gemma3Config, context: number): number {
  const looked = c.tieWordEmbeddings ? 0 : c.vocabSize * c.hiddenSize;
  return 2 * (gemma3ParameterCount(c) - looked) + attentionFlops(c, context);
}

/** The object of a Hugging Face config.json. */
export function toHuggingFace(c: Gemma3Config): Record<string, unknown> {
  return defined({
    architectures: ['Gemma3ForCausalLM'],
    model_type: 'gemma3_text',
    vocab_size: c.vocabSize,
    hidden_size: c.hiddenSize,
    intermediate_size: c.intermediateSize,
    num_hidden_layers: c.numHiddenLayers,
    num_attention_heads: c.numAttentionHeads,
    num_key_value_heads: c.numKeyValueHeads,
    head_dim: c.headDim,
    max_position_embeddings: c.maxPositionEmbeddings,
    sliding_window: c.slidingWindow,
    layer_types: c.layerTypes,
    rope_theta: c.ropeTheta,
    rope_scaling: scalingToJson(c.ropeScaling),
    rope_local_base_freq: c.ropeLocalBaseFreq,
    rms_norm_eps: c.rmsNormEps,
    query_pre_attn_scalar: c.queryPreAttnScalar,
    attention_bias: c.attentionBias,
    tie_word_embeddings: c.tieWordEmbeddings,
    final_logit_softcapping: c.finalLogitSoftcapping,
    initializer_range: c.initializerRange,
    bos_token_id: c.bosTokenId,
    eos_token_id: c.eosTokenId,
    pad_token_id: c.padTokenId,
    hidden_activation: 'gelu_pytorch_tanh',
    torch_dtype: 'float32',
  });
}

/** Reads a config.json object. Throws when it asks for something that this family does not have. */
export function fromHuggingFace(json: Record<string, unknown>, origin: string): Gemma3Config {
  const whole = new Fields(json, origin);
  const text =
    whole.raw('model_type') === 'gemma3' ? whole.required('text_config', whole.object('text_config')) : whole;
  checkActivation(text, 'hidden_activation', 'gelu_pytorch_tanh');
  refuse(text.has('attn_logit_softcapping'), text, 'attn_logit_softcapping');
  refuse(text.boolean('use_bidirectional_attention') ?? false, text, 'use_bidirectional_attention');
  const tokens = { ...tokensFromFields(text), ...tokensFromFields(whole) };
  return gemma3Config({ ...shapeFromFields(text), ...choicesFromFields(text), ...tokens }, text.origin);
}

function refuse(found: boolean, config: Fields, name: string): void {
  if (found) throw new UsageError(`${config.origin}: ${name} is not supported by the gemma3 family here`);
}

function shapeFromFields(config: Fields) {
  const count = (name: string) => config.required(name, config.count(name));
  return {
    hiddenSize: count('hidden_size'),
    intermediateSize: count('intermediate_size'),
    numHiddenLayers: layerCountOf(config),
    vocabSize: config.count('vocab_size') ?? 262_208,
    numAttentionHeads: config.count('num_attention_heads') ?? 8,
    numKeyValueHeads: config.count('num_key_value_heads') ?? 4,
    headDim: config.count('head_dim') ?? 256,
    maxPositionEmbeddings: config.count('max_position_embeddings') ?? 131_072,
  };
}

function choicesFromFields(config: Fields): Partial<Gemma3Config> {
  const layers = layerCountOf(config);
  return defined({
    slidingWindow: config.count('sliding_window') ?? 4096,
    layerTypes:
      layerTypesOf(config, layers) ?? everySixthFull(layers, config.count('sliding_window_pattern')),
    ...ropesFromFields(config),
    rmsNormEps: config.positive('rms_norm_eps'),
    queryPreAttnScalar: config.positive('query_pre_attn_scalar') ?? 256,
    attentionBias: config.boolean('attention_bias'),
    tieWordEmbeddings: config.boolean('tie_word_embeddings'),
    finalLogitSoftcapping: config.positive('final_logit_softcapping'),
    initializerRange: config.positive('initializer_range'),
  });
}

/** Rotary settings of both kinds of layers, in either spelling. */
function ropesFromFields(config: Fields): RopeSettings & Pick<Gemma3Config, 'ropeLocalBaseFreq'> {
  const both = config.object('rope_parameters');
  const full = both?.object('full_attention') ?? config.object('rope_scaling');
  const local = both?.object('sliding_attention');
  assert(
    !local || !scalingFromFields(local, config),
    `${local?.origin}: a rotary scheme in sliding layers is not supported; only the plain one is`,
  );
  return defined({
    ropeTheta: full?.positive('rope_theta') ?? config.positive('rope_theta') ?? 1e6,
    ropeScaling: full && scalingFromFields(full, config),
    ropeLocalBaseFreq: local?.positive('rope_theta') ?? config.positive('rope_local_base_freq') ?? 1e4,
  });
}
