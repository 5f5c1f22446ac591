/** A pruned network learns from the whole one to answer as it does. */
import { describe, expect, it } from 'vitest';
import { float32, type Graph, modelOf, type Tensor } from '../../graph/ir.ts';
import { cloneGraph } from '../../graph/walk.ts';
import { Builder } from '../../ops/builder.ts';
import { inferShapes } from '../../ops/infer.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { Random } from '../../util/random.ts';
import { compareModels } from '../evaluate.ts';
import { magnitude } from './importance.ts';
import { pruneAndRecover, type RecoverOptions } from './recover.ts';
import { pruneStructured } from './structured.ts';

const runtime = await nativeRuntime();
const [IN, HIDDEN, CLASSES] = [3, 48, 3];

/** A random network of two hidden layers. */
function network(): Graph {
  const random = new Random(11);
  const b = new Builder('network');
  const weight = (name: string, rows: number, columns: number) =>
    b.initializer(
      name,
      float32(
        [rows, columns],
        Float32Array.from({ length: rows * columns }, () => random.normal() / Math.sqrt(rows)),
      ),
    );
  const relu = (x: ReturnType<typeof weight>) => b.op('Relu', [x], {});
  const x = b.input('x', 'float32', ['n', IN]);
  const h = relu(relu(x.matmul(weight('a', IN, HIDDEN))).matmul(weight('b', HIDDEN, HIDDEN)));
  b.output(h.matmul(weight('c', HIDDEN, CLASSES)), 'y');
  inferShapes(b.graph);
  return b.graph;
}

const random = new Random(12);
const rows = Float32Array.from({ length: 512 * IN }, () => random.normal());
const examples = {
  name: 'rows',
  count: 512,
  batch: (at: readonly number[]): Record<string, Tensor> => ({
    x: float32([at.length, IN], Float32Array.from(at.flatMap(i => [...rows.subarray(i * IN, (i + 1) * IN)]))),
  }),
};

const options: RecoverOptions = {
  data: examples,
  steps: 300,
  seed: 3,
};

const TARGET = { keep: 0.4, of: 'macs' } as const;

describe('pruning with recovery', () => {
  it('answers more like the whole network than one that was only pruned', async () => {
    const whole = network();
    const before = cloneGraph(whole);
    const { graph, report } = await pruneAndRecover(
      runtime,
      whole,
      { target: TARGET, importance: magnitude, rounds: 2 },
      options,
    );
    expect(report.macsAfter / report.macsBefore).toBeLessThanOrEqual(0.4);
    expect(report.dimensions.map(d => d.before)).toEqual([HIDDEN, HIDDEN]);
    expect(report.dimensions.map(d => d.after)).toEqual([
      graph.initializers.get('a')?.dims[1],
      graph.initializers.get('c')?.dims[0],
    ]);
    expect(whole).toEqual(before);
    const pruned = pruneStructured(whole, { target: TARGET, importance: magnitude(whole) }).graph;
    const agreement = async (g: Graph) =>
      (await compareModels(runtime, modelOf(whole), modelOf(g), examples)).agreement?.accuracy ?? 0;
    expect(await agreement(pruned)).toBeLessThan(0.8);
    expect(await agreement(graph)).toBeGreaterThan(0.85);
  });

  it('counts its steps through all rounds', async () => {
    const steps: number[] = [];
    await pruneAndRecover(
      runtime,
      network(),
      { target: TARGET, importance: magnitude, rounds: 3 },
      { ...options, steps: 9, onStep: step => void steps.push(step) },
    );
    expect(steps).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });
});
