/** The recipe of every recovery: norms that fit what the model meets, and values at the ends of residual blocks. */
import { describe, expect, it } from 'vitest';
import { float32, type Graph, modelOf, type Tensor } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import { inferShapes } from '../../ops/infer.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { Random } from '../../util/random.ts';
import { recoveryStage } from './recipe.ts';

const runtime = await nativeRuntime();
const [WIDTH, COUNT] = [4, 96];
const random = new Random(2);
const drawn = (dims: readonly number[], spread = 1): Tensor =>
  float32(
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => spread * random.normal()),
  );

/** norm(x) + relu(norm(x) A) B, then C: the sum is the end of a residual block. */
function network(): Graph {
  const b = new Builder('network');
  const vector = (name: string, value: number) =>
    b.initializer(name, float32([WIDTH], new Float32Array(WIDTH).fill(value)));
  const x = b.input('x', 'float32', ['N', WIDTH]);
  const statistics = [vector('mean', 0), vector('variance', 1)];
  const normed = b.op('BatchNormalization', [x, vector('scale', 1), vector('shift', 0), ...statistics], {});
  const inner = b.op('Relu', [normed.matmul(b.initializer('a', drawn([WIDTH, 8])))], {});
  const sum = normed.add(inner.matmul(b.initializer('b', drawn([8, WIDTH]))));
  b.output(sum.matmul(b.initializer('c', drawn([WIDTH, 3]))), 'y');
  inferShapes(b.graph);
  return b.graph;
}

/** Examples with mean 3 and deviation 2 in every column. */
const rows = Float32Array.from({ length: COUNT * WIDTH }, () => 3 + 2 * random.normal());
const data = {
  name: 'rows',
  count: COUNT,
  batch: (at: readonly number[]) => ({
    x: float32(
      [at.length, WIDTH],
      Float32Array.from(at.flatMap(i => [...rows.subarray(i * WIDTH, (i + 1) * WIDTH)])),
    ),
  }),
};

describe('recovery', () => {
  it('ends with norms of the examples as they are, not of the mixtures that it learned from', async () => {
    const whole = network();
    using stage = await recoveryStage(runtime, whole, modelOf(whole), { data, steps: 20, seed: 1 });
    for (let i = 0; i < 20; i++) await stage.step(i);
    const left = await stage.finished();
    const mean = (name: string, graph: Graph) =>
      (graph.initializers.get(name) as Tensor).data as Float32Array;
    for (let c = 0; c < WIDTH; c++) {
      const column = Array.from({ length: 64 }, (_, i) => rows[i * WIDTH + c] as number); // one whole batch of 64
      const middle = column.reduce((a, b) => a + b, 0) / 64;
      const variance = column.reduce((a, b) => a + (b - middle) ** 2, 0) / 64;
      expect(mean('mean', left)[c]).toBeCloseTo(middle, 4);
      expect(mean('variance', left)[c]).toBeCloseTo(variance, 3);
      expect(mean('variance', stage.trained())[c]).toBeLessThan(variance);
    }
  });

  it('hints at ends of blocks in the original widths', async () => {
    const whole = network();
    using same = await recoveryStage(runtime, whole, modelOf(whole), { data, steps: 1, seed: 1 });
    expect(Object.keys(await same.step(0))).toContain('distil/hint');
  });
});
