import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GaslawError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { emptyGraph, float32, type Graph, modelOf, type Node } from './ir.ts';
import { randomGraph } from './random-graph.ts';
import { problemsOf, verify } from './verify.ts';

const node = (name: string, inputs: string[], outputs: string[], opType = 'Add'): Node => ({
  name,
  domain: '',
  opType,
  inputs,
  outputs,
  attributes: {},
});

function legal(): Graph {
  const graph = emptyGraph('g');
  graph.inputs = [{ name: 'x', dtype: 'float32', shape: ['n', 2] }];
  graph.initializers.set('w', float32([2], [1, 2]));
  graph.nodes = [node('first', ['x', 'w'], ['a']), node('second', ['a', ''], ['y', ''])];
  graph.types.set('a', { dtype: 'float32', shape: ['n', 2] }).set('y', { dtype: 'float32', shape: ['n', 2] });
  graph.outputs = [{ name: 'y', dtype: 'float32', shape: ['m', 2] }];
  return graph;
}

function body(graph: Graph, inner: Graph): void {
  graph.nodes[1].attributes.then_branch = { type: 'graph', value: inner };
}

const mistakes: readonly [string, (graph: Graph) => void, string][] = [
  ['unknown input', g => (g.nodes[0].inputs = ['q']), 'node "first" (Add) reads "q", which nothing makes'],
  ['wrong order', g => g.nodes.reverse(), 'node "second" (Add) reads "a", which is made only after it'],
  [
    'own output',
    g => (g.nodes[0].inputs = ['a']),
    'node "first" (Add) reads "a", which is made only after it',
  ],
  [
    'two makers',
    g => (g.nodes[1].outputs = ['y', 'a']),
    '"a" is defined twice, the second time by node "second"',
  ],
  [
    'input made',
    g => (g.nodes[0].outputs = ['a', 'x']),
    '"x" is defined twice, the second time by node "first"',
  ],
  ['two inputs', g => g.inputs.push(g.inputs[0]), '"x" is defined twice, the second time by input 1'],
  [
    'weight made',
    g => (g.nodes[1].outputs = ['y', 'w']),
    '"w" is defined twice, the second time by node "second"',
  ],
  ['node names', g => (g.nodes[1].name = 'first'), 'two nodes are named "first"'],
  ['node unnamed', g => (g.nodes[1].name = ''), 'a node (Add) has an empty name'],
  ['no op', g => (g.nodes[1].opType = ''), 'node "second" has no op type'],
  ['no outputs', g => g.nodes.push(node('end', ['a'], [''])), 'node "end" (Add) has no outputs'],
  ['input unnamed', g => g.inputs.push({ name: '', dtype: 'int32' }), 'input 1 has an empty name'],
  ['initializer unnamed', g => g.initializers.set('', float32([], [1])), 'an initializer has an empty name'],
  [
    'output missing',
    g => (g.outputs = [{ name: 'z', dtype: 'int32' }]),
    'output "z" is made by nothing in the graph',
  ],
  ['output twice', g => g.outputs.push(g.outputs[0]), 'two outputs are named "y"'],
  [
    'output dtype',
    g => (g.outputs = [{ name: 'y', dtype: 'int32' }]),
    'output "y" is declared int32[…] but is float32[n,2]',
  ],
  [
    'output shape',
    g => (g.outputs = [{ name: 'y', dtype: 'float32', shape: ['n', 3] }]),
    'output "y" is declared float32[n,3] but is float32[n,2]',
  ],
  [
    'output rank',
    g => (g.outputs = [{ name: 'y', dtype: 'float32', shape: [2] }]),
    'output "y" is declared float32[2] but is float32[n,2]',
  ],
  [
    'negative dim',
    g => (g.inputs = [{ name: 'x', dtype: 'float32', shape: [-1] }]),
    '"x" has a dimension -1, neither count nor symbol',
  ],
  [
    'data length',
    g => g.initializers.set('w', { dtype: 'float32', dims: [3], data: new Float32Array(2) }),
    'initializer "w": float32[3] takes 3 stored elements, its data has 2',
  ],
  [
    'data array',
    g => g.initializers.set('w', { dtype: 'int64', dims: [2], data: new Float32Array(2) }),
    'initializer "w": Float32Array does not store int64',
  ],
  [
    'attribute tensor',
    g =>
      (g.nodes[0].attributes.value = {
        type: 'tensor',
        value: { dtype: 'int4', dims: [3], data: new Uint8Array(3) },
      }),
    'node "first": attribute value: int4[3] takes 2 stored elements, its data has 3',
  ],
  [
    'body hides',
    g => body(g, { ...emptyGraph('b'), nodes: [node('inner', ['x'], ['a'])] }),
    '"a" of node "inner" hides a value of the graph around it',
  ],
  [
    'body too early',
    g => body(g, { ...emptyGraph('b'), nodes: [node('inner', ['y'], ['r'])] }),
    'node "inner" (Add) reads "y", which nothing makes',
  ],
  [
    'body output',
    g => body(g, { ...emptyGraph('b'), outputs: [{ name: 'a', dtype: 'float32' }] }),
    'output "a" is made by nothing in the graph',
  ],
];

test('a legal graph passes, alone and in a model', () => {
  verify(legal());
  verify(modelOf(legal()));
});

test.each(mistakes)('%s', (_, change, problem) => {
  const graph = legal();
  change(graph);
  expect(problemsOf(graph)).toEqual([problem]);
  expect(() => verify(graph)).toThrow(`graph "g": ${problem}`);
});

test('an initializer may be the default of an input', () => {
  const graph = legal();
  graph.inputs.push({ name: 'w', dtype: 'float32', shape: [2] });
  verify(graph);
});

test('a model needs an opset of every domain it uses', () => {
  const model = modelOf(legal());
  model.graph.nodes[0].domain = 'my.ops';
  model.opsets.set('', 0);
  expect(problemsOf(model)).toEqual([
    'opset of domain "ai.onnx" is 0, not a version',
    'node "first" is of domain "my.ops", which the model imports no opset of',
  ]);
});

test('ten problems are listed, the rest are counted', () => {
  const graph = legal();
  graph.nodes[1].inputs = Array.from({ length: 12 }, (_, i) => `q${i}`);
  expect(() => verify(graph)).toThrow(
    /^graph "g" has 12 problems:\n {2}- .*(\n {2}- .*){9}\n {2}- and 2 more$/,
  );
});

test('problems of ops come in through checkNode, which defects pass through', () => {
  const checkNode = (n: Node): string[] => {
    if (n.name === 'second') throw new GaslawError('node "second": wrong');
    return [`${n.name} is odd`];
  };
  expect(problemsOf(legal(), { checkNode })).toEqual(['first is odd', 'node "second": wrong']);
  const defect = () => {
    throw new TypeError('defect');
  };
  expect(() => verify(legal(), { checkNode: defect })).toThrow(TypeError);
});

test('random legal graphs pass; dropping any node that is read is noticed', () => {
  fc.assert(
    fc.property(fc.integer(), seed => {
      const random = new Random(seed);
      const graph = randomGraph(random);
      verify(graph);
      const read = new Set([...graph.nodes.flatMap(n => n.inputs), ...graph.outputs.map(o => o.name)]);
      const victim = random.pick(graph.nodes.filter(n => read.has(n.outputs[0])));
      graph.nodes = graph.nodes.filter(n => n !== victim);
      expect(problemsOf(graph).join()).toContain(`"${victim.outputs[0]}"`);
    }),
    { numRuns: 200 },
  );
});
