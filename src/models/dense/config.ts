/**
 * Configuration of the dense decoder family: Llama 2 and 3, DeepSeek LLM and Coder, Qwen2, Qwen2.5 and Qwen3. Hugging
 * Face's fields in camel case.
 *
 * 1. One dial: `denseConfig({ hiddenSize, numHiddenLayers, vocabSize })` derives the rest.
 * 2. `toHuggingFace`/`fromHuggingFace` are the only places that know config.json's spelling.
 * 3. What differs between the families is a field here: biases, norms of heads, sliding layers, rotary scaling. What a
 *    family fixes without saying so (Qwen2's biases on q, k and v alone) is filled in where config.json is read.
 */
import type { RopeScaling } from '../../nn/rope-scaling.ts';
import {
  attentionFlops,
  checkActivation,
  checkShape,
  type DecoderShape,
  type DecoderTokens,
  type LayerType,
  layerCountOf,
  layerTypesOf,
  modelTypeOf,
  tokensFromFields,
} from '../decoder-config.ts';
import { defined, Fields } from '../fields.ts';
import { ropeFromFields, scalingToJson } from '../rope-fields.ts';

export const DENSE_TYPES = ['llama', 'qwen2', 'qwen3'] as const;
export type DenseType = (typeof DENSE_TYPES)[number];

export interface DenseConfig extends DecoderShape, DecoderTokens {
  readonly modelType: DenseType;
  readonly ropeTheta: number;
  readonly ropeScaling?: RopeScaling;
  readonly rmsNormEps: number;
  readonly tieWordEmbeddings: boolean;
  /** RMSNorm on each head's query and key (Qwen3). */
  readonly qkNorm: boolean;
  /** Bias on q, k and v (Qwen2), and on the attention's output in all families but Qwen2. */
  readonly attentionBias: boolean;
  /** Biases in the feed-forward network. */
  readonly mlpBias: boolean;
  /** Standard deviation of the matrices that read the residual stream; 0.9/√d unless given. */
  readonly initializerRange: number;
}

type Needed = Pick<DenseConfig, 'vocabSize' | 'hiddenSize' | 'numHiddenLayers'>;

/**
 * A complete configuration: what is not given is derived. Throws on an impossible shape.
 * @param origin what errors begin with
 */
export function denseConfig(given: Needed & Partial<DenseConfig>, origin = 'model config'): DenseConfig {
  const heads = given.numAttentionHeads ?? Math.max(1, Math.round(given.hiddenSize / 64));
  const config: DenseConfig = {
    modelType: 'llama',
    intermediateSize: Math.ceil((given.hiddenSize * 8) / 3 / 32) * 32,
    numAttentionHeads: heads,
    numKeyValueHeads: heads,
    headDim: Math.floor(given.hiddenSize / heads),
    maxPositionEmbeddings: 256,
    ropeTheta: 10000,
    rmsNormEps: 1e-5,
    tieWordEmbeddings: false,
    qkNorm: given.modelType === 'qwen3',
    attentionBias: given.modelType === 'qwen2',
    mlpBias: false,
    initializerRange: 0.9 / Math.sqrt(given.hiddenSize),
    ...given,
  };
  checkShape(config, origin);
  return config;
}

/** Whether the attention's output has a bias. */
export const hasOutputBias = ({ attentionBias, modelType }: DenseConfig): boolean =>
  attentionBias && modelType !== 'qwen2';

/** Parameters in closed form: embedding, L blocks, final norm, head. */
export function denseParameterCount(c: DenseConfig): number {
  const [queries, keys] = [c.headDim * c.numAttentionHeads, c.headDim * c.numKeyValueHeads];
  const attention = c.hiddenSize * (2 * queries + 2 * keys);
  const mlp = 3 * c.hiddenSize * c.intermediateSize;
  const biases =
    (c.attentionBias ? queries + 2 * keys : 0) +
    (hasOutputBias(c) ? c.hiddenSize : 0) +
    (c.mlpBias ? 2 * c.intermediateSize + c.hiddenSize : 0);
  const norms = 2 * c.hiddenSize + (c.qkNorm ? 2 * c.headDim : 0);
  const tables = (c.tieWordEmbeddings ? 1 : 2) * c.vocabSize * c.hiddenSize;
  return tables + c.numHiddenLayers * (attention + mlp + biases + norms) + c.hiddenSize;
}

/**
 * FLOPs of one forward token at `context` positions seen on average: 2 a multiply-add over all matrices that
 * are multiplied (the input embedding is looked up), plus scores and mixing.
 */
export function denseForwardFlops(c: DenseConfig, context: number): number {
  const looked = c.tieWordEmbeddings ? 0 : c.vocabSize * c.hiddenSize;
  return 2 * (denseParameterCount(c) - looked) + attentionFlops(c, context);
}

const ARCHITECTURES: Readonly<Record<DenseType, string>> = {
  llama: 'LlamaForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
};

/** The object of a Hugging Face config.json. */
export function toHuggingFace(c: DenseConfig): Record<string, unknown> {
  return defined({
    architectures: [ARCHITECTURES[c.modelType]],
    model_type: c.modelType,
    vocab_size: c.vocabSize,
    hidden_size: c.hiddenSize,
    intermediate_size: c.intermediateSize,
    num_hidden_layers: c.numHiddenLayers,
    num_attention_heads: c.numAttentionHeads,
    num_key_value_heads: c.numKeyValueHeads,
    head_dim: c.headDim,
    max_position_embeddings: c.maxPositionEmbeddings,
    rope_theta: c.ropeTheta,
    rope_scaling: scalingToJson(c.ropeScaling),
    rms_norm_eps: c.rmsNormEps,
    tie_word_embeddings: c.tieWordEmbeddings,
    attention_bias: c.modelType === 'qwen2' ? undefined : c.attentionBias,
    mlp_bias: c.modelType === 'llama' ? c.mlpBias : undefined,
    ...slidingToJson(c),
    initializer_range: c.initializerRange,
    bos_token_id: c.bosTokenId,
    eos_token_id: c.eosTokenId,
    pad_token_id: c.padTokenId,
    hidden_act: 'silu',
    torch_dtype: 'float32',
  });
}

function slidingToJson(c: DenseConfig): Record<string, unknown> {
  if (c.modelType === 'llama' || c.slidingWindow === undefined) return {};
  return defined({ use_sliding_window: true, sliding_window: c.slidingWindow, layer_types: c.layerTypes });
}

/** Reads a config.json object. Throws when it asks for something that this family does not have. */
export function fromHuggingFace(json: Record<string, unknown>, origin: string): DenseConfig {
  const config = new Fields(json, origin);
  const modelType = modelTypeOf(config, DENSE_TYPES);
  checkActivation(config, 'hidden_act', 'silu');
  return denseConfig(
    { ...shapeFromFields(config, modelType), ...choicesFromFields(config, modelType) },
    origin,
  );
}

function shapeFromFields(config: Fields, modelType: DenseType) {
  const count = (name: string) => config.required(name, config.count(name));
  const [hiddenSize, heads] = [count('hidden_size'), count('num_attention_heads')];
  return {
    modelType,
    hiddenSize,
    vocabSize: count('vocab_size'),
    intermediateSize: count('intermediate_size'),
    numHiddenLayers: layerCountOf(config),
    numAttentionHeads: heads,
    numKeyValueHeads: config.count('num_key_value_heads') ?? heads,
    headDim: config.count('head_dim') ?? (modelType === 'qwen3' ? 128 : Math.floor(hiddenSize / heads)),
    maxPositionEmbeddings: count('max_position_embeddings'),
  };
}

function choicesFromFields(config: Fields, modelType: DenseType): Partial<DenseConfig> {
  return defined({
    ...ropeFromFields(config),
    rmsNormEps: config.positive('rms_norm_eps') ?? 1e-6,
    tieWordEmbeddings: config.boolean('tie_word_embeddings') ?? false,
    qkNorm: modelType === 'qwen3',
    attentionBias: modelType === 'qwen2' || (config.boolean('attention_bias') ?? false),
    mlpBias: modelType === 'llama' && (config.boolean('mlp_bias') ?? false),
    ...slidingFromFields(config, modelType),
    initializerRange: config.positive('initializer_range'),
    ...tokensFromFields(config),
  });
}

/** Qwen's layers from `max_window_layers` on slide, unless `layer_types` says which. */
function slidingFromFields(config: Fields, modelType: DenseType) {
  if (modelType === 'llama' || !config.boolean('use_sliding_window')) return {};
  const count = layerCountOf(config);
  const first = config.index('max_window_layers') ?? 28;
  const derived = Array.from(
    { length: count },
    (_, i): LayerType => (i >= first ? 'sliding_attention' : 'full_attention'),
  );
  return {
    slidingWindow: config.count('sliding_window') ?? 4096,
    layerTypes: layerTypesOf(config, count) ?? derived,
  };
}
