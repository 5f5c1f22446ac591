/**
 * Graphs that were exported for one example, for any number of them: training needs batches.
 *
 * 1. The first axis of the first input, and of others that are as long there, becomes one symbol. Targets of Reshape that begin with 1 take the axis from their input.
 * 2. Whether that was all is asked of shape inference: every output has to begin with the symbol again.
 */
import { type Graph, int64, type Node, type Shape, typeOf, type ValueInfo } from '../graph/ir.ts';
import { cloneGraph, FreshNames } from '../graph/walk.ts';
import { inferNode } from '../ops/infer.ts';
import { constantTensor } from '../ops/shape/values.ts';
import { GaslawError } from '../util/errors.ts';
import { inferKnown } from './types.ts';

export const BATCH = 'batch';

/**
 * A copy whose inputs have a symbolic first axis `batch`; `graph` itself where its first input has one already. The graph is
 * imported, its types are known. Throws a GaslawError naming the output that mixes examples, or does not depend on how many there are.
 */
export function anyBatch(graph: Graph): Graph {
  const fed = graph.inputs.filter(input => !graph.initializers.has(input.name));
  const one = fed[0]?.shape?.[0];
  if (typeof one === 'string') return graph;
  const batched = cloneGraph(graph);
  batched.inputs = batched.inputs.map(input =>
    fed.includes(input) && input.shape?.[0] === one ? withBatch(input) : input,
  );
  batched.types.clear();
  const names = new FreshNames(batched);
  for (const node of batched.nodes) {
    if (node.opType === 'Reshape') freeTarget(batched, node, names);
    inferInto(batched, node);
  }
  inferKnown(batched);
  batched.outputs = batched.outputs.map(output => outputOf(batched, output));
  return batched;
}

const withBatch = (input: ValueInfo): ValueInfo => ({
  ...input,
  shape: [BATCH, ...(input.shape ?? []).slice(1)],
});

function inferInto(graph: Graph, node: Node): void {
  inferNode(graph, node).forEach((type, i) => void graph.types.set(node.outputs[i] ?? '', type));
}

/** [1, …] of a value that begins with the batch: the axis is copied. */
function freeTarget(graph: Graph, node: Node, names: FreshNames): void {
  const [x, target] = node.inputs as [string, string];
  const tensor = constantTensor(graph, target);
  const dims = tensor && Array.from(tensor.data as BigInt64Array, Number);
  if (typeOf(graph, x)?.shape?.[0] !== BATCH || dims?.[0] !== 1) return;
  const name = names.fresh(`${node.name}/shape`);
  graph.initializers.set(name, int64([dims.length], [0, ...dims.slice(1)]));
  node.inputs = [x, name];
}

function outputOf(graph: Graph, output: ValueInfo): ValueInfo {
  const shape: Shape | undefined = typeOf(graph, output.name)?.shape;
  if (shape?.[0] === BATCH) return { ...output, shape };
  throw new GaslawError(
    `graph "${graph.name}": output "${output.name}" comes out as [${shape ?? '?'}] for a batch of examples; export the model with a dynamic batch`,
  );
}
