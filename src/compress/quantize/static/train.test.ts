/** Training with rounding in the loop: what it starts from, what it gains, what it leaves alone. */
import { describe, expect, it } from 'vitest';
import { float32, type Graph, type Model, modelOf, type Tensor } from '../../../graph/ir.ts';
import { verify } from '../../../graph/verify.ts';
import { Builder, type Value } from '../../../ops/builder.ts';
import { nativeRuntime } from '../../../runtime/native/native.ts';
import { Random } from '../../../util/random.ts';
import { quantizeStatic, type StaticOptions } from './index.ts';
import type { QuantizedTrainingOptions } from './train.ts';

const runtime = await nativeRuntime();
const BATCH = 32;

const normal = (dims: readonly number[], seed: number, scale = 1): Tensor => {
  const random = new Random(seed);
  const count = dims.reduce((a, b) => a * b, 1);
  return float32(
    dims,
    Float32Array.from({ length: count }, () => scale * random.normal()),
  );
};

/** Two convolutions, one around a sum, a mean and a product. */
function network(): Model {
  const b = new Builder('network');
  const conv = (x: Value, name: string, out: number, seed: number) =>
    b.op(
      'Conv',
      [
        x,
        b.initializer(`${name}.w`, normal([out, x.shape[1] as number, 3, 3], seed, 0.35)),
        b.initializer(`${name}.b`, normal([out], seed + 1, 0.3)),
      ],
      { pads: [1, 1, 1, 1] },
    );
  const a = b.op('Relu', [conv(b.input('x', 'float32', ['N', 3, 5, 5]), 'first', 8, 1)], {});
  const c = b.op('Relu', [conv(a, 'second', 8, 3).add(a)], {});
  const w = b.initializer('head.w', normal([8, 6], 5));
  const head = b.op('Gemm', [c.mean([2, 3], false), w, b.initializer('head.b', normal([6], 6))], {});
  b.output(head, 'logits');
  return modelOf(b.graph);
}

const model = network();
const batch = (seed: number) => ({ x: normal([BATCH, 3, 5, 5], seed) });
const data = [1, 2, 3, 4].map(batch);

const training = (steps: number, more: Partial<QuantizedTrainingOptions> = {}): QuantizedTrainingOptions => ({
  data: index => [batch(100 + index)],
  batchSize: BATCH,
  steps,
  rate: 0.02, // small sums
  seed: 1,
  ...more,
});

const made = async (options: StaticOptions): Promise<Graph> => {
  const { model: quantized } = await quantizeStatic(runtime, model, data, options);
  verify(quantized.graph);
  return quantized.graph;
};

/** Σ (p − p̂)² of the probabilities, on inputs of their own. */
async function errorOf(graph: Graph): Promise<number> {
  const probabilities = async (m: Model) => {
    using program = await runtime.compile(m, { optimization: 'basic' });
    const { logits } = await program.call(batch(7));
    return Array.from({ length: BATCH }, (_, n) => {
      const row = Array.from((logits.data as Float32Array).subarray(6 * n, 6 * n + 6), Math.exp);
      const sum = row.reduce((s, v) => s + v, 0);
      return row.map(v => v / sum);
    }).flat();
  };
  const [y, z] = [await probabilities(model), await probabilities(modelOf(graph))];
  return y.reduce((s, v, i) => s + (v - z[i]) ** 2, 0);
}

const valuesOf = (graph: Graph, name: string) =>
  Array.from(graph.initializers.get(name)?.data as Int8Array, Number);

describe('quantization-aware training', () => {
  it('of no step is what was chosen without it', async () => {
    const options = { weights: 'int4', rounding: 'output' } as const;
    const [plain, trained] = [await made(options), await made({ ...options, training: training(0) })];
    expect([...trained.initializers.keys()]).toEqual([...plain.initializers.keys()]);
    for (const name of plain.initializers.keys())
      expect(valuesOf(trained, name)).toEqual(valuesOf(plain, name));
  });

  it.each([{ weightBits: 2 }, { weightBits: 3 }, { weightBits: 2, granularity: 'per-tensor' }] as const)(
    'leaves a quarter of the error of the nearest codes of %j at most',
    async more => {
      const options = { weights: 'int4', activations: 'int16', ...more } as const;
      const [before, after] = [
        await errorOf(await made(options)),
        await errorOf(await made({ ...options, training: training(150) })),
      ];
      expect(after).toBeLessThan(0.25 * before);
    },
  );

  it('lessens the error of activations of 4 bits', async () => {
    const gemm = model.graph.nodes.find(n => n.opType === 'Gemm')?.name as string;
    const float = new Set([model.graph.nodes[0].name, gemm]);
    const options = { weights: 'int4', activations: 'uint4', float } as const;
    const [before, after] = [
      await errorOf(await made(options)),
      await errorOf(await made({ ...options, training: training(150) })),
    ];
    expect(after).toBeLessThan(0.8 * before);
  });

  it('that makes everything worse on held-out inputs ends where it began', async () => {
    const options = { weights: 'int4', rounding: 'output' } as const;
    const ruin = training(12, { rate: 20, heldOut: [batch(50)] });
    const [before, after, unjudged] = [
      await made(options),
      await made({ ...options, training: ruin }),
      await made({ ...options, training: { ...ruin, heldOut: undefined } }),
    ];
    expect(await errorOf(unjudged)).toBeGreaterThan(1.5 * (await errorOf(before)));
    for (const name of before.initializers.keys())
      expect(valuesOf(after, name)).toEqual(valuesOf(before, name));
  });

  it('learns step sizes; powers of two are refused', async () => {
    const options = { weights: 'int4', activations: 'int4' } as const;
    const scales = async (more: StaticOptions) => {
      const graph = await made({ ...options, ...more });
      return [...graph.initializers]
        .filter(([name]) => name.endsWith('_scale') && !name.includes('.b'))
        .flatMap(([, t]) => Array.from(t.data as Float32Array));
    };
    const [before, after] = [await scales({}), await scales({ training: training(10) })];
    expect(after).toHaveLength(before.length);
    expect(after.filter((s, i) => s === before[i])).toEqual([]);
    await expect(scales({ powerOfTwo: true, training: training(1) })).rejects.toThrow(/powers of two/);
  });

  it('tells every step, and a seed gives the same again', async () => {
    const seen: number[] = [];
    const options = {
      weights: 'int4',
      training: training(5, { onStep: (step, { loss }) => void seen.push(step, loss) }),
    } as const;
    const first = await made(options);
    const losses = seen.splice(0);
    expect(losses.filter((_, i) => i % 2 === 0)).toEqual([0, 1, 2, 3, 4]);
    const second = await made(options);
    expect(seen).toEqual(losses);
    expect(valuesOf(second, 'first.w_quantized')).toEqual(valuesOf(first, 'first.w_quantized'));
  });
});
