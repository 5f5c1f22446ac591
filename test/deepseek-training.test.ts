/** A DeepSeek model from the first step to a file: it learns, balances, drafts, is saved, loaded, decoded and exported. */
import { beforeAll, describe, expect, it } from 'vitest';
import { promptFeeds } from '../src/export/calibration.ts';
import { EXPORT_DTYPES, exportAs } from '../src/export/dtypes.ts';
import { Decoder } from '../src/generate/decoder.ts';
import { Engine } from '../src/generate/engine.ts';
import { float32, int32, modelOf, type Tensor } from '../src/graph/ir.ts';
import { deepseekModel } from '../src/models/deepseek/index.ts';
import { deepseekAhead, deepseekHidden } from '../src/models/deepseek/model.ts';
import { loadModel, saveModel } from '../src/models/files.ts';
import type { AheadModule } from '../src/models/model.ts';
import { type ParameterStore, ParameterTrace } from '../src/nn/parameters.ts';
import { Builder } from '../src/ops/builder.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { memoryFiles } from '../src/util/files.ts';
import { patternedStore } from './patterned.ts';
import { config, tokenizer, trained } from './trained-deepseek.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await nativeRuntime();
});

const biasesOf = (store: ParameterStore, layer: number) => [
  ...(store.tensor(`model.layers.${layer}.mlp.gate.e_score_correction_bias`).data as Float32Array),
];

describe('a training', () => {
  it('learns the next token and the one after; biases move by γ a step, losses not in their way', async () => {
    const { store, first, last } = await trained(runtime, {
      biasRate: 0.01,
      aheadWeight: 0.3,
      expertLoss: 1e-3,
    });
    expect(last['loss/next']).toBeLessThan((first['loss/next'] as number) / 2);
    expect(last['loss/ahead']).toBeLessThan((first['loss/ahead'] as number) / 1.5);
    expect(first['loss/balance']).toBeGreaterThan(0.9e-3);
    expect(first.loss).toBeCloseTo(
      (first['loss/next'] as number) +
        0.3 * (first['loss/ahead'] as number) +
        (first['loss/balance'] as number),
      4,
    );
    expect(first['moe/max_vio']).toBeGreaterThan(0);
    for (const layer of [1, 2]) {
      const steps = biasesOf(store, layer).map(b => b / 0.01);
      expect(Math.max(...steps.map(s => Math.abs(s - Math.round(s))))).toBeLessThan(1e-3);
      expect(Math.max(...steps.map(Math.abs))).toBeGreaterThan(0.5);
    }
  });

  it('leaves biases alone without a rate, and has no third loss without the module', async () => {
    const { store, first } = await trained(runtime, {}, 2);
    expect(biasesOf(store, 1)).toEqual(Array(8).fill(0));
    expect(first['loss/ahead']).toBeUndefined();
    expect(store.has('model.layers.2.eh_proj.weight')).toBe(false);
  });

  it('goes to files and back: decoded text and exports are the same model', async () => {
    const { model, store } = await trained(runtime, { biasRate: 0.01, aheadWeight: 0.3 });
    const files = memoryFiles();
    await saveModel(files, 'm', model, store, tokenizer);
    const loaded = await loadModel(files, 'm');
    const request = { prompt: tokenizer.encode('abc a'), maxTokens: 16, temperature: 0, seed: 1 };
    const answers = [];
    for (const [m, weights] of [
      [model, store],
      [loaded.model, loaded.store.tensors()],
    ] as const) {
      using decoder = await Decoder.create(runtime, m, weights);
      using engine = new Engine(decoder, { slots: 1, capacity: 32 });
      answers.push((await engine.generate([request]))[0]?.ids);
    }
    expect(answers[1]).toEqual(answers[0]);
    expect(tokenizer.decode(answers[0] ?? [])).toMatch(/^b[cde] /);
    const [exact, ...others] = await Promise.all(
      EXPORT_DTYPES.map(async dtype => {
        using program = await runtime.compile(exportAs(loaded.model, loaded.store, dtype).model);
        const out = await program.call(promptFeeds(loaded.model, request.prompt), ['logits']);
        return (out.logits as Tensor).data as Float32Array;
      }),
    );
    const { nodes } = exportAs(loaded.model, loaded.store, 'int4').model.graph;
    expect(nodes.filter(n => n.opType === 'MatMulNBits').length).toBeGreaterThan(config.nRoutedExperts);
    for (const other of others) {
      const worst = Math.max(...other.map((z, i) => Math.abs(z - (exact?.[i] as number))));
      expect(worst).toBeLessThan(2);
    }
  });
});

it('the module over a cache gives what it gives over whole rows', async () => {
  const model = deepseekModel(config, { aheadWeight: 1 });
  const store = patternedStore(model);
  const length = 6;
  const ids = Array.from({ length: length + 1 }, (_, i) => 1 + ((i * 5) % 8));
  const b = new Builder('rows');
  const scope = new ParameterTrace(b).scope();
  const [now, next, positions] = ['ids', 'next', 'positions'].map(n => b.input(n, 'int32', ['B', 'T']));
  if (!now || !next || !positions) throw new Error('no inputs');
  const hidden = deepseekHidden(scope, config, { ids: now, positions });
  b.output(hidden, 'hidden');
  b.output(deepseekAhead(scope, config, { ids: next, positions }, hidden), 'ahead');
  const weightsOf = (names: readonly { name: string }[], given: object) =>
    Object.fromEntries(
      names.filter(({ name }) => !(name in given)).map(({ name }) => [name, store.tensor(name)] as const),
    );
  const row = (values: number[]) => int32([1, values.length], values);
  const feeds = {
    ids: row(ids.slice(0, length)),
    next: row(ids.slice(1)),
    positions: row(Array.from({ length }, (_, i) => i)),
  };
  using whole = await runtime.compile(modelOf(b.graph));
  const expected = await whole.call({ ...feeds, ...weightsOf(whole.inputs, feeds) });

  const module = model.ahead as AheadModule;
  const s = new Builder('step');
  const cache = module.cacheSlots.map(slot =>
    s.input(slot.name, 'float32', ['B', slot.heads, 'C', slot.width]),
  );
  const step = module.step(new ParameterTrace(s).scope(), {
    ids: s.input('ids', 'int32', ['B', 'S']),
    lastPosition: s.input('last', 'int32', ['B']),
    total: s.input('total', 'int32', []),
    previous: s.input('previous', 'float32', ['B', 'S', config.hiddenSize]),
    cache,
  });
  s.output(step.hidden, 'hidden');
  step.cache.forEach((v, i) => void s.output(v, `present.${i}`));
  using program = await runtime.compile(modelOf(s.graph));
  let past = module.cacheSlots.map(slot => float32([1, 1, 0, slot.width], new Float32Array()));
  const d = config.hiddenSize;
  const main = (expected.hidden as Tensor).data as Float32Array;
  for (const [from, to] of [
    [0, 3],
    [3, 4],
    [4, 6],
  ] as const) {
    const given: Record<string, Tensor> = {
      ids: row(ids.slice(from + 1, to + 1)),
      last: int32([1], [to - 1]),
      total: int32([], [to]),
      previous: float32([1, to - from, d], main.slice(from * d, to * d)),
      ...Object.fromEntries(module.cacheSlots.map((slot, i) => [slot.name, past[i] as Tensor])),
    };
    const out = await program.call({ ...given, ...weightsOf(program.inputs, given) });
    const wanted = ((expected.ahead as Tensor).data as Float32Array).subarray(from * d, to * d);
    const got = (out.hidden as Tensor).data as Float32Array;
    expect(Math.max(...got.map((x, i) => Math.abs(x - (wanted[i] as number))))).toBeLessThan(1e-4);
    past = module.cacheSlots.map((_, i) => out[`present.${i}`] as Tensor);
  }
});
