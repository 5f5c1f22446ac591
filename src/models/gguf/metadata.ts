/**
 * A model's configuration as GGUF metadata, and back to the fields of a Hugging Face config.json.
 *
 * 1. Keys stand under the architecture's name: `qwen3.block_count`.
 * 2. What a config leaves open has transformers' value on the way in; on the way out everything is stated.
 * 3. Llama 3's rotary scheme is a tensor of factors in GGUF (`rope_freqs.weight`): it is recognized where it equals the
 *    published scheme's factors, and refused otherwise, since nothing else is known to have made it.
 * Source: llama.cpp's gguf-py/gguf/constants.py and convert_hf_to_gguf.py.
 */
import { type GgufMetadata, type GgufValue, scalar } from '../../formats/gguf/types.ts';
import { ropeFrequencies } from '../../nn/rope-scaling.ts';
import { GaslawError } from '../../util/errors.ts';
import { defined } from '../fields.ts';
import { deepseekConfig, deepseekMetadata } from './deepseek.ts';
import { f32, type Json, Keys, u32 } from './keys.ts';
import { GGUF_ARCHITECTURES, type GgufArchitecture } from './names.ts';

// ---- reading ----

/** The architecture that a file names. Throws when it is not one of those that are read. */
export function architectureOf(metadata: GgufMetadata, file: string): GgufArchitecture {
  const value = metadata.get('general.architecture');
  const name = value && 'value' in value ? String(value.value) : undefined;
  const found = GGUF_ARCHITECTURES.find(a => a === name);
  if (found) return found;
  const what = name === undefined ? 'names no architecture' : `has the architecture "${name}"`;
  throw new GaslawError(`${file}: ${what}; known are ${GGUF_ARCHITECTURES.join(', ')}`);
}

/** What the tensors of a file say about its model. */
export interface TensorFacts {
  /** Rows of the embedding table. */
  readonly vocabSize: number;
  /** Whether the output has a matrix of its own. */
  readonly hasOutput: boolean;
  readonly hasAttentionBias: boolean;
  /** Factors of the rotary frequencies, of Llama 3's scheme. */
  readonly ropeFactors?: Float32Array;
}

/** The config.json that describes the model of a file. */
export function configFromGguf(metadata: GgufMetadata, facts: TensorFacts, file: string): Json {
  const architecture = architectureOf(metadata, file);
  const keys = new Keys(metadata, file, architecture);
  if (architecture === 'deepseek2') return { ...deepseekConfig(keys, facts), ...tokenIds(metadata) };
  const heads = keys.required('attention.head_count');
  const hidden = keys.required('embedding_length');
  const config = defined({
    model_type: MODEL_TYPES[architecture] ?? architecture,
    vocab_size: facts.vocabSize,
    hidden_size: hidden,
    intermediate_size: intermediateSize(keys, architecture),
    num_hidden_layers: keys.required('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: keys.number('attention.head_count_kv') ?? heads,
    head_dim: keys.number('attention.key_length') ?? Math.floor(hidden / heads),
    max_position_embeddings: keys.required('context_length'),
    rms_norm_eps: keys.required('attention.layer_norm_rms_epsilon'),
    rope_theta: keys.number('rope.freq_base') ?? 10000,
    tie_word_embeddings: !facts.hasOutput,
    attention_bias: architecture === 'llama' ? facts.hasAttentionBias : undefined,
    rope_scaling: ropeScaling(keys, facts, file),
    ...tokenIds(metadata),
  });
  if (architecture === 'qwen3moe') return { ...config, ...expertFields(keys) };
  return architecture === 'gemma3' ? { ...config, ...gemmaFields(keys) } : config;
}

/** Model types that are spelled otherwise. */
const MODEL_TYPES: Readonly<Partial<Record<GgufArchitecture, string>>> = {
  gemma3: 'gemma3_text',
  qwen3moe: 'qwen3_moe',
};

/** Models of experts alone need not say how wide a dense network would be. */
const intermediateSize = (keys: Keys, architecture: GgufArchitecture): number =>
  keys.number('feed_forward_length') ||
  keys.required(architecture === 'qwen3moe' ? 'expert_feed_forward_length' : 'feed_forward_length');

/** Qwen3's experts: in every layer, gates normalized. */
const expertFields = (keys: Keys): Json => ({
  num_experts: keys.required('expert_count'),
  num_experts_per_tok: keys.required('expert_used_count'),
  moe_intermediate_size: keys.required('expert_feed_forward_length'),
  norm_topk_prob: true,
});

/** Gemma's sliding layers; the window is required, the pattern is that of all published sizes. */
const gemmaFields = (keys: Keys): Json =>
  defined({
    sliding_window: keys.required('attention.sliding_window'),
    rope_local_base_freq: keys.number('rope.freq_base_swa') ?? 10000,
    query_pre_attn_scalar: keys.number('attention.key_length'),
    final_logit_softcapping: keys.number('final_logit_softcapping'),
  });

function ropeScaling(keys: Keys, { ropeFactors }: TensorFacts, file: string): Json | undefined {
  if (ropeFactors) return llama3Scaling(keys, ropeFactors, file);
  const type = keys.text('rope.scaling.type');
  if (type === undefined || type === 'none') return undefined;
  const factor = keys.required('rope.scaling.factor');
  if (type === 'linear') return { rope_type: 'linear', factor };
  if (type === 'yarn') {
    return defined({
      rope_type: 'yarn',
      factor,
      original_max_position_embeddings: keys.number('rope.scaling.original_context_length'),
    });
  }
  return keys.fail('rope.scaling.type', `is "${type}"; known are none, linear and yarn`);
}

const LLAMA3 = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };

function llama3Scaling(keys: Keys, factors: Float32Array, file: string): Json {
  const factor = factors.reduce((a, b) => Math.max(a, b), 1);
  const scaling = { rope_type: 'llama3', factor, ...LLAMA3 };
  const expected = llama3Factors({
    headDim: 2 * factors.length,
    theta: keys.number('rope.freq_base') ?? 10000,
    factor,
  });
  if (expected.some((f, i) => Math.abs(f / (factors[i] as number) - 1) > 1e-3))
    throw new GaslawError(
      `${file}: tensor "rope_freqs.weight" has factors other than those of Llama 3's scheme (factor ${factor}), which is the only one that is read`,
    );
  return scaling;
}

interface Llama3 {
  readonly headDim: number;
  readonly theta: number;
  readonly factor: number;
}

/** Plain frequencies over scaled ones [D/2]. */
export function llama3Factors({ headDim, theta, factor }: Llama3): number[] {
  const scaled = ropeFrequencies({
    headDim,
    theta,
    scaling: {
      ropeType: 'llama3',
      factor,
      lowFreqFactor: LLAMA3.low_freq_factor,
      highFreqFactor: LLAMA3.high_freq_factor,
      originalMaxPositionEmbeddings: LLAMA3.original_max_position_embeddings,
    },
  });
  const plain = ropeFrequencies({ headDim, theta });
  return plain.frequencies.map((f, i) => f / (scaled.frequencies[i] as number));
}

const TOKEN_KEYS = {
  bos_token_id: 'tokenizer.ggml.bos_token_id',
  eos_token_id: 'tokenizer.ggml.eos_token_id',
  pad_token_id: 'tokenizer.ggml.padding_token_id',
} as const;

function tokenIds(metadata: GgufMetadata): Json {
  const found = Object.entries(TOKEN_KEYS).map(([name, key]) => {
    const value = metadata.get(key);
    return [name, value && 'value' in value ? Number(value.value) : undefined] as const;
  });
  return defined(Object.fromEntries(found));
}

// ---- writing ----

/** Of model types that are spelled otherwise. */
const ARCHITECTURE_OF: Readonly<Record<string, GgufArchitecture>> = {
  gemma3_text: 'gemma3',
  qwen3_moe: 'qwen3moe',
  deepseek_v2: 'deepseek2',
  deepseek_v3: 'deepseek2',
};

/** The architecture that a config.json is written as. Throws when GGUF has none for it. */
export function ggufArchitecture(config: Json): GgufArchitecture {
  const type = String(config.model_type);
  const found = GGUF_ARCHITECTURES.find(a => a === (ARCHITECTURE_OF[type] ?? type));
  if (found) return found;
  throw new GaslawError(`a ${type} model cannot be written as GGUF; ${GGUF_ARCHITECTURES.join(', ')} can`);
}

/** The metadata of a config.json's model. Throws for what llama.cpp has no key for. */
export function metadataFromConfig(config: Json, name: string): Map<string, GgufValue> {
  const architecture = ggufArchitecture(config);
  const own: Record<string, GgufValue | undefined> = {
    ...commonMetadata(config),
    ...(architecture === 'deepseek2' ? deepseekMetadata(config) : denseMetadata(config, architecture)),
  };
  const entries = Object.entries(own).filter((e): e is [string, GgufValue] => e[1] !== undefined);
  return new Map<string, GgufValue>([
    ['general.architecture', scalar('string', architecture)],
    ['general.name', scalar('string', name)],
    ['general.quantization_version', u32(2)],
    ...entries.map(([key, value]) => [`${architecture}.${key}`, value] as const),
  ]);
}

function commonMetadata(config: Json): Record<string, GgufValue> {
  const number = (field: string): number => Number(config[field]);
  return {
    vocab_size: u32(number('vocab_size')),
    context_length: u32(number('max_position_embeddings')),
    embedding_length: u32(number('hidden_size')),
    block_count: u32(number('num_hidden_layers')),
    feed_forward_length: u32(number('intermediate_size')),
    'attention.head_count': u32(number('num_attention_heads')),
    'attention.layer_norm_rms_epsilon': f32(number('rms_norm_eps')),
    'rope.freq_base': f32(number('rope_theta')),
  };
}

function denseMetadata(config: Json, architecture: GgufArchitecture): Record<string, GgufValue | undefined> {
  const headDim = Number(config.head_dim);
  return {
    'attention.head_count_kv': u32(Number(config.num_key_value_heads)),
    'attention.key_length': u32(headDim),
    'attention.value_length': u32(headDim),
    'rope.dimension_count': u32(headDim),
    ...ropeMetadata(config),
    ...(architecture === 'gemma3' ? gemmaMetadata(config) : refuseSliding(config)),
    ...(architecture === 'qwen3moe' ? expertMetadata(config) : {}),
  };
}

function expertMetadata(config: Json): Record<string, GgufValue> {
  const everywhere = config.decoder_sparse_step === 1 && (config.mlp_only_layers as unknown[]).length === 0; // a model's own
  if (!everywhere || config.norm_topk_prob !== true)
    throw new GaslawError(
      "llama.cpp's qwen3moe has experts in every layer and normalized gates; this model cannot be written as GGUF",
    );
  return {
    expert_count: u32(Number(config.num_experts)),
    expert_used_count: u32(Number(config.num_experts_per_tok)),
    expert_feed_forward_length: u32(Number(config.moe_intermediate_size)),
  };
}

function refuseSliding(config: Json): Record<string, never> {
  if (config.sliding_window === undefined || !config.use_sliding_window) return {};
  throw new GaslawError(`a ${config.model_type} model with sliding layers cannot be written as GGUF`);
}

const gemmaMetadata = (config: Json): Record<string, GgufValue> => ({
  'attention.sliding_window': u32(Number(config.sliding_window)),
  ...(config.final_logit_softcapping === undefined
    ? {}
    : { final_logit_softcapping: f32(Number(config.final_logit_softcapping)) }),
});

function ropeMetadata({ rope_scaling }: Json): Record<string, GgufValue | undefined> {
  const scaling = rope_scaling as Json | undefined;
  const type = scaling?.rope_type;
  if (!scaling || type === 'llama3') return {};
  const original = scaling.original_max_position_embeddings;
  return {
    'rope.scaling.type': scalar('string', String(type)),
    'rope.scaling.factor': f32(Number(scaling.factor)),
    'rope.scaling.original_context_length': original === undefined ? undefined : u32(Number(original)),
  };
}
