/** Inference over graphs that may hold ops and forms that nobody knows: what follows is known, the rest stays open. */
import { type Graph, type Node, typeOf } from '../graph/ir.ts';
import { bodiesOf, capturedNames } from '../graph/walk.ts';
import { inferNode } from '../ops/infer.ts';
import { forgetValues } from '../ops/shape/values.ts';
import { GaslawError } from '../util/errors.ts';

/** Types of the node's outputs, where its op and inputs are known well enough. */
export function inferQuietly(graph: Graph, node: Node): void {
  try {
    const types = inferNode(graph, node);
    node.outputs.forEach((name, i) => {
      const type = types[i];
      if (name !== '' && type) graph.types.set(name, type);
    });
  } catch (error) {
    if (!(error instanceof GaslawError)) throw error;
  }
}

/** Types anew, in order, bodies included; a value whose maker is not known keeps the type that the graph gives. */
export function inferKnown(graph: Graph): void {
  forgetValues(graph);
  for (const node of graph.nodes) {
    for (const body of bodiesOf(node)) lendTypes(graph, body);
    inferQuietly(graph, node);
  }
}

/** What a body captures has the types that it has outside. */
export function lendTypes(graph: Graph, body: Graph): void {
  for (const name of capturedNames(body)) {
    const type = typeOf(graph, name);
    if (type) body.types.set(name, type);
  }
}
