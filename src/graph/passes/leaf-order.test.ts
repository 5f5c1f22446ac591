import { expect, test } from 'vitest';
import { Builder } from '../../ops/builder.ts';
import type { Graph } from '../ir.ts';
import { verify } from '../verify.ts';
import { producersOf } from '../walk.ts';
import { orderLeaves } from './leaf-order.ts';

/** The order in which ONNX Runtime runs nodes: depth first from the leaves, the last one first. */
function depthFirst(graph: Graph): string[] {
  const producers = producersOf(graph);
  const read = new Set(graph.nodes.flatMap(n => n.inputs));
  const order: string[] = [];
  const visit = (name: string): void => {
    const node = producers.get(name);
    if (!node || order.includes(node.name)) return;
    for (const input of node.inputs) visit(input);
    order.push(node.name);
  };
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some(o => read.has(o))) visit(node.outputs[0]);
  }
  return order;
}

/** A chain h1, h2, h3 with a leaf hanging on each. */
function combed(): Graph {
  const b = new Builder();
  let h = b.input('x', 'float32', [2]);
  for (let i = 1; i <= 3; i++) {
    h = b.scope(`h${i}`, () => h.exp());
    const leaf = b.scope(`leaf${i}`, () => h.neg());
    b.output(leaf);
  }
  return b.graph;
}

test('each leaf runs as soon as its inputs exist', () => {
  const graph = combed();
  expect(depthFirst(graph)).toEqual(['h1/Exp', 'h2/Exp', 'h3/Exp', 'leaf3/Neg', 'leaf2/Neg', 'leaf1/Neg']);
  orderLeaves(graph);
  expect(depthFirst(graph)).toEqual(['h1/Exp', 'leaf1/Neg', 'h2/Exp', 'leaf2/Neg', 'h3/Exp', 'leaf3/Neg']);
  verify(graph);
});
