/** Scaled 8-bit floats: as PyTorch turns them back, whole and in pieces; what does not fit is named. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors } from '../formats/safetensors.ts';
import { float32, type Tensor } from '../graph/ir.ts';
import { ParameterStore, zeroInit } from '../nn/parameters.ts';
import { CharacterTokenizer } from '../tokenizer/character.ts';
import { type FileContent, memoryFiles, readJson } from '../util/files.ts';
import { decodeFloat, encodeFloats, FLOAT_FORMATS } from '../util/float16.ts';
import { Random } from '../util/random.ts';
import { denseConfig, denseModel } from './dense/index.ts';
import { loadWeights, saveModel } from './files.ts';
import { scaleBlockOf } from './scaled-weights.ts';
import { openFiles } from './weight-files.ts';

interface Fixture {
  readonly file: string;
  readonly tensors: Readonly<Record<string, { dims: number[]; values: string }>>;
}

// made by bench/peers/reference_fp8.py
const path = new URL('../../bench/peers/fixtures/fp8.json', import.meta.url);
const [fixture] = JSON.parse(readFileSync(path, 'utf8')) as [Fixture];
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));
const parameters = Object.entries(fixture.tensors).map(([name, { dims }]) => ({
  name,
  dims,
  init: zeroInit,
}));
const open = (file: FileContent, scaleBlock: [number, number] | undefined = [128, 128]) =>
  openFiles(
    memoryFiles({ 'm.safetensors': file }),
    ['m.safetensors'],
    { parameters, what: 'test', config: 'config.json', scaleBlock },
    'm.safetensors',
  );

describe('a file that PyTorch made', () => {
  it.each(Object.keys(fixture.tensors))('%s has its values, bit for bit', async name => {
    const want = new Float32Array(bytesOf(fixture.tensors[name]?.values as string).buffer);
    const weights = await open(bytesOf(fixture.file));
    const got = new Float32Array(want.length);
    await weights.readFloats(name, got);
    expect(got).toEqual(want);
    for (const first of [0, 3, want.length - 2]) {
      const piece = new Float32Array(Math.min(151, want.length - first));
      await weights.readFloats(name, piece, first);
      expect(piece).toEqual(want.slice(first, first + piece.length));
    }
  });

  it('is refused without scales, with scales of another shape, without a block', async () => {
    const { tensors } = decodeSafetensors(bytesOf(fixture.file));
    const changed = (change: (map: Map<string, Tensor>) => void) => {
      const map = new Map(tensors);
      change(map);
      return encodeSafetensors(map);
    };
    await expect(open(changed(map => map.delete('a.weight_scale_inv')))).rejects.toThrow(
      /"a\.weight" is in 8-bit floats, but "a\.weight_scale_inv" is missing/,
    );
    const wrong = changed(map => map.set('b.weight_scale_inv', float32([3, 1], [1, 2, 3])));
    await expect(open(wrong)).rejects.toThrow(
      /"b\.weight_scale_inv" is float32\[3,1\].*needs float32\[1,3\]/,
    );
    await expect(
      openFiles(
        memoryFiles({ 'm.safetensors': bytesOf(fixture.file) }),
        ['m.safetensors'],
        { parameters, what: 'test', config: 'config.json' },
        'm.safetensors',
      ),
    ).rejects.toThrow(/config\.json has no quantization_config/);
  });
});

describe('a directory', () => {
  const tokenizer = CharacterTokenizer.fromAlphabet('abcdefgh');
  const model = denseModel(
    denseConfig({
      vocabSize: tokenizer.vocabSize,
      hiddenSize: 24,
      intermediateSize: 40,
      numHiddenLayers: 1,
      numAttentionHeads: 2,
      numKeyValueHeads: 1,
      headDim: 8,
    }),
  );

  it('in blocks of another size is loaded with its scales', async () => {
    const files = memoryFiles();
    const store = new ParameterStore(model.parameters).initialize(new Random(5));
    await saveModel(files, 'm', model, store, tokenizer);
    const stored = new Map<string, Tensor>();
    const want = new Map<string, number[]>();
    for (const { name, dims } of model.parameters) {
      const tensor = store.tensor(name);
      const [rows, columns] = dims as [number, number];
      const codes = encodeFloats(tensor.data as Float32Array, 'float8e4m3fn');
      const across = Math.ceil((columns ?? 0) / 16);
      if (dims.length !== 2 || name.includes('embed')) stored.set(name, tensor);
      else {
        const scales = Float32Array.from({ length: Math.ceil(rows / 8) * across }, (_, i) => 1 + i / 7);
        stored.set(name, { dtype: 'float8e4m3fn', dims, data: Uint8Array.from(codes) });
        stored.set(`${name}_scale_inv`, float32([Math.ceil(rows / 8), across], scales));
        const scaleAt = (i: number) =>
          scales[Math.floor(i / columns / 8) * across + Math.floor((i % columns) / 16)] as number;
        want.set(
          name,
          [...codes].map((code, i) =>
            Math.fround(decodeFloat(code, FLOAT_FORMATS.float8e4m3fn) * scaleAt(i)),
          ),
        );
      }
    }
    await files.write('m/model.safetensors', encodeSafetensors(stored));
    const config = (await readJson(files, 'm/config.json')) as object;
    const quantization_config = { quant_method: 'fp8', fmt: 'e4m3', weight_block_size: [8, 16] };
    await files.write('m/config.json', JSON.stringify({ ...config, quantization_config }));
    const loaded = await loadWeights(files, 'm');
    expect(want.size).toBeGreaterThan(5);
    for (const [name, values] of want)
      expect([...(loaded.store.tensor(name).data as Float32Array)]).toEqual(values);
  });

  it.each([
    [{ quant_method: 'gptq', bits: 4 }, /quant_method "gptq" is not read/],
    [{ quant_method: 'fp8' }, /known is fp8 with a weight_block_size/],
    [{ quant_method: 'fp8', weight_block_size: [128, 0] }, /\[128,0\] is not two whole numbers/],
    [{ quant_method: 'fp8', weight_block_size: [128] }, /is not two whole numbers/],
  ])('with %j is refused', (quantization_config, message) => {
    expect(() => scaleBlockOf({ quantization_config }, 'config.json')).toThrow(message);
    expect(scaleBlockOf({}, 'config.json')).toBeUndefined();
  });
});
