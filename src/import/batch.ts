/**
 * A batch that a model fixes to some number, made free, so that it trains and is evaluated on many examples at once.
 *
 * The first dim of every input becomes a symbol, and a Reshape that states it copies it from its input. It counts as done when
 * every output's first dim follows.
 */
import { type Graph, int64, type Model, opKey, type Shape, typeOf } from '../graph/ir.ts';
import { cloneGraph, FreshNames } from '../graph/walk.ts';
import { bindDims } from '../ops/bind-dims.ts';
import { inferShapes } from '../ops/infer.ts';
import { Attributes } from '../ops/rule.ts';
import { GaslawError } from '../util/errors.ts';

const SYMBOL = 'batch';

/** `model` (types inferred) with a free batch; `model` itself where the batch is free already or cannot be. */
export function freeBatch(model: Model): Model {
  const { initializers, inputs } = model.graph;
  const sizes = new Set(inputs.filter(i => !initializers.has(i.name)).map(i => i.shape?.[0]));
  const [size] = sizes;
  if (sizes.size !== 1 || typeof size !== 'number') return model;
  const graph = cloneGraph(model.graph);
  const free = (shape: Shape | undefined) => shape && [SYMBOL, ...shape.slice(1)];
  graph.inputs = inputs.map(i => (initializers.has(i.name) ? i : { ...i, shape: free(i.shape) }));
  graph.outputs = graph.outputs.map(o => ({ ...o, shape: free(o.shape) }));
  copyBatch(graph, model.graph, size);
  graph.types.clear();
  try {
    inferShapes(graph);
  } catch (error) {
    if (!(error instanceof GaslawError)) throw error;
    return model; // some size is computed from the batch in a way that does not follow
  }
  return graph.outputs.every(o => typeOf(graph, o.name)?.shape?.[0] === SYMBOL) ? { ...model, graph } : model;
}

/** `graph`, made of what `freeBatch` made of `original`, with the batch of the inputs that it had. */
export function batchAgain(graph: Graph, original: Graph): Graph {
  const sizes = original.inputs.flatMap((input, i) => {
    const [now, was] = [graph.inputs[i]?.shape?.[0], input.shape?.[0]];
    return typeof now === 'string' && typeof was === 'number' ? [[now, was] as const] : [];
  });
  const bound = bindDims(graph, new Map(sizes), 'batch');
  inferShapes(bound);
  return bound;
}

/** 0 in a Reshape's sizes means "as the input has it". */
function copyBatch(graph: Graph, typed: Graph, size: number): void {
  const names = new FreshNames(graph);
  for (const node of graph.nodes) {
    const [x, shape] = node.inputs;
    const sizes = graph.initializers.get(shape)?.data as BigInt64Array | undefined;
    if (opKey(node) !== 'Reshape' || !sizes || new Attributes(node.attributes).int('allowzero', 0) !== 0)
      continue;
    if (typeOf(typed, x)?.shape?.[0] !== size || Number(sizes[0]) !== size) continue;
    const name = names.fresh(`${shape}_free`);
    graph.initializers.set(name, int64([sizes.length], [0, ...Array.from(sizes.subarray(1), Number)]));
    node.inputs = [x, name];
  }
}
