/** The error that each weight causes, and widths within a budget. */
import { expect, it } from 'vitest';
import { float32, type Model, modelOf, type Tensor } from '../../../graph/ir.ts';
import { Builder } from '../../../ops/builder.ts';
import { referenceRuntime } from '../../../runtime/reference/index.ts';
import { Random } from '../../../util/random.ts';
import { quantizeStatic } from './index.ts';
import { assignBits, bytesOfAverage, type LayerSensitivity, sensitivity } from './sensitivity.ts';
import { dequantized, quantizeTensor } from './weights.ts';

const normal = (dims: readonly number[], seed: number, scale = 1): Tensor => {
  const random = new Random(seed);
  return float32(
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => scale * random.normal()),
  );
};

/** x W₁ + small x W₂. */
const twoPaths = (): Model => {
  const b = new Builder('two');
  const x = b.input('x', 'float32', [16, 8]);
  const [large, small] = [
    b.initializer('large', normal([8, 8], 1)),
    b.initializer('small', normal([8, 8], 2, 0.05)),
  ];
  b.output(b.op('MatMul', [x, large], {}).add(b.op('MatMul', [x, small], {})), 'y');
  return modelOf(b.graph);
};
const data = [{ x: normal([16, 8], 3) }];

it('is Σ ‖x (W − Ŵ)‖² / Σ ‖y‖² for a weight that acts on the output alone', async () => {
  const table = await sensitivity(referenceRuntime(), twoPaths(), data, ['int4', 'int8']);
  expect(table.map(row => [row.weight, row.elements])).toEqual([
    ['large', 64],
    ['small', 64],
  ]);
  expect(table[0].widths.map(w => w.bytes)).toEqual([32, 64]);
  const w = normal([8, 8], 1);
  const q = quantizeTensor(w, {
    scheme: { dtype: 'int4', symmetric: true },
    axis: 1,
    method: 'mse',
  });
  using program = await referenceRuntime().compile(twoPaths());
  const y = (await program.call(data[0])).y.data as Float32Array;
  const v = dequantized(q);
  const at = (n: number, o: number) =>
    [0, 1, 2, 3, 4, 5, 6, 7].reduce(
      (s, k) => s + Number(data[0].x.data[n * 8 + k]) * (Number(w.data[k * 8 + o]) - v[k * 8 + o]),
      0,
    );
  let noise = 0;
  for (let n = 0; n < 16; n++) for (let o = 0; o < 8; o++) noise += at(n, o) ** 2;
  expect(table[0].widths[0].loss).toBeCloseTo(noise / y.reduce((s, u) => s + u * u, 0), 5);
  expect(table[0].widths[1].loss).toBeLessThan(table[0].widths[0].loss / 50);
  expect(table[1].widths[0].loss).toBeLessThan(table[0].widths[0].loss / 50);
});

it('4 bits go where they cost least, and quantizeStatic follows', async () => {
  const table = await sensitivity(referenceRuntime(), twoPaths(), data, ['int4', 'int8']);
  const { dtypes, bytes } = assignBits(table, bytesOfAverage(table, 6));
  expect([...dtypes]).toEqual([
    ['large', 'int8'],
    ['small', 'int4'],
  ]);
  expect(bytes).toBe(96);
  const { report } = await quantizeStatic(referenceRuntime(), twoPaths(), data, {
    dtypeOf: name => dtypes.get(name),
  });
  expect(report.weights.map(w => w.dtype)).toEqual(['int8', 'int4']);
});

const row = (weight: string, elements: number, ...losses: readonly number[]): LayerSensitivity => ({
  weight,
  elements,
  widths: losses.map((loss, i) => ({
    dtype: (['int4', 'int8', 'int16'] as const)[i],
    loss,
    bytes: (elements * 4 * 2 ** i) / 8,
  })),
});

it('the best of all 3⁴ assignments is found at every budget', () => {
  const random = new Random(3);
  const table = [10, 40, 70, 20].map((n, i) =>
    row(`w${i}`, n, random.uniform(), 0.3 * random.uniform(), 0.1 * random.uniform()),
  );
  for (const budget of [80, 110, 150, 250]) {
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k < 81; k++) {
      const picks = table.map((r, i) => r.widths[Math.floor(k / 3 ** i) % 3]);
      if (picks.reduce((s, w) => s + w.bytes, 0) <= budget)
        least = Math.min(
          least,
          picks.reduce((s, w) => s + w.loss, 0),
        );
    }
    expect(assignBits(table, budget).loss).toBeCloseTo(least, 12);
  }
});

it('says what the fewest bits take when the budget is smaller', () => {
  expect(() => assignBits([row('w', 64, 1, 0.1)], 31)).toThrow(/take 32 bytes .* the budget is 31/);
});
