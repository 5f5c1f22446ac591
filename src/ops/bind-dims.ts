/** Numbers for the symbolic dims of a graph's inputs: costs, devices and static formats need them. */
import type { Graph } from '../graph/ir.ts';
import { cloneGraph } from '../graph/walk.ts';
import { GaslawError } from '../util/errors.ts';
import { inferShapes } from './infer.ts';

/** A copy with the named dims bound and types inferred anew. Throws for a name that no input has. */
export function bindDims(graph: Graph, dims: Readonly<Record<string, number>>): Graph {
  const copy = cloneGraph(graph);
  const known = new Set(graph.inputs.flatMap(i => i.shape ?? []).filter(d => typeof d === 'string'));
  for (const name of Object.keys(dims))
    if (!known.has(name))
      throw new GaslawError(
        `no input has a dim "${name}"; there ${known.size === 0 ? 'is no symbolic one' : `are ${[...known].join(', ')}`}`,
      );
  copy.inputs = copy.inputs.map(input => ({
    ...input,
    ...(input.shape && { shape: input.shape.map(d => (typeof d === 'string' ? (dims[d] ?? d) : d)) }),
  }));
  copy.types.clear();
  inferShapes(copy);
  return copy;
}

/** All symbolic dims of the inputs as 1. */
export const batchOfOne = (graph: Graph): Graph =>
  bindDims(
    graph,
    Object.fromEntries(
      graph.inputs
        .flatMap(i => i.shape ?? [])
        .filter(d => typeof d === 'string')
        .map(d => [d, 1]),
    ),
  );
