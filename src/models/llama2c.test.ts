/** llama2.c files as models: every parameter in its place, and the tokenizer that belongs to them. */
import { describe, expect, it } from 'vitest';
import { encodeLlama2c, type Llama2cConfig, type Llama2cTensor } from '../formats/llama2c.ts';
import { sizeOf } from '../graph/ir.ts';
import { ParameterStore } from '../nn/parameters.ts';
import { concatBytes, type FileStore, memoryFiles } from '../util/files.ts';
import { endIds, tokenRoles } from './files.ts';
import { openLlama2cFiles, openLlama2cModel } from './llama2c.ts';

const CONFIG: Llama2cConfig = {
  dim: 8,
  hiddenDim: 12,
  layers: 2,
  heads: 2,
  keyHeads: 1,
  vocabSize: 262,
  positions: 16,
  sharedOutput: false,
};

/** Values that tell their place in the tensor. */
const counted = (name: Llama2cTensor, dims: readonly number[]): Float32Array =>
  Float32Array.from({ length: sizeOf(dims) }, (_, i) => (name === 'wcls' ? -i : i));

/** A vocabulary of `count` pieces as llama2.c's tokenizer.py writes it. */
function tokenizerBin(count: number): Uint8Array {
  const pieces = Array.from({ length: count }, (_, id) => {
    const byte = `<0x${(id - 3).toString(16).toUpperCase().padStart(2, '0')}>`;
    const text =
      ['<unk>', '\n<s>\n', '\n</s>\n'][id] ?? (id < 259 ? byte : 'abcdefgh'.slice(id - 259, id - 258));
    const utf8 = new TextEncoder().encode(text);
    const piece = new Uint8Array(8 + utf8.length);
    new DataView(piece.buffer).setInt32(4, utf8.length, true);
    piece.set(utf8, 8);
    return piece;
  });
  return concatBytes([Uint8Array.of(6, 0, 0, 0), ...pieces]);
}

const filesWith = (more: Record<string, Uint8Array> = {}): FileStore =>
  memoryFiles({ 'a/m.bin': concatBytes([...encodeLlama2c(CONFIG, counted)]), ...more });

describe('weights', () => {
  it('of the second layer, of queries in halves, of the output', async () => {
    const { model, weights } = await openLlama2cModel(filesWith(), 'a/m.bin');
    const store = new ParameterStore(model.parameters);
    await weights.readInto(store);
    const valuesOf = (name: string) => [...(store.tensor(name).data as Float32Array)];
    expect(valuesOf('model.layers.1.mlp.up_proj.weight')[0]).toBe(12 * 8);
    expect(valuesOf('lm_head.weight').slice(0, 3)).toEqual([-0, -1, -2]);
    // a head of 4 rows of 8: stored rows 0, 2, then 1, 3
    const query = valuesOf('model.layers.1.self_attn.q_proj.weight').filter((_, i) => i % 8 === 0);
    expect(query).toEqual([0, 2, 1, 3, 4, 6, 5, 7].map(row => 64 + 8 * row));
    const piece = new Float32Array(3);
    await weights.readFloats('model.layers.1.self_attn.q_proj.weight', piece, 15);
    expect([...piece]).toEqual([64 + 16 + 7, 64 + 8, 64 + 9]);
    expect(weights.elementsOf('model.layers.1.self_attn.k_proj.weight')).toBe(4 * 8);
  });
});

describe('the tokenizer', () => {
  it('has one token that ends a text, the begin token is another: run.c stops there', async () => {
    const files = filesWith({ 'a/tok262.bin': tokenizerBin(262) });
    const { model, tokenizer } = await openLlama2cFiles(files, 'a/m.bin');
    expect(endIds(model, tokenizer)).toEqual([2, 1]);
    expect(tokenRoles(model.toHuggingFace(), tokenizer)).toMatchObject({
      bos_token_id: 1,
      eos_token_id: [2, 1],
    });
  });

  it('lies beside the file, under either name', async () => {
    for (const name of ['tok262.bin', 'tokenizer.bin']) {
      const { tokenizer } = await openLlama2cFiles(
        filesWith({ [`a/${name}`]: tokenizerBin(262) }),
        'a/m.bin',
      );
      expect(tokenizer.vocabSize).toBe(262);
    }
  });

  it('or is named', async () => {
    const files = filesWith({ 'b/t.bin': tokenizerBin(262) });
    expect((await openLlama2cFiles(files, 'a/m.bin', 'b/t.bin')).tokenizer.bos).toBe(1);
    const saved = (await openLlama2cFiles(files, 'a/m.bin', 'b/t.bin')).tokenizer.save();
    for (const [name, value] of Object.entries(saved)) await files.write(`c/${name}`, JSON.stringify(value));
    for (const path of ['c', 'c/tokenizer.json'])
      expect((await openLlama2cFiles(files, 'a/m.bin', path)).tokenizer.vocabSize).toBe(262);
  });

  it.each([
    [undefined, /a\/m.bin: neither tok262.bin nor tokenizer.bin beside it; give its tokenizer/],
    ['b/small.bin', /b\/small.bin: has 261 tokens but a\/m.bin has 262/],
    ['a/m.bin', /a\/m.bin: token 1 at byte 14 runs past the end/],
  ])('refused: %s', async (path, message) => {
    const files = filesWith({ 'b/small.bin': tokenizerBin(261) });
    await expect(openLlama2cFiles(files, 'a/m.bin', path)).rejects.toThrow(message);
  });
});
