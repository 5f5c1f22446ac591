import { expect, test } from 'vitest';
import { Random } from '../util/random.ts';
import { emptyGraph, float32, type Graph, int64, modelOf } from './ir.ts';
import { printGraph, printModel, printNode, printTensor, printType } from './print.ts';
import { randomGraph } from './random-graph.ts';

function block(): Graph {
  const graph = emptyGraph('block');
  graph.inputs = [{ name: 'x', dtype: 'float32', shape: ['B', 'T', 64] }];
  graph.initializers.set('w', float32([64, 64], new Float32Array(4096)));
  graph.initializers.set('half', float32([], [0.1]));
  graph.initializers.set('shape', int64([2], [0, -1]));
  const node = { domain: '', attributes: {} };
  const body: Graph = {
    ...emptyGraph('then'),
    nodes: [{ ...node, name: 'n', opType: 'Neg', inputs: ['s'], outputs: ['r'] }],
    outputs: [{ name: 'r', dtype: 'float32' }],
  };
  graph.nodes = [
    { ...node, name: 'h', opType: 'MatMul', inputs: ['x', 'w'], outputs: ['h'] },
    {
      ...node,
      name: 'softmax_1',
      opType: 'Softmax',
      inputs: ['h'],
      outputs: ['s'],
      attributes: { axis: { type: 'int', value: -1 }, note: { type: 'string', value: 'a"b' } },
    },
    {
      ...node,
      name: 'm',
      domain: 'com.microsoft',
      opType: 'Fused',
      inputs: ['s', '', 'half', 'shape'],
      outputs: ['m', ''],
    },
    {
      ...node,
      name: 'y',
      opType: 'If',
      inputs: ['m'],
      outputs: ['y'],
      attributes: { then_branch: { type: 'graph', value: body } },
    },
  ];
  graph.types.set('h', { dtype: 'float32', shape: ['B', 'T', 64] });
  graph.types.set('s', { dtype: 'float32' });
  graph.outputs = [{ name: 'y', dtype: 'float32', shape: ['B', 'T', 64] }];
  return graph;
}

test('a graph reads as its header, its large constants and a line a node', () => {
  expect(printGraph(block()).split('\n')).toEqual([
    'graph "block" (%x: float32[B,T,64]) -> (%y: float32[B,T,64])',
    '  %w: float32[64,64] = initializer (16.4 kB)',
    '  %h: float32[B,T,64] = MatMul(%x, %w)',
    '  %s: float32[…] = Softmax(%h) {axis: -1, note: "a\\"b"}  # softmax_1',
    '  %m, _ = com.microsoft.Fused(%s, _, 0.1, int64[2]{0, -1})',
    '  %y: float32[B,T,64] = If(%m)',
    '    then_branch:',
    '      graph "then" () -> (%r: float32[…])',
    '        %r: float32[…] = Neg(%s)  # n',
  ]);
});

test('a model starts with its versions, a node prints alone', () => {
  const model = modelOf(block());
  expect(printModel(model).split('\n')[0]).toBe('model by gaslaw, IR 10, ai.onnx 21, com.microsoft 1');
  expect(printNode(model.graph.nodes[0], model.graph)).toBe('%h: float32[B,T,64] = MatMul(%x, %w)');
});

test('no line is longer than the width, and a cut one says so', () => {
  const graph = randomGraph(new Random(7), 30);
  const whole = printGraph(graph).split('\n');
  expect(whole.some(line => line.length > 40) && whole.some(line => line.length <= 40)).toBe(true);
  const expected = whole.map(line => (line.length > 40 ? `${line.slice(0, 39)}…` : line));
  expect(printGraph(graph, { width: 40 }).split('\n')).toEqual(expected);
});

test('tensors print their values, narrow types decoded, or only their type', () => {
  expect(printTensor({ dtype: 'int4', dims: [3], data: Uint8Array.of(0xf8, 0x07) })).toBe(
    'int4[3]{-8, -1, 7}',
  );
  expect(printTensor({ dtype: 'uint4', dims: [2], data: Uint8Array.of(0xf8) })).toBe('uint4[2]{8, 15}');
  expect(printTensor({ dtype: 'float16', dims: [2], data: Uint16Array.of(0x3c00, 0xc000) })).toBe(
    'float16[2]{1, -2}',
  );
  expect(printTensor({ dtype: 'bool', dims: [2], data: Uint8Array.of(0, 1) })).toBe('bool[2]{false, true}');
  expect(printTensor({ dtype: 'string', dims: [1], data: ['a'] })).toBe('string[1]{"a"}');
  expect(printTensor({ dtype: 'int64', dims: [], data: BigInt64Array.of(2n ** 62n) })).toBe(
    'int64[]{4611686018427387904}',
  );
  expect(printTensor(float32([2], [1 / 3, 1e-7]))).toBe('float32[2]{0.333333, 1e-7}');
  expect(printTensor(float32([9], new Float32Array(9)))).toBe('float32[9]{…}');
  expect(printTensor(float32([0], []))).toBe('float32[0]{}');
  expect(printType({ dtype: 'int8', shape: [] })).toBe('int8[]');
});
