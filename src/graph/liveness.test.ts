import { expect, test } from 'vitest';
import { Builder } from '../ops/builder.ts';
import { liveness, memoryOverTime } from './liveness.ts';

test('a chain holds two values at a time', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [10]);
  b.output(x.exp().exp().exp().exp());
  expect(liveness(b.graph)).toEqual({ peakBytes: 80, peakNode: 'Exp_1', residentBytes: 40 });
});

test('a value that is read late stays', () => {
  const b = new Builder();
  const first = b.input('x', 'float32', [10]).exp();
  b.output(first.exp().exp().exp().add(first));
  expect(liveness(b.graph).peakBytes).toBe(120);
});

test('what is alive at each node', () => {
  const b = new Builder();
  const first = b.input('x', 'float32', [10]).exp();
  b.output(first.exp().exp().add(first));
  expect(memoryOverTime(b.graph).map(m => [m.node, m.bytes])).toEqual([
    ['Exp', 40],
    ['Exp_1', 80],
    ['Exp_2', 120],
    ['Add', 120],
  ]);
});

test('an activation in place takes nothing, unless something else reads its input', () => {
  const relu = { inPlace: new Set(['Relu']) };
  const alive = (read: boolean) => {
    const b = new Builder();
    const x = b.input('x', 'float32', [10]).exp();
    const y = b.op('Relu', [x], {}).exp();
    b.output(read ? y.add(x) : y);
    return memoryOverTime(b.graph, relu).map(m => m.bytes);
  };
  expect(alive(false)).toEqual([40, 40, 80]);
  expect(alive(true)).toEqual([40, 80, 120, 120]);
});

test('views take nothing and keep their buffer alive', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [2, 5]);
  const view = x.exp().reshape([10]);
  b.output(view.exp().exp().add(view));
  expect(liveness(b.graph).peakBytes).toBe(120);
  const direct = new Builder();
  direct.output(direct.input('x', 'float32', [2, 5]).reshape([10]).exp());
  expect(liveness(direct.graph).peakBytes).toBe(40);
});

test('symbols need numbers', () => {
  const b = new Builder();
  b.output(b.input('x', 'float32', ['B']).exp());
  expect(() => liveness(b.graph)).toThrow('"x" has shape [B]; its bytes cannot be counted');
  expect(liveness(b.graph, dim => (dim === 'B' ? 3 : undefined)).peakBytes).toBe(12);
});
