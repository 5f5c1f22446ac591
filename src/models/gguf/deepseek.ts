/**
 * DeepSeek's configuration as metadata of `deepseek2` files, and back.
 *
 * 1. Heads are told twice: as llama.cpp computes them, over the latent (`key_length`, one head of keys), and as they are
 *    (`…_mla`). Files without the latter are old ones with the matrix of keys and values in one.
 * 2. The gating function tells V2 (softmax) from V3 and R1 (sigmoid).
 * 3. YaRN: llama.cpp knows one mscale for rotation and scores, as all published models have it; a file holds a tenth of it.
 * 4. Groups of which all win are no groups; llama.cpp aborts on them. In others V2's compete by their best expert, as its code
 *    has it, where llama.cpp takes V3's rule (the best two) for both.
 * Source: llama.cpp's src/models/deepseek2.cpp and conversion/deepseek.py.
 */
import { type GgufValue, scalar } from '../../formats/gguf/types.ts';
import { assert, GaslawError } from '../../util/errors.ts';
import { defined } from '../fields.ts';
import { f32, type Json, type Keys, u32 } from './keys.ts';

const SOFTMAX = 1;
const SIGMOID = 2;

// ---- reading ----

/** The config.json of a file's model. */
export function deepseekConfig(
  keys: Keys,
  { vocabSize, hasOutput }: { readonly vocabSize: number; readonly hasOutput: boolean },
): Json {
  const gating = keys.number('expert_gating_func') || SOFTMAX; // old files have none, or 0
  if (gating !== SOFTMAX && gating !== SIGMOID)
    keys.fail('expert_gating_func', `is ${gating}; known are ${SOFTMAX} (softmax) and ${SIGMOID} (sigmoid)`);
  const v3 = gating === SIGMOID;
  const rope = keys.required('rope.dimension_count');
  const ahead = keys.number('nextn_predict_layers') ?? 0;
  const split = keys.number('attention.key_length_mla') !== undefined ? '_mla' : '';
  return defined({
    model_type: v3 ? 'deepseek_v3' : 'deepseek_v2',
    vocab_size: vocabSize,
    hidden_size: keys.required('embedding_length'),
    intermediate_size: keys.required('feed_forward_length'),
    num_hidden_layers: keys.required('block_count') - ahead,
    num_nextn_predict_layers: v3 ? ahead : undefined,
    num_attention_heads: keys.required('attention.head_count'),
    max_position_embeddings: keys.required('context_length'),
    q_lora_rank: keys.number('attention.q_lora_rank') || null,
    kv_lora_rank: keys.required('attention.kv_lora_rank'),
    qk_nope_head_dim: keys.required(`attention.key_length${split}`) - rope,
    qk_rope_head_dim: rope,
    v_head_dim: keys.required(`attention.value_length${split}`),
    ...expertFields(keys, v3),
    rms_norm_eps: keys.required('attention.layer_norm_rms_epsilon'),
    rope_theta: keys.number('rope.freq_base') ?? 10000,
    rope_scaling: yarnFields(keys),
    tie_word_embeddings: !hasOutput,
  });
}

function expertFields(keys: Keys, v3: boolean): Json {
  const groups = keys.number('expert_group_count') ?? 1;
  const method = groups > 1 ? 'group_limited_greedy' : 'greedy';
  const experts = keys.number('expert_count') ?? 0;
  return {
    n_routed_experts: experts,
    n_shared_experts: keys.number('expert_shared_count') ?? 0,
    num_experts_per_tok: experts > 0 ? keys.required('expert_used_count') : 1,
    moe_intermediate_size: keys.required('expert_feed_forward_length'),
    n_group: groups,
    topk_group: keys.number('expert_group_used_count') ?? 1,
    topk_method: v3 ? 'noaux_tc' : method,
    norm_topk_prob: keys.flag('expert_weights_norm') ?? false,
    routed_scaling_factor: keys.number('expert_weights_scale') || 1,
    first_k_dense_replace: keys.number('leading_dense_block_count') ?? 0,
  };
}

function yarnFields(keys: Keys): Json | undefined {
  const type = keys.text('rope.scaling.type') ?? 'none';
  if (type === 'none') return undefined;
  if (type !== 'yarn') keys.fail('rope.scaling.type', `is "${type}"; known are none and yarn`);
  // without the key llama.cpp scales scores as if it were 1; float32 has seven digits
  const mscale = Number((10 * (keys.number('rope.scaling.yarn_log_multiplier') || 0.1)).toPrecision(6));
  return defined({
    rope_type: 'yarn',
    factor: keys.required('rope.scaling.factor'),
    original_max_position_embeddings: keys.number('rope.scaling.original_context_length'),
    beta_fast: keys.number('rope.scaling.yarn_beta_fast'),
    beta_slow: keys.number('rope.scaling.yarn_beta_slow'),
    mscale,
    mscale_all_dim: mscale,
  });
}

// ---- writing ----

/** What a `deepseek2` file has besides the keys of every model. Throws for what llama.cpp cannot compute. */
export function deepseekMetadata(config: Json): Record<string, GgufValue | undefined> {
  refuse(config);
  const number = (field: string): number => Number(config[field]);
  const rope = number('qk_rope_head_dim');
  return {
    'attention.head_count_kv': u32(1),
    'attention.q_lora_rank': u32(Number(config.q_lora_rank ?? 0)), // asked for even where it is none
    'attention.kv_lora_rank': u32(number('kv_lora_rank')),
    'attention.key_length': u32(number('kv_lora_rank') + rope),
    'attention.value_length': u32(number('kv_lora_rank')),
    'attention.key_length_mla': u32(number('qk_nope_head_dim') + rope),
    'attention.value_length_mla': u32(number('v_head_dim')),
    'rope.dimension_count': u32(rope),
    ...yarnMetadata(config),
    ...expertMetadata(config),
  };
}

function expertMetadata(config: Json): Record<string, GgufValue | undefined> {
  const number = (field: string): number => Number(config[field]);
  const v3 = config.model_type === 'deepseek_v3';
  const normalized = config.norm_topk_prob === true;
  const sparse = number('n_routed_experts') > 0;
  const grouped = sparse && number('topk_group') < number('n_group');
  return {
    leading_dense_block_count: u32(number(sparse ? 'first_k_dense_replace' : 'num_hidden_layers')),
    expert_count: sparse ? u32(number('n_routed_experts')) : undefined,
    expert_used_count: sparse ? u32(number('num_experts_per_tok')) : undefined,
    expert_shared_count: u32(number('n_shared_experts')),
    expert_feed_forward_length: u32(number('moe_intermediate_size')),
    expert_weights_norm: scalar('bool', normalized),
    // V2's code scales only what it does not normalize
    expert_weights_scale: f32(v3 || !normalized ? number('routed_scaling_factor') : 1),
    expert_gating_func: u32(v3 ? SIGMOID : SOFTMAX),
    expert_group_count: grouped ? u32(number('n_group')) : undefined,
    expert_group_used_count: grouped ? u32(number('topk_group')) : undefined,
  };
}

function yarnMetadata({ rope_scaling }: Json): Record<string, GgufValue | undefined> {
  const scaling = rope_scaling as Json | undefined; // the model's own config
  if (!scaling) return {};
  const optional = (value: unknown): GgufValue | undefined =>
    value === undefined ? undefined : f32(Number(value));
  return {
    'rope.scaling.type': scalar('string', 'yarn'),
    'rope.scaling.factor': f32(Number(scaling.factor)),
    'rope.scaling.original_context_length': u32(Number(scaling.original_max_position_embeddings)),
    'rope.scaling.yarn_log_multiplier': f32(0.1 * Number(scaling.mscale_all_dim)),
    'rope.scaling.yarn_beta_fast': optional(scaling.beta_fast),
    'rope.scaling.yarn_beta_slow': optional(scaling.beta_slow),
  };
}

/** Depths that llama.cpp takes for models whose queries are not compressed, whatever the file says. */
const LITE_DEPTHS = [26, 27];

function refuse(config: Json): void {
  const no = (what: string): never => {
    throw new GaslawError(`llama.cpp's deepseek2 has no ${what}; this model cannot be written as GGUF`);
  };
  const sparse = Number(config.n_routed_experts) > 0;
  if (config.attention_bias) no('biases in attention');
  if (config.rope_interleave === false) no('rotation of halves (rope_interleave false)');
  if (sparse && Number(config.n_shared_experts) === 0) no('experts without shared ones (n_shared_experts 0)');
  if (sparse && Number(config.moe_layer_freq ?? 1) !== 1) no(`moe_layer_freq ${config.moe_layer_freq}`);
  if (config.q_lora_rank !== null && LITE_DEPTHS.includes(Number(config.num_hidden_layers)))
    no(`compressed queries in models of ${config.num_hidden_layers} layers`);
  const scaling = config.rope_scaling as Json | undefined; // the model's own config
  if (!scaling) return;
  if (scaling.rope_type !== 'yarn') no(`rope_type "${scaling.rope_type}"`);
  assert(
    scaling.mscale_all_dim &&
      scaling.mscale === scaling.mscale_all_dim &&
      scaling.attention_factor === undefined,
    `llama.cpp's deepseek2 has one mscale for rotation and scores: mscale ${scaling.mscale} and mscale_all_dim ${scaling.mscale_all_dim} cannot be written as GGUF`,
  );
}
