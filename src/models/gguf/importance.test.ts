/** Importance matrices in llama.cpp's files. */
import { describe, expect, it } from 'vitest';
import { scalar } from '../../formats/gguf/types.ts';
import { encodeGguf, type PendingGgufTensor } from '../../formats/gguf/writer.ts';
import { concatBytes, memoryFiles } from '../../util/files.ts';
import { modelFromConfig } from '../index.ts';
import { readImportance } from './importance.ts';

const model = modelFromConfig(
  {
    model_type: 'qwen3_moe',
    vocab_size: 40,
    hidden_size: 8,
    intermediate_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    head_dim: 4,
    max_position_embeddings: 16,
    num_experts: 3,
    num_experts_per_tok: 1,
    moe_intermediate_size: 4,
    norm_topk_prob: true,
  },
  'config',
);

const tensor = (name: string, dims: readonly number[], values: readonly number[]): PendingGgufTensor => ({
  name,
  type: 'F32',
  dims,
  make: () => [new Uint8Array(Float32Array.from(values).buffer)],
});

const read = (...tensors: PendingGgufTensor[]) =>
  readImportance(
    memoryFiles({ 'i.gguf': encodeGguf(new Map([['general.type', scalar('string', 'imatrix')]]), tensors) }),
    'i.gguf',
    model,
  );

const eight = [1, 2, 3, 4, 5, 6, 7, 8];

describe('an importance matrix', () => {
  it('is sums over counts, of each expert its own; experts without tokens have none', async () => {
    const found = await read(
      tensor('blk.0.attn_q.weight.in_sum2', [1, 8], eight),
      tensor('blk.0.attn_q.weight.counts', [1, 1], [2]),
      tensor('blk.0.ffn_down_exps.weight.in_sum2', [3, 4], [4, 4, 4, 4, 0, 0, 0, 0, 10, 20, 30, 40]),
      tensor('blk.0.ffn_down_exps.weight.counts', [3, 1], [4, 0, 10]),
    );
    expect(Object.fromEntries([...found].map(([name, means]) => [name, [...means]]))).toEqual({
      'model.layers.0.self_attn.q_proj.weight': [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4],
      'model.layers.0.mlp.experts.0.down_proj.weight': [1, 1, 1, 1],
      'model.layers.0.mlp.experts.2.down_proj.weight': [1, 2, 3, 4],
    });
  });

  it.each([
    ['of nothing here', [tensor('blk.9.attn_q.weight.in_sum2', [1, 8], eight)], /holds no sums for tensors/],
    ['without counts', [tensor('blk.0.attn_q.weight.in_sum2', [1, 8], eight)], /another model's/],
    [
      'of other widths',
      [
        tensor('blk.0.attn_q.weight.in_sum2', [1, 4], [1, 2, 3, 4]),
        tensor('blk.0.attn_q.weight.counts', [1, 1], [1]),
      ],
      /has 4 sums for 1 matrices of 8 columns/,
    ],
    [
      'with a negative sum',
      [
        tensor(
          'blk.0.attn_q.weight.in_sum2',
          [1, 8],
          eight.map(x => -x),
        ),
        tensor('blk.0.attn_q.weight.counts', [1, 1], [1]),
      ],
      /no sums of squares/,
    ],
  ])('%s is refused', async (_, tensors, message) => {
    await expect(read(...tensors)).rejects.toThrow(message);
  });

  it('in the older form is read too, experts by their place in the stack', async () => {
    const int = (value: number) => new Uint8Array(Int32Array.of(value).buffer);
    const entry = (name: string, calls: number, values: readonly number[]) => [
      int(name.length),
      new TextEncoder().encode(name),
      int(calls),
      int(values.length),
      new Uint8Array(Float32Array.from(values).buffer),
    ];
    const from = (...pieces: Uint8Array[]) =>
      readImportance(memoryFiles({ 'i.dat': concatBytes(pieces) }), 'i.dat', model);
    const found = await from(
      int(2),
      ...entry('blk.0.attn_q.weight', 2, eight),
      ...entry('blk.0.ffn_down_exps.weight', 4, [4, 4, 4, 4, 0, 0, 0, 0, 4, 8, 12, 16]),
    );
    expect(Object.fromEntries([...found].map(([name, means]) => [name, [...means]]))).toEqual({
      'model.layers.0.self_attn.q_proj.weight': [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4],
      'model.layers.0.mlp.experts.0.down_proj.weight': [1, 1, 1, 1],
      'model.layers.0.mlp.experts.2.down_proj.weight': [1, 2, 3, 4],
    });
    await expect(from(int(1), ...entry('blk.0.attn_q.weight', 1, [1]))).rejects.toThrow(
      'i.dat: entry "blk.0.attn_q.weight" has 1 sums for 1 matrices of 8 columns',
    );
    await expect(from(new TextEncoder().encode('what is this'))).rejects.toThrow(
      /i.dat: .*runs past the end/,
    );
  });
});
