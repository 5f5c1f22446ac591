/** Rules that onnx has no inference for (ONNX Runtime's and Gaslaw's own ops), and what mistakes are told. */
import { describe, expect, test } from 'vitest';
import type { DType } from '../../graph/dtype.ts';
import type { Dim } from '../../graph/ir.ts';
import { Builder, type Value } from '../builder.ts';
import { type AttributesOf, OPS, type OpType } from '../schema.ts';

type Operand = readonly Dim[] | { readonly dtype: DType; readonly dims: readonly Dim[] } | undefined;

function run<K extends OpType>(
  op: K,
  operands: readonly Operand[],
  attributes: AttributesOf<K>,
  count = 1,
): Value[] {
  const b = new Builder();
  const inputs = operands.map((o, i) => {
    if (!o) return undefined;
    const { dtype, dims } = 'dtype' in o ? o : { dtype: 'float32' as const, dims: o };
    return b.input(`x${i}`, dtype, dims);
  });
  return b.ops(op, inputs, attributes, count);
}

const of = (dtype: DType, ...dims: Dim[]): Operand => ({ dtype, dims });
const shapes = (values: readonly Value[]) => values.map(v => v.shape);

interface Case {
  readonly op: OpType;
  readonly inputs: readonly Operand[];
  readonly attributes?: Record<string, unknown>;
  readonly outputs: readonly (readonly Dim[])[];
  readonly dtype?: DType;
}

const QKV: Operand[] = [
  ['B', 'S', 128],
  ['B', 'S', 32],
  ['B', 'S', 32],
];
const LENGTHS = [of('int32', 'B'), of('int32')];
const BYTE = of('uint8');
const Q = (...dims: Dim[]): Operand[] => [of('uint8', ...dims), [], BYTE];
const OWN: readonly Case[] = [
  {
    op: 'com.microsoft.QLinearAdd',
    inputs: [...Q('B', 3), ...Q(3), [], BYTE],
    outputs: [['B', 3]],
    dtype: 'uint8',
  },
  {
    op: 'com.microsoft.QLinearMul',
    inputs: [...Q('B', 1), ...Q(1, 4), [], BYTE],
    outputs: [['B', 4]],
    dtype: 'uint8',
  },
  { op: 'MeanVarianceNormalization', inputs: [['B', 3, 8, 8]], outputs: [['B', 3, 8, 8]] },
  {
    op: 'com.microsoft.QLinearSigmoid',
    inputs: [...Q('B', 3), [], BYTE],
    outputs: [['B', 3]],
    dtype: 'uint8',
  },
  { op: 'com.microsoft.QLinearLeakyRelu', inputs: [...Q('B', 3), []], outputs: [['B', 3]], dtype: 'uint8' },
  {
    op: 'com.microsoft.QLinearConcat',
    inputs: [[], BYTE, ...Q('B', 3), ...Q('B', 5)],
    attributes: { axis: 1 },
    outputs: [['B', 8]],
    dtype: 'uint8',
  },
  {
    op: 'com.microsoft.QLinearAveragePool',
    inputs: [...Q('B', 8, 8, 3), [], BYTE],
    attributes: { kernel_shape: [2, 2], strides: [2, 2], channels_last: 1 },
    outputs: [['B', 4, 4, 3]],
    dtype: 'uint8',
  },
  {
    op: 'com.microsoft.QLinearGlobalAveragePool',
    inputs: [...Q('B', 3, 8, 8), [], BYTE],
    outputs: [['B', 3, 1, 1]],
    dtype: 'uint8',
  },
  {
    op: 'com.microsoft.QGemm',
    inputs: [...Q('B', 8), ...Q(4, 8), of('int32', 4)],
    attributes: { transB: 1 },
    outputs: [['B', 4]],
  },
  {
    op: 'com.microsoft.NhwcMaxPool',
    inputs: [of('uint8', 'B', 8, 6, 3)],
    attributes: { kernel_shape: [2, 2], strides: [2, 2] },
    outputs: [['B', 4, 3, 3]],
    dtype: 'uint8',
  },
  { op: 'gaslaw.StopGradient', inputs: [['B', 3]], outputs: [['B', 3]] },
  {
    op: 'gaslaw.StraightThrough',
    inputs: [
      ['B', 3],
      ['B', 3],
    ],
    outputs: [['B', 3]],
  },
  {
    op: 'SimplifiedLayerNormalization',
    inputs: [['B', 'T', 64], [64]],
    outputs: [
      ['B', 'T', 64],
      ['B', 'T', 1],
    ],
  },
  {
    op: 'com.microsoft.SkipLayerNormalization',
    inputs: [['B', 'T', 64], ['B', 'T', 64], [64], [64], [64]],
    outputs: [
      ['B', 'T', 64],
      ['B', 'T', 1],
      ['B', 'T', 1],
      ['B', 'T', 64],
    ],
  },
  {
    op: 'com.microsoft.SkipSimplifiedLayerNormalization',
    inputs: [['B', 'T', 64], ['B', 'T', 64], [64]],
    outputs: [
      ['B', 'T', 64],
      ['B', 'T', 1],
      ['B', 'T', 1],
      ['B', 'T', 64],
    ],
  },
  { op: 'com.microsoft.Gelu', inputs: [['B', 3]], outputs: [['B', 3]] },
  { op: 'com.microsoft.FastGelu', inputs: [['B', 3], [3]], outputs: [['B', 3]] },
  { op: 'com.microsoft.BiasGelu', inputs: [['B', 3], [3]], outputs: [['B', 3]] },
  { op: 'com.microsoft.QuickGelu', inputs: [['B', 3]], outputs: [['B', 3]] },
  {
    op: 'com.microsoft.FusedMatMul',
    inputs: [
      [5, 3, 2],
      [5, 4, 3],
    ],
    attributes: { transA: 1, transB: 1 },
    outputs: [[5, 2, 4]],
  },
  {
    // [m,b,k] x [k.., b, n] with both batch axes moved: [b,m,k] x [b,k,n]
    op: 'com.microsoft.FusedMatMul',
    inputs: [
      [7, 5, 2],
      [2, 5, 3],
    ],
    attributes: { transBatchA: 1, transBatchB: 1 },
    outputs: [[5, 7, 3]],
  },
  {
    op: 'com.microsoft.RotaryEmbedding',
    inputs: [['B', 'S', 128], of('int64', 'B', 'S'), [64, 8], [64, 8]],
    outputs: [['B', 'S', 128]],
  },
  {
    op: 'com.microsoft.GroupQueryAttention',
    inputs: [...QKV, ['B', 2, 'P', 16], ['B', 2, 'P', 16], ...LENGTHS],
    attributes: { num_heads: 8, kv_num_heads: 2 },
    outputs: [
      ['B', 'S', 128],
      ['B', 2, 'P', 16],
      ['B', 2, 'P', 16],
    ],
  },
  {
    // Q, K and V packed: (8 + 2 + 2) heads of 16; no past, so the present is as long as the input.
    op: 'com.microsoft.GroupQueryAttention',
    inputs: [['B', 'S', 192], undefined, undefined, undefined, undefined, ...LENGTHS],
    attributes: { num_heads: 8, kv_num_heads: 2 },
    outputs: [
      ['B', 'S', 128],
      ['B', 2, 'S', 16],
      ['B', 2, 'S', 16],
    ],
  },
  {
    op: 'com.microsoft.MultiHeadAttention',
    inputs: [
      ['B', 'S', 64],
      ['B', 'L', 64],
      ['B', 'L', 96],
      undefined,
      undefined,
      undefined,
      ['B', 4, 'P', 16],
      ['B', 4, 'P', 24],
    ],
    attributes: { num_heads: 4 },
    outputs: [
      ['B', 'S', 96],
      ['B', 4, 'L+P', 16],
      ['B', 4, 'L+P', 24],
    ],
  },
  {
    op: 'com.microsoft.MultiHeadAttention',
    inputs: [['B', 'S', 4, 3, 16]],
    attributes: { num_heads: 4 },
    outputs: [['B', 'S', 64]],
  },
  {
    op: 'com.microsoft.MoE',
    inputs: [['B', 'T', 64], ['B*T', 8], [8, 256, 64], undefined, [8, 64, 128]],
    attributes: { k: 2, swiglu_fusion: 1 },
    outputs: [['B', 'T', 64]],
  },
  {
    op: 'com.microsoft.DynamicQuantizeMatMul',
    inputs: [['B', 'T', 64], of('int8', 64, 32), [32]],
    outputs: [['B', 'T', 32]],
  },
  {
    op: 'com.microsoft.MatMulNBits',
    inputs: [['B', 'T', 64], of('uint8', 48, 2, 16), [48, 2]],
    attributes: { K: 64, N: 48, bits: 4, block_size: 32 },
    outputs: [['B', 'T', 48]],
  },
  {
    op: 'com.microsoft.GatherBlockQuantized',
    inputs: [of('uint8', 100, 32), of('int64', 'B', 'T'), of('float16', 100, 2)],
    attributes: { bits: 4, block_size: 32 },
    outputs: [['B', 'T', 64]],
    dtype: 'float16',
  },
];

describe("ONNX Runtime's and Gaslaw's own ops", () => {
  test.each(OWN.map(c => [c.op, c] as const))('%s', (op, c) => {
    const values = run(op, c.inputs, c.attributes ?? {}, c.outputs.length);
    expect(shapes(values)).toEqual(c.outputs);
    expect(values[0]?.dtype).toBe(c.dtype ?? 'float32');
  });

  test('each has a case', () => {
    const covered = new Set<string>(OWN.map(c => c.op));
    const own = Object.keys(OPS).filter(key => key.includes('.') || key === 'SimplifiedLayerNormalization');
    expect(own.filter(key => !covered.has(key))).toEqual([]);
  });

  test('a known total length makes the present as long as it', () => {
    const b = new Builder();
    const inputs = [...QKV, [1, 2, 5, 16], [1, 2, 5, 16]].map((s, i) =>
      b.input(`x${i}`, 'float32', s as Dim[]),
    );
    const attributes = { num_heads: 8, kv_num_heads: 2 };
    const lengths = [b.input('lengths', 'int32', ['B']), b.scalar(9, 'int32')];
    const [, present] = b.ops('com.microsoft.GroupQueryAttention', [...inputs, ...lengths], attributes, 3);
    expect(present?.shape).toEqual(['B', 2, 9, 16]);
  });
});

describe('mistakes are told by their dims', () => {
  const wrong = <K extends OpType>(
    op: K,
    operands: readonly Operand[],
    attributes: AttributesOf<K>,
    text: string,
  ) => expect(() => run(op, operands, attributes)).toThrow(text);

  test('products', () => {
    wrong(
      'MatMul',
      [
        [8, 16],
        [12, 4],
      ],
      {},
      'cannot multiply [8,16] by [12,4]: inner dimensions 16 and 12 differ',
    );
    wrong(
      'Gemm',
      [
        ['B', 16],
        [4, 12],
      ],
      { transB: 1 },
      'cannot multiply [B,16] by [4,12]: inner dimensions 16 and 12 differ',
    );
    wrong('Gemm', [[2, 3], [3, 4], [5]], {}, 'cannot broadcast [2,4] with [5]: 4 against 5');
    wrong(
      'Einsum',
      [
        [2, 3],
        [4, 5],
      ],
      { equation: 'ij,jk->ik' },
      'label "j" stands for 3 and for 4',
    );
    wrong('com.microsoft.MatMulNBits', [[2, 60]], { K: 64, N: 8 }, 'inner dimensions 60 and 64 differ');
  });

  test('elementwise', () => {
    wrong(
      'Add',
      [
        [2, 3],
        [2, 4],
      ],
      {},
      'node "Add" (Add): cannot broadcast [2,3] with [2,4]: 3 against 4',
    );
    wrong('Mul', [[2], of('int64', 2)], {}, 'inputs 0 and 1 are float32 and int64; cast one of them');
    wrong('Exp', [of('int64', 2)], {}, 'input 0 is int64; it must be of a floating-point dtype');
    wrong('PRelu', [[3], [2, 3]], {}, 'slope [2,3] does not broadcast to [3]');
  });

  test('movement', () => {
    wrong('Transpose', [['B', 4]], { perm: [0, 2] }, 'perm [0,2] is no order of the 2 axes of [B,4]');
    wrong(
      'Concat',
      [
        ['B', 2],
        ['B', 2, 3],
      ],
      { axis: 1 },
      'cannot concatenate [B,2] and [B,2,3] along axis 1',
    );
    wrong('Softmax', [['B', 4]], { axis: 2 }, 'axis 2 is out of range for rank 2');
  });

  test('Reshape, also of symbolic dims', () => {
    const reshape = (from: Dim[], to: number[]) => () =>
      new Builder().input('x', 'float32', from).reshape(to);
    expect(reshape([2, 3], [4, 2])).toThrow('cannot reshape [2,3] (6 elements) to [4,2] (8 elements)');
    expect(reshape(['B', 6], [0, 4])).toThrow('cannot reshape [B,6] (6*B elements) to [B,4] (4*B elements)');
    expect(reshape([2, 3], [4, -1])).toThrow('6 elements are no multiple of 4');
    expect(reshape([2], [0, 0])).toThrow('there is no dim 1 for 0 to copy');
  });

  test('Split, Squeeze, TopK', () => {
    const x = () => new Builder().input('x', 'float32', ['B', 12]);
    expect(() => x().split([4, 4], 1)).toThrow('sizes [4,4] sum to 8, not to axis 1 of [B,12]');
    expect(() => x().squeeze([1])).toThrow('cannot squeeze axis 1 of [B,12]: its dim is not 1');
    const y = x();
    expect(() => y.builder.ops('TopK', [y, y.builder.ints([13])], {}, 2)).toThrow(
      'k = 13 is more than the 12 elements',
    );
  });

  test('losses and attention', () => {
    const labels = of('int64', 5);
    wrong(
      'SoftmaxCrossEntropyLoss',
      [[4, 10], labels],
      {},
      'labels [5] do not fit scores [4,10]: they must be [4]',
    );
    wrong('LayerNormalization', [['B', 64], [32]], {}, 'cannot broadcast [B,64] with [32]: 64 against 32');
    const heads = { q_num_heads: 3, kv_num_heads: 2 };
    wrong(
      'Attention',
      [
        [1, 5, 48],
        [1, 5, 32],
        [1, 5, 32],
      ],
      heads,
      '3 query heads are no multiple of 2 key/value heads',
    );
    wrong(
      'Attention',
      [
        [1, 5, 48],
        [1, 5, 32],
        [1, 5, 32],
      ],
      {},
      'attribute q_num_heads is needed for inputs of rank 3',
    );
  });
});
