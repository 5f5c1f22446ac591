/** The IR as ONNX messages. What files do not hold (nothing, at present) would be lost here and nowhere else. */
import { GaslawError } from '../util/errors.ts';
import { DTYPE_CODES } from './dtype.ts';
import type { Attribute, Dim, Graph, Model, Node, TensorType, ValueInfo } from './ir.ts';
import {
  ATTRIBUTE_TYPES,
  type AttributeProto,
  type DimensionProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TypeProto,
  type ValueInfoProto,
} from './onnx-schema.ts';
import { type ExternalSink, tensorToProto } from './tensor-proto.ts';

/** A symbol that starts so is a dimension without a name in files. */
export const UNNAMED = '?';

export function modelToProto(model: Model, sink?: ExternalSink): ModelProto {
  return {
    irVersion: model.irVersion,
    producerName: model.producer,
    graph: graphToProto(model.graph, sink),
    opsetImport: [...model.opsets].map(([domain, version]) => ({ domain, version })),
    metadataProps: [...model.metadata].map(([key, value]) => ({ key, value })),
  };
}

function graphToProto(graph: Graph, sink?: ExternalSink): GraphProto {
  // Types of values that a body captures belong to the graph around it.
  const made = new Set(graph.nodes.flatMap(node => node.outputs));
  for (const { name } of graph.outputs) made.delete(name);
  return {
    node: graph.nodes.map(nodeToProto),
    name: graph.name,
    initializer: [...graph.initializers].map(([name, tensor]) => tensorToProto(tensor, name, sink)),
    input: graph.inputs.map(infoToProto),
    output: graph.outputs.map(infoToProto),
    valueInfo: [...graph.types]
      .filter(([name]) => made.has(name))
      .map(([name, type]) => infoToProto({ name, ...type })),
  };
}

function nodeToProto(node: Node): NodeProto {
  return {
    input: node.inputs,
    output: node.outputs,
    name: node.name,
    opType: node.opType,
    attribute: Object.entries(node.attributes).map(([name, a]) => attributeToProto(name, a, node)),
    domain: node.domain === '' ? undefined : node.domain,
  };
}

function attributeToProto(name: string, attribute: Attribute, node: Node): AttributeProto {
  const head = { name, type: ATTRIBUTE_TYPES[attribute.type] };
  const float = (value: number) => float32(value, name, node);
  const bytes = (text: string) => new TextEncoder().encode(text);
  const { type, value } = attribute;
  if (type === 'int') return { ...head, i: value };
  if (type === 'float') return { ...head, f: float(value) };
  if (type === 'string') return { ...head, s: bytes(value) };
  if (type === 'tensor') return { ...head, t: tensorToProto(value, undefined) };
  if (type === 'graph') return { ...head, g: graphToProto(value) };
  if (type === 'ints') return { ...head, ints: [...value] };
  if (type === 'floats') return { ...head, floats: value.map(float) };
  return { ...head, strings: value.map(bytes) };
}

function float32(value: number, name: string, node: Node): number {
  const rounded = Math.fround(value);
  if (Number.isFinite(rounded) || !Number.isFinite(value)) return rounded;
  throw new GaslawError(`node "${node.name}": attribute ${name} = ${value} does not fit a 32-bit float`);
}

const infoToProto = (info: ValueInfo): ValueInfoProto => ({ name: info.name, type: typeToProto(info) });

const typeToProto = ({ dtype, shape }: TensorType): TypeProto => ({
  tensorType: { elemType: DTYPE_CODES[dtype], shape: shape && { dim: shape.map(dimToProto) } },
});

function dimToProto(dim: Dim): DimensionProto {
  if (typeof dim === 'number') return { dimValue: dim };
  return dim.startsWith(UNNAMED) ? {} : { dimParam: dim };
}
