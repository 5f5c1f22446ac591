/** A graph whose symbolic dims are all 1: what one run of it costs at least, for costs and budgets that need numbers. */
import type { Graph } from '../graph/ir.ts';
import { cloneGraph } from '../graph/walk.ts';
import { inferShapes } from './infer.ts';

/** A copy with types inferred anew. */
export function batchOfOne(graph: Graph): Graph {
  const copy = cloneGraph(graph);
  copy.inputs = copy.inputs.map(input => ({
    ...input,
    ...(input.shape && { shape: input.shape.map(d => (typeof d === 'string' ? 1 : d)) }),
  }));
  copy.types.clear();
  inferShapes(copy);
  return copy;
}
