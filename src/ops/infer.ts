/** Shape inference: one node through the shape rules, or a whole graph in order. */
import { type Graph, type Node, opKey, type TensorType, typeOf } from '../graph/ir.ts';
import { GaslawError } from '../util/errors.ts';
import { Attributes, type RuleContext } from './rule.ts';
import { isOpType } from './schema.ts';
import { SHAPE_RULES } from './shape/index.ts';
import { constantTensor, forgetValues, recordValues, valuesOf } from './shape/values.ts';

/** Types of the node's outputs, given its inputs' types (looked up in the graph when absent). */
export function inferNode(
  graph: Graph,
  node: Node,
  inputs: readonly (TensorType | undefined)[] = node.inputs.map(name => typeOf(graph, name)),
): readonly TensorType[] {
  const context = ruleContext(graph, node, inputs);
  const types = SHAPE_RULES[context.key](context).slice(0, node.outputs.length);
  recordValues(graph, node, context, types);
  return types;
}

/** What a rule sees of `node`. Throws when the op is not in the op list. */
export function ruleContext(
  graph: Graph,
  node: Node,
  inputs: readonly (TensorType | undefined)[] = node.inputs.map(name => typeOf(graph, name)),
): RuleContext {
  const key = opKey(node);
  if (!isOpType(key)) {
    throw new GaslawError(
      `node "${node.name}": op ${key} is not known; gaslaw's op list has no entry for it`,
    );
  }
  return {
    key,
    node: node.name,
    attributes: new Attributes(node.attributes),
    inputs,
    outputCount: node.outputs.length,
    constant: i => constantTensor(graph, node.inputs[i] ?? ''),
    shapeValue: i => valuesOf(graph, node.inputs[i] ?? ''),
    fail: message => {
      throw new GaslawError(`node "${node.name}" (${key}): ${message}`);
    },
  };
}

/** Fills `graph.types` for every node output, in order. */
export function inferShapes(graph: Graph): void {
  forgetValues(graph);
  for (const node of graph.nodes) {
    const types = inferNode(graph, node);
    node.outputs.forEach((name, i) => {
      const type = types[i];
      if (name !== '' && type) graph.types.set(name, type);
    });
  }
}
