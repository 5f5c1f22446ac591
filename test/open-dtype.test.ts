/** Models opened in 8 and 4 bits: what they compute, what they take, and that they are never in memory as floats. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeFiles } from '../src/cli/node-files.ts';
import { type FloatSource, PACK_FORMATS, packInputs } from '../src/compress/quantize/pack-inputs.ts';
import { openLanguageModel } from '../src/export/language-model.ts';
import { packedDecoder } from '../src/export/packed-decoder.ts';
import type { WritableType } from '../src/formats/gguf/quantize.ts';
import { Decoder } from '../src/generate/decoder.ts';
import { Engine } from '../src/generate/engine.ts';
import { decodeGraph, weightInputs } from '../src/generate/graphs.ts';
import { sizeOf } from '../src/graph/ir.ts';
import { verify } from '../src/graph/verify.ts';
import { denseConfig, denseModel } from '../src/models/dense/index.ts';
import { saveModel } from '../src/models/files.ts';
import { ggufOf } from '../src/models/gguf/write.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { referenceRuntime } from '../src/runtime/reference/index.ts';
import { CharacterTokenizer } from '../src/tokenizer/character.ts';
import { ggufVocabulary } from '../src/tokenizer/gguf-vocabulary.ts';
import { scoreText } from '../src/train/perplexity.ts';
import { Random } from '../src/util/random.ts';

const tokenizer = CharacterTokenizer.fromAlphabet('abcdefghijklmnopqrstuvwxyz .');
const FAMILIES = {
  llama: { modelType: 'llama', tieWordEmbeddings: false },
  'qwen2, tied': { modelType: 'qwen2', tieWordEmbeddings: true },
  qwen3: { modelType: 'qwen3', tieWordEmbeddings: false },
} as const;
const modelOfFamily = (family: keyof typeof FAMILIES) =>
  denseModel(
    denseConfig({
      ...FAMILIES[family],
      vocabSize: tokenizer.vocabSize,
      hiddenSize: 64,
      numHiddenLayers: 2,
      numAttentionHeads: 4,
      numKeyValueHeads: 2,
      headDim: 16,
      intermediateSize: 96,
      maxPositionEmbeddings: 64,
      eosTokenId: tokenizer.eos,
    }),
  );

const sourceOf = (store: ParameterStore): FloatSource & { largest: number } => ({
  largest: 0,
  elementsOf: name => sizeOf(store.tensor(name).dims),
  async readFloats(name, out, first = 0) {
    this.largest = Math.max(this.largest, out.length);
    out.set((store.tensor(name).data as Float32Array).subarray(first, first + out.length));
  },
});

/** w → the nearest of extreme · (−8 … 7) / −8 (or 128ths) in its block of 32. */
function rounded(values: Float32Array, bits: 4 | 8): void {
  const half = 2 ** (bits - 1);
  for (let at = 0; at < values.length; at += 32) {
    const block = values.subarray(at, at + 32);
    const [low, high] = [Math.min(...block), Math.max(...block)];
    const scale = Math.fround((-low > high ? low : high) / -half) || 1;
    block.forEach((w, i) => {
      const code = Math.min(half - 1, Math.floor(w / scale + 0.5));
      block[i] = code * scale;
    });
  }
}

function roundedStore(store: ParameterStore, bits: 4 | 8): ParameterStore {
  const copy = new ParameterStore(store.specs).load(store.tensors(), 'copy');
  for (const spec of copy.specs) if (spec.dims.length === 2) rounded(copy.slice(copy.flat, spec), bits);
  return copy;
}

const folder = mkdtempSync(join(tmpdir(), 'gaslaw-dtype-'));
const stores = new Map<string, ParameterStore>();
beforeAll(async () => {
  for (const family of Object.keys(FAMILIES) as (keyof typeof FAMILIES)[]) {
    const model = modelOfFamily(family);
    const store = new ParameterStore(model.parameters).initialize(new Random(7));
    for (const spec of model.parameters.filter(({ dims }) => dims.length === 1)) {
      const vector = store.slice(store.flat, spec); // so that biases and gains count
      vector.forEach((v, i) => void (vector[i] = v + 0.1 * Math.sin(i)));
    }
    stores.set(family, store);
    await saveModel(nodeFiles(), join(folder, family), model, store, tokenizer, { dtype: 'float32' });
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(Object.keys(FAMILIES) as (keyof typeof FAMILIES)[])('%s', family => {
  it.each(['q8', 'q4'] as const)('as %s is the same in many stages as in one', async dtype => {
    const model = modelOfFamily(family);
    const source = sourceOf(stores.get(family) as ParameterStore);
    const runtime = await nativeRuntime();
    const answers = async (stageBytes: number) => {
      using decoder = await packedDecoder(runtime, model, source, PACK_FORMATS[dtype], { stageBytes });
      using engine = new Engine(decoder, { slots: 3, capacity: 48 });
      const prompts = [[1, 2, 3], [4, 5, 6, 7, 8], [9]];
      return await engine.generate(
        prompts.map(prompt => ({ prompt, maxTokens: 12, seed: 2, temperature: 1 })),
      );
    };
    const [many, one] = [await answers(4000), await answers(1e9)];
    expect(many.map(a => a.ids)).toEqual(one.map(a => a.ids));
    many.forEach(({ logProbs }, i) => {
      // a sum that is fused with the product before it, or not, differs in the last bit
      for (const [j, p] of logProbs.entries()) expect(p).toBeCloseTo(one[i]?.logProbs[j] as number, 5);
    });
  });

  it.each(['q8', 'q4'] as const)('as %s computes with the rounded weights', async dtype => {
    const model = modelOfFamily(family);
    const store = stores.get(family) as ParameterStore;
    const graph = decodeGraph(model);
    const source = sourceOf(store);
    await packInputs(graph, weightInputs(graph, model), source, PACK_FORMATS[dtype]);
    verify(graph);
    const runtime = referenceRuntime(); // which does not round activations
    using packed = await Decoder.fromGraph(runtime, model, graph);
    using exact = await Decoder.create(runtime, model, roundedStore(store, PACK_FORMATS[dtype].bits));
    const logits = (decoder: Decoder) => {
      const out = new Float32Array(model.vocabSize);
      using lane = decoder.lane(decoder.allocateCache(1, 8), { rows: 1, length: 8 }, out);
      lane.ids.set([3, 1, 4, 1, 5, 9, 2, 6]);
      lane.lastPosition[0] = 7;
      return lane.run().then(() => out);
    };
    const [a, b] = [await logits(packed), await logits(exact)];
    expect(Math.max(...a.map((x, i) => Math.abs(x - (b[i] as number))))).toBeLessThan(1e-5);
  });
});

it('takes 5 or 9 bits a weight and reads pieces of a matrix at a time', async () => {
  const model = denseModel(
    denseConfig({ vocabSize: 4096, hiddenSize: 512, intermediateSize: 1408, numHiddenLayers: 1 }),
  );
  const store = new ParameterStore(model.parameters);
  const matrices = model.parameters.filter(p => p.dims.length === 2).reduce((n, p) => n + sizeOf(p.dims), 0);
  for (const [dtype, bits] of [
    ['q4', 5],
    ['q8', 9],
    ['q4g128', 4.25],
  ] as const) {
    const graph = decodeGraph(model);
    const source = sourceOf(store);
    const bytes = await packInputs(graph, weightInputs(graph, model), source, PACK_FORMATS[dtype]);
    const floats = store.count - matrices;
    expect(bytes).toBe((matrices * bits) / 8 + floats * 4);
    expect(source.largest).toBeLessThanOrEqual(1 << 20);
    expect(graph.inputs).toHaveLength(4 + model.cacheSlots.length);
  }
});

it('opens a directory by dtype, answers and scores with it', async () => {
  const runtime = await nativeRuntime();
  const text = 'the quick brown fox jumps over the lazy dog.';
  const ids = Int32Array.from(tokenizer.encode(text));
  const nats: Record<string, number> = {};
  for (const dtype of ['f32', 'q8', 'q4'] as const) {
    const language = await openLanguageModel(nodeFiles(), join(folder, 'qwen3'), { dtype });
    using decoder = await language.decoder(runtime);
    using engine = new Engine(decoder, { slots: 2, capacity: 32 });
    const [answer] = await engine.generate([{ prompt: [1, 2, 3], maxTokens: 8, seed: 1, temperature: 0 }]);
    expect(answer?.ids).toHaveLength(8);
    expect(language.store !== undefined).toBe(dtype === 'f32');
    const { source } = language;
    const weights =
      source && dtype !== 'f32'
        ? (graph: Parameters<typeof packInputs>[0], inputs: Parameters<typeof packInputs>[1]) =>
            packInputs(graph, inputs, source, PACK_FORMATS[dtype])
        : (language.store as ParameterStore);
    nats[dtype] = (
      await scoreText(runtime, language.model, weights, ids, { bytes: text.length })
    ).natsPerToken;
  }
  expect(Math.abs((nats.q8 as number) - (nats.f32 as number))).toBeLessThan(0.005);
  expect(Math.abs((nats.q4 as number) - (nats.f32 as number))).toBeLessThan(0.1);
  expect(nats.q8).not.toBe(nats.f32);
});

describe('a GGUF file', () => {
  const model = modelOfFamily('qwen3');
  const store = () => stores.get('qwen3') as ParameterStore;
  const write = async (type: WritableType) => {
    const path = join(folder, `${type}.gguf`);
    const vocabulary = ggufVocabulary(tokenizer, { size: model.vocabSize });
    await nodeFiles().write(path, ggufOf(model, store(), { type, name: 'tiny', vocabulary }));
    return path;
  };

  it.each(['Q4_0', 'Q8_0', 'Q5_1'] as const)(
    'of %s opens as it is stored and computes with its values',
    async type => {
      const language = await openLanguageModel(nodeFiles(), await write(type));
      expect(language.dtype).toBe('stored');
      const floats = await openLanguageModel(nodeFiles(), join(folder, `${type}.gguf`), { dtype: 'f32' });
      const runtime = referenceRuntime(); // which does not round activations
      using packed = await language.decoder(runtime);
      using exact = await floats.decoder(runtime);
      const answers = await Promise.all(
        [packed, exact].map(async decoder => {
          const out = new Float32Array(model.vocabSize);
          using lane = decoder.lane(decoder.allocateCache(1, 8), { rows: 1, length: 8 }, out);
          lane.ids.set([3, 1, 4, 1, 5, 9, 2, 6]);
          lane.lastPosition[0] = 7;
          await lane.run();
          return out;
        }),
      );
      const [a, b] = answers as [Float32Array, Float32Array];
      // what is not moved is rounded to 8 bits
      const bound = type === 'Q5_1' ? 0.02 : 1e-5;
      expect(Math.max(...a.map((x, i) => Math.abs(x - (b[i] as number))))).toBeLessThan(bound);
    },
  );

  it('of floats opens as floats', async () => {
    const language = await openLanguageModel(nodeFiles(), await write('F16'));
    expect(language.dtype).toBe('f32');
  });
});
