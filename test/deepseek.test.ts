/** DeepSeek's two forms of attention are one function, experts get their tokens and no others: outputs, gradients, a step of training. */
import { beforeAll, describe, expect, it } from 'vitest';
import { gradients } from '../src/autodiff/gradients.ts';
import { lower } from '../src/autodiff/lower.ts';
import { float32, int32, int64, modelOf, type Tensor } from '../src/graph/ir.ts';
import { type DeepseekConfig, deepseekConfig, deepseekModel } from '../src/models/deepseek/index.ts';
import { deepseekHidden, deepseekLogits, type HiddenOptions } from '../src/models/deepseek/model.ts';
import { type Experts, sortedExperts } from '../src/nn/experts.ts';
import { crossEntropy, tokenScores } from '../src/nn/losses.ts';
import { normal, type ParameterStore, ParameterTrace } from '../src/nn/parameters.ts';
import { Builder } from '../src/ops/builder.ts';
import { modelFor } from '../src/ops/opset.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { referenceRuntime } from '../src/runtime/reference/index.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { patternedStore, uniform } from './patterned.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await nativeRuntime();
});

const SHAPE = { vocabSize: 20, hiddenSize: 32, numHiddenLayers: 2, maxPositionEmbeddings: 16 } as const;
const CONFIGS: readonly [string, DeepseekConfig][] = [
  ['queries compressed', deepseekConfig({ ...SHAPE, qLoraRank: 16, nGroup: 4, topkGroup: 2 })],
  ['queries not compressed', deepseekConfig({ ...SHAPE, modelType: 'deepseek_v2', nSharedExperts: 2 })],
];

/** Loss and gradients of all parameters in one flat array. */
async function learn(c: DeepseekConfig, store: ParameterStore, options: HiddenOptions) {
  const b = new Builder('train');
  const trace = new ParameterTrace(b);
  const int = (name: string) => b.input(name, 'int32', ['B', 'T']);
  const [ids, positions, targets] = [int('ids'), int('positions'), int('targets').reshape([-1])];
  const hidden = deepseekHidden(trace.scope(), c, { ids, positions }, options).reshape([-1, c.hiddenSize]);
  const scores = tokenScores(deepseekLogits(trace.scope(), c, hidden), targets);
  const loss = crossEntropy(scores, b.input('weights', 'float32', ['M']));
  const values = trace.values();
  const grads = gradients(b, loss, values);
  b.output(loss, 'loss');
  values.forEach((v, i) => void b.output(grads[i]!, `grad:${v.name}`));
  using program = await runtime.compile(modelOf(lower(b.graph)));
  const flat = new Float32Array(store.flat.length);
  const out = { loss: float32([], new Float32Array(1)) };
  const weights = values.map(v => [v.name, store.tensor(v.name)] as const);
  const into = values.map(v => [`grad:${v.name}`, store.tensor(v.name, flat)] as const);
  using binding = program.bind({ ...feeds, ...out, ...Object.fromEntries([...weights, ...into]) });
  await binding.run();
  return { loss: out.loss.data[0] as number, flat };
}

const token = (i: number) => 1 + ((i * 7) % 19);
const feeds: Record<string, Tensor> = {
  ids: int32(
    [2, 6],
    Array.from({ length: 12 }, (_, i) => token(i)),
  ),
  targets: int32(
    [2, 6],
    Array.from({ length: 12 }, (_, i) => token(i + 1)),
  ),
  positions: int32(
    [2, 6],
    Array.from({ length: 12 }, (_, i) => i % 6),
  ),
  weights: float32([12], new Float32Array(12).fill(1 / 12)),
};

const worst = (a: Float32Array, b: Float32Array) =>
  Math.max(...a.map((x, i) => Math.abs(x - (b[i] as number))));

describe.each(CONFIGS)('%s', (_name, config) => {
  it('absorbed attention has the loss and the gradients of plain attention', async () => {
    const store = patternedStore(deepseekModel(config));
    const plain = await learn(config, store, { attention: 'plain' });
    const absorbed = await learn(config, store, { attention: 'absorbed' });
    expect(absorbed.loss).toBeCloseTo(plain.loss, 5);
    const size = Math.hypot(...plain.flat);
    expect(size).toBeGreaterThan(0.1);
    expect(worst(plain.flat, absorbed.flat) / size).toBeLessThan(1e-5);
  });

  it('one step moves the same weights the same way', async () => {
    const moved = await Promise.all(
      (['plain', 'absorbed'] as const).map(async attention => {
        const store = patternedStore(deepseekModel(config));
        const { flat } = await learn(config, store, { attention });
        store.flat.forEach((w, i) => {
          store.flat[i] = w - 0.1 * (flat[i] as number);
        });
        return { store, after: (await learn(config, store, { attention })).loss };
      }),
    );
    const [plain, absorbed] = moved as [(typeof moved)[0], (typeof moved)[0]];
    expect(worst(plain.store.flat, absorbed.store.flat)).toBeLessThan(1e-5);
    expect(absorbed.after).toBeCloseTo(plain.after, 4);
  });
});

describe('experts', () => {
  const M = 9;
  const experts: Experts = {
    count: 4,
    topK: 2,
    hiddenSize: 16,
    width: 8,
    init: { in: normal(1), out: normal(1) },
  };
  const table = (name: string, dims: readonly number[]) =>
    float32(
      dims,
      Float32Array.from(
        uniform(
          name,
          dims.reduce((a, d) => a * d, 1),
        ),
      ),
    );
  const x = table('x', [M, 16]);
  const gates = float32(
    [M, 2],
    Float32Array.from(uniform('gates', 2 * M), v => 1.5 + v),
  );
  /** Nobody goes to expert 3. */
  const chosen = int64(
    [M, 2],
    Array.from({ length: 2 * M }, (_, i) => (i % 2 === 0 ? (i / 2) % 3 : (i / 2 + 0.5) % 3)),
  );

  async function outputs(on: Runtime): Promise<Float32Array> {
    const b = new Builder('experts');
    const names = new Map<string, Tensor>();
    const trace = new ParameterTrace(b, name => {
      const tensor = names.get(name) ?? table(name, name.includes('down') ? [16, 8] : [8, 16]);
      names.set(name, tensor);
      return tensor;
    });
    const input = (name: string, t: Tensor) => b.input(name, t.dtype, ['M', t.dims[1] as number]);
    const routing = {
      chosen: input('chosen', chosen),
      gates: input('gates', gates),
      scores: input('gates2', gates),
    };
    b.output(sortedExperts(trace.scope(), experts, input('x', x), routing), 'y');
    using program = await on.compile(modelFor(lower(b.graph)));
    return ((await program.call({ x, gates, chosen, gates2: gates })).y as Tensor).data as Float32Array;
  }

  /** Σ g W_d (silu(W_g x) ⊙ W_u x), a token at a time. */
  function plainly(): Float32Array {
    const product = (name: string, rows: number, v: readonly number[]) => {
      const w = table(name, [rows, v.length]).data;
      return Array.from({ length: rows }, (_, r) =>
        v.reduce((s, e, i) => s + e * (w[r * v.length + i] as number), 0),
      );
    };
    const y = new Float32Array(M * 16);
    for (let t = 0; t < 2 * M; t++) {
      const row = [...(x.data as Float32Array).subarray(16 * (t >> 1), 16 * (t >> 1) + 16)];
      const j = Number(chosen.data[t]);
      const up = product(`${j}.up_proj.weight`, 8, row);
      const inner = product(`${j}.gate_proj.weight`, 8, row).map((g, i) => (g / (1 + Math.exp(-g))) * up[i]!);
      product(`${j}.down_proj.weight`, 16, inner).forEach((v, i) => {
        y[16 * (t >> 1) + i]! += v * (gates.data[t] as number);
      });
    }
    return y;
  }

  it('each token goes through its own, an expert may have none', async () => {
    const expected = plainly();
    expect(worst(await outputs(runtime), expected)).toBeLessThan(1e-4);
    expect(worst(await outputs(referenceRuntime()), expected)).toBeLessThan(1e-4);
  });
});
