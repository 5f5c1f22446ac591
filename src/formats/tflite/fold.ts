/** What follows from constants and fixed shapes alone becomes constants: exporters leave such arithmetic in graphs. */
import { type Graph, int64, type Node, opKey, staticDims, typeOf } from '../../graph/ir.ts';
import { cloneGraph, removeNodes } from '../../graph/walk.ts';
import { inferNode } from '../../ops/infer.ts';
import { isOpType } from '../../ops/schema.ts';
import { evaluate } from '../../runtime/reference/index.ts';

/** A copy of the graph with its constant nodes computed. DQ nodes stay: they carry quantization. */
export function foldConstants(graph: Graph): Graph {
  const folded = cloneGraph(graph);
  const done = new Set<Node>();
  for (const node of folded.nodes) if (foldNode(folded, node)) done.add(node);
  removeNodes(folded, done);
  for (const node of folded.nodes) inferAgain(folded, node);
  return folded;
}

/** Types that follow from what was folded; an op that is not known keeps what the file says. */
function inferAgain(graph: Graph, node: Node): void {
  if (!isOpType(opKey(node))) return;
  inferNode(graph, node).forEach((type, i) => {
    if (type.shape) graph.types.set(node.outputs[i] as string, type);
  });
}

function foldNode(graph: Graph, node: Node): boolean {
  const [output] = node.outputs as [string];
  const shape = node.opType === 'Shape' ? staticDims(typeOf(graph, node.inputs[0] ?? '')?.shape) : undefined;
  if (shape && Object.keys(node.attributes).length === 0) {
    graph.initializers.set(output, int64([shape.length], shape));
    return true;
  }
  const named = node.inputs.filter(name => name !== '');
  const constant =
    (named.length > 0 || node.opType === 'Constant') && named.every(name => graph.initializers.has(name));
  if (
    !constant ||
    node.opType === 'DequantizeLinear' ||
    graph.outputs.some(o => node.outputs.includes(o.name))
  )
    return false;
  const alone: Graph = {
    ...graph,
    inputs: [],
    nodes: [node],
    outputs: node.outputs.map(name => ({ name, dtype: 'float32' })),
  };
  for (const [name, tensor] of Object.entries(evaluate(alone, {}))) graph.initializers.set(name, tensor);
  return true;
}
