/**
 * How far next-token distributions move when activations are rounded to 8 bits: files of quantized random models opened with
 * float activations, as they are stored (ONNX Runtime's products round), and by llama.cpp (which rounds as well).
 *
 * 1. All three read the same weights bit for bit; what differs is the rounding of activations, and that K-quants are rounded
 *    to 8 bits once more where they are opened as they are stored.
 * 2. The measure is the mean Kullback-Leibler divergence over 48 places of one text, and at how many the likeliest token is
 *    the same.
 * Usage: npm run bench -- rounding --peer DIR [--seeds N]    (node-llama-cpp is installed in DIR)
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFiles } from '../src/cli/node-files.ts';
import { type OpenDType, openLanguageModel } from '../src/export/language-model.ts';
import { ggufOf } from '../src/models/gguf/write.ts';
import { modelFromConfig } from '../src/models/index.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { ggufVocabulary } from '../src/tokenizer/gguf-vocabulary.ts';
import { trainBpe } from '../src/tokenizer/train-bpe.ts';
import { EXACT, filled, TEXT } from './agreement.ts';
import { type Llama, openLlama } from './llama-module.ts';

const [VOCABULARY, WIDTH, PLACES] = [512, 256, 48];

const SHAPE = {
  vocab_size: VOCABULARY,
  hidden_size: WIDTH,
  intermediate_size: 2 * WIDTH,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: WIDTH / 4,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
};
const EXPERTS = { moe_intermediate_size: WIDTH / 2, num_experts_per_tok: 3, norm_topk_prob: true };
const DEEPSEEK = {
  ...SHAPE,
  ...EXPERTS,
  model_type: 'deepseek_v3',
  q_lora_rank: WIDTH / 2,
  kv_lora_rank: WIDTH / 2,
  qk_nope_head_dim: WIDTH / 4,
  qk_rope_head_dim: 32,
  v_head_dim: WIDTH / 4,
  n_routed_experts: 8,
  n_shared_experts: 1,
  first_k_dense_replace: 1,
  n_group: 4,
  topk_group: 2,
  routed_scaling_factor: 2.5,
};

const CONFIGS: Readonly<Record<string, Record<string, unknown>>> = {
  llama: { ...SHAPE, model_type: 'llama' },
  'qwen3moe, 3 of 8 experts': { ...SHAPE, ...EXPERTS, model_type: 'qwen3_moe', num_experts: 8 },
  'deepseek2, dense layers alone': { ...DEEPSEEK, first_k_dense_replace: 3 },
  'deepseek2, all 8 experts': { ...DEEPSEEK, num_experts_per_tok: 8, n_group: 1, topk_group: 1 },
  'deepseek2, 3 of 8 experts': DEEPSEEK,
};
const TYPES = ['F32', 'Q8_0', 'Q4_0', 'Q4_K'] as const;

/** log p of all tokens after each place. */
type Rows = readonly (readonly number[])[];

export interface Rounding {
  readonly model: string;
  readonly type: (typeof TYPES)[number];
  readonly seed: number;
  /** KL(float activations ‖ as stored), and of llama.cpp. */
  readonly stored: number;
  readonly llamaCpp: number;
  /** KL(llama.cpp ‖ as stored). */
  readonly between: number;
  /** Places, of 48, at which llama.cpp and what is stored have the same likeliest token. */
  readonly sameBest: number;
}

export async function benchRounding(peer: string, seeds: number): Promise<Rounding[]> {
  const [runtime, llama] = [await nativeRuntime(), await openLlama(peer)];
  const path = join(mkdtempSync(join(tmpdir(), 'gaslaw-rounding-')), 'model.gguf');
  const tokenizer = trainBpe([TEXT.repeat(8)], { vocabSize: VOCABULARY });
  const vocabulary = ggufVocabulary(tokenizer, { size: VOCABULARY });
  const ids = tokenizer.encode(TEXT).slice(0, PLACES);
  const results: Rounding[] = [];
  for (const [name, config] of Object.entries(CONFIGS))
    for (const type of TYPES)
      for (let seed = 1; seed <= seeds; seed++) {
        const model = modelFromConfig(config, name);
        await nodeFiles().write(path, ggufOf(model, filled(model, seed), { type, name, vocabulary }));
        const exact = await gaslawRows(runtime, path, ids, 'f32');
        const stored = await gaslawRows(runtime, path, ids);
        const other = await llamaRows(llama, path, ids);
        const found = {
          model: name,
          type,
          seed,
          stored: divergence(exact, stored),
          llamaCpp: divergence(exact, other),
          between: divergence(other, stored),
          sameBest: other.filter((row, i) => best(row) === best(stored[i] ?? [])).length,
        };
        process.stderr.write(`${JSON.stringify(found)}\n`);
        results.push(found);
      }
  rmSync(join(path, '..'), { recursive: true });
  return results;
}

async function gaslawRows(
  runtime: Runtime,
  path: string,
  ids: readonly number[],
  dtype?: OpenDType,
): Promise<Rows> {
  const language = await openLanguageModel(nodeFiles(), path, { dtype });
  using decoder = await language.decoder(runtime, { threads: 1 });
  const logits = new Float32Array(ids.length * VOCABULARY);
  const shape = { rows: 1, length: ids.length, everyPosition: true };
  using lane = decoder.lane(decoder.allocateCache(1, ids.length), shape, logits);
  lane.ids.set(ids);
  lane.lastPosition[0] = ids.length - 1;
  await lane.run();
  return ids.map((_, i) => logSoftmax([...logits.subarray(i * VOCABULARY, (i + 1) * VOCABULARY)]));
}

async function llamaRows(llama: Llama, path: string, ids: readonly number[]): Promise<Rows> {
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext(EXACT);
  const asked = { generateNext: { probabilities: true, options: { temperature: 0 } } };
  const answers = await context.getSequence().controlledEvaluate(ids.map(id => [id, asked] as const));
  await context.dispose();
  await model.dispose();
  return answers.map(({ next }) =>
    Array.from({ length: VOCABULARY }, (_, id) => Math.log(next.probabilities.get(id) ?? Number.MIN_VALUE)),
  );
}

function logSoftmax(logits: readonly number[]): number[] {
  const most = Math.max(...logits);
  const total = most + Math.log(logits.reduce((sum, z) => sum + Math.exp(z - most), 0));
  return logits.map(z => z - total);
}

/** Mean over places of Σ p (log p − log q). */
const divergence = (p: Rows, q: Rows): number =>
  p.reduce(
    (sum, row, i) => sum + row.reduce((s, x, id) => s + Math.exp(x) * (x - (q[i]?.[id] as number)), 0),
    0,
  ) / p.length;

const best = (row: readonly number[]): number => row.indexOf(Math.max(...row));
