import { describe, expect, test } from 'vitest';
import { emptyGraph, float32, type Graph, int64, modelOf, type Tensor } from '../../graph/ir.ts';
import { evaluate, referenceRuntime } from './index.ts';

/** y = relu(x · w), z = Σ y. */
function twoStep(): Graph {
  const graph = emptyGraph('two-step');
  graph.inputs.push({ name: 'x', dtype: 'float32', shape: ['rows', 2] });
  graph.initializers.set('w', float32([2, 2], [1, -1, 0.5, 2]));
  const node = (name: string, opType: string, inputs: string[], output: string) =>
    graph.nodes.push({ name, domain: '', opType, inputs, outputs: [output], attributes: {} });
  node('product', 'MatMul', ['x', 'w'], 'p');
  node('positive', 'Relu', ['p'], 'y');
  node('total', 'ReduceSum', ['y'], 'z');
  graph.outputs.push({ name: 'y', dtype: 'float32', shape: ['rows', 2] });
  graph.outputs.push({ name: 'z', dtype: 'float32', shape: [1, 1] });
  return graph;
}

const x = float32([1, 2], [1, 2]);

describe('evaluate', () => {
  test('runs nodes in order', () => {
    const { y, z } = evaluate(twoStep(), { x });
    expect([...(y.data as Float32Array)]).toEqual([2, 3]);
    expect([...(z.data as Float32Array)]).toEqual([5]);
  });

  test('returns values inside the graph, running only what they need', () => {
    const graph = twoStep();
    graph.nodes[2].opType = 'NoSuchOp';
    expect([...(evaluate(graph, { x }, ['p']).p.data as Float32Array)]).toEqual([2, 3]);
    expect(() => evaluate(graph, { x })).toThrow('node "total": op NoSuchOp is not in gaslaw\'s op list');
  });

  test('names the value that has no data', () => {
    expect(() => evaluate(twoStep(), {})).toThrow('node "product" (MatMul): value "x" has no data');
  });

  test('an error inside a kernel names the node', () => {
    expect(() => evaluate(twoStep(), { x: float32([1, 3], [1, 2, 3]) })).toThrow(
      'node "product" (MatMul): inner dimensions differ: [1, 3] times [2, 2]',
    );
  });
});

describe('the runtime', () => {
  test('a graph output that is an input comes back as a copy', async () => {
    const graph = twoStep();
    graph.outputs.push({ name: 'x', dtype: 'float32', shape: ['rows', 2] });
    using program = await referenceRuntime().compile(modelOf(graph));
    const back = (await program.call({ x })).x;
    expect(back.data).toEqual(x.data);
    expect(back.data).not.toBe(x.data);
  });

  test('an output of another shape than the bound buffer is refused, not cut', async () => {
    const graph = emptyGraph('nonzero');
    graph.inputs.push({ name: 'x', dtype: 'float32', shape: [3] });
    graph.nodes.push({
      name: 'n',
      domain: '',
      opType: 'NonZero',
      inputs: ['x'],
      outputs: ['y'],
      attributes: {},
    });
    graph.outputs.push({ name: 'y', dtype: 'int64', shape: [1, 'found'] });
    using program = await referenceRuntime().compile(modelOf(graph));
    const buffers: Record<string, Tensor> = { x: float32([3], [1, 0, 2]), y: int64([1, 1], [0]) };
    await expect(program.bind(buffers).run()).rejects.toThrow('output "y" came out as int64[1, 2]');
  });
});
