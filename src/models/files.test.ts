/** Directories: those that transformers wrote, round trips, and what is refused before memory is taken. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors, openSafetensors } from '../formats/safetensors.ts';
import { float32, int32, modelOf, sizeOf, type Tensor } from '../graph/ir.ts';
import { ParameterStore, ParameterTrace } from '../nn/parameters.ts';
import { Builder } from '../ops/builder.ts';
import { referenceRuntime } from '../runtime/reference/index.ts';
import { CharacterTokenizer } from '../tokenizer/character.ts';
import { concatBytes, type FileStore, memoryFiles, readJson } from '../util/files.ts';
import { Random } from '../util/random.ts';
import { denseConfig, denseModel } from './dense/index.ts';
import { loadModel, loadWeights, saveModel, tokenRoles } from './files.ts';
import { gemma3Config, gemma3Model } from './gemma3/index.ts';
import type { CausalModel } from './model.ts';
import { WEIGHT_DTYPES, type WeightDType } from './weight-files.ts';

const FIXTURES = join(import.meta.dirname, '../../bench/peers/fixtures');
const read = (...path: string[]) => new Uint8Array(readFileSync(join(FIXTURES, ...path)));

/** A fixture directory, in memory under its own name. */
function directory(name: string): FileStore {
  const names = readdirSync(join(FIXTURES, 'directories', name));
  return memoryFiles(
    Object.fromEntries(names.map(file => [`${name}/${file}`, read('directories', name, file)])),
  );
}

interface Stored {
  readonly name: string;
  readonly ids: readonly number[];
  readonly logits: { readonly data: readonly number[] };
}

async function logitsOf(
  model: CausalModel,
  store: ParameterStore,
  ids: readonly number[],
): Promise<Float32Array> {
  const b = new Builder('forward');
  const int = (name: string) => b.input(name, 'int32', ['B', 'T']);
  const scope = new ParameterTrace(b).scope();
  const inputs = { ids: int('ids'), positions: int('positions') };
  b.output(model.logits(scope, model.hidden(scope, inputs)), 'logits');
  using program = await referenceRuntime().compile(modelOf(b.graph));
  const weights = model.parameters.map(p => [p.name, store.tensor(p.name)] as const);
  const out = await program.call({
    ids: int32([1, ids.length], ids),
    positions: int32([1, ids.length], [...ids.keys()]),
    ...Object.fromEntries(weights),
  });
  return (out.logits as Tensor).data as Float32Array;
}

describe('directories that transformers wrote', () => {
  const stored: Stored[] = JSON.parse(readFileSync(join(FIXTURES, 'directories.json'), 'utf8'));

  it.each(stored)('$name has its logits', async ({ name, ids, logits }) => {
    const { model, store } = await loadWeights(directory(name), name);
    const found = await logitsOf(model, store, ids);
    expect(Math.max(...logits.data.map((z, i) => Math.abs(z - (found[i] as number))))).toBeLessThan(1e-5);
  });

  it('count the bytes of all their files', async () => {
    const { bytes } = await loadWeights(directory('qwen3-sharded'), 'qwen3-sharded');
    expect(bytes).toBe(2088 + 1744 + 2144);
  });

  it('keep their list of ids that end a text', async () => {
    const { model } = await loadWeights(directory('qwen3-sharded'), 'qwen3-sharded');
    expect(model.toHuggingFace()).toMatchObject({ eos_token_id: [2, 3], bos_token_id: 1, pad_token_id: 0 });
  });
});

it('the tokenizer’s end of text replaces another, and leaves a list that has it', () => {
  const roles = { eos: 2, pad: 0 };
  expect(tokenRoles({ eos_token_id: 7 }, roles)).toEqual({ eos_token_id: 2, pad_token_id: 0 });
  expect(tokenRoles({ eos_token_id: [3, 2] }, { ...roles, bos: 1 })).toEqual({
    bos_token_id: 1,
    eos_token_id: [3, 2],
    pad_token_id: 0,
  });
  expect(tokenRoles({ eos_token_id: [3, 4] }, roles)).toMatchObject({ eos_token_id: 2 });
});

const tokenizer = CharacterTokenizer.fromAlphabet('abcdefghijklmnopqrstuvwxyz');
const SMALL = {
  vocabSize: 28,
  hiddenSize: 24,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  intermediateSize: 32,
};

const MODELS: Readonly<Record<string, CausalModel>> = {
  llama: denseModel(denseConfig({ ...SMALL, attentionBias: true, mlpBias: true })),
  qwen2: denseModel(
    denseConfig({
      ...SMALL,
      modelType: 'qwen2',
      tieWordEmbeddings: true,
      slidingWindow: 8,
      layerTypes: ['full_attention', 'sliding_attention'],
      ropeScaling: { ropeType: 'yarn', factor: 2, originalMaxPositionEmbeddings: 128 },
    }),
  ),
  qwen3: denseModel(denseConfig({ ...SMALL, modelType: 'qwen3', headDim: 20 })),
  gemma3_text: gemma3Model(gemma3Config({ ...SMALL, finalLogitSoftcapping: 30 })),
};

const initialized = (model: CausalModel) => new ParameterStore(model.parameters).initialize(new Random(5));

/** Largest relative error of one rounding to the type. */
const ROUNDING: Readonly<Record<WeightDType, number>> = { float32: 0, float16: 2 ** -11, bfloat16: 2 ** -8 };

describe.each(Object.entries(MODELS))('%s', (_, model) => {
  it.each(WEIGHT_DTYPES)('is read as it was written in %s', async dtype => {
    const files = memoryFiles();
    const store = initialized(model);
    await saveModel(files, 'm', model, store, tokenizer, { dtype });
    const loaded = await loadModel(files, 'm');
    expect(loaded.model.toHuggingFace()).toEqual({
      ...model.toHuggingFace(),
      eos_token_id: tokenizer.eos,
      pad_token_id: tokenizer.pad,
    });
    expect(await readJson(files, 'm/config.json')).toMatchObject({ torch_dtype: dtype });
    expect(loaded.tokenizer.encode('abc')).toEqual(tokenizer.encode('abc'));
    store.flat.forEach((w, i) => {
      const error = Math.abs((loaded.store.flat[i] as number) - w);
      if (error > Math.abs(w) * ROUNDING[dtype] + 2 ** -25) expect(error).toBe(0);
    });
    expect(loaded.bytes).toBeLessThan(store.count * (dtype === 'float32' ? 4 : 2) + 6000);
  });
});

describe('several files', () => {
  const model = MODELS.qwen3 as CausalModel;
  const store = initialized(model);
  const limit = 12_000;

  it('hold each tensor once, none above the limit but single tensors', async () => {
    const files = memoryFiles();
    await saveModel(files, 'm', model, store, tokenizer, { maxShardBytes: limit });
    const shards = (await files.list('m')).filter(name => name.endsWith('.safetensors'));
    expect(shards.length).toBeGreaterThan(3);
    expect(shards[0]).toBe(`model-00001-of-${String(shards.length).padStart(5, '0')}.safetensors`);
    const index = (await readJson(files, 'm/model.safetensors.index.json')) as {
      metadata: object;
      weight_map: Record<string, string>;
    };
    expect(index.metadata).toEqual({ total_parameters: store.count, total_size: store.count * 4 });
    for (const shard of shards) {
      const { entries } = await openSafetensors(files, `m/${shard}`);
      const bytes = [...entries.values()].reduce((sum, e) => sum + 4 * sizeOf(e.dims), 0);
      expect(bytes <= limit || entries.size === 1).toBe(true);
      for (const name of entries.keys()) expect(index.weight_map[name]).toBe(shard);
    }
    expect(Object.keys(index.weight_map).sort()).toEqual(model.parameters.map(p => p.name).sort());
    expect((await loadModel(files, 'm')).store.flat).toEqual(store.flat);
  });

  it('do not outlive the next model there', async () => {
    const files = memoryFiles();
    await saveModel(files, 'm', model, store, tokenizer, { maxShardBytes: limit });
    const other = MODELS.llama as CausalModel;
    const values = initialized(other);
    await saveModel(files, 'm', other, values, tokenizer);
    expect((await files.list('m')).filter(name => name.startsWith('model'))).toEqual(['model.safetensors']);
    await saveModel(files, 'm', model, store, tokenizer, { maxShardBytes: limit });
    expect(await files.exists('m/model.safetensors')).toBe(false);
    expect((await loadModel(files, 'm')).store.flat).toEqual(store.flat);
  });

  it('are as many as transformers makes of the same tensors', async () => {
    const name = 'qwen3-sharded';
    const { model: theirs, store: values } = await loadWeights(directory(name), name);
    const files = memoryFiles();
    await saveModel(files, name, theirs, values, tokenizer, { dtype: 'bfloat16', maxShardBytes: 2000 });
    const index = async (from: FileStore) =>
      (await readJson(from, `${name}/model.safetensors.index.json`)) as { metadata: object };
    expect((await index(files)).metadata).toEqual((await index(directory(name))).metadata);
    expect((await loadWeights(files, name)).store.flat).toEqual(values.flat);
  });
});

describe('refused before memory is taken', () => {
  const name = 'qwen3-sharded';
  const index = `${name}/model.safetensors.index.json`;
  const shard = `${name}/model-00002-of-00003.safetensors`;

  /** Loads the fixture after `change`. */
  async function changed(change: (files: FileStore) => Promise<void>): Promise<unknown> {
    const files = directory(name);
    await change(files);
    return loadWeights(files, name);
  }

  const config = (fields: Record<string, unknown>) => async (files: FileStore) => {
    const json = (await readJson(files, `${name}/config.json`)) as object;
    await files.write(`${name}/config.json`, JSON.stringify({ ...json, ...fields }));
  };

  const tensors = (change: (all: Map<string, Tensor>) => void) => async (files: FileStore) => {
    const { tensors: all } = decodeSafetensors(await files.read(shard));
    change(all);
    await files.write(shard, encodeSafetensors(all));
  };

  const weightMap = (change: (map: Record<string, unknown>) => void) => async (files: FileStore) => {
    const json = (await readJson(files, index)) as { weight_map: Record<string, unknown> };
    change(json.weight_map);
    await files.write(index, JSON.stringify(json));
  };

  it.each<[string, (files: FileStore) => Promise<void>, string]>([
    [
      'an unknown architecture',
      config({ model_type: 'mamba' }),
      'config.json: model_type "mamba" is not supported; known are llama',
    ],
    [
      'a name that objects have',
      config({ model_type: 'constructor' }),
      'model_type "constructor" is not supported',
    ],
    [
      'a table of 10^15 elements',
      config({ vocab_size: 1e15 }),
      'has shape [20,16] but config.json asks for [1000000000000000,16]',
    ],
    [
      'a width that is not the files’',
      config({ hidden_size: 32 }),
      'tensor "model.embed_tokens.weight" has shape [20,16] but config.json asks for [20,32]',
    ],
    [
      '10^9 layers',
      config({ num_hidden_layers: 1e9 }),
      'config.json: num_hidden_layers is 1000000000; at most',
    ],
    [
      'half a layer',
      config({ num_hidden_layers: 0.5 }),
      'config.json: num_hidden_layers is 0.5; it must be a positive integer',
    ],
    ['a missing field', config({ hidden_size: null }), 'config.json: hidden_size is missing'],
    [
      'heads that do not divide',
      config({ num_key_value_heads: 3 }),
      'numAttentionHeads 2 is not a multiple of numKeyValueHeads 3',
    ],
    [
      'another activation',
      config({ hidden_act: 'relu' }),
      'hidden_act "relu" is not supported; it must be "silu"',
    ],
    [
      'an unknown rotary scheme',
      config({ rope_parameters: { rope_type: 'dynamic', factor: 2 } }),
      'rope_type "dynamic" is not supported',
    ],
    [
      'layer types of another model',
      config({ use_sliding_window: true, layer_types: [] }),
      'layer_types has 0 entries for 1 layers',
    ],
    [
      'an unknown layer type',
      config({ use_sliding_window: true, layer_types: ['chunked'] }),
      'layer_types has "chunked"',
    ],
    [
      'one more layer than there is',
      config({ num_hidden_layers: 2 }),
      'tensor "model.layers.1.input_layernorm.weight" is missing (and 10 more)',
    ],
    [
      'a tensor of no use',
      tensors(all => all.set('model.layers.7.bias', float32([1], [0]))),
      '"model.layers.7.bias" is no part of this qwen3 model',
    ],
    [
      'a missing tensor',
      tensors(all => all.delete('model.layers.0.mlp.gate_proj.weight')),
      'tensor "model.layers.0.mlp.gate_proj.weight" is missing;',
    ],
    [
      'a tensor twice',
      tensors(all => all.set('model.norm.weight', float32([16], new Float32Array(16)))),
      'tensor "model.norm.weight" is in',
    ],
    [
      'integers',
      tensors(all =>
        all.set('model.layers.0.mlp.gate_proj.weight', {
          dtype: 'int8',
          dims: [24, 16],
          data: new Int8Array(384),
        }),
      ),
      'is int8; weights must be float64, float32, float16, bfloat16',
    ],
    [
      'a file outside',
      weightMap(map => {
        map.x = '../other.safetensors';
      }),
      '"../other.safetensors" is not the name of a safetensors file beside it',
    ],
    [
      'a file that is a number',
      weightMap(map => {
        map.x = 7;
      }),
      '7 is not the name of a safetensors file',
    ],
    [
      'a file that is not there',
      weightMap(map => {
        map.x = 'model-00009-of-00009.safetensors';
      }),
      'model-00009-of-00009.safetensors: no such file, though',
    ],
    ['an index without files', files => files.write(index, '{}'), 'index.json: no weight_map'],
    ['an index that is null', files => files.write(index, 'null'), 'index.json: no weight_map'],
    [
      'a config that is a list',
      files => files.write(`${name}/config.json`, '[]'),
      'config.json: is not a JSON object',
    ],
    ['no weights', files => files.remove(index), 'no model.safetensors and no model.safetensors.index.json'],
    ['a file cut short', async files => files.truncate(shard, 1000), 'it was cut short'],
  ])('%s', async (_, change, message) => {
    await expect(changed(change)).rejects.toThrow(message);
  });

  it('takes what old Llama files and doubled tables hold besides', async () => {
    const files = directory(name);
    const all = decodeSafetensors(await files.read(shard)).tensors;
    all.set('lm_head.weight', float32([20, 16], new Float32Array(320)));
    all.set('model.layers.0.self_attn.rotary_emb.inv_freq', float32([4], [1, 0.1, 0.01, 0.001]));
    await files.write(shard, concatBytes(encodeSafetensors(all)));
    const { store } = await loadWeights(files, name);
    expect(store.flat).toEqual((await loadWeights(directory(name), name)).store.flat);
  });
});
