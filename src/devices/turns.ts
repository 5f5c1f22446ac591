/**
 * A graph that was read from a TFLite file as the device runs it: there every op has channels last, so that what the reader turned
 * for ops of ONNX is not moved. Each turn becomes a Reshape of the same sizes, which costs nothing.
 */
import { type Graph, int64, staticDims, typeOf } from '../graph/ir.ts';
import { cloneGraph, FreshNames } from '../graph/walk.ts';
import { Attributes } from '../ops/rule.ts';

const TURNS: ReadonlySet<string> = new Set(['0,3,1,2', '0,2,3,1']);

/** `graph` (types inferred) for counting costs: it computes something else. */
export function withoutTurns(graph: Graph): Graph {
  const plain = cloneGraph(graph);
  const names = new FreshNames(plain);
  for (const node of plain.nodes) {
    const dims = staticDims(typeOf(plain, node.outputs[0] ?? '')?.shape);
    const perm = new Attributes(node.attributes).ints('perm')?.join() ?? '';
    if (node.opType !== 'Transpose' || !dims || !TURNS.has(perm)) continue;
    const sizes = names.fresh(`${node.outputs[0]}_sizes`);
    plain.initializers.set(sizes, int64([dims.length], dims));
    node.opType = 'Reshape';
    node.inputs = [node.inputs[0] ?? '', sizes];
    node.attributes = {};
  }
  return plain;
}
