/** A language model through every way of storing it in few bits. */
import { beforeAll, describe, expect, it } from 'vitest';
import { loadOnnxModel, onnxDecoder } from '../src/export/load.ts';
import {
  LANGUAGE_DTYPES,
  type QuantizeLanguageOptions,
  quantizeLanguageModel,
} from '../src/export/quantize-language-model.ts';
import { readCalibrationText } from '../src/export/text.ts';
import { openGguf } from '../src/formats/gguf/reader.ts';
import { Engine } from '../src/generate/engine.ts';
import { generateText } from '../src/generate/text.ts';
import { denseConfig, denseModel } from '../src/models/dense/index.ts';
import { saveModel } from '../src/models/files.ts';
import { openGgufFiles } from '../src/models/gguf/files.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { CharacterTokenizer } from '../src/tokenizer/character.ts';
import type { Tokenizer } from '../src/tokenizer/tokenizer.ts';
import { trainBpe } from '../src/tokenizer/train-bpe.ts';
import { weightsScorer } from '../src/train/perplexity.ts';
import { memoryFiles } from '../src/util/files.ts';
import { Random } from '../src/util/random.ts';

const WORDS = ['the ', 'cat ', 'sat ', 'on ', 'a ', 'mat ', 'and ', 'ran. '];

function words(count: number): string {
  const random = new Random(3);
  return Array.from({ length: count }, () => WORDS[random.int(WORDS.length)]).join('');
}

const TEXT = words(600);
const files = memoryFiles({ 'words.txt': TEXT, 'short.txt': 'the cat' });

async function save(folder: string, tokenizer: Tokenizer): Promise<void> {
  const model = denseModel(
    denseConfig({
      modelType: 'qwen3',
      qkNorm: true,
      vocabSize: tokenizer.vocabSize,
      hiddenSize: 256,
      numHiddenLayers: 1,
      numAttentionHeads: 4,
      numKeyValueHeads: 2,
      headDim: 64,
      intermediateSize: 256,
      maxPositionEmbeddings: 64,
      initializerRange: 0.08,
      tieWordEmbeddings: true,
    }),
  );
  const store = new ParameterStore(model.parameters).initialize(new Random(4));
  await saveModel(files, folder, model, store, tokenizer);
}

beforeAll(async () => {
  await save('m', CharacterTokenizer.fromAlphabet(TEXT));
  await save('bpe', trainBpe([TEXT], { vocabSize: 300 }));
});

const quantize = (options: Partial<QuantizeLanguageOptions>, path = 'm') =>
  quantizeLanguageModel(files, nativeRuntime, path, {
    dtype: 'int8',
    out: 'out',
    data: 'words.txt',
    ...options,
  });

describe('as a graph', () => {
  it.each([
    ['int8', undefined],
    ['int8', 'smoothquant'],
    ['int4', 'rtn'],
    ['int4', 'hqq'],
    ['int4', 'gptq'],
    ['int4', 'awq'],
  ] as const)('%s by %s: the file predicts the held-out text about as before', async (dtype, method) => {
    const report = await quantize({ dtype, method, out: `${dtype}-${method}` });
    expect(report.method).toBe(method ?? 'gptq');
    const ratio = (report.qualityAfter as number) / (report.qualityBefore as number);
    expect(Math.abs(Math.log(ratio))).toBeLessThan(dtype === 'int8' ? 0.02 : 0.25);
    expect(ratio).not.toBe(1);
    expect(report.bytesAfter).toBeLessThan((dtype === 'int8' ? 0.4 : 0.3) * report.bytesBefore);
    expect(report.macsAfter).toBe(report.macsBefore);
  });

  it('in integers decodes in the engine', async () => {
    await quantize({ method: 'smoothquant', out: 'w8a8' });
    const loaded = await loadOnnxModel(files, 'w8a8');
    expect(loaded.onnx.graph.nodes.map(n => n.opType)).toContain('MatMulInteger');
    const runtime = await nativeRuntime();
    using decoder = await onnxDecoder(runtime, loaded);
    using engine = new Engine(decoder, { slots: 1, capacity: 64 });
    const options = { maxTokens: 8, temperature: 0, seed: 1 };
    const { ids } = await generateText(engine, loaded.tokenizer, 'the cat ', options);
    expect(ids).toHaveLength(8);
  });
});

describe('as GGUF', () => {
  it('a mixture gives values and the feed-forward’s last more bits', async () => {
    await quantize({ dtype: 'q4_k_m', data: undefined, out: 'mixed.gguf' }, 'bpe');
    const { tensors } = await openGguf(files, 'mixed.gguf');
    const types = ['attn_v', 'ffn_down', 'ffn_up'].map(name => tensors.get(`blk.0.${name}.weight`)?.type);
    expect(types).toEqual(['Q6_K', 'Q6_K', 'Q4_K']);
  });

  it.each(['q2_k', 'q4_k', 'q4_0'])('%s', async dtype => {
    expect(LANGUAGE_DTYPES).toContain(dtype);
    const report = await quantize({ dtype, out: `${dtype}.gguf` }, 'bpe');
    const type = dtype.toUpperCase();
    const { tensors } = await openGguf(files, `${dtype}.gguf`);
    expect(tensors.get('blk.0.ffn_up.weight')?.type).toBe(type);
    const ratio = (report.qualityAfter as number) / (report.qualityBefore as number);
    const bits = Number(dtype[1]);
    expect(Math.abs(Math.log(ratio))).toBeLessThan(0.6 * 2 ** (1 - bits) + 0.01);
  });
});

describe('with a text alone', () => {
  it.each(['q4_0', 'q5_k'])(
    '%s is by gptq where that is surely better between the sequences',
    async dtype => {
      const written = (folder: string, options: Partial<QuantizeLanguageOptions>) =>
        quantize({ dtype, out: `${folder}/m.gguf`, ...options }, 'bpe');
      const { method } = await written('default', {});
      expect(['mse', 'gptq']).toContain(method);
      for (const way of ['mse', 'gptq'] as const) await written(way, { method: way });
      expect(await files.read('default/m.gguf')).toEqual(await files.read(`${method}/m.gguf`));
      const difference = (await natsBetween('gptq/m.gguf')) - (await natsBetween('mse/m.gguf'));
      if (method === 'gptq') expect(difference).toBeLessThan(0);
    },
  );
});

async function natsBetween(path: string): Promise<number> {
  const { model, weights, tokenizer } = await openGgufFiles(files, path);
  const store = new ParameterStore(model.parameters);
  await weights.readInto(store);
  const { between, length } = await readCalibrationText(files, 'words.txt', tokenizer, model);
  expect(between.length).toBeGreaterThan(1);
  return (await weightsScorer(model, store)(await nativeRuntime(), between, length)).nats;
}

describe('is refused with one sentence', () => {
  it.each([
    [{ method: 'gptq', data: undefined }, /gptq needs a text to run the model on/],
    [{ method: 'smoothquant', dtype: 'int4' }, /smoothquant is for int8, not int4/],
    [{ dtype: 'q4_k', method: 'hqq', out: 'x.gguf' }, /q4_k blocks have a search of their own/],
    [{ dtype: 'q4_k', out: 'folder' }, /name a .gguf file/],
    [{ out: 'x.gguf' }, /name a folder/],
    [{ data: 'short.txt' }, /short.txt: too short/],
  ] as const)('%j', async (options, message) => {
    await expect(quantize(options)).rejects.toThrow(message);
  });

  it('what was exported already', async () => {
    const { output } = await quantize({ method: 'rtn', data: undefined, out: 'once' });
    await expect(quantize({ out: 'twice' }, output)).rejects.toThrow(/not quantized again/);
  });
});
