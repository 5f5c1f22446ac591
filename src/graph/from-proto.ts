/**
 * ONNX messages as the IR.
 *
 * 1. Nodes without a name, or with one that another node has, get one from their op and position.
 * 2. A dimension without a name gets a symbol of its own that starts with `?`: two of them are never equal.
 * 3. Before IR version 4 initializers were listed as inputs too; such inputs are dropped and the version becomes 4.
 * 4. Bodies may leave the types of their inputs and outputs open: those stand as float32 of unknown rank until shape
 *    inference, which knows what goes in, writes the true ones.
 * 5. Nodes come in an order in which each stands after what it reads; a value with two makers, or a circle, is refused.
 * 6. Functions are inlined (functions.ts). What the IR cannot hold and what changes meaning (sequences, references to
 *    attributes of no function) is refused by name; doc strings and hints are dropped.
 */
import { GaslawError } from '../util/errors.ts';
import { inlineFunctions } from './functions.ts';
import type { Attribute, Graph, Model, Node, Shape, Tensor, TensorType, ValueInfo } from './ir.ts';
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
import { denseFromProto, dtypeFromCode, type ReadExternal, tensorFromProto, utf8 } from './tensor-proto.ts';
import { UNNAMED } from './to-proto.ts';
import { sortTopologically } from './walk.ts';

const FIRST_IR_WITHOUT_INITIALIZER_INPUTS = 4;

export function modelFromProto(proto: ModelProto, readExternal?: ReadExternal): Model {
  if (!proto.graph) throw new GaslawError('not an ONNX model: it has no graph');
  if (proto.trainingInfo?.length) throw new GaslawError('training information in the file is not supported');
  const irVersion = Number(proto.irVersion ?? 0);
  const graph = graphFromProto(inlineFunctions(proto, proto.graph), 'main', readExternal);
  if (irVersion < FIRST_IR_WITHOUT_INITIALIZER_INPUTS) dropInitializerInputs(graph);
  return {
    irVersion: Math.max(irVersion, FIRST_IR_WITHOUT_INITIALIZER_INPUTS),
    opsets: new Map((proto.opsetImport ?? []).map(o => [domainOf(o.domain), Number(o.version ?? 0)])),
    producer: proto.producerName ?? '',
    metadata: new Map((proto.metadataProps ?? []).map(e => [e.key ?? '', e.value ?? ''])),
    graph,
  };
}

const domainOf = (domain: string | undefined): string => (domain === 'ai.onnx' ? '' : (domain ?? ''));

function dropInitializerInputs(graph: Graph): void {
  graph.inputs = graph.inputs.filter(input => !graph.initializers.has(input.name));
}

function graphFromProto(proto: GraphProto, role: 'main' | 'body', readExternal?: ReadExternal): Graph {
  const name = proto.name ?? '';
  const known = typesFromProto(proto.valueInfo ?? []);
  const info = (value: ValueInfoProto) =>
    role === 'body' && !typeFromProto(value.type, value.name ?? '') && !nonTensorKind(value.type)
      ? { name: value.name ?? '', ...(known.get(value.name ?? '') ?? OPEN) }
      : infoFromProto(value, known, name);
  const inputs = (proto.input ?? []).map(info);
  const outputs = (proto.output ?? []).map(info);
  const initializers = initializersFromProto(proto, readExternal);
  const nodes = nodesFromProto(proto.node ?? [], readExternal);
  const given = new Set([...inputs.map(i => i.name), ...initializers.keys()]);
  const types = new Map([...known].filter(([value]) => !given.has(value)));
  for (const { name: output, ...type } of outputs) if (!given.has(output)) types.set(output, type);
  checkMakers(nodes, given);
  const graph = { name, inputs, outputs, initializers, nodes, types };
  sortTopologically(graph);
  return graph;
}

/** Every value has one maker. */
function checkMakers(nodes: readonly Node[], given: ReadonlySet<string>): void {
  const makers = new Map<string, string>();
  for (const node of nodes) {
    for (const output of node.outputs) {
      if (output === '') continue;
      const other = given.has(output) ? 'an input or initializer' : makers.get(output);
      if (other !== undefined)
        throw new GaslawError(`node "${node.name}" makes "${output}", which is ${other} already`);
      makers.set(output, `an output of node "${node.name}"`);
    }
  }
}

/** The type of a body's value that the file leaves open. */
const OPEN: TensorType = { dtype: 'float32' };

// ---- values ----

function typesFromProto(infos: readonly ValueInfoProto[]): Map<string, TensorType> {
  const types = new Map<string, TensorType>();
  for (const { name, type } of infos) {
    const known = typeFromProto(type, name ?? '');
    if (known) types.set(name ?? '', known);
  }
  return types;
}

function infoFromProto(
  proto: ValueInfoProto,
  known: ReadonlyMap<string, TensorType>,
  graph: string,
): ValueInfo {
  const name = proto.name ?? '';
  const type = typeFromProto(proto.type, name) ?? known.get(name);
  if (type) return { name, ...type };
  const kind = nonTensorKind(proto.type);
  throw new GaslawError(
    kind
      ? `graph "${graph}": "${name}" is a ${kind}, only tensors can be inputs and outputs`
      : `graph "${graph}": the type of "${name}" is unknown: run shape inference on the model first`,
  );
}

function nonTensorKind(type: TypeProto | undefined): string | undefined {
  if (type?.sequenceType) return 'sequence';
  if (type?.mapType) return 'map';
  if (type?.optionalType) return 'optional';
  return type?.sparseTensorType ? 'sparse tensor' : undefined;
}

/** The tensor type, or undefined where the file leaves it open or it is no tensor. */
function typeFromProto(type: TypeProto | undefined, name: string): TensorType | undefined {
  const tensor = type?.tensorType;
  if (!tensor?.elemType) return undefined;
  const dtype = dtypeFromCode(tensor.elemType, `value "${name}"`);
  if (!tensor.shape) return { dtype };
  return { dtype, shape: shapeFromProto(tensor.shape.dim ?? [], name) };
}

const shapeFromProto = (dims: readonly DimensionProto[], name: string): Shape =>
  dims.map((dim, axis) => {
    const value = Number(dim.dimValue ?? -1);
    if (value >= 0) return value;
    return dim.dimParam || `${UNNAMED}${name}.${axis}`;
  });

function initializersFromProto(proto: GraphProto, readExternal?: ReadExternal): Map<string, Tensor> {
  const initializers = new Map<string, Tensor>();
  const add = (name: string, tensor: Tensor): void => {
    if (initializers.has(name)) throw new GaslawError(`initializer "${name}" occurs twice`);
    initializers.set(name, tensor);
  };
  for (const tensor of proto.initializer ?? []) add(tensor.name ?? '', tensorFromProto(tensor, readExternal));
  for (const sparse of proto.sparseInitializer ?? []) {
    add(sparse.values?.name ?? '', denseFromProto(sparse, readExternal));
  }
  return initializers;
}

// ---- nodes ----

function nodesFromProto(protos: readonly NodeProto[], readExternal?: ReadExternal): Node[] {
  const taken = new Set(protos.map(proto => proto.name));
  const seen = new Set<string>();
  return protos.map((proto, index) => {
    const name = uniqueNodeName(proto, index, taken, seen);
    seen.add(name);
    return nodeFromProto(proto, name, readExternal);
  });
}

function uniqueNodeName(
  proto: NodeProto,
  index: number,
  taken: ReadonlySet<string | undefined>,
  seen: ReadonlySet<string>,
): string {
  if (proto.name && !seen.has(proto.name)) return proto.name;
  let name = `${proto.name || proto.opType}_${index}`;
  while (taken.has(name) || seen.has(name)) name += '_';
  return name;
}

function nodeFromProto(proto: NodeProto, name: string, readExternal?: ReadExternal): Node {
  if (!proto.opType) throw new GaslawError(`node "${name}" has no op type`);
  if (proto.overload) {
    throw new GaslawError(`node "${name}": calls of overloaded functions are not supported`);
  }
  const attributes = (proto.attribute ?? []).map(a =>
    attributeFromProto(a, name, proto.opType, readExternal),
  );
  return {
    name,
    domain: domainOf(proto.domain),
    opType: proto.opType,
    inputs: proto.input ?? [],
    outputs: proto.output ?? [],
    attributes: Object.fromEntries(attributes),
  };
}

type Named = readonly [name: string, attribute: Attribute];

function attributeFromProto(
  proto: AttributeProto,
  node: string,
  opType: string | undefined,
  readExternal?: ReadExternal,
): Named {
  const name = proto.name ?? '';
  const what = `node "${node}": attribute ${name}`;
  if (proto.refAttrName)
    throw new GaslawError(`${what} refers to a function's attribute "${proto.refAttrName}"`);
  // `Constant` may hold its value sparse; dense is the same value under its other name.
  if (proto.sparseTensor && opType === 'Constant' && name === 'sparse_value') {
    return ['value', { type: 'tensor', value: denseFromProto(proto.sparseTensor, readExternal) }];
  }
  const kind = kindOf(proto);
  if (!kind) throw new GaslawError(`${what} has a kind (${proto.type ?? 0}) that is not supported`);
  return [name, valueFromProto(kind, proto, what, readExternal)];
}

const KINDS = Object.entries(ATTRIBUTE_TYPES) as [Attribute['type'], number][];

/** The kind by its number; files of IR version 1 leave it out, there the filled field tells. */
function kindOf(proto: AttributeProto): Attribute['type'] | undefined {
  if (proto.type) return KINDS.find(([, number]) => number === proto.type)?.[0];
  const fields = { f: 'float', i: 'int', s: 'string', t: 'tensor', g: 'graph' } as const;
  const lists = ['floats', 'ints', 'strings'] as const;
  const single = (Object.keys(fields) as (keyof typeof fields)[]).find(key => proto[key] !== undefined);
  return single ? fields[single] : lists.find(key => proto[key]?.length);
}

function valueFromProto(
  kind: Attribute['type'],
  proto: AttributeProto,
  what: string,
  readExternal?: ReadExternal,
): Attribute {
  if (kind === 'int') return { type: kind, value: proto.i ?? 0 };
  if (kind === 'float') return { type: kind, value: proto.f ?? 0 };
  if (kind === 'string') return { type: kind, value: utf8(proto.s ?? new Uint8Array(), what) };
  if (kind === 'ints') return { type: kind, value: proto.ints ?? [] };
  if (kind === 'floats') return { type: kind, value: proto.floats ?? [] };
  if (kind === 'strings') return { type: kind, value: (proto.strings ?? []).map(s => utf8(s, what)) };
  if (kind === 'tensor') return { type: kind, value: tensorFromProto(proto.t ?? {}, readExternal) };
  return { type: kind, value: graphFromProto(proto.g ?? {}, 'body', readExternal) };
}
