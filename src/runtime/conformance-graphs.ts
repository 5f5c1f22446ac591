/** Whole-graph part of the conformance suite: binding, shapes that change, dtypes, and a small transformer. */
import { describe, expect, test } from 'vitest';
import { allocate, type DType } from '../graph/dtype.ts';
import { float32, type Graph, int32, type Tensor, zeros } from '../graph/ir.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { modelFor } from '../ops/opset.ts';
import { Random } from '../util/random.ts';
import { disagreement } from './compare.ts';
import type { Program, Runtime } from './runtime.ts';

type Make = () => Runtime | Promise<Runtime>;

const compile = async (make: Make, graph: Graph): Promise<Program> =>
  (await make()).compile(modelFor(graph), { threads: 1 });

const values = (t: Tensor): number[] => Array.from(t.data as Float32Array);

function randomTensor(random: Random, ...dims: number[]): Tensor {
  const count = dims.reduce((a, b) => a * b, 1);
  return float32(
    dims,
    Float32Array.from({ length: count }, () => random.normal() * 0.5),
  );
}

/** y = relu(x · w + b), rows symbolic. */
export function denseGraph(): Graph {
  const b = new Builder('dense');
  const x = b.input('x', 'float32', ['rows', 2]);
  const w = b.initializer('w', float32([2, 3], [1, -1, 2, 0.5, 2, -3]));
  const bias = b.input('b', 'float32', [3]);
  b.output(b.op('Relu', [x.matmul(w).add(bias)], {}), 'y');
  return b.graph;
}

/** next = w − rate · g, the shape of an optimizer step. */
function stepGraph(): Graph {
  const b = new Builder('step');
  const w = b.input('w', 'float32', [4]);
  const g = b.input('g', 'float32', [4]);
  const rate = b.input('rate', 'float32', []);
  b.output(w.sub(g.mul(rate)), 'next');
  return b.graph;
}

const LAYER = { width: 8, heads: 2, vocabulary: 11 } as const;

/** x + attention(norm(x)), causal, [batch, time, width]. */
function attentionBlock(b: Builder, x: Value, random: Random): Value {
  const { width, heads } = LAYER;
  const size = width / heads;
  const weight = (name: string) => b.initializer(name, randomTensor(random, width, width));
  const scale = b.initializer('norm', float32([width], new Array(width).fill(1.5)));
  const h = b.op('LayerNormalization', [x, scale], { axis: -1, epsilon: 1e-5 });
  const split = (name: string) => h.matmul(weight(name)).reshape([0, 0, heads, size]).transpose([0, 2, 1, 3]);
  const [q, k, v] = [split('q'), split('k'), split('v')];
  const scores = q.matmul(k.transpose([0, 1, 3, 2])).mul(1 / Math.sqrt(size));
  const ones = b.op('ConstantOfShape', [scores.dims()], { value: float32([1], [1]) });
  const future = b.op('Trilu', [ones, b.scalar(1, 'int64')], { upper: 1 });
  const masked = b.where(future.cast('bool'), -1e9, scores);
  return x.add(masked.softmax().matmul(v).transpose([0, 2, 1, 3]).reshape([0, 0, width]).matmul(weight('o')));
}

/** Token ids [batch, time] to the mean loss of predicting `targets`, and the logits. */
export function languageGraph(): Graph {
  const random = new Random(5);
  const { width, vocabulary } = LAYER;
  const b = new Builder('language');
  const ids = b.input('ids', 'int32', ['batch', 'time']);
  const targets = b.input('targets', 'int32', ['batch', 'time']);
  const table = b.initializer('table', randomTensor(random, vocabulary, width));
  const x = attentionBlock(b, table.gather(ids), random);
  const up = b.initializer('up', randomTensor(random, width, 4 * width));
  const down = b.initializer('down', randomTensor(random, 4 * width, width));
  const y = x.add(b.op('Gelu', [x.matmul(up)], {}).matmul(down));
  const logits = b.output(y.matmul(table.transpose([1, 0])), 'logits');
  const picked = b.op('GatherElements', [logits.logSoftmax(), targets.unsqueeze([-1])], { axis: -1 });
  b.output(picked.mean(undefined, false).neg(), 'loss');
  return b.graph;
}

function ids(seed: number, ...dims: number[]): Tensor {
  const random = new Random(seed);
  const count = dims.reduce((a, b) => a * b, 1);
  return int32(
    dims,
    Array.from({ length: count }, () => random.int(LAYER.vocabulary)),
  );
}

function bindingTests(make: Make, noInPlace: string | undefined): void {
  test('a bound run sees what was written into its inputs', async () => {
    using program = await compile(make, denseGraph());
    const [x, b, y] = [float32([1, 2], [1, 1]), float32([3], [0, 0, 0]), zeros('float32', [1, 3])];
    using binding = program.bind({ x, b, y });
    await binding.run();
    expect(values(y)).toEqual([1.5, 1, 0]);
    (x.data as Float32Array).set([2, 0]);
    (b.data as Float32Array).set([0, 5, 1]);
    await binding.run();
    expect(values(y)).toEqual([2, 3, 5]);
  });

  const inPlace = 'one tensor bound as input and output is updated in place';
  test.skipIf(noInPlace !== undefined)(noInPlace ? `${inPlace} (${noInPlace})` : inPlace, async () => {
    using program = await compile(make, stepGraph());
    const w = float32([4], [1, 2, 3, 4]);
    using binding = program.bind({ w, g: float32([4], [1, 1, 2, 2]), rate: float32([], [0.5]), next: w });
    await binding.run();
    await binding.run();
    expect(values(w)).toEqual([0, 1, 1, 2]);
  });

  test('two bindings of one program keep their own buffers', async () => {
    using program = await compile(make, denseGraph());
    const bind = (first: number) => {
      const buffers = {
        x: float32([1, 2], [first, 0]),
        b: zeros('float32', [3]),
        y: zeros('float32', [1, 3]),
      };
      return { ...buffers, binding: program.bind(buffers) };
    };
    const [one, two] = [bind(1), bind(2)];
    await one.binding.run();
    await two.binding.run();
    expect([values(one.y), values(two.y)]).toEqual([
      [1, 0, 2],
      [2, 0, 4],
    ]);
    one.binding[Symbol.dispose]();
    two.binding[Symbol.dispose]();
  });
}

function callTests(make: Make): void {
  test('symbolic dims take any size, 0 too, one after the other', async () => {
    using program = await compile(make, denseGraph());
    for (const rows of [2, 5, 0, 1]) {
      const feeds = { x: randomTensor(new Random(rows), rows, 2), b: float32([3], [1, 2, 3]) };
      const got = await program.call(feeds);
      expect(disagreement({ graph: denseGraph(), feeds }, got)).toBe('');
    }
  });

  test('results are fresh: neither inputs nor earlier results change', async () => {
    using program = await compile(make, denseGraph());
    const x = float32([1, 2], [1, 1]);
    const first = await program.call({ x, b: zeros('float32', [3]) });
    await program.call({ x: float32([1, 2], [9, 9]), b: zeros('float32', [3]) });
    expect([values(x), values(first.y)]).toEqual([
      [1, 1],
      [1.5, 1, 0],
    ]);
  });

  test('a size that the data decide comes back with its dims', async () => {
    const b = new Builder('nonzero');
    b.output(b.op('NonZero', [b.input('x', 'float32', [4])], {}), 'y');
    using program = await compile(make, b.graph);
    const { y } = await program.call({ x: float32([4], [0, 3, 0, 1]) });
    expect([y.dtype, y.dims, [...y.data]]).toEqual(['int64', [1, 2], [1n, 3n]]);
  });

  test.each(['disabled', 'all'] as const)(
    'a small language model agrees, optimization %s',
    async optimization => {
      const graph = languageGraph();
      using program = await (await make()).compile(modelFor(graph), { optimization });
      for (const [batch, time] of [[2, 5] as const, [1, 1] as const]) {
        const feeds = { ids: ids(1, batch, time), targets: ids(2, batch, time) };
        expect(disagreement({ graph, feeds }, await program.call(feeds))).toBe('');
      }
    },
  );

  test('only the outputs asked for come back', async () => {
    using program = await compile(make, languageGraph());
    const got = await program.call({ ids: ids(1, 1, 3), targets: ids(2, 1, 3) }, ['loss']);
    expect(Object.keys(got)).toEqual(['loss']);
  });
}

const PASSED: readonly DType[] = [
  'float32',
  'float64',
  'int8',
  'uint8',
  'int32',
  'int64',
  'uint32',
  'bool',
  'float16',
];

/** Bytes 0 and 1 in turn: valid in every dtype. */
function patterned(dtype: DType): Tensor {
  const data = allocate(dtype, 6);
  if (Array.isArray(data)) return { dtype, dims: [2, 3], data };
  const bytes = new Uint8Array(data.buffer as ArrayBuffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = i & 1;
  return { dtype, dims: [2, 3], data };
}

function dtypeTests(make: Make): void {
  test.each(PASSED)('%s goes in and comes out unchanged', async dtype => {
    const b = new Builder('turn');
    b.output(b.input('x', dtype, [2, 3]).transpose([1, 0]), 'turned');
    using program = await compile(make, b.graph);
    const x = patterned(dtype);
    const feeds = { x };
    expect(disagreement({ graph: b.graph, feeds }, await program.call(feeds))).toBe('');
    const turned = zeros(dtype, [3, 2]);
    using binding = program.bind({ x, turned });
    await binding.run();
    expect(disagreement({ graph: b.graph, feeds }, { turned })).toBe('');
  });
}

/** Declares the tests of whole graphs. */
export function graphConformance(make: Make, noInPlace: string | undefined): void {
  describe('binding', () => bindingTests(make, noInPlace));
  describe('calling', () => callTests(make));
  describe('dtypes', () => dtypeTests(make));
}
