/**
 * Every dense family against transformers (bench/peers/reference_families.py): logits of whole rows and of steps over a
 * cache, padded and not, by the native runtime and the reference interpreter; loss and gradients.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { promptFeeds } from '../src/export/calibration.ts';
import { exportAs } from '../src/export/dtypes.ts';
import { Decoder } from '../src/generate/decoder.ts';
import { Engine } from '../src/generate/engine.ts';
import { float32, type Graph, int32, modelOf, sizeOf, type Tensor } from '../src/graph/ir.ts';
import { verify } from '../src/graph/verify.ts';
import { modelFromConfig } from '../src/models/index.ts';
import type { CausalModel } from '../src/models/model.ts';
import { crossEntropy } from '../src/nn/losses.ts';
import { type ParameterStore, ParameterTrace } from '../src/nn/parameters.ts';
import { Builder } from '../src/ops/builder.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { referenceRuntime } from '../src/runtime/reference/index.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { gradientGraph } from '../src/train/learner.ts';
import { patternedStore, uniform } from './patterned.ts';

interface Family {
  readonly name: string;
  readonly loss: number;
  /** Norm of each parameter's gradient, and its product with a pattern. */
  readonly gradients: Readonly<Record<string, readonly [norm: number, probe: number]>>;
  readonly config: Record<string, unknown>;
  readonly older: Record<string, unknown>;
  readonly parameters: number;
  readonly ids: readonly [number[], number[]];
  /** What transformers answers to the first five tokens of each row. */
  readonly greedy: readonly number[][];
  readonly logits: readonly { readonly dims: readonly [number, number]; readonly data: readonly number[] }[];
}

const families: Family[] = ['families', 'deepseek', 'qwen3_moe'].flatMap(name =>
  JSON.parse(readFileSync(new URL(`../bench/peers/fixtures/${name}.json`, import.meta.url), 'utf8')),
);

/** Largest difference that is allowed, in logits of size 1. */
const TOLERANCE = 1e-5;

let runtime: Runtime;
beforeAll(async () => {
  runtime = await nativeRuntime();
});

/** The training form as a graph: ids, positions and segments [B, T] → logits [B, T, V]. */
function forwardGraph(model: CausalModel, packed: boolean): Graph {
  const b = new Builder('forward');
  const int = (name: string) => b.input(name, 'int32', ['B', 'T']);
  const [ids, positions] = [int('ids'), int('positions')];
  const scope = new ParameterTrace(b).scope();
  const segments = packed ? int('segments') : undefined;
  b.output(model.logits(scope, model.hidden(scope, { ids, positions, segments })), 'logits');
  return b.graph;
}

async function forward(
  on: Runtime,
  model: CausalModel,
  store: ParameterStore,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Tensor> {
  using program = await on.compile(modelOf(forwardGraph(model, 'segments' in feeds)));
  const weights = program.inputs
    .filter(({ name }) => !(name in feeds))
    .map(({ name }) => [name, store.tensor(name)] as const);
  return (await program.call({ ...feeds, ...Object.fromEntries(weights) })).logits as Tensor;
}

/** Rows of the batch, `pad` zeros before or after the shorter one. */
function batchOf(rows: readonly (readonly number[])[], side: 'left' | 'right'): Record<string, Tensor> {
  const length = Math.max(...rows.map(row => row.length));
  const table = (value: (row: readonly number[], i: number) => number) =>
    int32(
      [rows.length, length],
      rows.flatMap(row => {
        const start = side === 'left' ? length - row.length : 0;
        return Array.from({ length }, (_, i) => value(row, i - start));
      }),
    );
  const within = (row: readonly number[], i: number) => i >= 0 && i < row.length;
  return {
    ids: table((row, i) => (within(row, i) ? (row[i] as number) : 0)),
    positions: table((row, i) => (within(row, i) ? i : 0)),
    ...(side === 'left' && { segments: table((row, i) => (within(row, i) ? 1 : 0)) }),
  };
}

/** Largest difference between `actual` [B, T, V] and the stored logits of each row. */
function worstOf(actual: Tensor, family: Family, side: 'left' | 'right'): number {
  const [, length, vocabulary] = actual.dims as [number, number, number];
  const data = actual.data as Float32Array;
  return Math.max(
    ...family.logits.map((stored, r) => {
      const [count] = stored.dims;
      const start = (r * length + (side === 'left' ? length - count : 0)) * vocabulary;
      return Math.max(...stored.data.map((z, i) => Math.abs(z - (data[start + i] as number))));
    }),
  );
}

/** Reads the first `prompts[r]` tokens of each row at once and the others one by one; the largest difference seen. */
async function stepThrough(
  on: Runtime,
  model: CausalModel,
  store: ParameterStore,
  family: Family,
  prompts: readonly [number, number],
): Promise<number> {
  using decoder = await Decoder.create(on, model, store);
  const cache = decoder.allocateCache(2, 16);
  const logits = new Float32Array(2 * model.vocabSize);
  const lengths = [...prompts];
  let worst = 0;
  const read = async (counts: readonly number[], total: number) => {
    const width = Math.max(...counts);
    using lane = decoder.lane(cache, { rows: 2, length: width }, logits);
    family.ids.forEach((row, r) => {
      const count = counts[r] as number;
      lane.ids.set(row.slice((lengths[r] as number) - count, lengths[r]), r * width);
      lane.lastPosition[r] = (lengths[r] as number) - 1;
    });
    lane.total = total;
    await lane.run();
    worst = Math.max(worst, worstOfRows(logits, family, lengths));
  };
  await read(prompts, Math.max(...prompts));
  while (lengths.some((n, r) => n < (family.ids[r] as number[]).length)) {
    lengths.forEach((n, r) => {
      lengths[r] = Math.min(n + 1, (family.ids[r] as number[]).length);
    });
    await read([1, 1], Math.max(...lengths));
  }
  return worst;
}

/** Difference of logits [2, V] after `lengths[r]` tokens of each row. */
function worstOfRows(logits: Float32Array, family: Family, lengths: readonly number[]): number {
  const size = logits.length / 2;
  return Math.max(
    ...family.logits.map(({ data }, r) => {
      const stored = data.slice(((lengths[r] as number) - 1) * size, (lengths[r] as number) * size);
      return Math.max(...stored.map((z, i) => Math.abs(z - (logits[r * size + i] as number))));
    }),
  );
}

describe.each(families)('$name', family => {
  const model = modelFromConfig(family.config, 'config.json');
  const store = patternedStore(model);

  it('has the parameters of transformers’ model', () => {
    expect(store.count).toBe(family.parameters);
    const stored = Object.keys(family.gradients).sort();
    expect(model.parameters.map(p => p.name).sort()).toEqual(stored);
  });

  it('reads the same from the config.json of older versions', () => {
    const older = modelFromConfig(family.older, 'config.json');
    expect(older.toHuggingFace()).toEqual(model.toHuggingFace());
    expect(modelFromConfig(model.toHuggingFace(), 'config.json').toHuggingFace()).toEqual(
      model.toHuggingFace(),
    );
  });

  it.each(['right', 'left'] as const)('training form, rows padded on the %s', async side => {
    const logits = await forward(runtime, model, store, batchOf(family.ids, side));
    expect(worstOf(logits, family, side)).toBeLessThan(TOLERANCE);
  });

  it('training form in the reference interpreter', async () => {
    const logits = await forward(referenceRuntime(), model, store, batchOf(family.ids, 'left'));
    expect(worstOf(logits, family, 'left')).toBeLessThan(TOLERANCE);
  });

  it.each([
    [3, 3],
    [6, 2],
    [9, 5],
  ] as const)('step form after prompts of %d and %d tokens', async (...prompts) => {
    expect(await stepThrough(runtime, model, store, family, prompts)).toBeLessThan(TOLERANCE);
  });

  it('step form in the reference interpreter', async () => {
    expect(await stepThrough(referenceRuntime(), model, store, family, [6, 2])).toBeLessThan(TOLERANCE);
  });

  it('answers of the engine, both rows at once', async () => {
    using decoder = await Decoder.create(runtime, model, store.tensors());
    using engine = new Engine(decoder, { slots: 2, capacity: 16 });
    const requests = family.ids.map(ids => ({
      prompt: ids.slice(0, 5),
      maxTokens: 10,
      temperature: 0,
      seed: 1,
    }));
    expect((await engine.generate(requests)).map(answer => answer.ids)).toEqual(family.greedy);
  });

  it('exported, over whole prompts', async () => {
    const exported = exportAs(model, store, 'f32').model;
    verify(exported);
    using program = await runtime.compile(exported);
    for (const [r, ids] of family.ids.entries()) {
      const { logits } = await program.call(promptFeeds(model, ids), ['logits']);
      expect(
        worstOf(logits as Tensor, { ...family, logits: family.logits.slice(r, r + 1) }, 'right'),
      ).toBeLessThan(TOLERANCE);
    }
  });

  it('loss and gradients', async () => {
    const { graph, parameterNames } = gradientGraph(
      model,
      c => ({ loss: crossEntropy(c.scores(), c.token('weights')) }),
      {},
    );
    using program = await runtime.compile(modelOf(graph));
    const feeds = trainingFeeds(family);
    const weights = Object.fromEntries(parameterNames.map(n => [n, store.tensor(n)]));
    const out = await program.call({ ...feeds, ...weights });
    expect(((out.loss as Tensor).data as Float32Array)[0]).toBeCloseTo(family.loss, 5);
    const found = gradientsOf(out, model, parameterNames);
    for (const [name, [norm, probe]] of Object.entries(family.gradients)) {
      const gradient = found.get(name) as Float32Array;
      if (norm === 0) {
        expect(Math.hypot(...gradient), name).toBe(0);
        continue;
      }
      expect(Math.hypot(...gradient) / norm, name).toBeCloseTo(1, 4);
      const pattern = uniform(`probe.${name}`, gradient.length);
      expect(
        Math.abs(gradient.reduce((s, g, i) => s + g * (pattern[i] as number), 0) - probe) / norm,
        name,
      ).toBeLessThan(1e-4);
    }
  });
});

/** The gradient of each parameter; inputs named `a+b` are several under each other. */
function gradientsOf(
  out: Readonly<Record<string, Tensor>>,
  model: CausalModel,
  inputs: readonly string[],
): Map<string, Float32Array> {
  const sizes = new Map(model.parameters.map(({ name, dims }) => [name, sizeOf(dims)]));
  const found = new Map<string, Float32Array>();
  for (const input of inputs) {
    const data = (out[`grad:${input}`] as Tensor).data as Float32Array;
    let start = 0;
    for (const name of input.split('+')) {
      const end = start + (sizes.get(name) as number);
      found.set(name, data.subarray(start, end));
      start = end;
    }
  }
  return found;
}

/** Next tokens of both rows, weighted so that the loss is their mean. */
function trainingFeeds(family: Family): Record<string, Tensor> {
  const { ids, positions } = batchOf(family.ids, 'right') as { ids: Tensor; positions: Tensor };
  const [rows, length] = ids.dims as [number, number];
  const count = family.ids.reduce((n, row) => n + row.length - 1, 0);
  const at = (r: number, i: number) => family.ids[r]?.[i + 1];
  const cells = Array.from({ length: sizeOf(ids.dims) }, (_, i) => at(Math.floor(i / length), i % length));
  return {
    ids,
    positions,
    targets: int32(
      [rows, length],
      cells.map(id => id ?? 0),
    ),
    weights: float32(
      [rows, length],
      cells.map(id => (id === undefined ? 0 : 1 / count)),
    ),
  };
}
