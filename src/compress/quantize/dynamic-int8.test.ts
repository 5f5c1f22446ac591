/** W8A8 products beside integer arithmetic written out. */
import { expect, it } from 'vitest';
import { float32, type Graph, modelOf, type Tensor } from '../../graph/ir.ts';
import { verify } from '../../graph/verify.ts';
import { Builder } from '../../ops/builder.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { Random } from '../../util/random.ts';
import { dynamicInt8 } from './dynamic-int8.ts';

const [ROWS, K, N] = [5, 24, 12];

const noise = (dims: readonly number[], seed: number): Tensor => {
  const random = new Random(seed);
  return float32(
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => random.normal()),
  );
};

/** Two products of one value, one of them by a matrix as it lies. */
function twoProducts(): Graph {
  const b = new Builder('two');
  const x = b.input('x', 'float32', ['S', K]);
  const turned = b.op('com.microsoft.FusedMatMul', [x, b.initializer('w', noise([N, K], 1))], { transB: 1 });
  const plain = x.matmul(b.initializer('v', noise([K, N], 2)));
  b.output(turned.add(plain), 'y');
  return b.graph;
}

/** round half to even, as QuantizeLinear rounds. */
function even(v: number): number {
  const r = Math.round(v);
  return Math.abs(v % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
}

/** (x̂ − z) Ŵ s_x s_W in exact integers. */
function expected(x: Float32Array): number[] {
  const [low, high] = [Math.min(0, ...x), Math.max(0, ...x)];
  const scale = Math.fround((high - low) / 255);
  const zero = even(-low / scale);
  const codes = Array.from(x, v => Math.max(0, Math.min(255, even(v / scale) + zero)) - zero);
  const [w, v] = [noise([N, K], 1), noise([K, N], 2)].map(t => t.data as Float32Array);
  const columns = (at: (n: number, k: number) => number) =>
    Array.from({ length: N }, (_, n) => {
      const of = Array.from({ length: K }, (_, k) => at(n, k));
      const step = Math.max(...of.map(Math.abs)) / 127;
      return { step, codes: of.map(u => Math.round(u / step)) };
    });
  const both = [columns((n, k) => w?.[n * K + k] as number), columns((n, k) => v?.[k * N + n] as number)];
  return Array.from({ length: ROWS * N }, (_, at) => {
    const [row, n] = [Math.floor(at / N), at % N];
    return both.reduce((sum, matrix) => {
      const { step, codes: of } = matrix[n] as { step: number; codes: number[] };
      return sum + step * scale * of.reduce((s, c, k) => s + c * (codes[row * K + k] as number), 0);
    }, 0);
  });
}

it('computes the integer products, and quantizes what they share once', async () => {
  const graph = twoProducts();
  expect(dynamicInt8(graph)).toEqual(['w', 'v']);
  verify(graph);
  const count = (op: string) => graph.nodes.filter(n => n.opType === op).length;
  expect([count('DynamicQuantizeLinear'), count('MatMulInteger')]).toEqual([1, 2]);
  const x = noise([ROWS, K], 3);
  const runtime = await nativeRuntime();
  using program = await runtime.compile(modelOf(graph));
  const { y } = await program.call({ x });
  const truth = expected(x.data as Float32Array);
  const made = [...(y as Tensor).data].map(Number);
  expect(made).toHaveLength(truth.length);
  made.forEach((v, i) => void expect(v).toBeCloseTo(truth[i] as number, 4));
});

it('leaves what makes an output', () => {
  const b = new Builder('one');
  b.output(b.input('x', 'float32', ['S', K]).matmul(b.initializer('v', noise([K, N], 2))), 'y');
  expect(dynamicInt8(b.graph)).toEqual([]);
});
