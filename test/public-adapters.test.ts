/** Adapters from the package's own surface alone: PEFT's files in, trained over floats and over 4 bits, out and merged. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import * as g from '../src/index.ts';

const fixtures = join(import.meta.dirname, '../bench/peers/fixtures');
const folder = mkdtempSync(join(tmpdir(), 'gaslaw-adapters-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const families = JSON.parse(readFileSync(join(fixtures, 'families.json'), 'utf8')) as {
  readonly name: string;
  readonly config: unknown;
}[];
const base = g.modelFromConfig(families.find(f => f.name === 'qwen3-biases')?.config, 'families.json');
const store = new g.ParameterStore(base.parameters).initialize(new g.Random(1));
const SEQUENCE = [5, 9, 13, 17, 21, 2, 6, 10, 14, 18];

/** Names and shapes in the header of a safetensors file. */
function headerOf(path: string): Record<string, readonly number[]> {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, { shape: number[] }>;
  return Object.fromEntries(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(([name, { shape }]) => [name, shape]),
  );
}

/** How many of eight greedy tokens are not the sequence's. */
async function wrongAnswers(
  runtime: g.Runtime,
  model: g.CausalModel,
  values: g.ParameterStore,
): Promise<number> {
  using decoder = await g.Decoder.create(runtime, model, values);
  using engine = new g.Engine(decoder, { slots: 1, capacity: 16 });
  const [answer] = await engine.generate([
    { prompt: SEQUENCE.slice(0, 2), maxTokens: 8, temperature: 0, seed: 1 },
  ]);
  return (answer?.ids ?? []).filter((id, i) => id !== SEQUENCE[i + 2]).length;
}

it.each(['floats', '4 bits'])('over %s', { timeout: 60_000 }, async kind => {
  const weights = kind === 'floats' ? store.tensors() : g.packBase(base, store, { blockSize: 16 });
  const files = g.nodeFiles();
  const { model, store: adapters } = await g.loadAdapter(files, join(fixtures, 'adapter'), base, weights);
  const runtime = await g.nativeRuntime();
  using stage = await g.languageModelTraining(runtime, model, adapters, {
    data: { next: () => g.batchesByLength([{ ids: SEQUENCE }], { maxPlaces: 64 }) },
    schedule: { kind: 'constant', rate: 0.02 },
    optimizer: { kind: 'adamw' },
  });
  for (let i = 0; i < 60; i++) await stage.step(i);
  expect(await wrongAnswers(runtime, model, adapters)).toBe(0);

  const out = join(folder, kind);
  await g.saveAdapter(files, out, model, adapters);
  const weightsFile = 'adapter_model.safetensors';
  expect(headerOf(join(out, weightsFile))).toEqual(headerOf(join(fixtures, 'adapter', weightsFile)));
  const again = await g.loadAdapter(files, out, base, weights);
  expect(again.store.flat).toEqual(adapters.flat);
  if (kind === 'floats')
    expect(await wrongAnswers(runtime, base, g.mergeAdapters(model, store, adapters))).toBe(0);
});
