/**
 * Directories of small random models of every dense family, in every type and in several files, and of adapters, with the
 * logits that Gaslaw computes from them: peers/check_directories.py opens them with transformers and PEFT and compares.
 * Usage: node dist/bench/directories.js DIR, then python bench/peers/check_directories.py DIR
 */
import { readFileSync } from 'node:fs';
import { nodeFiles } from '../src/cli/node-files.ts';
import { int32, modelOf, type Tensor } from '../src/graph/ir.ts';
import { loadWeights, saveModel } from '../src/models/files.ts';
import { modelFromConfig } from '../src/models/index.ts';
import { adapterStore, loraConfig, loraModel, saveAdapter } from '../src/models/lora/index.ts';
import type { CausalModel } from '../src/models/model.ts';
import { WEIGHT_DTYPES, type WeightDType } from '../src/models/weight-files.ts';
import { ParameterStore, ParameterTrace } from '../src/nn/parameters.ts';
import { Builder } from '../src/ops/builder.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { CharacterTokenizer } from '../src/tokenizer/character.ts';
import { Random } from '../src/util/random.ts';

const FAMILIES = 'bench/peers/fixtures/families.json';
const SHARD_BYTES = 12_000;

const tokenizer = CharacterTokenizer.fromAlphabet('abcdefghijklmnopqrstuv');
const files = nodeFiles();

/** Logits [T, V] of one row. */
async function rowLogits(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  ids: readonly number[],
): Promise<number[]> {
  const b = new Builder('forward');
  const int = (name: string) => b.input(name, 'int32', ['B', 'T']);
  const trace = new ParameterTrace(b);
  const inputs = { ids: int('ids'), positions: int('positions') };
  b.output(model.logits(trace.scope(), model.hidden(trace.scope(), inputs)), 'logits');
  using program = await runtime.compile(modelOf(b.graph));
  const weights = trace.values().map(v => [v.name, store.tensor(v.name)] as const);
  const out = await program.call({
    ids: int32([1, ids.length], ids),
    positions: int32([1, ids.length], [...ids.keys()]),
    ...Object.fromEntries(weights),
  });
  return Array.from((out.logits as Tensor).data as Float32Array);
}

async function writeModel(runtime: Runtime, folder: string, config: unknown, dtype: WeightDType) {
  const model = modelFromConfig(config, 'families.json');
  const store = new ParameterStore(model.parameters).initialize(new Random(folder.length));
  const random = new Random(11);
  store.flat.forEach((w, i) => void (store.flat[i] = w + 0.1 * random.normal())); // gains and biases off their start
  await saveModel(files, folder, model, store, tokenizer, { dtype, maxShardBytes: SHARD_BYTES });
  const written = await loadWeights(files, folder); // rounded as it was written
  const ids = Array.from({ length: 10 }, () => 3 + random.int(model.vocabSize - 3));
  return { folder, ids, logits: await rowLogits(runtime, written.model, written.store, ids) };
}

/** An adapter over the model in `base`, with random values in both matrices. */
async function writeAdapter(runtime: Runtime, folder: string, base: string) {
  const { model, store } = await loadWeights(files, base);
  const lora = loraModel(
    model,
    store.tensors(),
    loraConfig({ r: 3, useRslora: true, baseModelNameOrPath: base }),
  );
  const adapters = adapterStore(lora);
  const random = new Random(folder.length);
  adapters.flat.forEach((_, i) => void (adapters.flat[i] = 0.2 * random.normal()));
  await saveAdapter(files, folder, lora, adapters);
  const ids = Array.from({ length: 10 }, () => 3 + random.int(model.vocabSize - 3));
  return { folder, base, ids, logits: await rowLogits(runtime, lora, adapters, ids) };
}

async function main(target: string): Promise<void> {
  const runtime = await nativeRuntime();
  const families = JSON.parse(readFileSync(FAMILIES, 'utf8')) as { name: string; config: unknown }[];
  const written = [];
  for (const [i, { name, config }] of families.entries()) {
    const dtype = WEIGHT_DTYPES[i % WEIGHT_DTYPES.length] as WeightDType;
    written.push(await writeModel(runtime, `${target}/${name}`, config, dtype));
  }
  for (const name of ['llama-biases', 'gemma-3-scaled'])
    written.push(await writeAdapter(runtime, `${target}/${name}-adapter`, `${target}/${name}`));
  await files.write(`${target}/directories.json`, JSON.stringify(written));
}

const target = process.argv[2];
if (!target) throw new Error('usage: node dist/bench/directories.js DIR');
await main(target);
