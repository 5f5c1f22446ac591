/**
 * Statistics of batch normalizations, measured anew: after pruning, what flows through them is no longer what they remember.
 *
 * 1. Mean and variance are those of whole batches in training form (momentum 0), averaged over the batches.
 */
import { type Graph, type Model, opKey, type Tensor } from '../../graph/ir.ts';
import { cloneGraph } from '../../graph/walk.ts';
import { inferShapes } from '../../ops/infer.ts';
import type { CompileOptions, Runtime } from '../../runtime/runtime.ts';
import type { Feeds } from '../../train/graph-learner.ts';

/** `model`'s graph with statistics of `batches`; the graph itself where it has no batch normalizations. */
export async function remeasuredNorms(
  runtime: Runtime,
  model: Model,
  batches: Iterable<Feeds>,
  options: CompileOptions = {},
): Promise<Graph> {
  const measuring = cloneGraph(model.graph);
  const statistics = measuringForm(measuring);
  if (statistics.length === 0) return model.graph;
  using program = await runtime.compile({ ...model, graph: measuring }, options);
  const sums = new Map(
    statistics.map(name => [name, new Float64Array(model.graph.initializers.get(name)?.data.length ?? 0)]),
  );
  let count = 0;
  for (const feeds of batches) {
    const found = await program.call(feeds);
    for (const [name, sum] of sums) {
      const values = (found[`batch:${name}`] as Tensor).data as Float32Array;
      for (let c = 0; c < sum.length; c++) sum[c] = (sum[c] as number) + (values[c] as number);
    }
    count++;
  }
  if (count === 0) return model.graph;
  const graph = cloneGraph(model.graph);
  for (const [name, sum] of sums)
    graph.initializers.set(name, {
      ...(graph.initializers.get(name) as Tensor),
      data: Float32Array.from(sum, v => v / count),
    });
  return graph;
}

/** Lets every norm with statistics of its own put out those of the batch; returns their names. */
function measuringForm(graph: Graph): string[] {
  const names: string[] = [];
  graph.outputs = [];
  for (const node of graph.nodes) {
    if (opKey(node) !== 'BatchNormalization') continue;
    const own = node.inputs.slice(3, 5);
    if (own.some(name => names.includes(name) || graph.initializers.get(name)?.dtype !== 'float32')) continue;
    node.attributes = {
      ...node.attributes,
      training_mode: { type: 'int', value: 1 },
      momentum: { type: 'float', value: 0 },
    };
    node.outputs = [node.outputs[0] as string, ...own.map(name => `batch:${name}`)];
    for (const name of own)
      graph.outputs.push({
        name: `batch:${name}`,
        dtype: 'float32',
        shape: graph.initializers.get(name)?.dims ?? [],
      });
    names.push(...own);
  }
  if (names.length > 0) inferShapes(graph);
  return names;
}
