/**
 * GGUF files written here, opened by llama.cpp: a random model of every architecture, float32, and the same greedy tokens.
 *
 * 1. Weights are uniform with standard deviation 1/√columns, as large as trained ones: the best logits are well apart.
 * 2. Vocabularies are byte-level BPE from the trainer here; the ids of a text are compared too.
 * 3. `stories` is a trained llama (`--models FILE`, a model that gaslaw opens), in the types that its rows of 64 fit.
 * Usage: npm run bench -- agreement --peer DIR [--models FILE] [--seeds N]    (node-llama-cpp is installed in DIR)
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFiles } from '../src/cli/node-files.ts';
import { openLanguageModel } from '../src/export/language-model.ts';
import { WRITABLE_TYPES, type WritableType } from '../src/formats/gguf/quantize.ts';
import { openEngine } from '../src/generate/open.ts';
import { deepseekModel, fromHuggingFace } from '../src/models/deepseek/index.ts';
import { ggufOf } from '../src/models/gguf/write.ts';
import { modelFromConfig } from '../src/models/index.ts';
import type { CausalModel } from '../src/models/model.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { ggufVocabulary } from '../src/tokenizer/gguf-vocabulary.ts';
import type { Tokenizer } from '../src/tokenizer/tokenizer.ts';
import { trainBpe } from '../src/tokenizer/train-bpe.ts';
import { Random } from '../src/util/random.ts';
import { type Llama, openLlama } from './llama-module.ts';

const NEW_TOKENS = 64;
const VOCABULARY = 512;
export const TEXT =
  'The old harbour was quiet when the last boat came in; "Did you find anything?" she asked.\n' +
  'In 1973 about 42% of 1,250 letters arrived late: 3 + 4 * 12 = 51. Naïve café, 東京, ﬁn, e\u0301.\n';

const SHAPE = {
  vocab_size: VOCABULARY,
  hidden_size: 128,
  intermediate_size: 256,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
};

const DEEPSEEK = {
  ...SHAPE,
  kv_lora_rank: 64,
  qk_nope_head_dim: 32,
  qk_rope_head_dim: 32,
  v_head_dim: 32,
  moe_intermediate_size: 64,
  n_routed_experts: 8,
  n_shared_experts: 1,
  num_experts_per_tok: 3,
  first_k_dense_replace: 1,
};

const yarn = (mscale: number) => ({
  rope_type: 'yarn',
  factor: 8,
  original_max_position_embeddings: 64,
  beta_fast: 32,
  beta_slow: 1,
  mscale,
  mscale_all_dim: mscale,
});

const LLAMA3 = {
  rope_type: 'llama3',
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

/** config.json by name. */
const CONFIGS: Readonly<Record<string, Record<string, unknown>>> = {
  llama: { ...SHAPE, model_type: 'llama' },
  'llama, 3.1 rope, biases': { ...SHAPE, model_type: 'llama', rope_scaling: LLAMA3, attention_bias: true },
  'llama, linear rope': { ...SHAPE, model_type: 'llama', rope_scaling: { rope_type: 'linear', factor: 4 } },
  qwen2: { ...SHAPE, model_type: 'qwen2' },
  'qwen3, tied': { ...SHAPE, model_type: 'qwen3', tie_word_embeddings: true },
  qwen3moe: {
    ...SHAPE,
    model_type: 'qwen3_moe',
    num_experts: 8,
    num_experts_per_tok: 3,
    moe_intermediate_size: 64,
    norm_topk_prob: true,
  },
  gemma3: {
    ...SHAPE,
    model_type: 'gemma3_text',
    sliding_window: 16,
    query_pre_attn_scalar: 32,
    num_hidden_layers: 7,
    tie_word_embeddings: true,
  },
  'deepseek2, V2-Lite': {
    ...DEEPSEEK,
    model_type: 'deepseek_v2',
    q_lora_rank: null,
    topk_method: 'greedy',
    rope_scaling: yarn(0.8),
  },
  'deepseek2, V3': {
    ...DEEPSEEK,
    model_type: 'deepseek_v3',
    q_lora_rank: 64,
    n_group: 4,
    topk_group: 2,
    norm_topk_prob: true,
    routed_scaling_factor: 2.5,
    rope_scaling: yarn(1),
  },
};

/** A model with the module that predicts one token further, which llama.cpp passes over. */
const AHEAD = 'deepseek2, V3 with MTP';
function modelNamed(name: string): CausalModel {
  if (name !== AHEAD) return modelFromConfig(CONFIGS[name], name);
  const json = { ...CONFIGS['deepseek2, V3'], num_nextn_predict_layers: 1 };
  return deepseekModel(fromHuggingFace(json, name), { aheadWeight: 0.1 });
}

/** Standard deviation 1/√columns in matrices, gains around 1, biases and corrections of a quarter. */
export function filled(model: CausalModel, seed: number): ParameterStore {
  const store = new ParameterStore(model.parameters);
  const random = new Random(seed);
  const middle = model.architecture === 'gemma3_text' ? 0 : 1; // Gemma multiplies by 1 + w
  for (const spec of store.specs) {
    const values = store.slice(store.flat, spec);
    const isGain = spec.name.endsWith('norm.weight');
    const bound = spec.dims.length > 1 ? Math.sqrt(3 / (spec.dims[1] as number)) : 0.25;
    for (let i = 0; i < values.length; i++)
      values[i] = bound * (2 * random.uniform() - 1) + (isGain ? middle : 0);
  }
  return store;
}

export interface Agreement {
  readonly model: string;
  readonly type: WritableType;
  /** Greedy tokens from the first on that are the same, of 64. */
  readonly sameTokens: number;
  /** Whether llama.cpp cuts the text into the same ids. */
  readonly sameIds: boolean;
}

interface Case {
  readonly name: string;
  readonly type: WritableType;
  readonly model: CausalModel;
  readonly store: ParameterStore;
  readonly tokenizer: Tokenizer;
  readonly prompt: string;
}

async function compare(runtime: Runtime, llama: Llama, folder: string, c: Case): Promise<Agreement> {
  const path = join(folder, 'model.gguf');
  const vocabulary = ggufVocabulary(c.tokenizer, { size: c.model.vocabSize });
  await nodeFiles().write(path, ggufOf(c.model, c.store, { type: c.type, name: c.name, vocabulary }));
  const prompt = c.tokenizer.encode(c.prompt, { addSpecial: true });
  const ours = await gaslawTokens(runtime, path, prompt);
  const theirs = await llamaTokens(llama, path, prompt, c.prompt);
  const plain = c.tokenizer.encode(c.prompt);
  const differs = ours.findIndex((id, i) => id !== theirs.ids[i]);
  return {
    model: c.name,
    type: c.type,
    sameTokens: differs < 0 ? ours.length : differs,
    sameIds: plain.join() === theirs.promptIds.join(),
  };
}

async function gaslawTokens(runtime: Runtime, path: string, prompt: number[]): Promise<number[]> {
  const language = await openLanguageModel(nodeFiles(), path);
  using decoder = await language.decoder(runtime);
  using open = openEngine(decoder);
  const options = { maxTokens: NEW_TOKENS, seed: 0, temperature: 0 };
  const { ids } = await open.engine.submit({ prompt, ...options });
  return [...ids];
}

/** float32 all through: its defaults keep keys and values as float16 and let attention sum in it. */
export const EXACT = {
  contextSize: 512,
  batchSize: 512,
  threads: 1,
  sequences: 1,
  flashAttention: false,
  experimentalKvCacheKeyType: 'F32',
  experimentalKvCacheValueType: 'F32',
};

async function llamaTokens(llama: Llama, path: string, prompt: number[], text: string) {
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext(EXACT);
  const ids: number[] = [];
  for await (const id of context.getSequence().evaluate(prompt, { temperature: 0, yieldEogToken: true }))
    if (ids.push(id) === NEW_TOKENS) break;
  const promptIds = [...model.tokenize(text)];
  await context.dispose();
  await model.dispose();
  return { ids, promptIds };
}

export async function benchAgreement(peer: string, stories: string | undefined, seeds: number) {
  const [runtime, llama] = [await nativeRuntime(), await openLlama(peer)];
  const folder = mkdtempSync(join(tmpdir(), 'gaslaw-agreement-'));
  const tokenizer = trainBpe([TEXT.repeat(8)], { vocabSize: VOCABULARY });
  const results: Agreement[] = [];
  for (let seed = 1; seed <= seeds; seed++)
    for (const name of [...Object.keys(CONFIGS), AHEAD]) {
      const model = modelNamed(name);
      const store = filled(model, seed);
      const found = await compare(runtime, llama, folder, {
        name,
        type: 'F32',
        model,
        store,
        tokenizer,
        prompt: TEXT,
      });
      process.stderr.write(`${JSON.stringify(found)}\n`);
      results.push(found);
    }
  if (stories !== undefined) {
    const { model, store, tokenizer: own } = await openLanguageModel(nodeFiles(), stories);
    if (!store) throw new Error(`${stories}: has no weights to write`);
    for (const type of WRITABLE_TYPES.filter(t => !t.endsWith('_K'))) {
      const c = { name: 'stories', type, model, store, tokenizer: own, prompt: 'Once upon a time' };
      const found = await compare(runtime, llama, folder, c);
      process.stderr.write(`${JSON.stringify(found)}\n`);
      results.push(found);
    }
  }
  rmSync(folder, { recursive: true });
  return results;
}
