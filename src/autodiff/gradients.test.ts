import { describe, expect, test } from 'vitest';
import { float32, type Graph, type Tensor } from '../graph/ir.ts';
import { printGraph } from '../graph/print.ts';
import { verify } from '../graph/verify.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { gradients } from './gradients.ts';
import { lower } from './lower.ts';

/** Runs a graph whose outputs are the given values. */
async function run(b: Builder, values: readonly Value[], feeds: Record<string, Tensor>): Promise<number[][]> {
  const names = values.map(v => b.output(v).name);
  const graph = lower(b.graph);
  verify(graph);
  const results = await evaluate(graph, feeds);
  return names.map(name => Array.from(results[name].data as Float32Array));
}

const opTypes = (graph: Graph): string[] => graph.nodes.map(n => n.opType);

describe('what flows', () => {
  test('contributions add up: d(x² + 3x) = 2x + 3', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [2]);
    const [dx] = gradients(b, x.mul(x).add(x.mul(3)), [x]);
    expect(await run(b, [dx], { x: float32([2], [1, -4]) })).toEqual([[5, -5]]);
  });

  test('seeds scale, several outputs add up', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [2]);
    const seed = b.constant(float32([2], [10, 100]));
    const [dx] = gradients(b, [x.mul(2), x.mul(3)], [x], { seeds: [seed] });
    expect(await run(b, [dx], { x: float32([2], [0, 0]) })).toEqual([[23, 203]]);
  });

  test('third derivative of x⁴ is 24x', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', []);
    let y = x.pow(4);
    for (let i = 0; i < 3; i++) [y] = gradients(b, y, [x]);
    expect(await run(b, [y], { x: float32([], [2]) })).toEqual([[48]]);
  });

  test('no path gives zeros in the shape of the value', async () => {
    const b = new Builder();
    const [x, y] = [b.input('x', 'float32', [2]), b.input('y', 'float32', ['B', 2])];
    const [dx, dy] = gradients(b, x.exp(), [x, y]);
    const out = await run(b, [dx, dy], { x: float32([2], [0, 0]), y: float32([3, 2], new Float32Array(6)) });
    expect(out).toEqual([
      [1, 1],
      [0, 0, 0, 0, 0, 0],
    ]);
  });

  test('intermediate values and the output itself have gradients', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [1]);
    const h = x.mul(5);
    const y = h.mul(h);
    const results = await run(b, gradients(b, y, [h, x, y]), { x: float32([1], [2]) });
    expect(results).toEqual([[20], [100], [1]]);
  });

  test('stopGradient cuts, straight-through redirects', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [2]);
    const rounded = b.op('gaslaw.StraightThrough', [b.op('Round', [x], {}).stopGradient(), x], {});
    const y = rounded.mul(x.stopGradient());
    const [dx] = gradients(b, y, [x]);
    const [value, slope] = await run(b, [y, dx], { x: float32([2], [1.4, -2.6]) });
    expect(value).toEqual([Math.fround(1.4), Math.fround(-3 * Math.fround(-2.6))]);
    expect(slope).toEqual([Math.fround(1.4), Math.fround(-2.6)]);
  });
});

describe('what is emitted', () => {
  test('a weight gradient is one product of flattened operands', () => {
    const b = new Builder();
    const [x, w] = [b.input('x', 'float32', ['B', 'T', 8]), b.input('w', 'float32', [8, 4])];
    const y = x.matmul(w);
    const seed = b.input('g', 'float32', ['B', 'T', 4]);
    const before = b.graph.nodes.length;
    const [dx, dw] = gradients(b, y, [x, w], { seeds: [seed] });
    expect(opTypes({ ...b.graph, nodes: b.graph.nodes.slice(before) }).sort()).toEqual(
      ['Flatten', 'Flatten', 'FusedMatMul', 'FusedMatMul'].sort(),
    );
    expect([dx.shape, dw.shape]).toEqual([
      ['B', 'T', 8],
      [8, 4],
    ]);
  });

  test('known shapes need no Shape nodes', () => {
    const b = new Builder();
    const [x, bias] = [b.input('x', 'float32', [2, 3, 4]), b.input('bias', 'float32', [4])];
    gradients(b, x.add(bias).softmax().mean([2], false).sum(undefined, false), [x, bias]);
    expect(opTypes(b.graph)).not.toContain('Shape');
  });

  test('equal symbols count as known: a bias gradient reduces the leading axes', () => {
    const b = new Builder();
    const [x, bias] = [b.input('x', 'float32', ['B', 'T', 4]), b.input('bias', 'float32', [4])];
    const [db] = gradients(b, x.add(bias), [bias], { seeds: [x] });
    expect(opTypes(b.graph)).toEqual(['Add', 'ReduceSum']);
    expect(db.shape).toEqual([4]);
  });

  test('a symbol that may have been stretched is settled at run time', async () => {
    for (const rows of [1, 3]) {
      const b = new Builder();
      const [x, y] = [b.input('x', 'float32', ['N', 2]), b.input('y', 'float32', [3, 2])];
      const [dx] = gradients(b, x.mul(y), [x]);
      expect(dx.shape).toEqual(['N', 2]);
      const feeds = {
        x: float32([rows, 2], new Float32Array(2 * rows)),
        y: float32([3, 2], [1, 2, 3, 4, 5, 6]),
      };
      expect(await run(b, [dx], feeds)).toEqual([rows === 1 ? [9, 12] : [1, 2, 3, 4, 5, 6]]);
    }
  });

  test('nodes that nobody uses are taken out again', () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [4]);
    const attention = b.op('com.microsoft.BiasGelu', [x, x], {});
    gradients(b, attention, [x]);
    const read = new Set([...b.graph.nodes.flatMap(n => n.inputs)]);
    const unread = b.graph.nodes.slice(1, -1).filter(n => !n.outputs.some(o => read.has(o)));
    expect(unread).toEqual([]);
  });

  test('every result is a value of its own, so that each can be named', () => {
    const b = new Builder();
    const [x, y] = [b.input('x', 'float32', [2]), b.input('y', 'float32', [2])];
    const seed = b.input('seed', 'float32', [2]);
    gradients(b, x.add(y), [x, y], { seeds: [seed] }).forEach((g, i) => void b.output(g, `g${i}`));
    expect(b.graph.outputs.map(o => o.name)).toEqual(['g0', 'g1']);
    verify(b.graph);
  });

  test('the same program gives the same graph', () => {
    const trace = () => {
      const b = new Builder();
      const [x, w] = [b.input('x', 'float32', [2, 3]), b.input('w', 'float32', [3, 3])];
      const [dw] = gradients(b, x.matmul(w).softmax().mul(x).sum(undefined, false), [w]);
      b.output(dw, 'dw');
      return printGraph(b.graph);
    };
    expect(trace()).toBe(trace());
  });
});

describe('what is refused', () => {
  test('an op without gradient on the path, with node, reason and remedy', () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [2]);
    const y = b.scope('layer', () => b.op('Round', [x], {}));
    expect(() => gradients(b, y, [x])).toThrow(
      'node "layer/Round" (Round): has no gradient: it is piecewise constant; write a straight-through estimator with gaslaw.StraightThrough; or cut the path with stopGradient',
    );
  });

  test('the same op off the path is no matter', () => {
    const b = new Builder();
    const [x, w] = [b.input('x', 'float32', [2]), b.input('w', 'float32', [2])];
    expect(gradients(b, b.op('Round', [x], {}).mul(w), [w])).toHaveLength(1);
  });

  test('integers', () => {
    const b = new Builder();
    const i = b.input('i', 'int64', [2]);
    expect(() => gradients(b, i.cast('float32'), [i])).toThrow('"i" is int64');
    const x = b.input('x', 'float32', [2]);
    expect(() => gradients(b, x.cast('int64'), [x])).toThrow('only floats have gradients');
  });
});
