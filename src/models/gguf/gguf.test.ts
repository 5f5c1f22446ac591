/** Models of every architecture through GGUF and back. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openGguf } from '../../formats/gguf/reader.ts';
import { scalar } from '../../formats/gguf/types.ts';
import { encodeGguf } from '../../formats/gguf/writer.ts';
import { ParameterStore } from '../../nn/parameters.ts';
import { GaslawError } from '../../util/errors.ts';
import { concatBytes, memoryFiles } from '../../util/files.ts';
import { Random } from '../../util/random.ts';
import { deepseekModel, fromHuggingFace } from '../deepseek/index.ts';
import { modelFromConfig } from '../index.ts';
import type { CausalModel } from '../model.ts';
import { openGgufModel } from './files.ts';
import { llama3Factors, metadataFromConfig } from './metadata.ts';
import { storedName } from './names.ts';
import { ggufOf, type WriteGgufOptions } from './write.ts';

const SHAPE = {
  vocab_size: 40,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 5e5,
};

const LLAMA3 = {
  rope_type: 'llama3',
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

const CONFIGS: Readonly<Record<string, Record<string, unknown>>> = {
  llama: { ...SHAPE, model_type: 'llama', attention_bias: false },
  'llama with biases': { ...SHAPE, model_type: 'llama', attention_bias: true },
  'llama 3': { ...SHAPE, model_type: 'llama', rope_scaling: LLAMA3 },
  'llama stretched': { ...SHAPE, model_type: 'llama', rope_scaling: { rope_type: 'linear', factor: 4 } },
  qwen2: { ...SHAPE, model_type: 'qwen2' },
  qwen3: { ...SHAPE, model_type: 'qwen3', tie_word_embeddings: true },
  'qwen3 with experts': {
    ...SHAPE,
    model_type: 'qwen3_moe',
    num_experts: 6,
    num_experts_per_tok: 2,
    moe_intermediate_size: 24,
    norm_topk_prob: true,
  },
  gemma3: { ...SHAPE, model_type: 'gemma3_text', sliding_window: 16, query_pre_attn_scalar: 8 },
};

const DEEPSEEK = {
  vocab_size: 40,
  hidden_size: 32,
  intermediate_size: 64,
  num_attention_heads: 4,
  num_hidden_layers: 3,
  max_position_embeddings: 64,
  kv_lora_rank: 16,
  qk_nope_head_dim: 8,
  qk_rope_head_dim: 4,
  v_head_dim: 6,
  moe_intermediate_size: 24,
  n_routed_experts: 8,
  n_shared_experts: 2,
  num_experts_per_tok: 3,
  first_k_dense_replace: 1,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
};

const YARN = {
  rope_type: 'yarn',
  factor: 40,
  original_max_position_embeddings: 32,
  beta_fast: 32,
  beta_slow: 1,
  mscale: 0.8,
  mscale_all_dim: 0.8,
};

const V2 = { ...DEEPSEEK, model_type: 'deepseek_v2', q_lora_rank: null, routed_scaling_factor: 16 };
const V3 = {
  ...DEEPSEEK,
  model_type: 'deepseek_v3',
  q_lora_rank: 12,
  n_group: 4,
  topk_group: 2,
  norm_topk_prob: true,
  routed_scaling_factor: 2.5,
};

const DEEPSEEKS: Readonly<Record<string, Record<string, unknown>>> = {
  'V2-Lite': { ...V2, topk_method: 'greedy', rope_scaling: YARN },
  V2: { ...V2, q_lora_rank: 12, topk_method: 'group_limited_greedy', n_group: 4, topk_group: 2 },
  V3: { ...V3, rope_scaling: { ...YARN, mscale: 1, mscale_all_dim: 1 } },
  'dense V3, tied': { ...V3, n_routed_experts: 0, tie_word_embeddings: true },
};

function randomModel(config: Record<string, unknown>): { model: CausalModel; store: ParameterStore } {
  const model = modelFromConfig(config, 'config');
  return { model, store: new ParameterStore(model.parameters).initialize(new Random(1)) };
}

const OPTIONS: WriteGgufOptions = {
  type: 'F32',
  name: 'tiny',
  vocabulary: new Map([['tokenizer.ggml.model', scalar('string', 'none')]]),
};

async function written(config: Record<string, unknown>, options: Partial<WriteGgufOptions> = {}) {
  const files = memoryFiles();
  const { model, store } = randomModel(config);
  await files.write('m.gguf', ggufOf(model, store, { ...OPTIONS, ...options }));
  return { files, model, store };
}

describe('a model comes back', () => {
  it.each(Object.keys(CONFIGS))('%s', async name => {
    const { files, model, store } = await written(CONFIGS[name] as Record<string, unknown>);
    const open = await openGgufModel(files, 'm.gguf');
    const back = new ParameterStore(open.model.parameters);
    await open.weights.readInto(back);
    const plusOne = name === 'gemma3'; // 1 + w − 1 rounds
    for (const spec of store.specs) {
      const [want, got] = [store.slice(store.flat, spec), back.slice(back.flat, spec)];
      const worst = Math.max(...want.map((v, i) => Math.abs(v - (got[i] as number))));
      expect(worst, spec.name).toBeLessThanOrEqual(plusOne && spec.dims.length === 1 ? 1e-7 : 0);
    }
    // float32 metadata round what float64 holds
    const [was, is] = [model.toHuggingFace(), open.model.toHuggingFace()];
    for (const field of Object.keys(SHAPE))
      expect(Math.fround(Number(is[field])), field).toBe(Math.fround(Number(was[field])));
    expect(is.rope_scaling).toEqual(was.rope_scaling);
    expect(is.tie_word_embeddings).toBe(was.tie_word_embeddings);
  });

  it.each(Object.keys(DEEPSEEKS))('DeepSeek %s', async name => {
    const { files, model, store } = await written(DEEPSEEKS[name] as Record<string, unknown>);
    const open = await openGgufModel(files, 'm.gguf');
    const back = new ParameterStore(open.model.parameters);
    await open.weights.readInto(back);
    expect(back.specs.map(spec => spec.name)).toEqual(store.specs.map(spec => spec.name));
    expect(back.flat).toEqual(store.flat);
    const [was, is] = [model.toHuggingFace(), open.model.toHuggingFace()];
    // the file of a dense model does not tell what its experts would have been
    const derived = ['initializer_range', 'rms_norm_eps'];
    const experts = ['first_k_dense_replace', 'n_group', 'topk_group', 'num_experts_per_tok'];
    const lost = name === 'dense V3, tied' ? [...derived, ...experts] : derived;
    const kept = Object.keys(was).filter(field => !lost.includes(field));
    for (const field of kept) expect(is[field], field).toEqual(was[field]);
  });

  it('DeepSeek V3 with its module that predicts one token further: a block more, passed over', async () => {
    const config = fromHuggingFace({ ...V3, num_nextn_predict_layers: 1 }, 'config');
    const model = deepseekModel(config, { aheadWeight: 0.1 });
    const store = new ParameterStore(model.parameters).initialize(new Random(1));
    const files = memoryFiles({ 'm.gguf': concatBytes([...ggufOf(model, store, OPTIONS)]) });
    const file = await openGguf(files, 'm.gguf');
    const projection = new Float32Array(32 * 64);
    await file.readFloats('blk.3.nextn.eh_proj.weight', projection);
    expect(projection).toEqual(store.tensor('model.layers.3.eh_proj.weight').data);
    expect(file.metadata.get('deepseek2.block_count')).toEqual(scalar('uint32', 4));
    const open = await openGgufModel(files, 'm.gguf');
    expect(open.model.layers).toBe(3);
    expect(open.model.toHuggingFace().num_nextn_predict_layers).toBe(1);
    const back = new ParameterStore(open.model.parameters);
    await open.weights.readInto(back);
    const last = 'model.layers.2.mlp.experts.7.up_proj.weight';
    expect(back.tensor(last).data).toEqual(store.tensor(last).data);
  });

  it('an old deepseek2 file: heads told once, the latent’s matrix in one', async () => {
    const { files, store } = await written(DEEPSEEKS.V2 as Record<string, unknown>);
    const file = await openGguf(files, 'm.gguf');
    const metadata = new Map(
      [...file.metadata].filter(([key]) => !key.endsWith('_mla') && !key.endsWith('gating_func')),
    );
    metadata.set('deepseek2.attention.key_length', scalar('uint32', 8 + 4));
    metadata.set('deepseek2.attention.value_length', scalar('uint32', 6));
    const kept = [...file.tensors].filter(([name]) => !/attn_[kv]_b/.test(name));
    const same = kept.map(async ([name, { type, dims }]) => {
      const bytes = await file.read(name);
      return { name, type, dims, make: () => [bytes] };
    });
    const joined = [0, 1, 2].map(i => {
      const { dims, data } = store.tensor(`model.layers.${i}.self_attn.kv_b_proj.weight`);
      const bytes = new Uint8Array((data as Float32Array).slice().buffer);
      return { name: `blk.${i}.attn_kv_b.weight`, type: 'F32' as const, dims, make: () => [bytes] };
    });
    await files.write('old.gguf', encodeGguf(metadata, [...(await Promise.all(same)), ...joined]));
    const open = await openGgufModel(files, 'old.gguf');
    const back = new ParameterStore(open.model.parameters);
    await open.weights.readInto(back);
    expect(back.flat).toEqual(store.flat);
  });

  it('in pieces as well', async () => {
    const { files, store } = await written(CONFIGS.llama as Record<string, unknown>);
    const { weights } = await openGgufModel(files, 'm.gguf');
    const name = 'model.layers.1.self_attn.k_proj.weight';
    const piece = new Float32Array(37);
    await weights.readFloats(name, piece, 101);
    expect([...piece]).toEqual([...(store.tensor(name).data as Float32Array).subarray(101, 138)]);
  });
});

describe('what llama.cpp expects', () => {
  // llama.cpp's src/models/deepseek2.cpp
  it.each([
    ['model.layers.1.self_attn.kv_a_proj_with_mqa.weight', 'blk.1.attn_kv_a_mqa.weight', {}],
    ['model.layers.1.self_attn.q_a_layernorm.weight', 'blk.1.attn_q_a_norm.weight', {}],
    ['model.layers.1.mlp.experts.5.down_proj.weight', 'blk.1.ffn_down_exps.weight', { expert: 5 }],
    ['model.layers.1.mlp.shared_experts.up_proj.weight', 'blk.1.ffn_up_shexp.weight', {}],
    ['model.layers.1.mlp.gate.weight', 'blk.1.ffn_gate_inp.weight', {}],
    ['model.layers.1.mlp.gate.e_score_correction_bias', 'blk.1.exp_probs_b.bias', {}],
    ['model.layers.3.eh_proj.weight', 'blk.3.nextn.eh_proj.weight', {}],
    ['model.layers.3.shared_head.norm.weight', 'blk.3.nextn.shared_head_norm.weight', {}],
  ])('deepseek2: %s is %s', (parameter, name, more) => {
    const storage = 'expert' in more ? 'expert' : 'same';
    expect(storedName('deepseek2', parameter)).toEqual({ name, storage, ...more });
  });

  it('deepseek2: one head of keys over the latent, heads as they are beside it', () => {
    const metadata = metadataFromConfig(modelFromConfig(DEEPSEEKS.V3, 'config').toHuggingFace(), 'x');
    const at = (key: string) => {
      const value = metadata.get(`deepseek2.${key}`);
      return value && 'value' in value ? value.value : undefined;
    };
    expect({
      keys: ['head_count_kv', 'key_length', 'value_length', 'key_length_mla', 'value_length_mla'].map(key =>
        at(`attention.${key}`),
      ),
      gating: at('expert_gating_func'),
      log: at('rope.scaling.yarn_log_multiplier'),
      groups: [at('expert_group_count'), at('expert_group_used_count')],
    }).toEqual({ keys: [1, 16 + 4, 16, 8 + 4, 6], gating: 2, log: 0.1, groups: [4, 2] });
  });

  it('deepseek2: of a head the keys’ part transposed, then the values’ part', async () => {
    const { files, store } = await written(DEEPSEEKS.V3 as Record<string, unknown>);
    const file = await openGguf(files, 'm.gguf');
    const [keys, values] = [new Float32Array(4 * 16 * 8), new Float32Array(4 * 6 * 16)];
    await file.readFloats('blk.2.attn_k_b.weight', keys);
    await file.readFloats('blk.2.attn_v_b.weight', values);
    const whole = store.tensor('model.layers.2.self_attn.kv_b_proj.weight').data as Float32Array;
    const [head, n, v, r] = [2, 5, 3, 11];
    expect(keys[(head * 16 + r) * 8 + n]).toBe(whole[(head * 14 + n) * 16 + r]);
    expect(values[(head * 6 + v) * 16 + r]).toBe(whole[(head * 14 + 8 + v) * 16 + r]);
  });

  // llama.cpp's tensor_mapping.py
  it.each([
    ['llama', 'model.embed_tokens.weight', 'token_embd.weight', 'same'],
    ['llama', 'model.layers.3.self_attn.q_proj.weight', 'blk.3.attn_q.weight', 'query-pairs'],
    ['qwen2', 'model.layers.3.self_attn.k_proj.bias', 'blk.3.attn_k.bias', 'same'],
    ['qwen3', 'model.layers.0.self_attn.q_norm.weight', 'blk.0.attn_q_norm.weight', 'same'],
    ['llama', 'model.layers.0.post_attention_layernorm.weight', 'blk.0.ffn_norm.weight', 'same'],
    [
      'gemma3',
      'model.layers.0.post_attention_layernorm.weight',
      'blk.0.post_attention_norm.weight',
      'plus-one',
    ],
    ['gemma3', 'model.layers.0.post_feedforward_layernorm.weight', 'blk.0.post_ffw_norm.weight', 'plus-one'],
    ['gemma3', 'model.norm.weight', 'output_norm.weight', 'plus-one'],
  ] as const)('%s: %s is %s', (architecture, parameter, name, storage) => {
    expect(storedName(architecture, parameter)).toEqual({ name, storage });
  });

  it('llama 3’s factors: 1 for short waves, the factor for long ones', () => {
    const factors = llama3Factors({ headDim: 128, theta: 5e5, factor: 8 });
    expect(factors[0]).toBe(1);
    expect(factors.at(-1)).toBeCloseTo(8, 6);
    expect(factors).toEqual([...factors].sort((a, b) => a - b));
  });

  it('vectors stay F32, the output keeps more bits, rows that do not fit take a larger type', async () => {
    const { files } = await written({ ...CONFIGS.llama, hidden_size: 256, head_dim: 64 }, { type: 'Q4_K' });
    const { tensors } = await openGguf(files, 'm.gguf');
    expect(tensors.get('blk.0.attn_norm.weight')?.type).toBe('F32');
    expect(tensors.get('output.weight')?.type).toBe('Q6_K');
    expect(tensors.get('blk.0.attn_q.weight')?.type).toBe('Q4_K');
    expect(tensors.get('blk.0.ffn_down.weight')?.type).toBe('Q5_0'); // rows of 64
  });
});

describe('refused', () => {
  it.each([
    [{ rope_scaling: { ...YARN, mscale: 1 } }, /one mscale for rotation and scores: mscale 1 and/],
    [{ n_shared_experts: 0 }, /deepseek2 has no experts without shared ones/],
    [{ num_hidden_layers: 27 }, /no compressed queries in models of 27 layers/],
    [{ rope_interleave: false }, /no rotation of halves/],
    [{ attention_bias: true }, /no biases in attention/],
    [{ moe_layer_freq: 2 }, /no moe_layer_freq 2/],
  ])('a DeepSeek model with %j', async (more, message) => {
    await expect(written({ ...V3, ...more })).rejects.toThrow(message);
  });

  it('experts in some layers alone', async () => {
    const mixed = { ...CONFIGS['qwen3 with experts'], decoder_sparse_step: 2 };
    await expect(written(mixed)).rejects.toThrow(/qwen3moe has experts in every layer/);
  });

  it('an architecture that has no names, and layers that slide', async () => {
    expect(() => metadataFromConfig({ model_type: 'mamba' }, 'x')).toThrow(/a mamba model cannot be written/);
    const sliding = { ...CONFIGS.qwen2, use_sliding_window: true, sliding_window: 8, max_window_layers: 0 };
    await expect(written(sliding)).rejects.toThrow(/sliding layers/);
  });

  it('factors that are not Llama 3’s, by name', async () => {
    const { files } = await written(CONFIGS['llama 3'] as Record<string, unknown>);
    const bytes = await files.read('m.gguf');
    // the first tensor after the header
    const file = await openGguf(files, 'm.gguf');
    const at = file.tensors.get('rope_freqs.weight')?.begin as number;
    const changed = Uint8Array.from(bytes);
    new DataView(changed.buffer).setFloat32(at, 3, true);
    await files.write('m.gguf', changed);
    await expect(openGgufModel(files, 'm.gguf')).rejects.toThrow(/rope_freqs.weight.* factors other than/);
  });
});

describe('hostile metadata', () => {
  it.each(['llama', 'V3'])(
    '%s: any number anywhere is a model of the same tensors, or one sentence',
    async name => {
      const { files } = await written((CONFIGS[name] ?? DEEPSEEKS[name]) as Record<string, unknown>);
      const file = await openGguf(files, 'm.gguf');
      const tensors = [...file.tensors].map(([tensor, { type, dims }]) => ({
        name: tensor,
        type,
        dims,
        make: () => [new Uint8Array(4 * dims.reduce((a, b) => a * b, 1))],
      }));
      const keys = [...file.metadata].filter(
        ([, value]) => 'value' in value && typeof value.value === 'number',
      );
      const number = fc.constantFrom(0, 1, 2, 3, 5, 27, 64, 255, 2 ** 16, 2 ** 24 + 1, 2 ** 31, 2 ** 32 - 1);
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...keys.map(([key]) => key)), number, async (key, value) => {
          const metadata = new Map(file.metadata).set(key, scalar('uint32', value));
          await files.write('changed.gguf', encodeGguf(metadata, tensors));
          try {
            const { weights } = await openGgufModel(files, 'changed.gguf');
            expect(weights.bytes).toBeLessThan(1e6);
          } catch (error) {
            expect(error).toBeInstanceOf(GaslawError);
            expect((error as Error).message).toMatch(/^changed\.gguf: /);
          }
        }),
        { numRuns: 60 },
      );
    },
  );
});

describe('blocks that products take', () => {
  it.each([
    ['llama', 'Q4_0'],
    ['llama', 'Q8_0'],
    ['qwen3', 'Q4_0'],
  ] as const)('of %s files in %s have the values that are read as floats', async (config, type) => {
    const { files } = await written(CONFIGS[config] as Record<string, unknown>, { type });
    const { weights, model } = await openGgufModel(files, 'm.gguf');
    const moved: string[] = [];
    for (const { name, dims } of model.parameters) {
      const packed = weights.blocksOf?.(name)?.packed;
      if (!packed) continue;
      moved.push(name);
      const count = dims.reduce((n, d) => n * d, 1);
      const { bits, blockSize } = packed;
      const target = {
        codes: new Uint8Array(((count + blockSize) * bits) / 8),
        scales: new Float32Array(count / blockSize + 1),
      };
      await packed.readInto(target, 1); // after another matrix
      const floats = new Float32Array(count);
      await weights.readFloats(name, floats);
      const values = floats.map((_, i) => {
        const at = i + blockSize;
        const byte = target.codes[bits === 4 ? at >> 1 : at] as number;
        const code = bits === 4 ? (byte >> (4 * (at % 2))) & 15 : byte;
        return (code - 2 ** (bits - 1)) * (target.scales[Math.floor(at / blockSize)] as number);
      });
      expect(values.map(v => v + 0)).toEqual(floats.map(v => v + 0));
    }
    expect(moved).toContain('model.layers.1.self_attn.q_proj.weight');
    expect(moved).toContain('model.layers.1.mlp.down_proj.weight');
  });

  it('are said to be in blocks, and not of that form, when they have a minimum', async () => {
    const { files } = await written(CONFIGS.llama as Record<string, unknown>, { type: 'Q4_1' });
    const { weights } = await openGgufModel(files, 'm.gguf');
    expect(weights.blocksOf?.('model.layers.0.mlp.up_proj.weight')).toEqual({});
    expect(weights.blocksOf?.('model.norm.weight')).toBeUndefined();
  });
});
