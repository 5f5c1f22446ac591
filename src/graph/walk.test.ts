import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Random } from '../util/random.ts';
import { emptyGraph, type Graph, type Node } from './ir.ts';
import { randomGraph } from './random-graph.ts';
import { verify } from './verify.ts';
import {
  capturedNames,
  cloneGraph,
  consumersOf,
  FreshNames,
  producersOf,
  removeNodes,
  replaceUses,
  sortTopologically,
  usesOf,
  walkNodes,
} from './walk.ts';

const node = (
  name: string,
  inputs: string[],
  outputs: string[],
  attributes: Node['attributes'] = {},
): Node => ({
  name,
  domain: '',
  opType: 'Op',
  inputs,
  outputs,
  attributes,
});

/** x → a → b; `branch` reads b and, in its body, a. */
function withBody(): Graph {
  const graph = emptyGraph('outer');
  const body = emptyGraph('body');
  body.nodes = [node('inner', ['a', 'local'], ['r']), node('first', [], ['local'])];
  body.outputs = [{ name: 'r', dtype: 'float32' }];
  graph.inputs = [{ name: 'x', dtype: 'float32' }];
  graph.nodes = [
    node('A', ['x', ''], ['a']),
    node('B', ['a', 'a'], ['b', '']),
    node('branch', ['b'], ['y'], { then_branch: { type: 'graph', value: body } }),
  ];
  graph.outputs = [{ name: 'y', dtype: 'float32' }];
  return graph;
}

test('a node with a body reads what the body captures', () => {
  const graph = withBody();
  const [a, b, branch] = graph.nodes;
  const { value: body } = branch.attributes.then_branch as { value: Graph };
  expect([...capturedNames(body)]).toEqual(['a']);
  expect(usesOf(branch)).toEqual(['b', 'a']);
  expect(consumersOf(graph).get('a')).toEqual([b, branch]);
  expect([...producersOf(graph)]).toEqual([
    ['a', a],
    ['b', b],
    ['y', branch],
  ]);
  expect([...walkNodes(graph)].map(({ node: { name } }) => name)).toEqual([
    'A',
    'B',
    'branch',
    'inner',
    'first',
  ]);
});

test('replacing uses reaches into bodies and leaves outputs', () => {
  const graph = withBody();
  replaceUses(graph, 'a', 'x');
  expect([...walkNodes(graph)].map(({ node: { inputs } }) => inputs)).toEqual([
    ['x', ''],
    ['x', 'x'],
    ['b'],
    ['x', 'local'],
    [],
  ]);
  replaceUses(graph, 'y', 'x');
  expect(graph.outputs[0].name).toBe('y');
});

test('sorting puts makers before readers, captured values included, and keeps the order otherwise', () => {
  const graph = withBody();
  const [a, b, branch] = graph.nodes;
  const free = node('free', ['x'], ['f']);
  graph.nodes = [branch, free, b, a];
  sortTopologically(graph);
  expect(graph.nodes).toEqual([a, b, branch, free]);
});

test('a circle is refused by the names of two of its nodes', () => {
  const graph = emptyGraph('g');
  graph.nodes = [node('p', ['b'], ['a']), node('q', ['a'], ['b'])];
  expect(() => sortTopologically(graph)).toThrow(/node "[pq]" and node "[pq]" depend on each other/);
  graph.nodes = [node('self', ['a'], ['a'])];
  expect(() => sortTopologically(graph)).toThrow('node "self" and node "self" depend on each other');
});

test('a row of 100,000 nodes in the wrong order sorts', () => {
  const graph = emptyGraph('long');
  const count = 100_000;
  graph.nodes = Array.from({ length: count }, (_, i) => node(`n${i}`, [`v${i}`], [`v${i + 1}`])).reverse();
  sortTopologically(graph);
  expect(graph.nodes[0].name).toBe('n0');
  expect(graph.nodes[count - 1].name).toBe(`n${count - 1}`);
});

test('any order of a legal graph sorts to a legal one; a legal order stays', () => {
  fc.assert(
    fc.property(fc.integer(), seed => {
      const random = new Random(seed);
      const graph = randomGraph(random);
      const before = [...graph.nodes];
      sortTopologically(graph);
      expect(graph.nodes).toEqual(before);
      graph.nodes = random.shuffled(graph.nodes);
      sortTopologically(graph);
      verify(graph);
    }),
    { numRuns: 200 },
  );
});

test('a clone can be changed without changing its source', () => {
  const graph = withBody();
  const copy = cloneGraph(graph);
  expect(copy).toEqual(graph);
  replaceUses(copy, 'a', 'x');
  removeNodes(copy, new Set([copy.nodes[0]]));
  copy.outputs.pop();
  expect(graph).toEqual(withBody());
});

test('removed nodes take the types of their outputs along', () => {
  const graph = withBody();
  graph.types.set('a', { dtype: 'float32' }).set('b', { dtype: 'float32' });
  removeNodes(graph, new Set([graph.nodes[0]]));
  expect(graph.nodes.map(n => n.name)).toEqual(['B', 'branch']);
  expect([...graph.types.keys()]).toEqual(['b']);
});

test('fresh names differ from all names, those in bodies included, and from each other', () => {
  const names = new FreshNames(withBody());
  expect(['local', 'local', 'new', 'new', 'A', 'new_1'].map(base => names.fresh(base))).toEqual([
    'local_1',
    'local_2',
    'new',
    'new_1',
    'A_1',
    'new_1_1',
  ]);
});
