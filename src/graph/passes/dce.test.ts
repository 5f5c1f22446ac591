import { expect, test } from 'vitest';
import { Builder } from '../../ops/builder.ts';
import { float32 } from '../ir.ts';
import { eliminateDeadCode } from './dce.ts';

test('keeps what outputs need and the signature', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [2]);
  b.input('unused', 'float32', [2]);
  const w = b.initializer('w', float32([2], [1, 2]));
  const dead = b.initializer('dead', float32([2], [3, 4]));
  const kept = x.mul(w);
  kept.mul(dead).exp();
  b.output(kept);
  eliminateDeadCode(b.graph);
  expect(b.graph.nodes.map(n => n.opType)).toEqual(['Mul']);
  expect([...b.graph.initializers.keys()]).toEqual(['w']);
  expect([...b.graph.types.keys()]).toEqual([kept.name]);
  expect(b.graph.inputs.map(i => i.name)).toEqual(['x', 'unused']);
});

test('a node stays for one of its outputs', () => {
  const b = new Builder();
  const [, second] = b.input('x', 'float32', [4]).split([1, 3], 0);
  b.output(second);
  eliminateDeadCode(b.graph);
  expect(b.graph.nodes.map(n => n.opType)).toEqual(['Split']);
});
