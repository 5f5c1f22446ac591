/** The model around a graph, with the opset that its ops need. */
import { type Graph, type Model, modelOf, ONNX_OPSET, opKey } from '../graph/ir.ts';
import { isOpType, OPS } from './schema.ts';

/** The lowest ONNX opset, ONNX_OPSET or above, in which every op of the graph has the form used here. */
export function opsetOf(graph: Graph): number {
  const versions = graph.nodes.map(node => {
    const key = opKey(node);
    return isOpType(key) && node.domain === '' ? OPS[key].since : 0;
  });
  return versions.reduce((a, b) => Math.max(a, b), ONNX_OPSET);
}

/** `modelOf(graph)` with the opset raised where the graph's ops are newer (Attention 23, TensorScatter 24). */
export function modelFor(graph: Graph, metadata: Iterable<[string, string]> = []): Model {
  const model = modelOf(graph, metadata);
  model.opsets.set('', opsetOf(graph));
  return model;
}
