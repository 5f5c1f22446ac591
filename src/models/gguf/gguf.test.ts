/** Models of every architecture through GGUF and back. */
import { describe, expect, it } from 'vitest';
import { openGguf } from '../../formats/gguf/reader.ts';
import { scalar } from '../../formats/gguf/types.ts';
import { ParameterStore } from '../../nn/parameters.ts';
import { memoryFiles } from '../../util/files.ts';
import { Random } from '../../util/random.ts';
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
  gemma3: { ...SHAPE, model_type: 'gemma3_text', sliding_window: 16, query_pre_attn_scalar: 8 },
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
