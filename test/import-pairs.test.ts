/** Ops on integers and the Q/DQ pairs that they are imported as compute the same codes. */
import { describe, expect, it, test } from 'vitest';
import { float32, type Graph, modelOf, type Tensor } from '../src/graph/ir.ts';
import { verify } from '../src/graph/verify.ts';
import { cloneGraph } from '../src/graph/walk.ts';
import { importModel } from '../src/import/index.ts';
import { qoperatorToQdq } from '../src/import/qoperator.ts';
import { Builder } from '../src/ops/builder.ts';
import { inferShapes } from '../src/ops/infer.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { evaluate } from '../src/runtime/reference/index.ts';
import { doubles } from '../src/runtime/reference/tensor.ts';
import { Random } from '../src/util/random.ts';
import { caseGraph, casesOf } from './op-cases/types.ts';
import { OP_CASES } from './op-cases.ts';

/** Fed scales and zero points are constants in files. */
function held(graph: Graph, feeds: Readonly<Record<string, Tensor>>): Graph {
  const fixed = cloneGraph(graph);
  fixed.inputs = [];
  for (const [name, tensor] of Object.entries(feeds)) fixed.initializers.set(name, tensor);
  return fixed;
}

const cases = [...casesOf(OP_CASES)].filter(
  c => /QLinear|Integer|QGemm/.test(c.key) && c.case.name !== 'channels last',
);

describe('pairs in place of', () => {
  test.each(cases.map(c => [`${c.key}, ${c.case.name}`, c] as const))('%s', (_, { key, case: c }) => {
    const { graph, feeds } = caseGraph(key, c, 'float32');
    const before = held(graph, feeds);
    const after = cloneGraph(before);
    expect(qoperatorToQdq(after)).toHaveLength(1);
    verify(after);
    inferShapes(after);
    expect(after.nodes.map(n => n.opType).filter(op => /QLinear|Integer|QGemm/.test(op))).toEqual([]);
    const [got, want] = [after, before].map(g => evaluate(g, {}).y0 as Tensor) as [Tensor, Tensor];
    expect([got.dtype, ...got.dims]).toEqual([want.dtype, ...want.dims]);
    // a product may lie on the other side of a half
    const most = want.dtype === 'int32' ? 0 : 1;
    doubles(got).forEach(
      (v, i) => void expect(Math.abs(v - (doubles(want)[i] as number))).toBeLessThanOrEqual(most),
    );
  });
});

it('there are cases of all of them', () => {
  expect(new Set(cases.map(c => c.key)).size).toBe(12);
});

it('a dynamically quantized product has a gradient, and ONNX Runtime’s value', async () => {
  const random = new Random(1);
  const b = new Builder('dynamic');
  const x = b.input('x', 'float32', [3, 8]);
  const [codes, scale, zero] = b.ops('DynamicQuantizeLinear', [x], {}, 3);
  const weight = b.initializer('w', {
    dtype: 'int8',
    dims: [8, 4],
    data: Int8Array.from({ length: 32 }, () => random.int(255) - 127),
  });
  const product = b.op('MatMulInteger', [codes, weight, zero], {}).cast('float32');
  b.output(product.mul(scale?.mul(b.initializer('ws', float32([], [0.02]))) ?? 1), 'y');
  const { model, report } = importModel(modelOf(b.graph));
  expect(report.pairs).toHaveLength(1);
  expect(model.graph.nodes.map(n => n.opType)).not.toContain('MatMulInteger');
  const feeds = {
    x: float32(
      [3, 8],
      Float32Array.from({ length: 24 }, () => random.normal()),
    ),
  };
  const runtime = await nativeRuntime();
  const results = await Promise.all(
    [modelOf(b.graph), model].map(async m => {
      using program = await runtime.compile(m);
      return doubles((await program.call(feeds)).y as Tensor);
    }),
  );
  results[0]?.forEach((v, i) => void expect(results[1]?.[i]).toBeCloseTo(v, 4));
});
