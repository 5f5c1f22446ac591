import { describe, expect, it } from 'vitest';
import { emptyGraph, float32, type Graph, int32, modelOf, type Tensor } from '../../graph/ir.ts';
import { verify } from '../../graph/verify.ts';
import { cloneGraph } from '../../graph/walk.ts';
import { Builder } from '../../ops/builder.ts';
import { inferShapes } from '../../ops/infer.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { evaluate } from '../../runtime/reference/index.ts';
import { Random } from '../../util/random.ts';
import { dequantize } from './blocks.ts';
import { inputStatistics } from './calibrate.ts';
import { toFloat16 } from './float16.ts';
import { METHODS } from './methods/index.ts';
import { quantizeWeights, type WeightOnlyOptions } from './weight-only.ts';

const random = new Random(4);
const noise = (dims: readonly number[], size = 0.2): Tensor =>
  float32(
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => size * random.normal()),
  );

/** y = (table[ids] · a) · bᵀ with tables and weights as initializers; `b` is the table when tied. */
function chain({ width = 80, inner = 48, rows = 40, tied = false } = {}): Graph {
  const b = new Builder('chain');
  const ids = b.input('ids', 'int32', ['S']);
  const table = b.initializer('table', noise([rows, width]));
  const first = b.initializer('first', noise([width, tied ? width : inner]));
  const last = tied ? table : b.initializer('last', noise([rows, inner]));
  const hidden = table.gather(ids).matmul(first);
  b.output(b.op('com.microsoft.FusedMatMul', [hidden, last], { transB: 1 }), 'y');
  return b.graph;
}

const IDS = { ids: int32([3], [0, 7, 21]) };
const outputOf = (graph: Graph): Float32Array => evaluate(graph, IDS).y?.data as Float32Array;

function expectClose(actual: Float32Array, expected: Float32Array, tolerance = 5e-5): void {
  expect(actual).toHaveLength(expected.length);
  const worst = actual.reduce((worst, x, i) => Math.max(worst, Math.abs(x - (expected[i] as number))), 0);
  expect(worst).toBeLessThan(tolerance);
}

function quantized(graph: Graph, options: WeightOnlyOptions) {
  const copy = cloneGraph(graph);
  const report = quantizeWeights(copy, options);
  verify(copy);
  return {
    graph: copy,
    report,
    ops: copy.nodes.map(n => n.opType).filter(op => op !== 'Cast' && op !== 'Reshape'),
  };
}

describe('the rewrite', () => {
  it('turns products and look-ups into their block forms, outputs and tables at 8 bits', () => {
    const { ops, report, graph } = quantized(chain(), { bits: 4 });
    expect(ops).toEqual(['GatherBlockQuantized', 'MatMulNBits', 'MatMulNBits']);
    expect(report.weights.map(w => [w.name, w.role, w.bits, w.blockSize])).toEqual([
      ['table', 'table', 8, 16],
      ['first', 'product', 4, 16],
      ['last', 'output', 8, 16],
    ]);
    expect([...graph.initializers.values()].some(t => t.dtype === 'float32')).toBe(false);
    inferShapes(graph);
    expect(graph.types.get('y')?.shape).toEqual(['S', 40]);
  });

  it('bytes are those of codes, scales and zero points', () => {
    const { report } = quantized(chain(), { bits: 4, symmetric: false });
    // [80, 48] as 48 rows of 80: 5 blocks of 16; codes 48·40, float16 scales 48·5·2, zero points 48·⌈5/2⌉
    expect(report.weights.find(w => w.name === 'first')).toMatchObject({
      bytesBefore: 80 * 48 * 4,
      bytesAfter: 48 * 40 + 48 * 5 * 2 + 48 * 3,
    });
  });

  it.each([
    { bits: 8, symmetric: true },
    { bits: 8, symmetric: false },
    { bits: 4, symmetric: true },
    { bits: 4, symmetric: false },
    { bits: 2, symmetric: false },
  ] as const)('computes with exactly the dequantized weights: %o', format => {
    const graph = chain();
    const options = { ...format, outputBits: format.bits, tableBits: format.bits, method: 'rtn' } as const;
    const { graph: low } = quantized(graph, options);
    const plain = cloneGraph(graph);
    for (const name of ['table', 'first', 'last']) {
      plain.initializers.set(
        name,
        roundTrip(graph.initializers.get(name) as Tensor, name !== 'first', format),
      );
    }
    const expected = outputOf(plain);
    expectClose(outputOf(low), expected);
  });

  it('stores a tied table once', () => {
    const { ops, report, graph } = quantized(chain({ tied: true }), { bits: 4 });
    expect(ops).toEqual(['GatherBlockQuantized', 'MatMulNBits', 'MatMulNBits']);
    expect(report.weights.map(w => [w.name, w.role])).toEqual([
      ['table', 'output'],
      ['first', 'product'],
    ]);
    expect([...graph.initializers.keys()].filter(name => name.endsWith('.codes'))).toHaveLength(2);
    expect(outputOf(graph)).toHaveLength(120);
  });

  it('pads rows of products, and leaves tables whose rows are no multiple of 16', () => {
    const { report, graph } = quantized(chain({ width: 36, inner: 36 }), { bits: 8, accuracyLevel: 1 });
    expect(report.kept).toEqual([{ name: 'table', reason: expect.stringContaining('rows of 36') }]);
    expect(report.weights.map(w => [w.name, w.blockSize])).toEqual([
      ['first', 32],
      ['last', 32],
    ]);
    expect(outputOf(graph)).toHaveLength(120);
  });

  it('leaves what is small, what is asked to stay, and what something else reads', () => {
    const graph = chain();
    expect(quantized(graph, { bits: 8, minElements: 1e6 }).report.kept).toHaveLength(3);
    expect(quantized(graph, { bits: 4, outputBits: 'float', tableBits: 'float' }).ops).toEqual([
      'Gather',
      'MatMulNBits',
      'FusedMatMul',
    ]);
    const b = new Builder(graph);
    b.output(b.op('Transpose', [b.value('first')], { perm: [1, 0] }), 'turned');
    expect(quantized(graph, { bits: 4 }).report.weights.map(w => w.name)).toEqual(['table', 'last']);
  });

  it('refuses blocks that kernels do not have', () => {
    for (const blockSize of [8, 24]) {
      expect(() => quantized(chain(), { bits: 4, blockSize })).toThrow(`block size ${blockSize}`);
    }
  });
});

/** What block rounding leaves of a weight; products take [K, N] weights by columns. */
function roundTrip(tensor: Tensor, byRows: boolean, format: { bits: 2 | 4 | 8; symmetric: boolean }): Tensor {
  const [first, second] = tensor.dims as [number, number];
  const turn = (data: Float32Array, rows: number, columns: number) =>
    Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)] as number);
  const w = tensor.data as Float32Array;
  const matrix = byRows
    ? { rows: first, columns: second, data: w }
    : { rows: second, columns: first, data: turn(w, first, second) };
  const full = { ...format, blockSize: 16, scales: 'float16' } as const;
  const back = dequantize(METHODS.rtn.quantize(matrix, full)).data;
  return float32(tensor.dims, byRows ? back : turn(back, second, first));
}

describe('in ONNX Runtime', () => {
  it.each([
    { bits: 8, width: 80 },
    { bits: 4, width: 80 },
    { bits: 4, width: 72 },
    { bits: 8, width: 72 },
    { bits: 2, width: 80 },
    { bits: 2, width: 72 },
  ] as const)('agrees with the interpreter at $bits bits and rows of $width', async ({ bits, width }) => {
    const { graph } = quantized(chain({ width }), { bits, accuracyLevel: 1 });
    const runtime = await nativeRuntime();
    using program = await runtime.compile(modelOf(graph));
    const y = (await program.call(IDS)).y?.data as Float32Array;
    const expected = outputOf(graph);
    expectClose(y, expected);
  });

  it('a product is off by at most a step for each input (rounding to nearest)', () => {
    const b = new Builder('one');
    const x = b.input('ids', 'float32', ['S', 64]);
    const weight = b.initializer('w', noise([20, 64]));
    b.output(b.op('com.microsoft.FusedMatMul', [x, weight], { transB: 1 }), 'y');
    const feeds = { ids: noise([5, 64], 1) };
    const low = quantized(b.graph, {
      bits: 4,
      outputBits: 4,
      method: 'rtn',
      symmetric: true,
      scales: 'float32',
    }).graph;
    const [exact, rounded] = [b.graph, low].map(g => evaluate(g, feeds).y?.data as Float32Array);
    const scales = low.initializers.get('w.scales')?.data as Float32Array;
    exact?.forEach((y, i) => {
      const [row, n] = [Math.floor(i / 20), i % 20];
      let bound = 1e-4;
      for (let k = 0; k < 64; k++) {
        // half a step, or a whole one at the end that has no code
        bound += Math.abs(
          ((feeds.ids.data as Float32Array)[row * 64 + k] as number) * (scales[n * 4 + (k >> 4)] as number),
        );
      }
      expect(Math.abs(y - (rounded?.[i] as number))).toBeLessThanOrEqual(bound);
    });
  });
});

it('float16 weights are the rounded ones, in half the bytes', () => {
  const graph = chain();
  const half = cloneGraph(graph);
  const report = toFloat16(half);
  verify(half);
  expect(report).toEqual({ converted: ['table', 'first', 'last'], kept: [] });
  const bytes = (g: Graph) =>
    [...g.initializers.values()].reduce((n, t) => n + (t.data as Float32Array).byteLength, 0);
  expect(bytes(half) * 2).toBe(bytes(graph));
  const exact = outputOf(graph);
  // each of three factors is off by at most 2^−11 of itself
  expectClose(outputOf(half), exact, 0.05);
});

it('float16 weights that only the bodies of an If read are found there', async () => {
  const b = new Builder('branches');
  const x = b.input('x', 'float32', [1, 8]);
  const flag = b.input('flag', 'bool', []);
  const weight = b.initializer(
    'weight',
    float32(
      [8, 8],
      Float32Array.from({ length: 64 }, (_, i) => i / 64),
    ),
  );
  const branch = (op: 'MatMul' | 'Add', other: string, outputs: string): Graph => ({
    ...emptyGraph(outputs),
    outputs: [{ name: outputs, dtype: 'float32', shape: op === 'Add' ? [8, 8] : [1, 8] }],
    nodes: [
      { name: outputs, domain: '', opType: op, inputs: [x.name, other], outputs: [outputs], attributes: {} },
    ],
  });
  b.graph.nodes.push({
    name: 'if',
    domain: '',
    opType: 'If',
    inputs: [flag.name],
    outputs: ['y'],
    attributes: {
      then_branch: { type: 'graph', value: branch('MatMul', weight.name, 'product') },
      else_branch: { type: 'graph', value: branch('Add', weight.name, 'sum') },
    },
  });
  b.graph.outputs = [{ name: 'y', dtype: 'float32' }];
  expect(toFloat16(b.graph).converted).toEqual(['weight']);
  using program = await (await nativeRuntime()).compile(modelOf(b.graph));
  const flagged = { dtype: 'bool', dims: [], data: Uint8Array.of(1) } as const;
  const { y } = await program.call({ x: float32([1, 8], [1, 0, 0, 0, 0, 0, 0, 0]), flag: flagged });
  expect([...(y.data as Float32Array)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map(i => i / 64));
});

it('float16 leaves what it cannot hold', () => {
  const graph = chain();
  (graph.initializers.get('first')?.data as Float32Array)[0] = 1e6;
  expect(toFloat16(graph).kept).toEqual(['first']);
});

it('calibration gives E[x xᵀ] of each product', async () => {
  const b = new Builder('one');
  const x = b.input('x', 'float32', ['S', 2]);
  b.output(x.matmul(b.initializer('w', noise([2, 3]))), 'y');
  const runtime = await nativeRuntime();
  const batches = [{ x: float32([1, 2], [1, 2]) }, { x: float32([2, 2], [3, 0, -1, 1]) }];
  const found = await inputStatistics(runtime, modelOf(b.graph), batches);
  // (1,2)(1,2)ᵀ + (3,0)(3,0)ᵀ + (−1,1)(−1,1)ᵀ over three vectors
  expect([...(found.get('w')?.gram ?? [])]).toEqual([11 / 3, 1 / 3, 1 / 3, 5 / 3]);
  await expect(inputStatistics(runtime, modelOf(b.graph), [])).rejects.toThrow(/needs data/);
});
