/** Shape inference: one node through the shape rules, or a whole graph in order. */
import { type Graph, type Node, opKey, type Tensor, type TensorType, typeOf } from '../graph/ir.ts';
import { GaslawError } from '../util/errors.ts';
import { Attributes, type RuleContext } from './rule.ts';
import { isOpType } from './schema.ts';
import { SHAPE_RULES } from './shape/index.ts';
import {
  constantTensor,
  countsDims,
  type DimValues,
  forgetValues,
  isNew,
  recordValues,
  valuesOf,
} from './shape/values.ts';

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
    constant: i => constantAt(graph, node.inputs[i] ?? ''),
    shapeValue: i => valueAt(graph, node.inputs[i] ?? ''),
    fail: message => {
      throw new GaslawError(`node "${node.name}" (${key}): ${message}`);
    },
  };
}

/** Elements of a small integer vector, as far as they are known. */
function valueAt(graph: Graph, name: string): DimValues | undefined {
  if (name !== '' && countsDims(typeOf(graph, name))) ask(graph, name);
  return valuesOf(graph, name);
}

/** The tensor of an initializer or of a Constant node. */
function constantAt(graph: Graph, name: string): Tensor | undefined {
  if (name !== '' && !graph.initializers.has(name)) ask(graph, name);
  return constantTensor(graph, name);
}

/** Asks the producer of `name` for its value, once: in a graph copied or renamed since it was inferred nobody has. */
function ask(graph: Graph, name: string): void {
  if (!isNew(graph, name)) return;
  const producer = graph.nodes.find(n => n.outputs.includes(name));
  const types = producer?.outputs.map(output => typeOf(graph, output));
  if (!producer || !types?.every(t => t !== undefined)) return;
  recordValues(graph, producer, ruleContext(graph, producer), types);
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
