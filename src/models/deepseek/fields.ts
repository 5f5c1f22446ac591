/** DeepSeek's config.json: the only place that knows its spelling. */
import { assert } from '../../util/errors.ts';
import { checkActivation, layerCountOf, modelTypeOf, tokensFromFields } from '../decoder-config.ts';
import { defined, Fields } from '../fields.ts';
import { ropeFromFields, scalingToJson } from '../rope-fields.ts';
import {
  DEEPSEEK_TYPES,
  type DeepseekConfig,
  type DeepseekType,
  deepseekConfig,
  TOPK_METHODS,
  type TopkMethod,
} from './config.ts';

const ARCHITECTURES: Readonly<Record<DeepseekType, string>> = {
  deepseek_v2: 'DeepseekV2ForCausalLM',
  deepseek_v3: 'DeepseekV3ForCausalLM',
};

/** The object of a Hugging Face config.json. */
export function toHuggingFace(c: DeepseekConfig): Record<string, unknown> {
  return {
    ...defined({
      architectures: [ARCHITECTURES[c.modelType]],
      model_type: c.modelType,
      vocab_size: c.vocabSize,
      hidden_size: c.hiddenSize,
      intermediate_size: c.intermediateSize,
      num_hidden_layers: c.numHiddenLayers,
      num_attention_heads: c.numAttentionHeads,
      num_key_value_heads: c.numAttentionHeads,
      max_position_embeddings: c.maxPositionEmbeddings,
      kv_lora_rank: c.kvLoraRank,
      qk_nope_head_dim: c.qkNopeHeadDim,
      qk_rope_head_dim: c.qkRopeHeadDim,
      v_head_dim: c.vHeadDim,
      ...expertsToJson(c),
      rope_theta: c.ropeTheta,
      rope_scaling: scalingToJson(c.ropeScaling),
      rope_interleave: c.modelType === 'deepseek_v3' ? c.ropeInterleave : undefined,
      rms_norm_eps: c.rmsNormEps,
      attention_bias: c.attentionBias,
      tie_word_embeddings: c.tieWordEmbeddings,
      initializer_range: c.initializerRange,
      bos_token_id: c.bosTokenId,
      eos_token_id: c.eosTokenId,
      pad_token_id: c.padTokenId,
      hidden_act: 'silu',
      torch_dtype: 'float32',
    }),
    q_lora_rank: c.qLoraRank ?? null, // transformers takes 1536 for a field that is absent
  };
}

const expertsToJson = (c: DeepseekConfig): Record<string, unknown> => ({
  moe_intermediate_size: c.moeIntermediateSize,
  n_routed_experts: c.nRoutedExperts,
  n_shared_experts: c.nSharedExperts,
  num_experts_per_tok: c.numExpertsPerTok,
  n_group: c.nGroup,
  topk_group: c.topkGroup,
  topk_method: c.topkMethod,
  scoring_func: c.modelType === 'deepseek_v3' ? 'sigmoid' : 'softmax',
  norm_topk_prob: c.normTopkProb,
  routed_scaling_factor: c.routedScalingFactor,
  first_k_dense_replace: c.firstKDenseReplace,
  moe_layer_freq: c.moeLayerFreq,
  num_nextn_predict_layers: c.modelType === 'deepseek_v3' ? c.numNextnPredictLayers : undefined,
});

/** Reads a config.json object. Throws when it asks for something that this family does not have. */
export function fromHuggingFace(json: Record<string, unknown>, origin: string): DeepseekConfig {
  const config = new Fields(json, origin);
  const modelType = modelTypeOf(config, DEEPSEEK_TYPES);
  checkActivation(config, 'hidden_act', 'silu');
  const scoring = modelType === 'deepseek_v3' ? 'sigmoid' : 'softmax';
  assert(
    (config.text('scoring_func') ?? scoring) === scoring,
    `${origin}: scoring_func "${config.text('scoring_func')}" is not supported in ${modelType}; it must be "${scoring}"`,
  );
  assert(!config.boolean('mlp_bias'), `${origin}: mlp_bias is not supported by the ${modelType} family here`);
  return deepseekConfig(
    {
      ...shapeFromFields(config, modelType),
      ...expertsFromFields(config, modelType),
      ...choicesFromFields(config),
    },
    origin,
  );
}

function shapeFromFields(config: Fields, modelType: DeepseekType) {
  const count = (name: string) => config.required(name, config.count(name));
  return {
    modelType,
    vocabSize: count('vocab_size'),
    hiddenSize: count('hidden_size'),
    intermediateSize: count('intermediate_size'),
    numHiddenLayers: layerCountOf(config),
    numAttentionHeads: count('num_attention_heads'),
    maxPositionEmbeddings: count('max_position_embeddings'),
    ...rankOf(config),
    kvLoraRank: config.count('kv_lora_rank') ?? 512,
    qkNopeHeadDim: config.count('qk_nope_head_dim') ?? 128,
    qkRopeHeadDim: config.count('qk_rope_head_dim') ?? 64,
    vHeadDim: config.count('v_head_dim') ?? 128,
  };
}

/** null means that queries are not compressed; absent means transformers' default. */
function rankOf(config: Fields): { qLoraRank?: number } {
  if (config.isNull('q_lora_rank')) return {};
  return { qLoraRank: config.count('q_lora_rank') ?? 1536 };
}

function expertsFromFields(config: Fields, modelType: DeepseekType) {
  const v3 = modelType === 'deepseek_v3';
  const grouped = v3 || methodOf(config, modelType) === 'group_limited_greedy';
  return {
    moeIntermediateSize: config.count('moe_intermediate_size') ?? (v3 ? 2048 : 1407),
    nRoutedExperts: config.index('n_routed_experts') ?? (v3 ? 256 : 64),
    nSharedExperts: config.index('n_shared_experts') ?? (v3 ? 1 : 2),
    numExpertsPerTok: v3
      ? (config.count('num_experts_per_tok') ?? 8)
      : config.required('num_experts_per_tok', config.count('num_experts_per_tok')),
    nGroup: grouped ? (config.count('n_group') ?? (v3 ? 8 : 1)) : 1,
    topkGroup: grouped ? (config.count('topk_group') ?? (v3 ? 4 : 1)) : 1,
    topkMethod: methodOf(config, modelType),
    normTopkProb: config.boolean('norm_topk_prob') ?? v3,
    routedScalingFactor: config.positive('routed_scaling_factor') ?? (v3 ? 2.5 : 1),
    firstKDenseReplace: config.index('first_k_dense_replace') ?? (v3 ? 3 : 0),
    moeLayerFreq: config.count('moe_layer_freq') ?? 1,
    numNextnPredictLayers: config.index('num_nextn_predict_layers') ?? config.index('num_mtp_layers') ?? 0,
  };
}

function methodOf(config: Fields, modelType: DeepseekType): TopkMethod {
  const known = TOPK_METHODS.filter(method => (method === 'noaux_tc') === (modelType === 'deepseek_v3'));
  const text = config.text('topk_method') ?? known[0];
  const method = known.find(m => m === text);
  assert(
    method,
    `${config.origin}: topk_method "${text}" is not supported in ${modelType}; known are ${known.join(', ')}`,
  );
  return method;
}

const choicesFromFields = (config: Fields): Partial<DeepseekConfig> =>
  defined({
    ...ropeFromFields(config),
    ropeInterleave: config.boolean('rope_interleave'),
    rmsNormEps: config.positive('rms_norm_eps'),
    attentionBias: config.boolean('attention_bias'),
    tieWordEmbeddings: config.boolean('tie_word_embeddings'),
    initializerRange: config.positive('initializer_range'),
    ...tokensFromFields(config),
  });
