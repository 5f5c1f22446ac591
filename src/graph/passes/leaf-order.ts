/**
 * Node order that makes ONNX Runtime free memory early.
 *
 * ONNX Runtime does not run nodes in file order: it walks depth first from the leaves (nodes whose outputs no node
 * reads), the last leaf in the file first, and runs a node when all it needs has run. In a training graph the leaves
 * are the weight gradients. In the order of differentiation the first layer's would be asked for first; that runs the
 * whole backward chain and keeps every other layer's activations and gradients alive for leaves that come after.
 * So leaves go to the end of the file in reverse: each then runs as soon as its inputs exist. Measured at 12 layers
 * with recomputation: 112 MB of activations in place of 392.
 */
import type { Graph } from '../ir.ts';
import { usesOf } from '../walk.ts';

/** Moves leaves to the end of the graph, in reverse of their order. Nodes must be in order. */
export function orderLeaves(graph: Graph): void {
  const read = new Set(graph.nodes.flatMap(usesOf));
  const isLeaf = graph.nodes.map(node => !node.outputs.some(name => read.has(name)));
  const leaves = graph.nodes.filter((_, i) => isLeaf[i]);
  graph.nodes = [...graph.nodes.filter((_, i) => !isLeaf[i]), ...leaves.reverse()];
}
