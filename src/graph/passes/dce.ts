/** Dead-code elimination: nodes, initializers and types that no output needs. Graph inputs stay, being the signature. */
import type { Graph, Node } from '../ir.ts';
import { removeNodes, usesOf } from '../walk.ts';

/** Removes what leads to no output. Nodes must be in order. */
export function eliminateDeadCode(graph: Graph): void {
  const live = new Set(graph.outputs.map(output => output.name));
  const dead = new Set<Node>();
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some(name => live.has(name))) dead.add(node);
    else for (const name of usesOf(node)) live.add(name);
  }
  removeNodes(graph, dead);
  const inputs = new Set(graph.inputs.map(input => input.name));
  for (const name of [...graph.initializers.keys()]) {
    if (!live.has(name) && !inputs.has(name)) graph.initializers.delete(name);
  }
}
