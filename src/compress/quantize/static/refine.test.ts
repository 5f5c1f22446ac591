/** Codes by output error, biases, equal ranges: each against what closed forms or exhaustive search say. */
import { describe, expect, it } from 'vitest';
import { float32, type Model, modelOf, type Tensor } from '../../../graph/ir.ts';
import { Builder, type Value } from '../../../ops/builder.ts';
import { referenceRuntime } from '../../../runtime/reference/index.ts';
import { Random } from '../../../util/random.ts';
import { equalize } from './equalize.ts';
import {
  activationsOf,
  planOptions,
  prepare,
  quantizeStatic,
  type StaticOptions,
  simulationOf,
} from './index.ts';
import { type Moments, momentsOf } from './moments.ts';
import { correctedBias, refined } from './output-error.ts';
import { planQdq } from './plan.ts';
import { dequantized, quantizeTensor } from './weights.ts';

const normal = (dims: readonly number[], seed: number, scale = 1): Tensor => {
  const random = new Random(seed);
  const count = dims.reduce((a, b) => a * b, 1);
  return float32(
    dims,
    Float32Array.from({ length: count }, () => scale * random.normal()),
  );
};

function graphOf(dims: readonly number[], body: (b: Builder, x: Value) => Value): Model {
  const b = new Builder('small');
  b.output(body(b, b.input('x', 'float32', dims)), 'y');
  return modelOf(b.graph);
}

const valuesOf = async (model: Model, x: Tensor): Promise<Float32Array> => {
  using program = await referenceRuntime().compile(model);
  return (await program.call({ x })).y.data as Float32Array;
};

/** Inputs whose channels go together, as activations do, and are never below 0. */
const correlated = (dims: readonly number[], seed: number): Tensor => {
  const [shared, own] = [normal(dims.slice(-1), seed), normal(dims, seed + 100, 0.4)];
  const width = dims[dims.length - 1];
  return float32(
    dims,
    (own.data as Float32Array).map((v, i) => Math.max(0, v + Number(shared.data[i % width]))),
  );
};

describe('moments', () => {
  it('of a grouped, strided, padded convolution are those of its patches', async () => {
    const [dims, w, bias] = [[2, 4, 5, 5], normal([6, 2, 3, 2], 1), normal([6], 2)];
    const model = graphOf(dims, (b, x) =>
      b.op('Conv', [x, b.initializer('w', w), b.initializer('b', bias)], {
        group: 2,
        strides: [2, 1],
        pads: [1, 0, 1, 1],
      }),
    );
    const x = normal(dims, 3);
    const moments = await momentsIn(model, [{ x }]);
    const at = (n: number, c: number, i: number, j: number) =>
      i < 0 || j < 0 || i >= 5 || j >= 5 ? 0 : Number(x.data[((n * 4 + c) * 5 + i) * 5 + j]);
    const patches: number[][] = [];
    for (let n = 0; n < 2; n++)
      for (let i = 0; i < 3; i++)
        for (let j = 0; j < 5; j++)
          patches.push(
            [...Array(24).keys()].map(k =>
              at(n, Math.floor(k / 6), 2 * i - 1 + (Math.floor(k / 2) % 3), j + (k % 2)),
            ),
          );
    const mean = (f: (u: number[]) => number) => patches.reduce((s, u) => s + f(u), 0) / patches.length;
    expect([moments.groups, moments.rows, moments.columns]).toEqual([2, 3, 12]);
    for (const [group, i, j] of [
      [0, 0, 0],
      [0, 3, 7],
      [1, 2, 11],
    ]) {
      const got = moments.gram[(group * 12 + i) * 12 + j];
      expect(got).toBeCloseTo(
        mean(u => u[group * 12 + i] * u[group * 12 + j]),
        4,
      );
    }
    expect(moments.meanX[12 + 5]).toBeCloseTo(
      mean(u => u[17]),
      5,
    );
    const y = (u: number[], o: number) =>
      [...Array(12).keys()].reduce(
        (s, k) => s + Number(w.data[o * 12 + k]) * u[Math.floor(o / 3) * 12 + k],
        Number(bias.data[o]),
      );
    expect(moments.meanY[4]).toBeCloseTo(
      mean(u => y(u, 4)),
      4,
    );
    expect(moments.cross[4 * 12 + 7]).toBeCloseTo(
      mean(u => y(u, 4) * u[12 + 7]),
      3,
    );
  });

  it.each(['MatMul', 'Gemm'] as const)('of %s, whatever way the weight lies', async op => {
    const w = normal(op === 'Gemm' ? [3, 4] : [4, 3], 1);
    const model = graphOf([5, 4], (b, x) =>
      b.op(op, [x, b.initializer('w', w)], op === 'Gemm' ? { transB: 1 } : {}),
    );
    const x = normal([5, 4], 2);
    const { gram, cross } = await momentsIn(model, [{ x }]);
    const y = await valuesOf(model, x);
    const mean = (f: (n: number) => number) => [0, 1, 2, 3, 4].reduce((s, n) => s + f(n), 0) / 5;
    expect(gram[4 + 2]).toBeCloseTo(
      mean(n => Number(x.data[n * 4 + 1]) * Number(x.data[n * 4 + 2])),
      5,
    );
    expect(cross[2 * 4 + 3]).toBeCloseTo(
      mean(n => y[n * 3 + 2] * Number(x.data[n * 4 + 3])),
      5,
    );
  });
});

/** With activations in float. */
async function momentsIn(model: Model, data: readonly { x: Tensor }[]): Promise<Moments> {
  const prepared = prepare(model);
  const plan = planQdq(prepared.graph, planOptions({}));
  const simulation = simulationOf(prepared, plan, new Map(), {});
  const moments = await momentsOf(referenceRuntime(), prepared, simulation, 0, plan.weights[0], data);
  return moments.all;
}

describe('codes by output error', () => {
  const momentsFor = (inputs: readonly (readonly number[])[], w: readonly number[]): Moments => {
    const n = w.length;
    const mean = (f: (x: readonly number[]) => number) =>
      inputs.reduce((s, x) => s + f(x), 0) / inputs.length;
    const y = (x: readonly number[]) => x.reduce((s, v, i) => s + v * w[i], 0);
    return {
      groups: 1,
      rows: 1,
      columns: n,
      gram: Float64Array.from({ length: n * n }, (_, k) => mean(x => x[Math.floor(k / n)] * x[k % n])),
      cross: Float64Array.from({ length: n }, (_, k) => mean(x => x[k] * y(x))),
      meanX: Float64Array.from({ length: n }, (_, k) => mean(x => x[k])),
      meanY: Float64Array.of(mean(y)),
    };
  };
  const scheme = { dtype: 'int4', symmetric: true } as const;
  const errorOf = (moments: Moments, w: ArrayLike<number>, v: ArrayLike<number>): number => {
    const n = moments.columns;
    let sum = 0;
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) sum += (w[i] - v[i]) * moments.gram[i * n + j] * (w[j] - v[j]);
    return sum;
  };

  it('are the nearest where inputs do not go together and no scale may change', () => {
    const w = [0.31, -0.52, 0.77, -0.11];
    const moments = momentsFor(
      [1, 2, 3, 4].map((_, k) => [0, 0, 0, 0].map((_, i) => (i === k ? 2 : 0))),
      w,
    );
    const q = quantizeTensor(float32([1, 4], w), { scheme, method: 'minmax' });
    expect(refined(q, Float32Array.from(w), moments, 0, { centred: false, damping: 0.01 }).codes).toEqual(
      q.codes,
    );
  });

  it('are the best of all 16⁴ in 20 problems whose inputs go together, far from the nearest', () => {
    const random = new Random(7);
    let [found, best, nearest] = [0, 0, 0];
    for (let problem = 0; problem < 20; problem++) {
      const w = [0, 0, 0, 0].map(() => random.normal());
      const inputs = Array.from({ length: 12 }, () => {
        const shared = random.normal();
        return w.map(() => shared + 0.5 * random.normal());
      });
      const moments = momentsFor(inputs, w);
      const fixed = { scheme: { ...scheme, powerOfTwo: true }, method: 'minmax' } as const;
      const q = quantizeTensor(float32([1, 4], w), fixed);
      const made = refined(q, Float32Array.from(w), moments, 0, { centred: false, damping: 0.01 });
      expect(made.affine).toEqual(q.affine);
      found += errorOf(moments, w, dequantized(made));
      nearest += errorOf(moments, w, dequantized(q));
      const { scale } = q.affine[0];
      let least = Number.POSITIVE_INFINITY;
      for (let code = 0; code < 16 ** 4; code++) {
        const v = [0, 1, 2, 3].map(k => (((code >> (4 * k)) & 15) - 8) * scale);
        least = Math.min(least, errorOf(moments, w, v));
      }
      best += least;
    }
    expect(found).toBeCloseTo(best, 9);
    expect(best).toBeLessThan(0.8 * nearest);
  });

  it('scales that are free make the error smaller still', () => {
    const w = Array.from(normal([16], 3).data as Float32Array);
    const inputs = Array.from({ length: 40 }, (_, n) =>
      Array.from(normal([16], 50 + n).data as Float32Array, v => 0.5 * v + 2 * Math.sin(n)),
    );
    const moments = momentsFor(inputs, w);
    const q = quantizeTensor(float32([1, 16], w), { scheme, method: 'mse', axis: 0 });
    const free = refined(q, Float32Array.from(w), moments, 0, { centred: false, damping: 0.01 });
    const shared = refined({ ...q, axis: undefined }, Float32Array.from(w), moments, 0, {
      centred: false,
      damping: 0.01,
    });
    const error = (v: typeof q) => errorOf(moments, w, dequantized(v));
    expect(error(shared)).toBeLessThan(error(q));
    expect(error(free)).toBeLessThan(error(shared));
  });

  it('a bias takes what the mean lost', () => {
    const moments = momentsFor(
      [
        [1, 2],
        [3, 4],
      ],
      [0.5, -1],
    );
    // E[y] = −2; with weights 0.25 and −1 the product's mean is −2.5
    expect(correctedBias(Float32Array.of(0.25, -1), [1, 2], 0, moments)).toEqual(Float32Array.of(0.5));
  });
});

/** Convolution, Relu, convolution: nothing to fold. */
const network = graphOf([8, 3, 6, 6], (b, x) => {
  const conv = (v: Value, out: number, seed: number) =>
    b.op(
      'Conv',
      [
        v,
        b.initializer(`w${seed}`, normal([out, v.shape[1] as number, 3, 3], seed, 0.3)),
        b.initializer(`b${seed}`, normal([out], seed + 1, 0.2)),
      ],
      { pads: [1, 1, 1, 1] },
    );
  return conv(b.op('Relu', [conv(x, 8, 10)], {}), 4, 20);
});

describe('layers', () => {
  const data = [1, 2, 3].map(seed => ({ x: correlated([8, 3, 6, 6], seed) }));
  const x = correlated([8, 3, 6, 6], 9);
  const errorWith = async (options: StaticOptions) => {
    const { model } = await quantizeStatic(referenceRuntime(), network, data, options);
    const [y, z] = [await valuesOf(network, x), await valuesOf(model, x)];
    return { error: y.reduce((s, v, i) => s + (v - z[i]) ** 2, 0), bias: meanError(y, z) };
  };

  it('on data that were not seen the error of the output shrinks', async () => {
    const nearest = await errorWith({ weights: 'int4' });
    const output = await errorWith({ weights: 'int4', rounding: 'output' });
    expect(output.error).toBeLessThan(0.6 * nearest.error);
  });

  it('few samples of many inputs leave 8 bits as they were', async () => {
    const wide = graphOf([24, 96], (b, x) =>
      b.op('Gemm', [x, b.initializer('w', normal([96, 8], 31)), b.initializer('b', normal([8], 32))], {}),
    );
    const seen = [33, 34].map(seed => ({ x: normal([24, 96], seed) }));
    const fresh = normal([24, 96], 35);
    const y = await valuesOf(wide, fresh);
    const errorWith = async (rounding: 'nearest' | 'output') => {
      const { model } = await quantizeStatic(referenceRuntime(), wide, seen, { rounding });
      const z = await valuesOf(model, fresh);
      return y.reduce((sum, v, i) => sum + (v - z[i]) ** 2, 0);
    };
    expect(await errorWith('output')).toBeLessThan(1.05 * (await errorWith('nearest')));
  });

  it('bias correction takes the shift of the mean away', async () => {
    const nearest = await errorWith({ weights: 'int4', biasCorrection: false });
    const corrected = await errorWith({ weights: 'int4', biasCorrection: true });
    expect(corrected.bias).toBeLessThan(0.5 * nearest.bias);
  });

  it('it can be left out of rounding by output', async () => {
    const [without, with_] = [
      await errorWith({ weights: 'int4', rounding: 'output', biasCorrection: false }),
      await errorWith({ weights: 'int4', rounding: 'output' }),
    ];
    expect(without.error).not.toBe(with_.error);
  });
});

/** Square of the mean error of each of 4 channels. */
function meanError(y: Float32Array, z: Float32Array): number {
  const sums = [0, 0, 0, 0];
  y.forEach((v, i) => {
    sums[Math.floor(i / 36) % 4] += (v - z[i]) / (y.length / 4);
  });
  return sums.reduce((s, e) => s + e * e, 0);
}

describe('cross-layer equalization', () => {
  /** Dense, depthwise, dense; what goes between them is of very unequal size. */
  const uneven = graphOf([1, 4, 5, 5], (b, x) => {
    const conv = (v: Value, w: Tensor, seed: number, group = 1) =>
      b.op('Conv', [v, b.initializer(`w${seed}`, w), b.initializer(`b${seed}`, normal([w.dims[0]], seed))], {
        group,
      });
    const size = (channel: number) => 10 ** ((channel % 4) - 2);
    const scaled = (w: Tensor, by: (i: number) => number): Tensor =>
      float32(
        w.dims,
        (w.data as Float32Array).map((v, i) => v * by(i)),
      );
    const wide = scaled(normal([6, 4, 1, 1], 10), i => size(Math.floor(i / 4)));
    const a = b.op('Relu', [conv(x, wide, 10)], {});
    const c = b.op('LeakyRelu', [conv(a, normal([6, 1, 3, 3], 20), 20, 6)], {});
    return conv(
      c,
      scaled(normal([4, 6, 1, 1], 30), i => 1 / size(i % 6)),
      30,
    );
  });
  const x = normal([1, 4, 5, 5], 5);

  it('keeps the function and makes the ranges of each channel equal', async () => {
    const made = prepare(uneven);
    expect(equalize(made.graph)).toEqual([
      ['w10', 'w20'],
      ['w20', 'w30'],
    ]);
    const [y, z] = [await valuesOf(uneven, x), await valuesOf(made, x)];
    const largest = Math.max(...y.map(Math.abs));
    y.forEach((v, i) => {
      expect(Math.abs(v - z[i])).toBeLessThan(1e-4 * largest);
    });
    const range = (name: string, pick: (i: number) => boolean) =>
      ((made.graph.initializers.get(name) as Tensor).data as Float32Array).reduce(
        (m, v, i) => (pick(i) ? Math.max(m, Math.abs(v)) : m),
        0,
      );
    for (let c = 0; c < 6; c++) {
      const depthwise = range('w20', i => Math.floor(i / 9) === c);
      expect(range('w10', i => Math.floor(i / 4) === c) / depthwise).toBeCloseTo(1, 2);
      expect(range('w30', i => i % 6 === c) / depthwise).toBeCloseTo(1, 2);
    }
  });

  it('lets weights share one scale', async () => {
    const errorWith = async (options: StaticOptions) => {
      const each = { granularity: 'per-tensor', weightMethod: 'minmax', activations: 'int16' } as const;
      const { model } = await quantizeStatic(referenceRuntime(), uneven, [{ x }], { ...each, ...options });
      const [y, z] = [await valuesOf(uneven, x), await valuesOf(model, x)];
      return y.reduce((s, v, i) => s + (v - z[i]) ** 2, 0);
    };
    expect(await errorWith({ equalize: true })).toBeLessThan(0.5 * (await errorWith({})));
  });

  it('leaves alone what others read', () => {
    const shared = graphOf([1, 4, 5, 5], (b, v) => {
      const conv = (u: Value, seed: number) =>
        b.op('Conv', [u, b.initializer(`w${seed}`, normal([4, 4, 1, 1], seed))], {});
      const a = conv(v, 1);
      return conv(a, 2).add(a);
    });
    expect(equalize(prepare(shared).graph)).toEqual([]);
  });
});

it('activations that are kept float are float in the simulation', async () => {
  const prepared = prepare(network);
  const plan = planQdq(prepared.graph, planOptions({}));
  const data = [{ x: correlated([8, 3, 6, 6], 1) }];
  const { groups } = await activationsOf(referenceRuntime(), prepared, plan, data, {});
  const [exact, rounded] = [new Map(), groups].map(g => simulationOf(prepared, plan, g, {}));
  const outputs = await Promise.all(
    [exact, rounded].map(async simulation => {
      using program = await simulation.compile(referenceRuntime());
      return (await program.call(data[0])).y.data as Float32Array;
    }),
  );
  expect(outputs[0]).toEqual(await valuesOf(network, data[0].x));
  expect(outputs[1]).not.toEqual(outputs[0]);
});
