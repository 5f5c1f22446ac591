/**
 * What GGUF files call a model's tensors, and how they store them.
 *
 * 1. `llama` files rotate adjacent pairs, so the rows of queries and keys are reordered (see rotary-layout.ts).
 * 2. Gemma's norms multiply by 1 + w; files hold 1 + w.
 * Source: llama.cpp's gguf-py/gguf/tensor_mapping.py and convert_hf_to_gguf.py.
 */

/** How a stored tensor differs from the parameter. */
export type Storage = 'same' | 'query-pairs' | 'key-pairs' | 'plus-one';

export interface StoredName {
  readonly name: string;
  readonly storage: Storage;
}

export const GGUF_ARCHITECTURES = ['llama', 'qwen2', 'qwen3', 'gemma3'] as const;
export type GgufArchitecture = (typeof GGUF_ARCHITECTURES)[number];

const OUTSIDE: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
};

const INSIDE: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
};

/** Gemma has norms after attention and feed-forward network as well. */
const GEMMA: Readonly<Record<string, string>> = {
  ...INSIDE,
  post_attention_layernorm: 'post_attention_norm',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
};

const PLACE = /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/;

/** The stored name of a parameter; undefined when files of the architecture have none for it. */
export function storedName(architecture: GgufArchitecture, parameter: string): StoredName | undefined {
  const [, layer, module, kind] = PLACE.exec(parameter) ?? [];
  if (module === undefined) return undefined;
  const inside = architecture === 'gemma3' ? GEMMA : INSIDE;
  const found = layer === undefined ? OUTSIDE[module] : inside[module];
  if (!found) return undefined;
  const name = layer === undefined ? `${found}.${kind}` : `blk.${layer}.${found}.${kind}`;
  return { name, storage: storageOf(architecture, module) };
}

function storageOf(architecture: GgufArchitecture, module: string): Storage {
  if (architecture === 'gemma3') return module.endsWith('norm') ? 'plus-one' : 'same';
  if (architecture !== 'llama') return 'same';
  if (module === 'self_attn.q_proj') return 'query-pairs';
  return module === 'self_attn.k_proj' ? 'key-pairs' : 'same';
}

/** Tensors that follow from the metadata and are no parameters. */
export const isSpare = (name: string): boolean => name === 'rope_freqs.weight';
