import { describe, expect, it } from 'vitest';
import { float32 } from '../graph/ir.ts';
import { verify } from '../graph/verify.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { Builder } from './builder.ts';
import { modelFor } from './opset.ts';

const x = float32([2], [3, -4]);
const numbers = (b: Builder): Record<string, number[]> => {
  verify(modelFor(b.graph));
  const out = evaluate(b.graph, { x });
  return Object.fromEntries(
    Object.entries(out).map(([name, t]) => [name, Array.from(t.data as Float32Array)]),
  );
};

describe('a value that became an output under another name', () => {
  it('may be used afterwards', () => {
    const b = new Builder();
    const doubled = b.input('x', 'float32', [2]).mul(2);
    b.output(doubled, 'twice');
    b.output(doubled.add(1), 'more');
    expect(numbers(b)).toEqual({ twice: [6, -8], more: [7, -7] });
  });

  it('may be an output again, under a third name or the same one', () => {
    const b = new Builder();
    const doubled = b.input('x', 'float32', [2]).mul(2);
    b.output(doubled, 'loss');
    b.output(doubled, 'metric');
    b.output(doubled.neg(), 'minus');
    expect(numbers(b)).toEqual({ loss: [6, -8], metric: [6, -8], minus: [-6, 8] });
  });
});

it('an input may be an output', () => {
  const b = new Builder();
  b.output(b.input('x', 'float32', [2]), 'y');
  expect(numbers(b)).toEqual({ y: [3, -4] });
});

it('names are unique: a second input of a name, or an output that takes one, is refused', () => {
  const b = new Builder('twins');
  const first = b.input('x', 'float32', [2]);
  expect(() => b.input('x', 'float32', [2])).toThrow('graph "twins": the name "x" is taken');
  expect(() => b.output(first.mul(2), 'x')).toThrow('the name "x" is taken');
});
