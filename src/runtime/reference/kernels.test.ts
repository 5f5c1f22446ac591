/** Facts about kernels that no fixture of another program covers: closed forms, equivalent layouts, refusals. */
import { describe, expect, test } from 'vitest';
import type { DType } from '../../graph/dtype.ts';
import { float32, int32, int64, type Tensor } from '../../graph/ir.ts';
import { toAttribute } from '../../ops/builder.ts';
import { OPS, type OpType, splitKey } from '../../ops/schema.ts';
import { Random } from '../../util/random.ts';
import { KERNELS } from './index.ts';
import { kernelContext } from './kernel.ts';
import { concatenated } from './kernels/movement.ts';
import { reshaped, takeAlong } from './layout.ts';
import { erf, softplus } from './math.ts';
import { doubles, pack, store } from './tensor.ts';

type Values = Record<string, number | string>;

function run(
  op: OpType,
  inputs: readonly (Tensor | undefined)[],
  values: Values = {},
  outputs = 1,
): Tensor[] {
  const kinds: Record<string, Parameters<typeof toAttribute>[0]> = OPS[op].attributes;
  const attributes = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, toAttribute(kinds[name], value)]),
  );
  const node = {
    name: 'n',
    ...splitKey(op),
    inputs: [],
    outputs: new Array<string>(outputs).fill('y'),
    attributes,
  };
  return [...KERNELS[op](kernelContext(node, inputs))];
}

const random = new Random(3);
const f32 = (...dims: number[]): Tensor =>
  float32(
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal()),
  );
const numbers = (t: Tensor): number[] => [...doubles(t)];
const typed = (dtype: DType, dims: number[], values: number[]): Tensor =>
  store(dtype, dims, Float64Array.from(values));

function expectClose(got: Tensor, want: Tensor, limit = 1e-6): void {
  expect(got.dims).toEqual(want.dims);
  const [x, y] = [numbers(got), numbers(want)];
  expect(Math.max(0, ...x.map((v, i) => Math.abs(v - y[i])))).toBeLessThan(limit);
}

describe('scalar functions', () => {
  test('erf has the tabulated values (Abramowitz and Stegun, table 7.1)', () => {
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 15);
    expect(erf(-1)).toBeCloseTo(-0.8427007929497149, 15);
    expect(erf(2)).toBeCloseTo(0.9953222650189527, 15);
    expect([erf(0), erf(7), erf(-Infinity)]).toEqual([0, 1, -1]);
  });

  test('softplus neither overflows nor vanishes', () => {
    expect(softplus(1000)).toBe(1000);
    expect(softplus(-700)).toBeCloseTo(Math.exp(-700), 310);
    expect(softplus(0)).toBeCloseTo(Math.LN2, 15);
  });
});

describe('dtypes', () => {
  test('float64 is never rounded to float32, float32 always is', () => {
    expect(numbers(run('Exp', [typed('float64', [1], [1])])[0])).toEqual([Math.E]);
    expect(numbers(run('Exp', [typed('float32', [1], [1])])[0])).toEqual([Math.fround(Math.E)]);
    const third = typed('float64', [1, 1], [1 / 3]);
    expect(numbers(run('MatMul', [third, third])[0])).toEqual([(1 / 3) * (1 / 3)]);
  });

  test('64-bit integers keep all their bits', () => {
    const big: Tensor = {
      dtype: 'int64',
      dims: [2],
      data: BigInt64Array.of(2n ** 62n + 1n, -(2n ** 62n) - 1n),
    };
    expect(run('Add', [big, int64([1], [1])])[0].data).toEqual(
      BigInt64Array.of(2n ** 62n + 2n, -(2n ** 62n)),
    );
    expect(run('ReduceSum', [big])[0].data).toEqual(BigInt64Array.of(0n));
    expect(run('ReduceMax', [big], { keepdims: 0 })[0].data).toEqual(BigInt64Array.of(2n ** 62n + 1n));
  });

  test('4-bit elements move singly, also from odd positions', () => {
    const x = pack('int4', [2, 3], [1, -2, 3, -4, 5, -6]);
    expect(numbers(run('Transpose', [x])[0])).toEqual([1, -4, -2, 5, 3, -6]);
    expect(numbers(run('Gather', [x, int64([1], [2])], { axis: 1 })[0])).toEqual([3, -6]);
  });

  test('strings compare and move', () => {
    const text = (...data: string[]): Tensor => ({ dtype: 'string', dims: [data.length], data });
    expect(numbers(run('Equal', [text('a', 'b'), text('a', 'c')])[0])).toEqual([1, 0]);
    expect(run('Gather', [text('a', 'b'), int64([2], [1, 0])])[0].data).toEqual(['b', 'a']);
  });
});

describe('refusals', () => {
  const refused: readonly [string, OpType, Tensor[], Values, string][] = [
    ['broadcast', 'Add', [f32(2), f32(3)], {}, 'shapes [2] and [3] do not broadcast'],
    ['dtypes', 'Add', [f32(2), int32([2], [1, 2])], {}, 'dtypes float32 and int32'],
    ['division', 'Div', [int32([1], [4]), int32([1], [0])], {}, 'integer division by zero'],
    ['index', 'Gather', [f32(2), int64([1], [2])], {}, 'index 2 is outside a dimension of 2'],
    ['axis', 'Softmax', [f32(2)], { axis: 1 }, 'axis 1 is outside a tensor of rank 1'],
    ['reshape', 'Reshape', [f32(2, 3), int64([1], [4])], {}, '[2, 3] cannot be reshaped to [4]'],
    ['label', 'SoftmaxCrossEntropyLoss', [f32(1, 2), int64([1], [2])], {}, 'label 2 is outside 2 classes'],
    ['einsum', 'Einsum', [f32(2, 3), f32(2, 3)], { equation: 'ij,jk->ik' }, 'label "j" is both 3 and 2'],
  ];
  test.each(refused)('%s', (_, op, inputs, values, message) => {
    expect(() => run(op, inputs, values)).toThrow(`node "n" (${op}): `);
    expect(() => run(op, inputs, values)).toThrow(message);
  });
});

describe('equivalent forms', () => {
  test('MultiHeadAttention: packed layouts give what separate ones give', () => {
    const [q, k, v] = [f32(2, 3, 8), f32(2, 3, 8), f32(2, 3, 8)];
    const slots = (...parts: Tensor[]) =>
      concatenated(
        parts.map(t => reshaped(t, [2, 3, 2, 1, 4])),
        3,
        [2, 3, 2, parts.length, 4],
      );
    const heads = { num_heads: 2 };
    const [want] = run('com.microsoft.MultiHeadAttention', [q, k, v], heads);
    expectClose(run('com.microsoft.MultiHeadAttention', [slots(q, k, v)], heads)[0], want);
    expectClose(run('com.microsoft.MultiHeadAttention', [q, slots(k, v)], heads)[0], want);
  });

  test('MoE: SwiGLU interleaved, side by side and as two layers are one function', () => {
    const [x, router, gate, linear, down] = [f32(5, 4), f32(5, 3), f32(3, 6, 4), f32(3, 6, 4), f32(3, 4, 6)];
    const values = { k: 2, activation_type: 'swiglu', activation_alpha: 1.5, activation_beta: 1 };
    const side = concatenated([gate, linear], 1, [3, 12, 4]);
    const woven = takeAlong(side, 1, [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]);
    const moe = (fc1: Tensor, fusion: number, ...fc3: (Tensor | undefined)[]) =>
      run('com.microsoft.MoE', [x, router, fc1, undefined, down, undefined, ...fc3], {
        ...values,
        swiglu_fusion: fusion,
      })[0];
    expectClose(moe(side, 2), moe(woven, 1));
    expectClose(moe(gate, 0, linear), moe(woven, 1));
  });

  test('Attention: a row that is masked throughout gives zeros', () => {
    const mask: Tensor = { dtype: 'bool', dims: [2, 3], data: Uint8Array.of(0, 0, 0, 1, 0, 0) };
    const v = f32(1, 1, 3, 2);
    const [y] = run('Attention', [f32(1, 1, 2, 4), f32(1, 1, 3, 4), v, mask]);
    expect(numbers(y)).toEqual([0, 0, ...numbers(v).slice(0, 2)]);
  });
});

describe('GroupQueryAttention', () => {
  const TIME = 5;
  const [q, k, v] = [f32(1, TIME, 16), f32(1, TIME, 8), f32(1, TIME, 8)];
  const tables = [f32(TIME, 4), f32(TIME, 4)];
  const buffer = float32([1, 1, 8, 8], new Float32Array(64));

  /** Runs tokens [from, to) on a cache and returns outputs, keys and values. */
  function step(values: Values, from: number, to: number, cache: readonly Tensor[]): Tensor[] {
    const part = (t: Tensor) =>
      takeAlong(
        t,
        1,
        Array.from({ length: to - from }, (_, i) => from + i),
      );
    const inputs = [part(q), part(k), part(v), ...cache, int32([1], [to - 1]), int32([1], [to]), ...tables];
    return run('com.microsoft.GroupQueryAttention', inputs, { num_heads: 2, kv_num_heads: 1, ...values }, 3);
  }

  test.each<Values>([
    { do_rotary: 1 },
    { do_rotary: 1, rotary_interleaved: 1 },
    { do_rotary: 1, local_window_size: 2 },
    { smooth_softmax: 1, softcap: 2 },
  ])('token by token is the same as all at once: %j', values => {
    const [whole, keys] = step(values, 0, TIME, [buffer, buffer]);
    let [part, ...cache] = step(values, 0, 2, [buffer, buffer]);
    const parts = [part];
    for (let t = 2; t < TIME; t++) {
      [part, ...cache] = step(values, t, t + 1, cache);
      parts.push(part);
    }
    expectClose(concatenated(parts, 1, [1, TIME, 16]), whole);
    expectClose(cache[0], keys);
  });
});
