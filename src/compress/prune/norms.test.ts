/** Measured statistics are those of the data, and what depends on them follows. */
import { describe, expect, it } from 'vitest';
import { float32, type Model, type Tensor } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import { modelFor } from '../../ops/opset.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { evaluate } from '../../runtime/reference/index.ts';
import { remeasuredNorms } from './norms.ts';

const runtime = await nativeRuntime();

/** x [n, 2, 1, 2] → norm → norm of what is twice that, both with wrong statistics. */
function network(): Model {
  const b = new Builder('norms');
  const of = (name: string, values: readonly number[]) => b.initializer(name, float32([2], values));
  const norm = (x: ReturnType<typeof of>, name: string) =>
    b.op(
      'BatchNormalization',
      [
        x,
        of(`${name}.gain`, [1, 1]),
        of(`${name}.shift`, [0, 3]),
        of(`${name}.mean`, [9, 9]),
        of(`${name}.var`, [9, 9]),
      ],
      { epsilon: 0 },
    );
  b.output(norm(norm(b.input('x', 'float32', ['n', 2, 1, 2]), 'first').mul(2), 'second'), 'y');
  return modelFor(b.graph);
}

// channel 0: 1 2 | 3 4, channel 1: 10 10 | 20 20
const batch = { x: float32([2, 2, 1, 2], [1, 2, 10, 10, 3, 4, 20, 20]) };

describe('norms measured anew', () => {
  it('have mean and population variance of the data, layer after layer', async () => {
    const model = network();
    const graph = await remeasuredNorms(runtime, model, [batch, batch]);
    const values = (name: string) =>
      Array.from((graph.initializers.get(name) as Tensor).data as Float32Array);
    expect(values('first.mean')).toEqual([2.5, 15]);
    expect(values('first.var')).toEqual([1.25, 25]);
    values('second.mean').forEach((m, c) => void expect(m).toBeCloseTo(c === 0 ? 0 : 6, 5));
    for (const v of values('second.var')) expect(v).toBeCloseTo(4, 5);
    expect(graph.nodes).toEqual(model.graph.nodes);
    const y = Array.from((evaluate(graph, batch).y as Tensor).data as Float32Array);
    expect(y.slice(2, 4).map(v => Math.round(1e5 * v) / 1e5)).toEqual([2, 2]); // 3 − 1
  });

  it('leave graphs without norms, and without data, as they are', async () => {
    const model = network();
    expect(await remeasuredNorms(runtime, model, [])).toBe(model.graph);
    const b = new Builder('plain');
    b.output(b.input('x', 'float32', ['n']).exp(), 'y');
    const plain = modelFor(b.graph);
    expect(await remeasuredNorms(runtime, plain, [batch])).toBe(plain.graph);
  });
});
