/** Types of control flow: what the specification says of bodies whose shapes are known by hand. */
import { expect, test } from 'vitest';
import {
  emptyGraph,
  float32,
  type Graph,
  int64,
  type Node,
  type TensorType,
  typeOf,
} from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { inferShapes } from '../infer.ts';

const node = (
  opType: string,
  inputs: string[],
  outputs: string[],
  attributes: Node['attributes'] = {},
): Node => ({ name: outputs[0], domain: '', opType, inputs, outputs, attributes });

/** A body whose inputs and outputs have no types of their own yet. */
function body(inputs: string[], nodes: Node[], outputs: string[]): Graph {
  const graph = emptyGraph('body');
  graph.inputs.push(...inputs.map(name => ({ name, dtype: 'float32' as const })));
  graph.nodes.push(...nodes);
  graph.outputs.push(...outputs.map(name => ({ name, dtype: 'float32' as const })));
  return graph;
}

const graphs = (bodies: Record<string, Graph>): Node['attributes'] =>
  Object.fromEntries(Object.entries(bodies).map(([name, value]) => [name, { type: 'graph', value }]));

function inferred(nodes: Node[], more: Partial<Graph> = {}): (name: string) => TensorType | undefined {
  const graph: Graph = { ...emptyGraph('main'), nodes, ...more };
  graph.inputs = [
    { name: 'x', dtype: 'float32', shape: ['B', 4] },
    { name: 'on', dtype: 'bool', shape: [] },
  ];
  inferShapes(graph);
  return name => typeOf(graph, name);
}

test('If has the type that both branches agree on; a captured value has its type inside', () => {
  const yes = body([], [node('Relu', ['x'], ['a'])], ['a']);
  const no = body([], [node('Neg', ['x'], ['b'])], ['b']);
  const type = inferred([node('If', ['on'], ['y'], graphs({ then_branch: yes, else_branch: no }))]);
  expect(type('y')).toEqual({ dtype: 'float32', shape: ['B', 4] });
  expect(yes.outputs[0].shape).toEqual(['B', 4]);
});

test('branches of unlike length leave a dim open, of unlike rank no shape, of unlike dtype nothing legal', () => {
  const constant = (name: string, dims: number[]) =>
    body(
      [],
      [
        node('Constant', [], [name], {
          value: { type: 'tensor', value: float32(dims, new Array(dims.reduce((a, b) => a * b, 1)).fill(0)) },
        }),
      ],
      [name],
    );
  const make = (a: Graph, b: Graph) =>
    inferred([node('If', ['on'], ['y'], graphs({ then_branch: a, else_branch: b }))])('y');
  expect(make(constant('a', [2, 3]), constant('b', [2, 5]))?.shape).toEqual([2, 'y#output0.1']);
  expect(make(constant('a', [2, 3]), constant('b', [2]))?.shape).toBeUndefined();
  const cast = body([], [node('Cast', ['x'], ['c'], { to: { type: 'int', value: 7 } })], ['c']);
  expect(() => make(constant('a', [2]), cast)).toThrow(GaslawError);
});

test('a carried value that grows has an open dim, a scanned one a new first axis', () => {
  const step = body(
    ['i', 'go', 'h'],
    [
      node('Identity', ['go'], ['on2']),
      node('Concat', ['h', 'x'], ['longer'], { axis: { type: 'int', value: 0 } }),
      node('ReduceSum', ['x'], ['total'], { keepdims: { type: 'int', value: 0 } }),
    ],
    ['on2', 'longer', 'total'],
  );
  const type = inferred([node('Loop', ['count', '', 'x'], ['all', 'sums'], graphs({ body: step }))], {
    initializers: new Map([['count', int64([], [3])]]),
  });
  expect(type('all')?.shape).toEqual(['all#value0.0', 4]);
  expect(type('sums')?.shape).toEqual(['all#rounds']);
});

test('Scan takes slices along its axes and puts outputs together along theirs', () => {
  const step = body(['h', 'slice'], [node('Add', ['h', 'slice'], ['next'])], ['next', 'next']);
  const attributes = {
    ...graphs({ body: step }),
    num_scan_inputs: { type: 'int', value: 1 } as const,
    scan_input_axes: { type: 'ints', value: [1] } as const,
    scan_output_axes: { type: 'ints', value: [-1] } as const,
  };
  const type = inferred(
    [
      node('ReduceSum', ['x', 'axis'], ['start'], { keepdims: { type: 'int', value: 0 } }),
      node('Scan', ['start', 'x'], ['last', 'all'], attributes),
    ],
    { initializers: new Map([['axis', int64([1], [1])]]) },
  );
  expect(type('last')?.shape).toEqual(['B']);
  expect(type('all')?.shape).toEqual(['B', 4]);
});
