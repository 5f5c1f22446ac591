/** Adapters against PEFT (bench/peers/reference_lora.py), over float and packed bases; training, merging, files. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { dequantize } from '../src/compress/quantize/blocks.ts';
import { packBase } from '../src/compress/quantize/frozen.ts';
import { METHODS } from '../src/compress/quantize/methods/index.ts';
import { batchesByLength } from '../src/data/by-length.ts';
import { Decoder } from '../src/generate/decoder.ts';
import { Engine } from '../src/generate/engine.ts';
import { float32, int32, modelOf, type Tensor } from '../src/graph/ir.ts';
import { modelFromConfig } from '../src/models/index.ts';
import { fromPeft, type LoraConfig, loraConfig, toPeft } from '../src/models/lora/config.ts';
import {
  adapterStore,
  type BaseWeights,
  type LoraModel,
  linearLayers,
  loadAdapter,
  loraModel,
  mergeAdapters,
  saveAdapter,
} from '../src/models/lora/index.ts';
import type { CausalModel } from '../src/models/model.ts';
import { crossEntropy } from '../src/nn/losses.ts';
import { type ParameterStore, ParameterTrace } from '../src/nn/parameters.ts';
import { Builder } from '../src/ops/builder.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { referenceRuntime } from '../src/runtime/reference/index.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { languageModelTraining } from '../src/train/language-model.ts';
import { gradientGraph } from '../src/train/learner.ts';
import { type FileStore, memoryFiles, readJson } from '../src/util/files.ts';
import { Random } from '../src/util/random.ts';
import { patternedStore, patternedTensor, uniform } from './patterned.ts';

type Summary = readonly [norm: number, probe: number];

interface Case {
  readonly name: string;
  readonly options: Record<string, unknown>;
  readonly ids: readonly number[];
  readonly logits: { readonly data: readonly number[] };
  readonly loss: number;
  readonly gradients: Readonly<Record<string, Summary>>;
  readonly merged: { readonly name: string; readonly summary: Summary };
}

const fixture = (name: string) => new URL(`../bench/peers/fixtures/${name}`, import.meta.url);
const json = (name: string) => JSON.parse(readFileSync(fixture(name), 'utf8'));
const cases: Case[] = json('lora.json');
const configs = new Map<string, Record<string, unknown>>(
  (json('families.json') as { name: string; config: Record<string, unknown> }[]).map(f => [f.name, f.config]),
);

let runtime: Runtime;
beforeAll(async () => {
  runtime = await nativeRuntime();
});

const baseOf = (name: string): { model: CausalModel; store: ParameterStore } => {
  const model = modelFromConfig(configs.get(name), 'families.json');
  return { model, store: patternedStore(model) };
};

/** A store with the fixtures' values of all adapters. */
function patternedAdapters(model: LoraModel): ParameterStore {
  const tensors = model.parameters.map(
    ({ name, dims }) => [name, patternedTensor(name, dims, false)] as const,
  );
  return adapterStore(model).load(new Map(tensors), 'patterned adapters');
}

const peftConfig = (options: Record<string, unknown>): LoraConfig =>
  fromPeft({ peft_type: 'LORA', ...options }, 'lora.json');

const worst = (actual: ArrayLike<number>, expected: readonly number[]): number =>
  Math.max(...expected.map((z, i) => Math.abs(z - (actual[i] as number))));

async function logitsOf(
  on: Runtime,
  model: CausalModel,
  store: ParameterStore,
  ids: readonly number[],
): Promise<Float32Array> {
  const b = new Builder('forward');
  const int = (name: string) => b.input(name, 'int32', ['B', 'T']);
  const trace = new ParameterTrace(b);
  const inputs = { ids: int('ids'), positions: int('positions') };
  b.output(model.logits(trace.scope(), model.hidden(trace.scope(), inputs)), 'logits');
  using program = await on.compile(modelOf(b.graph));
  const out = await program.call({ ...row(ids), ...weightsOf(trace, store) });
  return (out.logits as Tensor).data as Float32Array;
}

const row = (ids: readonly number[]) => ({
  ids: int32([1, ids.length], ids),
  positions: int32([1, ids.length], [...ids.keys()]),
});

const weightsOf = (trace: ParameterTrace, store: ParameterStore): Record<string, Tensor> =>
  Object.fromEntries(trace.values().map(v => [v.name, store.tensor(v.name)]));

/** Loss and gradients of the adapters on one row. */
async function lossOf(model: LoraModel, store: ParameterStore, ids: readonly number[]) {
  const traced = gradientGraph(model, c => ({ loss: crossEntropy(c.scores(), c.token('weights')) }), {});
  expect([...traced.parameterNames].sort()).toEqual(model.parameters.map(p => p.name).sort());
  using program = await runtime.compile(modelOf(traced.graph));
  const last = ids.length - 1;
  return program.call({
    ...row(ids),
    targets: int32([1, ids.length], [...ids.slice(1), 0]),
    weights: float32(
      [1, ids.length],
      [...ids.keys()].map(i => (i < last ? 1 / last : 0)),
    ),
    ...Object.fromEntries(traced.weightNames.map(n => [n, store.tensor(n)])),
  });
}

const valuesOf = (tensor: Tensor | undefined): Float32Array => tensor?.data as Float32Array;

function expectSummary(values: Float32Array, name: string, [norm, probe]: Summary): void {
  expect(Math.hypot(...values) / norm, name).toBeCloseTo(1, 4);
  const pattern = uniform(`probe.${name}`, values.length);
  const found = values.reduce((s, v, i) => s + v * (pattern[i] as number), 0);
  expect(Math.abs(found - probe) / norm, name).toBeLessThan(1e-4);
}

/** Logits after each position from the second on, decoded one by one. */
async function steppedLogits(on: Runtime, model: CausalModel, store: ParameterStore, ids: readonly number[]) {
  using decoder = await Decoder.create(on, model, store);
  const cache = decoder.allocateCache(1, 16);
  const logits = new Float32Array(model.vocabSize);
  const out: number[] = [];
  for (const [start, end] of [[0, 2], ...ids.slice(2).map((_, i) => [i + 2, i + 3])] as [number, number][]) {
    using lane = decoder.lane(cache, { rows: 1, length: end - start }, logits);
    lane.ids.set(ids.slice(start, end));
    lane.lastPosition[0] = end - 1;
    lane.total = end;
    await lane.run();
    out.push(...logits);
  }
  return out;
}

describe.each(cases)('PEFT’s adapter of $name', c => {
  const { model: base, store } = baseOf(c.name);
  const model = loraModel(base, store.tensors(), peftConfig(c.options));
  const adapters = patternedAdapters(model);
  const afterFirst = c.logits.data.slice(base.vocabSize);

  it('has the logits, in training form and in the reference interpreter', async () => {
    expect(worst(await logitsOf(runtime, model, adapters, c.ids), c.logits.data)).toBeLessThan(1e-5);
    expect(worst(await logitsOf(referenceRuntime(), model, adapters, c.ids), c.logits.data)).toBeLessThan(
      1e-5,
    );
  });

  it('has them in step form', async () => {
    expect(worst(await steppedLogits(runtime, model, adapters, c.ids), afterFirst)).toBeLessThan(1e-5);
  });

  it('has the loss and the gradients of its adapters alone', async () => {
    const out = await lossOf(model, adapters, c.ids);
    expect(valuesOf(out.loss)[0]).toBeCloseTo(c.loss, 5);
    expect(Object.keys(out).filter(name => name.startsWith('grad:'))).toHaveLength(
      Object.keys(c.gradients).length,
    );
    for (const [name, summary] of Object.entries(c.gradients))
      expectSummary(valuesOf(out[`grad:${name}`]), name, summary);
  });

  it('merges into the base', async () => {
    const before = store.flat.slice();
    const merged = mergeAdapters(model, store, adapters);
    expectSummary(valuesOf(merged.tensor(c.merged.name)), c.merged.name, c.merged.summary);
    expect(worst(await logitsOf(runtime, base, merged, c.ids), c.logits.data)).toBeLessThan(1e-5);
    expect(store.flat).toEqual(before);
  });
});

describe('files', () => {
  const c = cases.find(one => one.name === 'qwen3-biases') as Case;
  const { model: base, store } = baseOf(c.name);
  const peftFiles = (): FileStore =>
    memoryFiles(
      Object.fromEntries(
        ['adapter_config.json', 'adapter_model.safetensors'].map(name => [
          `a/${name}`,
          new Uint8Array(readFileSync(fixture(`adapter/${name}`))),
        ]),
      ),
    );

  it('that PEFT wrote give its logits', async () => {
    const loaded = await loadAdapter(peftFiles(), 'a', base, store.tensors());
    expect(worst(await logitsOf(runtime, loaded.model, loaded.store, c.ids), c.logits.data)).toBeLessThan(
      1e-5,
    );
  });

  it('are written as they are read', async () => {
    const { model, store: adapters } = await loadAdapter(peftFiles(), 'a', base, store.tensors());
    const files = memoryFiles();
    await saveAdapter(files, 'b', model, adapters);
    const theirs = await peftFiles().read('a/adapter_model.safetensors');
    expect(await files.read('b/adapter_model.safetensors')).toEqual(theirs);
    const [ours, peft] = await Promise.all(
      [readJson(files, 'b/adapter_config.json'), readJson(peftFiles(), 'a/adapter_config.json')].map(
        async one => (await one) as object,
      ),
    );
    expect(peft).toMatchObject(ours as object);
    expect((await loadAdapter(files, 'b', base, store.tensors())).store.flat).toEqual(adapters.flat);
  });

  const config = (fields: Record<string, unknown>) => async (files: FileStore) => {
    const found = (await readJson(files, 'a/adapter_config.json')) as object;
    await files.write('a/adapter_config.json', JSON.stringify({ ...found, ...fields }));
  };

  it.each<[string, (files: FileStore) => Promise<void>, string]>([
    [
      'another kind',
      config({ peft_type: 'IA3' }),
      'a/adapter_config.json: peft_type "IA3" is not supported; known is LORA',
    ],
    ['DoRA', config({ use_dora: true }), 'use_dora is not supported'],
    ['other ranks', config({ rank_pattern: { q_proj: 4 } }), 'rank_pattern is not supported'],
    ['biases', config({ bias: 'all' }), 'bias "all" is not supported; it must be "none"'],
    ['rank 0', config({ r: 0 }), 'r is 0; it must be a positive integer'],
    ['no layers', config({ target_modules: null }), 'target_modules is missing'],
    [
      'layers that are not there',
      config({ target_modules: ['c_attn'] }),
      'match no linear layer of this model; it has q_proj, k_proj',
    ],
    ['a broken expression', config({ target_modules: '(q_proj' }), 'is not a regular expression'],
    [
      'more layers',
      config({ target_modules: ['q_proj', 'v_proj', 'mlp.down_proj', 'k_proj'] }),
      'k_proj.lora_A.weight" is missing (and 3 more)',
    ],
    ['fewer layers', config({ target_modules: ['q_proj'] }), 'is no part of this adapter of a qwen3 model'],
    ['another rank', config({ r: 3 }), 'has shape [2,48] but adapter_config.json asks for [3,48]'],
    ['no config', files => files.remove('a/adapter_config.json'), 'a: no adapter_config.json'],
  ])('with %s are refused', async (_, change, message) => {
    const files = peftFiles();
    await change(files);
    await expect(loadAdapter(files, 'a', base, store.tensors())).rejects.toThrow(message);
  });

  it('belong to one base', () => {
    const other = baseOf('qwen2.5');
    expect(() => loraModel(base, other.store.tensors(), loraConfig())).toThrow('base model: weight');
    const without = new Map(store.tensors());
    without.delete('model.norm.weight');
    expect(() => loraModel(base, without, loraConfig())).toThrow(
      'base model: weight "model.norm.weight" is missing',
    );
  });
});

describe('a base packed in 4 bits', () => {
  const { model: base, store } = baseOf('gemma-3');
  const config = loraConfig({ r: 4, targetModules: ['q_proj', 'up_proj', 'down_proj'] });
  const over = (weights: BaseWeights) => {
    const model = loraModel(base, weights, config);
    return { model, adapters: patternedAdapters(model) };
  };
  const packed = over(packBase(base, store, { blockSize: 16 }));
  const rounded = new Map(store.tensors());
  for (const module of linearLayers(base).keys()) {
    const name = `${module}.weight`;
    const { dims, data } = store.tensor(name);
    const matrix = { rows: dims[0] as number, columns: dims[1] as number, data: data as Float32Array };
    const format = { bits: 4, blockSize: 16, symmetric: false, scales: 'float32' } as const;
    rounded.set(name, float32(dims, dequantize(METHODS.mse.quantize(matrix, format)).data));
  }
  const floats = over(rounded);
  const { ids } = cases[0] as Case;

  it('takes 4 bits a weight, and a scale and a zero point a block', () => {
    const bytes = [...packed.model.frozen].reduce(
      (sum, [name, { data }]) => sum + (/proj/.test(name) ? (data as Uint8Array).byteLength : 0),
      0,
    );
    const weights = base.parameters.reduce(
      (n, { name, dims: [rows = 0, columns = 0] }) => n + (/proj/.test(name) ? rows * columns : 0),
      0,
    );
    expect(bytes / weights).toBeCloseTo(1 / 2 + 4 / 16 + 0.5 / 16, 1);
  });

  it('has the logits of its rounded weights in every form', async () => {
    const expected = Array.from(await logitsOf(runtime, floats.model, floats.adapters, ids));
    const { model, adapters } = packed;
    expect(worst(await logitsOf(runtime, model, adapters, ids), expected)).toBeLessThan(2e-5);
    expect(worst(await logitsOf(referenceRuntime(), model, adapters, ids), expected)).toBeLessThan(2e-5);
    expect(
      worst(await steppedLogits(runtime, model, adapters, ids), expected.slice(base.vocabSize)),
    ).toBeLessThan(2e-5);
  });

  it('has the gradients of its rounded weights', async () => {
    const [quantized, exact] = await Promise.all(
      [packed, floats].map(({ model, adapters }) => lossOf(model, adapters, ids)),
    );
    for (const { name } of packed.model.parameters) {
      const [g, e] = [valuesOf(quantized?.[`grad:${name}`]), valuesOf(exact?.[`grad:${name}`])];
      expect(Math.hypot(...g.map((x, i) => x - (e[i] as number))) / Math.hypot(...e), name).toBeLessThan(
        1e-4,
      );
    }
  });

  it('refuses packed tables', () => {
    const weights = new Map(packBase(base, store, { blockSize: 16 }));
    const q = weights.get('model.layers.0.mlp.up_proj.weight');
    weights.set('model.embed_tokens.weight', { ...q, rows: 24, columns: 32 } as never);
    expect(() => loraModel(base, weights, config)).toThrow('"model.embed_tokens.weight" is packed');
  });
});

describe.each([
  ['floats', (_model: CausalModel, store: ParameterStore): BaseWeights => store.tensors()],
  ['4 bits', (model: CausalModel, store: ParameterStore): BaseWeights => packBase(model, store)],
] as const)('training over %s', (_, weightsFrom) => {
  it('learns a sequence, leaves the base as it was, and answers with it', { timeout: 30_000 }, async () => {
    const { model: base, store } = baseOf('qwen2.5');
    const model = loraModel(base, weightsFrom(base, store), loraConfig({ r: 8 }));
    const adapters = adapterStore(model).initialize(new Random(3));
    const frozen = [...model.frozen.values()].map(t => (t.data as Float32Array).slice());
    const ids = [5, 9, 13, 17, 21, 2, 6, 10, 14, 18];
    const batches = batchesByLength([{ ids }], { maxPlaces: 64 });
    using stage = await languageModelTraining(runtime, model, adapters, {
      data: { next: () => batches },
      schedule: { kind: 'constant', rate: 0.02 },
      optimizer: { kind: 'adamw' },
    });
    const first = (await stage.step(0)).loss as number;
    let last = first;
    for (let i = 1; i < 40; i++) last = (await stage.step(i)).loss as number;
    expect(last).toBeLessThan(0.1 * first);
    expect([...model.frozen.values()].map(t => t.data)).toEqual(frozen);
    using decoder = await Decoder.create(runtime, model, adapters);
    using engine = new Engine(decoder, { slots: 1, capacity: 16 });
    const [answer] = await engine.generate([
      { prompt: ids.slice(0, 2), maxTokens: 8, temperature: 0, seed: 1 },
    ]);
    expect(answer?.ids).toEqual(ids.slice(2));
  });
});

it('config survives PEFT’s spelling', () => {
  for (const given of [
    {},
    { r: 3, loraAlpha: 5, targetModules: ['q_proj'], useRslora: true, baseModelNameOrPath: 'x' },
  ])
    expect(fromPeft(toPeft(loraConfig(given)), 'c')).toEqual(loraConfig(given));
});
