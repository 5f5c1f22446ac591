/** Costs against closed forms from the literature and counts made by hand. */
import { describe, expect, test } from 'vitest';
import { type Dim, typeOf } from '../graph/ir.ts';
import { Builder, type Value } from './builder.ts';
import { COST_RULES } from './cost.ts';
import { ruleContext } from './infer.ts';
import type { Cost } from './rule.ts';
import { type AttributesOf, OPS, type OpType } from './schema.ts';

/** Sum over the nodes of a graph. */
function costOf(b: Builder): Cost {
  const costs = b.graph.nodes.map(node => {
    const context = ruleContext(b.graph, node);
    const outputs = node.outputs.map(name => typeOf(b.graph, name) ?? { dtype: 'float32' as const });
    return COST_RULES[context.key]({ ...context, outputs });
  });
  return { flops: costs.reduce((n, c) => n + c.flops, 0), macs: costs.reduce((n, c) => n + c.macs, 0) };
}

function cost<K extends OpType>(
  op: K,
  shapes: readonly Dim[][],
  attributes: AttributesOf<K>,
  count = 1,
): Cost {
  const b = new Builder();
  b.ops(
    op,
    shapes.map((s, i) => b.input(`x${i}`, 'float32', s)),
    attributes,
    count,
  );
  return costOf(b);
}

describe('products', () => {
  test.each([
    [
      'MatMul',
      [
        [2, 3, 4],
        [4, 5],
      ],
      {},
      2 * 3 * 4 * 5,
    ],
    ['MatMul', [[7], [7]], {}, 7],
    [
      'Gemm',
      [
        [4, 3],
        [5, 4],
      ],
      { transA: 1, transB: 1 },
      3 * 4 * 5,
    ],
    [
      'Einsum',
      [
        [2, 3, 4],
        [2, 4, 5],
      ],
      { equation: 'bij,bjk->bik' },
      2 * 3 * 4 * 5,
    ],
    [
      'Einsum',
      [
        [6, 2, 3],
        [3, 5],
      ],
      { equation: '...ij,jk->...ik' },
      6 * 2 * 3 * 5,
    ],
    [
      'com.microsoft.FusedMatMul',
      [
        [5, 4, 3],
        [5, 2, 4],
      ],
      { transA: 1, transB: 1 },
      5 * 3 * 4 * 2,
    ],
    [
      'com.microsoft.FusedMatMul',
      [
        [4, 5, 3],
        [5, 3, 2],
      ],
      { transBatchA: 1 },
      5 * 4 * 3 * 2,
    ],
  ] as const)('%s of %j', (op, shapes, attributes, macs) => {
    const found = cost(op as OpType, shapes as unknown as Dim[][], attributes);
    expect(found).toEqual({ flops: 2 * macs, macs });
  });

  test('a bias and a scale add their elements', () => {
    expect(cost('Gemm', [[2, 3], [3, 4], [4]], {}).flops).toBe(2 * 24 + 8);
    expect(cost('Gemm', [[2, 3], [3, 4], [4]], { alpha: 0.5 }).flops).toBe(2 * 24 + 16);
  });
});

describe('attention', () => {
  const scores = 2 * 8 * 5 * 7;
  test('grouped heads cost as many products as query heads; 7 more operations a score', () => {
    const macs = scores * (16 + 24);
    const split = cost(
      'Attention',
      [
        [2, 8, 5, 16],
        [2, 2, 7, 16],
        [2, 2, 7, 24],
      ],
      {},
    );
    expect(split).toEqual({ macs, flops: 2 * macs + 7 * scores });
    const heads = { q_num_heads: 8, kv_num_heads: 2 };
    expect(
      cost(
        'Attention',
        [
          [2, 5, 128],
          [2, 7, 32],
          [2, 7, 48],
        ],
        heads,
      ),
    ).toEqual(split);
  });

  test('a causal mask saves nothing', () => {
    const shapes = [
      [1, 2, 9, 4],
      [1, 2, 9, 4],
      [1, 2, 9, 4],
    ];
    expect(cost('Attention', shapes, { is_causal: 1 })).toEqual(cost('Attention', shapes, {}));
  });

  test('written out as plain ops it has as many multiply-adds', () => {
    const b = new Builder();
    const [q, k, v] = ['q', 'k', 'v'].map(name => b.input(name, 'float32', [2, 4, 9, 8])) as [
      Value,
      Value,
      Value,
    ];
    q.matmul(k.transpose([0, 1, 3, 2]))
      .mul(0.35)
      .softmax()
      .matmul(v);
    const fused = cost('Attention', Array(3).fill([2, 4, 9, 8]), {});
    expect(costOf(b).macs).toBe(fused.macs);
    expect(cost('com.microsoft.MultiHeadAttention', Array(3).fill([2, 9, 32]), { num_heads: 4 })).toEqual(
      fused,
    );
  });
});

test('a dense transformer costs 2 N flops a token beside its attention, N the weights it multiplies by', () => {
  const [B, T, d, inner, V] = [2, 16, 32, 128, 100];
  const b = new Builder();
  const weight = (name: string, ...shape: number[]) => b.input(name, 'float32', shape);
  const x = b.input('x', 'float32', [B, T, d]);
  const heads = (name: string) =>
    x
      .matmul(weight(name, d, d))
      .reshape([B, T, 4, d / 4])
      .transpose([0, 2, 1, 3]);
  const scores = heads('q').matmul(heads('k').transpose([0, 1, 3, 2]));
  const mixed = scores.softmax().matmul(heads('v')).transpose([0, 2, 1, 3]).reshape([B, T, d]);
  const residual = x.add(mixed.matmul(weight('o', d, d)));
  const out = residual
    .matmul(weight('up', d, inner))
    .sigmoid()
    .matmul(weight('down', inner, d))
    .add(residual);
  out.matmul(weight('head', d, V));
  const weights = 4 * d * d + 2 * d * inner + d * V;
  expect(costOf(b).macs).toBe(B * T * weights + 2 * B * T * T * d);
});

test('experts: only the chosen ones run', () => {
  const [tokens, d, inner, experts, k] = [6, 8, 16, 4, 2];
  const shapes = [
    [tokens, d],
    [tokens, experts],
    [experts, 2 * inner, d],
    [experts, 2 * inner],
    [experts, d, inner],
  ];
  const found = cost('com.microsoft.MoE', shapes, { k, swiglu_fusion: 1 });
  expect(found.macs).toBe(tokens * k * 3 * d * inner);
});

test('moving elements is free, whatever it moves', () => {
  const b = new Builder();
  b.input('x', 'float32', [4, 6]).reshape([2, 12]).transpose([1, 0]).slice(0, 0, 3).cast('float64');
  expect(costOf(b)).toEqual({ flops: 0, macs: 0 });
});

test('symbols are refused by name', () => {
  expect(() => cost('Relu', [['B', 3]], {})).toThrow(
    'node "Relu" (Relu): the cost needs numbers, but output 0 has the dim "B"',
  );
});

test('every op has a rule', () => {
  expect(Object.keys(COST_RULES).sort()).toEqual(Object.keys(OPS).sort());
});
