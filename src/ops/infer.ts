/** Shape inference: one node through the shape rules, or a whole graph in order. */
import {
  type Graph,
  type Node,
  opKey,
  type Tensor,
  type TensorType,
  typeOf,
  type ValueInfo,
} from '../graph/ir.ts';
import { capturedNames } from '../graph/walk.ts';
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
  lendValue,
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
    body: (name, types) => inferBody(graph, node, name, types),
    fail: message => fail(node, message),
  };
}

function fail(node: Node, message: string): never {
  throw new GaslawError(`node "${node.name}" (${opKey(node)}): ${message}`);
}

/** Infers a body with the types that go in and what it captures of `graph`; returns the types of its outputs. */
function inferBody(
  graph: Graph,
  node: Node,
  name: string,
  types: readonly TensorType[],
): readonly TensorType[] {
  const attribute = node.attributes[name];
  if (attribute?.type !== 'graph') fail(node, `attribute "${name}" is missing`);
  const body = attribute.value;
  if (body.inputs.length !== types.length)
    fail(node, `${name} takes ${body.inputs.length} inputs, ${types.length} go in`);
  body.inputs = body.inputs.map(({ name: input }, i) => typed(input, types[i] as TensorType));
  inferWith(body, () => lendCaptured(graph, body));
  body.outputs = body.outputs.map(({ name: output }) =>
    typed(output, typeOf(body, output) ?? fail(node, `the type of "${output}" is not known`)),
  );
  return body.outputs;
}

const typed = (name: string, { dtype, shape }: TensorType): ValueInfo =>
  shape ? { name, dtype, shape } : { name, dtype };

/** What a body reads of the graph around it: types, constants, values of shape arithmetic. */
function lendCaptured(graph: Graph, body: Graph): void {
  for (const captured of capturedNames(body)) {
    const type = typeOf(graph, captured);
    if (type) body.types.set(captured, type);
    lendValue(graph, body, captured);
  }
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

/** Fills `graph.types` for every node output, in order, bodies included. */
export const inferShapes = (graph: Graph): void => inferWith(graph, () => undefined);

function inferWith(graph: Graph, prepare: () => void): void {
  forgetValues(graph);
  prepare();
  for (const node of graph.nodes) {
    const types = inferNode(graph, node);
    node.outputs.forEach((name, i) => {
      const type = types[i];
      if (name !== '' && type) graph.types.set(name, type);
    });
  }
}
