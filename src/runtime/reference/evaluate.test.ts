import { describe, expect, test } from 'vitest';
import { emptyGraph, float32, type Graph, int64, modelOf, type Node, type Tensor } from '../../graph/ir.ts';
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

describe('control flow', () => {
  const node = (opType: string, inputs: string[], outputs: string[]): Node => ({
    name: outputs[0],
    domain: '',
    opType,
    inputs,
    outputs,
    attributes: {},
  });
  const body = (inputs: string[], nodes: Node[], outputs: string[]): Graph => ({
    ...emptyGraph('body'),
    inputs: inputs.map(name => ({ name, dtype: 'float32' })),
    nodes,
    outputs: outputs.map(name => ({ name, dtype: 'float32', shape: [2] })),
  });
  const run = (
    opType: string,
    inputs: string[],
    outputs: string[],
    bodies: Record<string, Graph>,
    feeds: Record<string, Tensor>,
  ) => {
    const attributes = Object.fromEntries(
      Object.entries(bodies).map(([name, value]) => [name, { type: 'graph', value }] as const),
    );
    const graph = { ...emptyGraph('main'), nodes: [{ ...node(opType, inputs, outputs), attributes }] };
    return evaluate(graph, feeds, outputs);
  };
  const numbers = (t: Tensor) => [...(t.data as Float32Array)];
  const bool = (value: number): Tensor => ({ dtype: 'bool', dims: [], data: Uint8Array.of(value) });

  test('If runs one branch, which sees the values around it', () => {
    const bodies = {
      then_branch: body([], [node('Neg', ['x'], ['a'])], ['a']),
      else_branch: body([], [node('Exp', ['x'], ['b'])], ['b']),
    };
    const feeds = { x: float32([2], [0, 1]) };
    expect(numbers(run('If', ['on'], ['y'], bodies, { ...feeds, on: bool(1) }).y)).toEqual([-0, -1]);
    expect(numbers(run('If', ['on'], ['y'], bodies, { ...feeds, on: bool(0) }).y)).toEqual([
      1,
      Math.fround(Math.E),
    ]);
  });

  test('Loop doubles while the condition holds, M rounds at most', () => {
    const step = body(
      ['i', 'go', 'h'],
      [
        node('Add', ['h', 'h'], ['h2']),
        node('ReduceMax', ['h2'], ['top']),
        node('Less', ['top', 'limit'], ['on']),
      ],
      ['on', 'h2', 'h2'],
    );
    const feeds = {
      h: float32([2], [1, 3]),
      limit: float32([1], [40]),
      rounds: int64([], [10]),
      once: int64([], [1]),
      none: int64([], [0]),
    };
    const all = run('Loop', ['rounds', '', 'h'], ['y', 'seen'], { body: step }, feeds);
    expect(numbers(all.y)).toEqual([16, 48]);
    expect(all.seen.dims).toEqual([4, 2]);
    expect(numbers(run('Loop', ['once', '', 'h'], ['y'], { body: step }, feeds).y)).toEqual([2, 6]);
    const nothing = run('Loop', ['none', '', 'h'], ['y', 'seen'], { body: step }, feeds);
    expect([numbers(nothing.y), nothing.seen.dims]).toEqual([
      [1, 3],
      [0, 2],
    ]);
  });

  test('a body with an unknown op is named before anything runs', () => {
    const bad = body([], [node('NoSuchOp', ['x'], ['a'])], ['a']);
    expect(() =>
      run('If', ['on'], ['y'], { then_branch: bad, else_branch: bad }, { x, on: bool(1) }),
    ).toThrow('node "a": op NoSuchOp is not in gaslaw\'s op list');
  });
});
