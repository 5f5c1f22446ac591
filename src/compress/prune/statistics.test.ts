/** Means and gradients against their closed forms. */
import { describe, expect, it } from 'vitest';
import type { Examples } from '../../data/examples/examples.ts';
import { float32, type Graph, modelOf } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import { inferShapes } from '../../ops/infer.ts';
import { referenceRuntime } from '../../runtime/reference/index.ts';
import { Random } from '../../util/random.ts';
import { pruningDimensions } from './groups.ts';
import { activation } from './importance.ts';
import { activationMeans, lossGradients } from './statistics.ts';

const runtime = referenceRuntime();
const random = new Random(7);
const noise = (count: number) => Array.from({ length: count }, () => random.normal());
const [IN, HIDDEN, CLASSES, COUNT] = [3, 4, 2, 6];
const [first, second, rows] = [noise(IN * HIDDEN), noise(HIDDEN * CLASSES), noise(COUNT * IN)];

/** x [n, 3] → relu(x A) [n, 4] → y [n, 2]. */
function network(): Graph {
  const b = new Builder('network');
  const x = b.input('x', 'float32', ['n', IN]);
  const h = b.op('Relu', [x.matmul(b.initializer('A', float32([IN, HIDDEN], first)))], {});
  b.output(h.matmul(b.initializer('B', float32([HIDDEN, CLASSES], second))), 'y');
  inferShapes(b.graph);
  return b.graph;
}

const examples: Examples = {
  name: 'rows',
  count: COUNT,
  labels: Int32Array.of(0, 1, 1, 0, 1, 0),
  batch: at => ({
    x: float32(
      [at.length, IN],
      at.flatMap(i => rows.slice(i * IN, (i + 1) * IN)),
    ),
  }),
};

/** Hidden values of an example. */
const hidden = (i: number): number[] =>
  Array.from({ length: HIDDEN }, (_, c) => {
    const sum = Array.from({ length: IN }, (_, k) => (rows[i * IN + k] ?? 0) * (first[k * HIDDEN + c] ?? 0));
    return Math.max(
      0,
      sum.reduce((a, b) => a + b, 0),
    );
  });
const all = Array.from({ length: COUNT }, (_, i) => i);

describe('statistics for importance', () => {
  it('mean |x| of each channel, over batches of equal size', async () => {
    const graph = network();
    const batches = [examples.batch([0, 1, 2]), examples.batch([3, 4, 5])];
    const means = await activationMeans(runtime, modelOf(graph), batches);
    const relu = graph.nodes.find(n => n.opType === 'Relu')?.outputs[0] as string;
    const wanted = Array.from({ length: HIDDEN }, (_, c) =>
      all.reduce((sum, i) => sum + (hidden(i)[c] as number) / COUNT, 0),
    );
    const found = means({ value: relu, axis: 1 });
    expect(found).toHaveLength(HIDDEN);
    wanted.forEach((m, c) => void expect(found?.[c]).toBeCloseTo(m, 5));
    expect(means({ value: 'y', axis: 1 })).toBeUndefined();
    const [dimension] = pruningDimensions(graph);
    expect(dimension?.groups.map(activation(means)).every(s => s >= 0)).toBe(true);
  });

  it('says that activations need data', async () => {
    await expect(activationMeans(runtime, modelOf(network()), [])).rejects.toThrow(/needs data/);
  });

  it('gradients of the last weight are hᵀ (p − onehot) / N', async () => {
    const [gradients, ...more] = await lossGradients(runtime, network(), examples, { batchSize: COUNT });
    expect(more).toEqual([]);
    const wanted = new Float64Array(HIDDEN * CLASSES);
    for (const i of all) {
      const h = hidden(i);
      const z = [0, 1].map(k => h.reduce((sum, v, c) => sum + v * (second[c * CLASSES + k] ?? 0), 0));
      const total = z.reduce((sum, v) => sum + Math.exp(v), 0);
      z.forEach((v, k) => {
        const error = Math.exp(v) / total - Number(examples.labels?.[i] === k);
        h.forEach((hc, c) => {
          wanted[c * CLASSES + k] = (wanted[c * CLASSES + k] as number) + (hc * error) / COUNT;
        });
      });
    }
    const found = gradients?.get('B');
    wanted.forEach((g, i) => void expect(found?.[i]).toBeCloseTo(g, 5));
    expect([...(gradients?.keys() ?? [])]).toEqual(['A', 'B']);
  });

  it('takes no more batches than asked for, and none that is not full', async () => {
    expect(await lossGradients(runtime, network(), examples, { batchSize: 2, batches: 2 })).toHaveLength(2);
    expect(await lossGradients(runtime, network(), examples, { batchSize: 4 })).toHaveLength(1);
  });
});
