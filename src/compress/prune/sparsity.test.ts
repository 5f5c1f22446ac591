/** Patterns are kept, and each method is best at what it minimizes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { float32, modelOf, type Tensor } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import { inferShapes } from '../../ops/infer.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { Random } from '../../util/random.ts';
import type { Matrix } from '../quantize/blocks.ts';
import type { InputStatistics } from '../quantize/methods/index.ts';
import { kernelMoments } from './kernel-moments.ts';
import { matricesOf } from './matrices.ts';
import { outputError, SPARSITY_METHODS, sparsify, sparsifyWeights } from './sparsity.ts';

const random = new Random(3);
const matrixOf = (rows: number, columns: number): Matrix => ({
  rows,
  columns,
  data: Float32Array.from({ length: rows * columns }, () => random.normal()),
});

/** Second moments of correlated inputs, some much larger than others. */
function statistics(columns: number, count = 400): InputStatistics {
  const gram = new Float64Array(columns * columns);
  for (let n = 0; n < count; n++) {
    const shared = random.normal();
    const x = Array.from(
      { length: columns },
      (_, i) => (0.7 * shared + random.normal()) * (i % 7 === 0 ? 5 : 1),
    );
    for (let i = 0; i < columns; i++)
      for (let j = 0; j < columns; j++)
        gram[i * columns + j] =
          (gram[i * columns + j] as number) + ((x[i] as number) * (x[j] as number)) / count;
  }
  return { columns, gram };
}

/** tr W H Wᵀ. */
function energy({ rows, columns }: Matrix, w: Float32Array, { gram }: InputStatistics): number {
  let sum = 0;
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < columns; i++)
      for (let j = 0; j < columns; j++)
        sum +=
          (w[row * columns + i] as number) *
          (gram[i * columns + j] as number) *
          (w[row * columns + j] as number);
  return sum;
}

const zerosOf = ({ data }: Matrix) => data.reduce((n, w) => n + (w === 0 ? 1 : 0), 0);

describe('patterns', () => {
  it.each(SPARSITY_METHODS)('%s keeps two of every four', method => {
    const sparse = sparsify(matrixOf(8, 32), { method, pattern: { keep: 2, of: 4 } }, statistics(32));
    for (let at = 0; at < sparse.data.length; at += 4)
      expect(sparse.data.subarray(at, at + 4).filter(w => w === 0)).toHaveLength(2);
  });

  it('a share of zeros is met by every method', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SPARSITY_METHODS),
        fc.double({ min: 0.05, max: 0.95, noNaN: true }),
        (method, share) => {
          const matrix = matrixOf(10, 40);
          const sparse = sparsify(matrix, { method, pattern: { share } }, statistics(40, 50));
          expect(Math.abs(zerosOf(sparse) / 400 - share)).toBeLessThanOrEqual(0.5 / 40 + 1e-9);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('wanda leaves every row as many', () => {
    const sparse = sparsify(matrixOf(6, 20), { method: 'wanda', pattern: { share: 0.4 } }, statistics(20));
    for (let row = 0; row < 6; row++)
      expect(sparse.data.subarray(row * 20, (row + 1) * 20).filter(w => w === 0)).toHaveLength(8);
  });
});

describe('what is kept', () => {
  it('the largest, by magnitude', () => {
    const matrix = { rows: 1, columns: 4, data: Float32Array.of(1, -3, 2, -0.5) };
    expect([...sparsify(matrix, { method: 'magnitude', pattern: { share: 0.5 } }).data]).toEqual([
      0, -3, 2, 0,
    ]);
  });

  it('with large inputs, by wanda', () => {
    const matrix = { rows: 1, columns: 2, data: Float32Array.of(1, 2) };
    const inputs = { columns: 2, gram: Float64Array.of(100, 0, 0, 1) };
    expect([...sparsify(matrix, { method: 'wanda', pattern: { share: 0.5 } }, inputs).data]).toEqual([1, 0]);
  });

  it('by sparsegpt the rest takes over: two equal inputs add up', () => {
    const matrix = { rows: 1, columns: 2, data: Float32Array.of(1, 2) };
    const inputs = { columns: 2, gram: Float64Array.of(1, 1, 1, 1) };
    const { data } = sparsify(matrix, { method: 'sparsegpt', pattern: { keep: 1, of: 2 } }, inputs);
    // the first weight goes and the second becomes the least-squares answer (1 + 2) / (1 + λ)
    expect(data[0]).toBe(0);
    expect(data[1]).toBeCloseTo(2 + 1 / 1.01, 5);
  });

  it('each method loses less than the one before', () => {
    const [matrix, inputs] = [matrixOf(32, 64), statistics(64)];
    const errors = SPARSITY_METHODS.map(method =>
      outputError(matrix, sparsify(matrix, { method, pattern: { share: 0.5 } }, inputs), inputs),
    );
    expect(errors[1]).toBeLessThan(errors[0] as number);
    expect(errors[2]).toBeLessThan(errors[1] as number);
  });
});

describe('in a graph', () => {
  it('products become sparse; what makes the output stays dense', () => {
    const b = new Builder('two');
    const weight = (rows: number, columns: number) =>
      b.constant(float32([rows, columns], matrixOf(rows, columns).data));
    const h = b.input('x', 'float32', ['n', 32]).matmul(weight(32, 64));
    b.output(b.op('Relu', [h], {}).matmul(weight(64, 32)), 'y');
    inferShapes(b.graph);
    const report = sparsifyWeights(b.graph, { method: 'magnitude', pattern: { keep: 2, of: 4 } });
    expect(report.map(r => r.zeros / r.elements)).toEqual([0.5]);
    // the four along the summed axis: column by column of a [K, N] weight
    const w = b.graph.initializers.get(report[0]?.name as string)?.data as Float32Array;
    for (let n = 0; n < 64; n++) expect([0, 1, 2, 3].filter(k => w[k * 64 + n] === 0)).toHaveLength(2);
  });

  it.each([
    [{ keep: 4, of: 4 }, /must keep at least one and less than all of 4/],
    [{ keep: 3, of: 7 }, /needs rows of a multiple of 7; a weight has 32 columns/],
    [{ share: 1 }, /share of zeros 1 is not between 0 and 1/],
  ])('refuses %j', (pattern, message) => {
    expect(() => sparsify(matrixOf(2, 32), { method: 'magnitude', pattern })).toThrow(message);
  });

  it('says which method needs data', () => {
    expect(() => sparsify(matrixOf(2, 32), { method: 'wanda', pattern: { share: 0.5 } })).toThrow(
      /wanda needs calibration data/,
    );
  });
});

describe('kernels', () => {
  const noise = (dims: readonly number[]): Tensor =>
    float32(
      dims,
      Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal()),
    );

  /** x [n, 8, 9, 7] → Conv k [8, 4, 3, 2], two groups → relu → Conv [4, 8, 1, 1], which makes the output. */
  function convolutions() {
    const b = new Builder('kernels');
    const x = b.input('x', 'float32', ['n', 8, 9, 7]);
    const attributes = { group: 2, strides: [2, 1], pads: [1, 0, 2, 1], dilations: [1, 2] };
    const h = b.op('Conv', [x, b.initializer('k', noise([8, 4, 3, 2]))], attributes);
    b.output(b.op('Conv', [b.op('Relu', [h], {}), b.initializer('last', noise([4, 8, 1, 1]))], {}), 'y');
    inferShapes(b.graph);
    return { graph: b.graph, h: h.name };
  }

  it('have second moments of the patches that they are laid on: tr W H Wᵀ is the sum of squares that comes out', async () => {
    const { graph, h } = convolutions();
    const runtime = await nativeRuntime();
    const batches = [{ x: noise([3, 8, 9, 7]) }, { x: noise([2, 8, 9, 7]) }];
    const moments = (await kernelMoments(runtime, modelOf(graph), batches, new Set(['k']))).get('k') ?? [];
    const { matrices } = matricesOf(graph, 'k') as NonNullable<ReturnType<typeof matricesOf>>;
    const got = matrices.map((m, g) => energy(m, m.data, moments[g] as InputStatistics));
    graph.outputs = [{ name: h, dtype: 'float32', shape: ['n', 8, 5, 6] }];
    using program = await runtime.compile(modelOf(graph));
    const wanted = [0, 0];
    for (const feeds of batches) {
      const { dims, data } = (await program.call(feeds))[h] as Tensor;
      const channel = (dims[2] as number) * (dims[3] as number);
      (data as Float32Array).forEach((y, i) => {
        const group = Math.floor((Math.floor(i / channel) % 8) / 4);
        wanted[group] = (wanted[group] as number) + y * y;
      });
    }
    got.forEach((sum, g) => void expect(sum / (wanted[g] as number)).toBeCloseTo(1, 4));
  });

  it.each(SPARSITY_METHODS)('%s keeps two of every four channels of a tap', async method => {
    const { graph } = convolutions();
    const feeds = [{ x: noise([20, 8, 9, 7]) }];
    const inputs = await kernelMoments(await nativeRuntime(), modelOf(graph), feeds, new Set(['k']));
    const report = sparsifyWeights(graph, { method, pattern: { keep: 2, of: 4 }, inputs, minElements: 16 });
    expect(report).toEqual([{ name: 'k', zeros: 96, elements: 192 }]);
    const w = graph.initializers.get('k')?.data as Float32Array;
    for (let output = 0; output < 8; output++)
      for (let tap = 0; tap < 6; tap++)
        expect([0, 1, 2, 3].filter(c => w[(output * 4 + c) * 6 + tap] === 0)).toHaveLength(2);
  });

  it('stay dense where their channels are no multiple', () => {
    const pattern = { keep: 2, of: 8 };
    expect(sparsifyWeights(convolutions().graph, { method: 'magnitude', pattern, minElements: 16 })).toEqual(
      [],
    );
  });
});
