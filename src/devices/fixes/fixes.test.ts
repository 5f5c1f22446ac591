/** Each fix keeps what the graph computes, and removes its finding. */
import { expect, it } from 'vitest';
import { float32, type Model, modelOf } from '../../graph/ir.ts';
import { verify } from '../../graph/verify.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { evaluate } from '../../runtime/reference/index.ts';
import { Random } from '../../util/random.ts';
import { check, fixed } from '../check.ts';
import { deviceOf } from '../index.ts';
import { lowestOpset } from './apply.ts';
import type { FixName } from './index.ts';

type Body = (b: Builder, x: Value) => Value;

function model(shape: readonly (number | string)[], body: Body, opset = 17): Model {
  const b = new Builder('test');
  b.output(body(b, b.input('x', 'float32', shape)), 'y');
  const made = modelOf(b.graph);
  made.opsets.set('', opset);
  return made;
}

const random = new Random(7);
const values = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.uniform() * 4 - 2);
const tensor = (dims: readonly number[]) => float32(dims, values(dims.reduce((a, c) => a * c, 1)));

const CASES: readonly (readonly [FixName, string, readonly number[], Body])[] = [
  ['constant-arithmetic', 'arm-ethos-u55-128', [1, 4, 2, 2], (_, x) => x.div(3)],
  [
    'conv-1d-to-2d',
    'arm-ethos-u55-128',
    [1, 3, 9],
    (b, x) =>
      b.op('Conv', [x, b.initializer('w', tensor([4, 3, 3])), b.initializer('b', tensor([4]))], {
        strides: [2],
        pads: [1, 0],
        dilations: [2],
      }),
  ],
  [
    'conv-1d-to-2d',
    'arm-ethos-u55-128',
    [1, 3, 9],
    (b, x) => b.op('MaxPool', [x], { kernel_shape: [3], strides: [2] }),
  ],
  [
    'decompose-activation',
    'arm-ethos-u55-128',
    [1, 4, 2, 2],
    (b, x) => b.op('HardSigmoid', [x], { alpha: 0.3 }),
  ],
  ['mean-to-pool', 'ti-am68a', [1, 4, 3, 5], (_, x) => x.mean([2, 3])],
  ['mean-to-pool', 'ti-am68a', [1, 4, 3, 5], (_, x) => x.mean([-1, -2], false)],
  [
    'plain-gemm',
    'ti-am68a',
    [6, 4],
    (b, x) =>
      b.op('Gemm', [x, b.initializer('w', tensor([6, 3])), b.initializer('c', tensor([3]))], {
        transA: 1,
        alpha: 0.5,
        beta: 2,
      }),
  ],
  ['pool-to-global', 'ti-am68a', [1, 4, 5, 5], (b, x) => b.op('AveragePool', [x], { kernel_shape: [5, 5] })],
  ['softmax-last-axis', 'ti-am68a', [1, 4, 3, 5], (_, x) => x.softmax(1)],
];

it.each(CASES)('%s on %s %s', (name, device, shape, body) => {
  const before = model(shape, body);
  const { model: after, applied } = fixed(before, deviceOf(device));
  expect(applied.map(f => f.rewrite)).toContain(name);
  verify(after.graph);
  expect(check(after, deviceOf(device)).findings.map(f => f.rewrite)).not.toContain(name);
  const x = tensor(shape);
  const [want, got] = [before, after].map(m => evaluate(m.graph, { x }).y?.data as Float32Array);
  expect(got).toHaveLength(want?.length as number);
  for (const [i, y] of (got ?? []).entries()) expect(y).toBeCloseTo(want?.[i] as number, 5);
});

it('binds the batch to 1 and other symbols to what is given', () => {
  const device = deviceOf('snapdragon-8-gen-3');
  const before = model(['batch', 3, 'h', 'h'], (b, x) => b.op('Relu', [x], {}));
  const { model: after } = fixed(before, device, new Map([['h', 8]]));
  expect(after.graph.inputs[0]?.shape).toEqual([1, 3, 8, 8]);
  expect(check(after, device).deploys).toBe(true);
  expect(fixed(before, device).model.graph.inputs[0]?.shape).toEqual([1, 3, 'h', 'h']);
});

it('lowers the opset when no node needs the newer one, and only then', () => {
  const device = deviceOf('ti-am68a');
  expect(
    fixed(
      model([1, 4], (b, x) => b.op('Relu', [x], {}), 21),
      device,
    ).model.opsets.get(''),
  ).toBe(19);
  const gelu = model([1, 4], (b, x) => b.op('Gelu', [x], {}), 21);
  expect(lowestOpset(gelu.graph)).toBe(20);
  expect(fixed(gelu, device).model.opsets.get('')).toBe(21);
});
