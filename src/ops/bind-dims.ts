/** Numbers for symbolic dims: what one run costs, what a device with fixed shapes takes, what to time. */
import type { Graph, ValueInfo } from '../graph/ir.ts';
import { cloneGraph } from '../graph/walk.ts';
import { inferShapes } from './infer.ts';

/** What becomes of symbols without a number: the first axis of an input (the batch) is 1, every symbol is, or none. */
export type OtherDims = 'batch' | 'all' | 'none';

/** A copy with the symbols of inputs and outputs bound to `dims`. Types have to be inferred anew, in today's op forms. */
export function bindDims(graph: Graph, dims: ReadonlyMap<string, number>, others: OtherDims): Graph {
  const bound = cloneGraph(graph);
  const known = new Map(dims);
  for (const { shape } of others === 'none' ? [] : bound.inputs) {
    for (const dim of others === 'all' ? (shape ?? []) : (shape ?? []).slice(0, 1))
      if (typeof dim === 'string' && !known.has(dim)) known.set(dim, 1);
  }
  bound.inputs = bound.inputs.map(input => withDims(input, known));
  bound.outputs = bound.outputs.map(output => withDims(output, known));
  bound.types.clear();
  return bound;
}

const withDims = (value: ValueInfo, dims: ReadonlyMap<string, number>): ValueInfo =>
  value.shape
    ? { ...value, shape: value.shape.map(d => (typeof d === 'string' ? (dims.get(d) ?? d) : d)) }
    : value;

/** A copy whose symbolic dims are all 1, with types inferred anew. */
export function batchOfOne(graph: Graph): Graph {
  const copy = bindDims(graph, new Map(), 'all');
  inferShapes(copy);
  return copy;
}
