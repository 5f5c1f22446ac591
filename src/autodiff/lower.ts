/**
 * Makes a differentiated graph runnable: takes out the ops that only mean something to differentiation, and what
 * has become dead or double.
 */
import { type Graph, opKey } from '../graph/ir.ts';
import { eliminateCommonSubexpressions } from '../graph/passes/cse.ts';
import { eliminateDeadCode } from '../graph/passes/dce.ts';
import { orderLeaves } from '../graph/passes/leaf-order.ts';
import { cloneGraph } from '../graph/walk.ts';

const FORWARD_ONLY: ReadonlySet<string> = new Set(['gaslaw.StopGradient', 'gaslaw.StraightThrough']);

/** A copy of `graph` in which StopGradient and StraightThrough pass their input 0 on, without dead or double nodes. */
export function lower(graph: Graph): Graph {
  const lowered = cloneGraph(graph);
  for (const node of lowered.nodes) {
    if (!FORWARD_ONLY.has(opKey(node))) continue;
    node.domain = '';
    node.opType = 'Identity';
    node.inputs = node.inputs.slice(0, 1);
  }
  eliminateCommonSubexpressions(lowered);
  eliminateDeadCode(lowered);
  orderLeaves(lowered);
  return lowered;
}
