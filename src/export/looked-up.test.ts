/** A table that stays in its file gives the rows that a table in memory gives, and only those are read. */
import { expect, it } from 'vitest';
import { Decoder } from '../generate/decoder.ts';
import { decodeGraph, weightInputs } from '../generate/graphs.ts';
import { modelOf } from '../graph/ir.ts';
import { verify } from '../graph/verify.ts';
import { modelFromConfig } from '../models/index.ts';
import { ParameterStore } from '../nn/parameters.ts';
import { nativeRuntime } from '../runtime/native/native.ts';
import { Random } from '../util/random.ts';
import { LookedUpProgram, takeOutLookup } from './looked-up.ts';

const SHAPE = {
  vocab_size: 40,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  max_position_embeddings: 16,
};
const TABLE = 'model.embed_tokens.weight';

it.each([
  ['llama', {}, false],
  ['qwen3', { tie_word_embeddings: true }, true],
  ['gemma3_text', { tie_word_embeddings: true, sliding_window: 4, query_pre_attn_scalar: 8 }, true],
  ['deepseek_v3', { n_routed_experts: 0, q_lora_rank: null, kv_lora_rank: 16 }, false],
])('%s', async (model_type, more, isRead) => {
  const runtime = await nativeRuntime();
  const model = modelFromConfig({ ...SHAPE, ...more, model_type }, 'config');
  const store = new ParameterStore(model.parameters).initialize(new Random(2));
  const graph = decodeGraph(model);
  const lookup = takeOutLookup(graph);
  verify(graph);
  expect(lookup).toMatchObject({ table: TABLE, width: 32 });
  const inputs = weightInputs(graph, model).filter(({ name }) => name !== lookup?.rows.name);
  expect(inputs.some(({ name }) => name === TABLE)).toBe(isRead); // a tied one is the output matrix too
  const asked: number[] = [];
  const source = {
    elementsOf: () => 0,
    async readFloats(name: string, out: Float32Array, first = 0) {
      expect([name, out.length]).toEqual([TABLE, 32]);
      asked.push(first / 32);
      out.set((store.tensor(name).data as Float32Array).subarray(first, first + out.length));
    },
  };
  for (const { name } of inputs) graph.initializers.set(name, store.tensor(name));
  graph.inputs = graph.inputs.filter(input => !inputs.includes(input));
  const inner = await runtime.compile(modelOf(graph));
  const program = new LookedUpProgram(inner, lookup as NonNullable<typeof lookup>, source);
  using decoder = await Decoder.fromProgram(runtime, model, program);
  using plain = await Decoder.create(runtime, model, store.tensors());
  const ids = [3, 1, 4, 1, 39];
  const logits = async (of: Decoder) => {
    const out = new Float32Array(model.vocabSize);
    using lane = of.lane(of.allocateCache(1, 8), { rows: 1, length: 5 }, out);
    lane.ids.set(ids);
    lane.lastPosition[0] = 4;
    await lane.run();
    return out;
  };
  const [a, b] = [await logits(decoder), await logits(plain)];
  expect(Math.max(...a.map((z, i) => Math.abs(z - (b[i] as number))))).toBeLessThan(1e-5);
  expect(asked).toEqual(ids);
});
