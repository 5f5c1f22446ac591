/**
 * What GGUF files call a model's tensors, and how they store them.
 *
 * 1. `llama` files rotate adjacent pairs, so the rows of queries and keys are reordered (see rotary-layout.ts).
 * 2. Gemma's norms multiply by 1 + w; files hold 1 + w.
 * 3. Routed experts of a layer are stacked in one tensor. `deepseek2` files hold the matrix that makes keys and values of a
 *    latent as two (see latent.ts); old ones hold it whole.
 * 4. The module that predicts one token further is one more layer, whose own tensors begin with `nextn`.
 * Source: llama.cpp's gguf-py/gguf/tensor_mapping.py and convert_hf_to_gguf.py.
 */

/** How a stored tensor differs from the parameter. */
export type Storage = 'same' | 'query-pairs' | 'key-pairs' | 'plus-one' | 'expert' | 'latent';

export interface StoredName {
  /** Of a latent's matrix, the name under which old files hold it whole. */
  readonly name: string;
  readonly storage: Storage;
  /** Which of the stacked experts it is. */
  readonly expert?: number;
}

export const GGUF_ARCHITECTURES = ['llama', 'qwen2', 'qwen3', 'qwen3moe', 'gemma3', 'deepseek2'] as const;
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

const EXPERTS: Readonly<Record<string, string>> = {
  ...INSIDE,
  'mlp.gate': 'ffn_gate_inp',
  'mlp.experts.gate_proj': 'ffn_gate_exps',
  'mlp.experts.up_proj': 'ffn_up_exps',
  'mlp.experts.down_proj': 'ffn_down_exps',
};

const DEEPSEEK: Readonly<Record<string, string>> = {
  ...EXPERTS,
  'self_attn.q_a_proj': 'attn_q_a',
  'self_attn.q_a_layernorm': 'attn_q_a_norm',
  'self_attn.q_b_proj': 'attn_q_b',
  'self_attn.kv_a_proj_with_mqa': 'attn_kv_a_mqa',
  'self_attn.kv_a_layernorm': 'attn_kv_a_norm',
  'self_attn.kv_b_proj': 'attn_kv_b',
  'mlp.shared_experts.gate_proj': 'ffn_gate_shexp',
  'mlp.shared_experts.up_proj': 'ffn_up_shexp',
  'mlp.shared_experts.down_proj': 'ffn_down_shexp',
  eh_proj: 'nextn.eh_proj',
  enorm: 'nextn.enorm',
  hnorm: 'nextn.hnorm',
  'shared_head.norm': 'nextn.shared_head_norm',
};

/** Architectures whose layers hold other tensors than Llama's. */
const OWN: Readonly<Partial<Record<GgufArchitecture, Readonly<Record<string, string>>>>> = {
  gemma3: GEMMA,
  qwen3moe: EXPERTS,
  deepseek2: DEEPSEEK,
};

const EXPERT = /^mlp\.experts\.(\d+)\./;
const CORRECTION = /^model\.layers\.(\d+)\.mlp\.gate\.e_score_correction_bias$/;

const PLACE = /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/;

/** The stored name of a parameter; undefined when files of the architecture have none for it. */
export function storedName(architecture: GgufArchitecture, parameter: string): StoredName | undefined {
  const correction = CORRECTION.exec(parameter);
  if (correction) return { name: `blk.${correction[1]}.exp_probs_b.bias`, storage: 'same' };
  const [, layer, module = '', kind] = PLACE.exec(parameter) ?? [];
  const expert = EXPERT.exec(module);
  const found = layer === undefined ? OUTSIDE[module] : insideOf(architecture)[withoutExpert(module)];
  if (!found) return undefined;
  const name = layer === undefined ? `${found}.${kind}` : `blk.${layer}.${found}.${kind}`;
  if (expert) return { name, storage: 'expert', expert: Number(expert[1]) };
  return { name, storage: storageOf(architecture, module) };
}

const withoutExpert = (module: string): string => module.replace(EXPERT, 'mlp.experts.');

const insideOf = (architecture: GgufArchitecture): Readonly<Record<string, string>> =>
  OWN[architecture] ?? INSIDE;

function storageOf(architecture: GgufArchitecture, module: string): Storage {
  if (architecture === 'gemma3') return module.endsWith('norm') ? 'plus-one' : 'same';
  if (module === 'self_attn.kv_b_proj') return 'latent';
  if (architecture !== 'llama') return 'same';
  if (module === 'self_attn.q_proj') return 'query-pairs';
  return module === 'self_attn.k_proj' ? 'key-pairs' : 'same';
}

/** Tensors that are no parameters of a model of so many layers: what follows from the metadata, and modules after the model. */
export const isSpare = (name: string, layers: number): boolean =>
  name === 'rope_freqs.weight' || Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1) >= layers;
