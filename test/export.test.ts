/** Exported models: they run in stock onnxruntime-node, and the engine decodes the files themselves. */
import * as ort from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { calibrate, promptFeeds } from '../src/export/calibration.ts';
import { exportModel } from '../src/export/directory.ts';
import { EXPORT_DTYPES, type ExportDType, exportAs, exportBytes, FILE_SUFFIX } from '../src/export/dtypes.ts';
import { exportGraph } from '../src/export/graph.ts';
import { loadOnnxModel, onnxDecoder } from '../src/export/load.ts';
import { Decoder } from '../src/generate/decoder.ts';
import { Engine } from '../src/generate/engine.ts';
import { type Model, sizeOf, type Tensor } from '../src/graph/ir.ts';
import { decodeModel } from '../src/graph/protobuf.ts';
import { verify } from '../src/graph/verify.ts';
import { type DenseConfig, denseConfig, denseModel } from '../src/models/dense/index.ts';
import type { CausalModel } from '../src/models/model.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { referenceRuntime } from '../src/runtime/reference/index.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { CharacterTokenizer } from '../src/tokenizer/character.ts';
import { memoryFiles, readJson } from '../src/util/files.ts';
import { Random } from '../src/util/random.ts';

/** Rows of 80 and 208: no multiples of 32. */
const SMALL = {
  vocabSize: 72,
  hiddenSize: 80,
  numHiddenLayers: 2,
  numAttentionHeads: 5,
  numKeyValueHeads: 1,
  intermediateSize: 208,
  maxPositionEmbeddings: 96,
  initializerRange: 0.1,
};
const PROMPT = [3, 14, 15, 9, 26, 5];
const NEW_TOKENS = 32;

interface Weighed {
  readonly model: CausalModel;
  readonly store: ParameterStore;
}

function weighed(config: Partial<DenseConfig> = {}): Weighed {
  const model = denseModel(denseConfig({ ...SMALL, ...config }));
  return { model, store: new ParameterStore(model.parameters).initialize(new Random(7)) };
}

const small = weighed();
let runtime: Runtime;
beforeAll(async () => {
  runtime = await nativeRuntime();
});

/** One sequence through onnxruntime-node's own API. */
class StockSession {
  readonly #session: ort.InferenceSession;
  readonly #model: CausalModel;
  #cache: Record<string, ort.Tensor>;
  #total = 0;

  private constructor(session: ort.InferenceSession, model: CausalModel) {
    this.#session = session;
    this.#model = model;
    const empty = model.cacheSlots.map(
      s => [s.name, new ort.Tensor('float32', new Float32Array(0), [1, s.heads, 0, s.width])] as const,
    );
    this.#cache = Object.fromEntries(empty);
  }

  static async open(file: Uint8Array, model: CausalModel): Promise<StockSession> {
    return new StockSession(await ort.InferenceSession.create(file, { intraOpNumThreads: 1 }), model);
  }

  /** Logits of the last of `ids`. */
  async step(ids: readonly number[]): Promise<Float32Array> {
    this.#total += ids.length;
    const out = await this.#session.run({
      input_ids: int64(ids),
      attention_mask: int64(Array<number>(this.#total).fill(1)),
      ...this.#cache,
    });
    this.#cache = Object.fromEntries(this.#model.cacheSlots.map(s => [s.name, present(out, s.name)]));
    const logits = out.logits as ort.Tensor;
    expect(logits.dims).toEqual([1, ids.length, this.#model.vocabSize]);
    return (logits.data as Float32Array).subarray(-this.#model.vocabSize);
  }

  async greedy(): Promise<number[]> {
    const ids: number[] = [];
    for (let next = PROMPT; ids.length < NEW_TOKENS; next = ids.slice(-1)) {
      const logits = await this.step(next);
      ids.push(logits.indexOf(Math.max(...logits)));
    }
    await this.#session.release();
    return ids;
  }
}

const present = (out: ort.InferenceSession.OnnxValueMapType, past: string): ort.Tensor =>
  out[past.replace('past_key_values', 'present')] as ort.Tensor;

const int64 = (values: readonly number[]): ort.Tensor =>
  new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);

const stockGreedy = async (file: Uint8Array, model: CausalModel): Promise<number[]> =>
  (await StockSession.open(file, model)).greedy();

async function engineGreedy(decoder: Decoder): Promise<number[]> {
  using engine = new Engine(decoder, { slots: 2, capacity: 64 });
  const [done] = await engine.generate([{ prompt: PROMPT, maxTokens: NEW_TOKENS, temperature: 0, seed: 1 }]);
  return done?.ids ?? [];
}

/** A file, and the engine's decoder of what is in it. */
async function exported(model: CausalModel, store: ParameterStore, dtype: ExportDType) {
  const file = exportBytes(model, store, dtype);
  return { file, decoder: await onnxDecoder(runtime, { model, onnx: decodeModel(file) }) };
}

const logitsIn = (outputs: Readonly<Record<string, Tensor>>): Float32Array =>
  (outputs.logits as Tensor).data as Float32Array;

function expectClose(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  expect(actual).toHaveLength(expected.length);
  const worst = actual.reduce((worst, x, i) => Math.max(worst, Math.abs(x - (expected[i] as number))), 0);
  expect(worst).toBeLessThan(tolerance);
}

describe('greedy text over 32 tokens', () => {
  it.each(EXPORT_DTYPES)('%s: stock onnxruntime-node and the engine agree', async dtype => {
    const { decoder, file } = await exported(small.model, small.store, dtype);
    using _ = decoder;
    const stock = await stockGreedy(file, small.model);
    expect(await engineGreedy(decoder)).toEqual(stock);
    expect(new Set(stock).size).toBeGreaterThan(3);
  });

  it('f32 is the model itself', async () => {
    using decoder = await Decoder.create(runtime, small.model, small.store);
    expect(await stockGreedy(exportBytes(small.model, small.store, 'f32'), small.model)).toEqual(
      await engineGreedy(decoder),
    );
  });

  it.each([
    ['tied embeddings', { tieWordEmbeddings: true }],
    ['norms of heads', { modelType: 'qwen3' }],
    ['biases', { modelType: 'qwen2' }],
  ] as const)('%s: int4 agrees too', async (_, config) => {
    const { model, store } = weighed(config);
    const { decoder, file } = await exported(model, store, 'int4');
    using __ = decoder;
    expect(await engineGreedy(decoder)).toEqual(await stockGreedy(file, model));
  });
});

describe('the exported graph', () => {
  it('is legal and has the names and dims of transformers.js', () => {
    const exported = exportGraph(small.model, small.store, { version: '9.9.9', tokenizer: 'character' });
    verify(exported);
    const signature = (infos: Model['graph']['inputs']) =>
      infos.map(({ name, dtype, shape }) => `${name} ${dtype} ${shape?.join(',')}`);
    expect(signature(exported.graph.inputs).slice(0, 4)).toEqual([
      'input_ids int64 batch_size,sequence_length',
      'attention_mask int64 batch_size,total_sequence_length',
      'past_key_values.0.key float32 batch_size,1,past_sequence_length,16',
      'past_key_values.0.value float32 batch_size,1,past_sequence_length,16',
    ]);
    expect(signature(exported.graph.outputs).slice(0, 2)).toEqual([
      'logits float32 batch_size,sequence_length,72',
      'present.0.key float32 batch_size,1,total_sequence_length,16',
    ]);
    expect(Object.fromEntries(exported.metadata)).toMatchObject({
      'gaslaw.version': '9.9.9',
      architecture: 'llama',
      tokenizer: 'character',
    });
    expect([...exported.opsets]).toEqual([
      ['', 21],
      ['com.microsoft', 1],
    ]);
  });

  it('reads rows of different lengths, padded on the right, as if each were alone', async () => {
    const { model, store } = small;
    using program = await runtime.compile(exportGraph(model, store));
    const [long, short] = [PROMPT, PROMPT.slice(0, 4)];
    const int64 = (values: readonly number[]) => ({
      dtype: 'int64' as const,
      dims: [2, 6],
      data: BigInt64Array.from(values, BigInt),
    });
    const empty = Object.fromEntries(
      model.cacheSlots.map(s => [
        s.name,
        { dtype: s.dtype, dims: [2, s.heads, 0, s.width], data: new Float32Array(0) },
      ]),
    );
    const both = await program.call({
      input_ids: int64([...long, ...short, 0, 0]),
      attention_mask: int64([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]),
      ...empty,
    });
    const alone = await program.call(promptFeeds(model, short));
    const at = 6 * 72 + 3 * 72;
    expectClose(logitsIn(both).subarray(at, at + 72), logitsIn(alone).subarray(3 * 72), 5e-5);
  });

  it('gives the same logits in the reference interpreter', async () => {
    const { model } = exportAs(small.model, small.store, 'int4', { quantize: { accuracyLevel: 1 } });
    const feeds = promptFeeds(small.model, PROMPT);
    using native = await runtime.compile(model);
    using reference = await referenceRuntime().compile(model);
    const [a, b] = [await native.call(feeds, ['logits']), await reference.call(feeds, ['logits'])];
    expectClose(logitsIn(a), logitsIn(b), 5e-4);
  });
});

describe('what rounding costs', () => {
  const logitsOf = async (model: Model): Promise<Float32Array> => {
    using program = await runtime.compile(model);
    return logitsIn(await program.call(promptFeeds(small.model, PROMPT), ['logits']));
  };
  const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
  const shift = async (dtype: ExportDType, options: Parameters<typeof exportAs>[3] = {}) => {
    const { model, report } = exportAs(small.model, small.store, dtype, options);
    const exact = await logitsOf(exportGraph(small.model, small.store));
    const rounded = await logitsOf(model);
    const relative = norm(exact.map((x, i) => x - (rounded[i] as number))) / norm(exact);
    return { relative, report };
  };

  it('float16 shifts logits by less than a thousandth', async () => {
    expect((await shift('f16')).relative).toBeLessThan(1e-3);
  });

  it.each(['int8', 'int4'] as const)(
    '%s: logits shift by less than the sum of all weights’ errors',
    async dtype => {
      const { relative, report } = await shift(dtype, { quantize: { accuracyLevel: 1 } });
      const errors = report?.weights.map(w => w.relative) ?? [];
      expect(errors).toHaveLength(10);
      expect(relative).toBeLessThan(errors.reduce((a, b) => a + b, 0));
      // a uniform error of a step q = range / 2^bits has deviation q / √12; blocks of 16 or 32 span about 4.2σ
      const bound = 4.2 / Math.sqrt(12);
      const body = report?.weights.filter(w => w.role === 'product') ?? [];
      for (const w of body) expect(w.relative).toBeLessThan(bound / (2 ** w.bits - 1));
    },
  );

  it('calibration moves int4 closer', async () => {
    const random = new Random(3);
    const sequences = Array.from({ length: 24 }, () => Array.from({ length: 40 }, () => random.int(72)));
    const inputs = await calibrate(runtime, small.model, small.store, sequences);
    const calibrated = await shift('int4', { quantize: { inputs, accuracyLevel: 1 } });
    expect(calibrated.report?.weights.map(w => w.method)).toContain('gptq');
    expect(calibrated.relative).toBeLessThan(
      (await shift('int4', { quantize: { accuracyLevel: 1 } })).relative,
    );
  });
});

describe('files', () => {
  const tokenizer = CharacterTokenizer.fromAlphabet(
    Array.from({ length: 70 }, (_, i) => String.fromCharCode(33 + i)).join(''),
  );

  it('shrink as computed', () => {
    const { model, store } = small;
    const size = (dtype: ExportDType) => exportBytes(model, store, dtype).byteLength;
    const matrices = model.parameters.filter(p => p.dims.length === 2);
    const elements = matrices.reduce((n, p) => n + sizeOf(p.dims), 0);
    const tables = 2 * 72 * 80;
    // everything but the matrices: nodes, names, gains
    const rest = size('f32') - 4 * elements;
    expect(rest).toBeLessThan(16_000);
    const close = (dtype: ExportDType, weights: number) =>
      expect(Math.abs(size(dtype) - weights - rest)).toBeLessThan(8_000);
    close('f16', 2 * elements);
    // blocks of 16 (no row is a multiple of 32): a float16 scale each; at 4 bits also a zero point
    close('int8', elements + elements / 8);
    close('int4', tables + tables / 8 + (elements - tables) * (1 / 2 + 1 / 8 + 1 / 32));
  });

  it.each(EXPORT_DTYPES)('a directory of %s loads and decodes as what was written', async dtype => {
    const files = memoryFiles();
    const { model, store } = small;
    const { path, bytes } = await exportModel(files, 'out', model, store, tokenizer, dtype);
    expect(path).toBe(`out/onnx/model${FILE_SUFFIX[dtype]}.onnx`);
    expect(await files.list('out')).toEqual([
      'config.json',
      'generation_config.json',
      'onnx',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(await readJson(files, 'out/config.json')).toMatchObject({
      model_type: 'llama',
      num_hidden_layers: 2,
      eos_token_id: tokenizer.eos,
    });
    for (const name of ['out', path]) {
      const loaded = await loadOnnxModel(files, name);
      expect([loaded.bytes, loaded.path, loaded.tokenizer.vocabSize]).toEqual([bytes, path, 72]);
      using decoder = await onnxDecoder(runtime, loaded);
      expect(await engineGreedy(decoder)).toEqual(await stockGreedy(await files.read(path), model));
    }
  });

  it('with its tensors in a second file a directory decodes as with one, and transformers.js is told', async () => {
    const files = memoryFiles();
    const { model, store } = small;
    const answers = [];
    for (const [folder, externalFrom] of [
      ['one', undefined],
      ['two', 1000],
    ] as const) {
      const { path } = await exportModel(files, folder, model, store, tokenizer, 'int8', { externalFrom });
      using decoder = await onnxDecoder(runtime, await loadOnnxModel(files, path));
      answers.push(await engineGreedy(decoder));
    }
    expect(answers[1]).toEqual(answers[0]);
    expect(await files.list('two/onnx')).toEqual(['model_quantized.onnx', 'model_quantized.onnx_data']);
    // transformers.js, src/utils/model-loader.js: how many data files a file has, by its name
    expect(await readJson(files, 'two/config.json')).toMatchObject({
      'transformers.js_config': { use_external_data_format: { 'model_quantized.onnx': 1 } },
    });
    expect(await readJson(files, 'one/config.json')).not.toHaveProperty(['transformers.js_config']);
  });

  it('says what is missing', async () => {
    const files = memoryFiles();
    const { model, store } = small;
    await expect(loadOnnxModel(files, 'none')).rejects.toThrow('none: no onnx/*.onnx file');
    const { path } = await exportModel(files, 'out', model, store, tokenizer, 'f32');
    const loaded = await loadOnnxModel(files, path);
    loaded.onnx.metadata.clear();
    await expect((async () => onnxDecoder(runtime, loaded))()).rejects.toThrow(
      `${path}: was not exported by Gaslaw`,
    );
    await files.remove('out/config.json');
    await expect(loadOnnxModel(files, path)).rejects.toThrow('no config.json beside it');
  });
});
