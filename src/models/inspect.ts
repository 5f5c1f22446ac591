/**
 * What a model is made of: parameters, bytes, FLOPs, inputs, outputs, ops.
 *
 * 1. FLOPs a token are model FLOPs at half the context that it was trained on, the mean over a full row; training costs three times the forward
 *    pass (PaLM's convention).
 * 2. In an ONNX file every initializer but int64 ones (axes, shapes) counts as parameters. A block-quantized matrix
 *    counts its weights, not its packed bytes; scales and zero points are no parameters.
 */
import { type Graph, type Node, opKey, sizeOf, type ValueInfo } from '../graph/ir.ts';
import { producersOf, walkNodes } from '../graph/walk.ts';
import type { LoadedWeights } from './files.ts';
import { modelFromConfig } from './index.ts';
import { type CausalModel, elementsPerToken } from './model.ts';
import type { OnnxFile } from './resolve.ts';

export interface Inspection {
  readonly architecture: string;
  readonly parameters: number;
  readonly activeParameters?: number;
  /** Bytes of the weights; absent for a configuration alone. */
  readonly bytes?: number;
  readonly layers?: number;
  readonly vocabulary?: number;
  readonly context?: number;
  /** Model FLOPs of one token at half the context of training. */
  readonly forwardFlopsPerToken?: number;
  readonly trainingFlopsPerToken?: number;
  /** Cache elements that one more position takes. */
  readonly kvElementsPerToken?: number;
  readonly inputs?: readonly PrintedValue[];
  readonly outputs?: readonly PrintedValue[];
  /** How many nodes of each op there are, the most frequent first. */
  readonly ops?: Readonly<Record<string, number>>;
  readonly opsets?: Readonly<Record<string, number>>;
  readonly producer?: string;
}

export interface PrintedValue {
  readonly name: string;
  readonly dtype: string;
  /** Dims; symbols are strings. Absent when the rank is unknown. */
  readonly shape?: readonly (number | string)[];
}

/** A language model that Gaslaw runs. */
export const inspectModel = ({ model, bytes }: Pick<LoadedWeights, 'model' | 'bytes'>): Inspection => ({
  ...described(model),
  bytes,
});

/** What a config.json alone tells. Throws when its architecture is not known. */
export const inspectConfig = (json: unknown, origin: string): Inspection =>
  described(modelFromConfig(json, origin));

function described(model: CausalModel): Inspection {
  const forward = model.forwardFlops((model.trainedPositions ?? model.maxPositions) / 2);
  const parameters = model.parameters.reduce((n, { dims }) => n + sizeOf(dims), 0);
  return {
    architecture: model.architecture,
    parameters,
    activeParameters: model.activeParameters ?? parameters,
    layers: model.layers,
    vocabulary: model.vocabSize,
    context: model.maxPositions,
    forwardFlopsPerToken: forward,
    trainingFlopsPerToken: 3 * forward,
    kvElementsPerToken: elementsPerToken(model.cacheSlots),
  };
}

/** Any ONNX file. */
export function inspectOnnx({ model, bytes }: OnnxFile): Inspection {
  const { graph, opsets, producer } = model;
  return {
    architecture: graph.name || 'onnx',
    parameters: countParameters(graph),
    bytes,
    inputs: graph.inputs.map(printed),
    outputs: graph.outputs.map(printed),
    ops: countOps(graph),
    opsets: Object.fromEntries([...opsets].map(([domain, version]) => [domain || 'ai.onnx', version])),
    producer,
  };
}

const printed = ({ name, dtype, shape }: ValueInfo): PrintedValue => ({ name, dtype, shape });

function countOps(graph: Graph): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { node } of walkNodes(graph)) counts.set(opKey(node), (counts.get(opKey(node)) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)));
}

function countParameters(graph: Graph): number {
  const sources = sourcesOf(graph);
  const packed = new Map(graph.nodes.flatMap(node => quantizedParts(node, graph, sources)));
  let count = 0;
  for (const [name, tensor] of graph.initializers) {
    if (tensor.dtype !== 'int64') count += packed.get(name) ?? sizeOf(tensor.dims);
  }
  return count;
}

type Sources = (value: string) => string;

/** The initializer behind a value that is only cast or reshaped before it is used. */
function sourcesOf(graph: Graph): Sources {
  const producers = producersOf(graph);
  const source: Sources = value => {
    const node = producers.get(value);
    return node && (node.opType === 'Cast' || node.opType === 'Reshape')
      ? source(node.inputs[0] ?? '')
      : value;
  };
  return source;
}

/** Weights in each input of a block-quantized op; its scales and zero points hold none. */
function quantizedParts(node: Node, graph: Graph, source: Sources): [name: string, weights: number][] {
  const op = opKey(node);
  const none = (names: readonly string[]) => names.map((name): [string, number] => [source(name), 0]);
  if (op === 'com.microsoft.MatMulNBits') {
    const weights = intOf(node, 'K') * intOf(node, 'N');
    return [[source(node.inputs[1] ?? ''), weights], ...none(node.inputs.slice(2, 4))];
  }
  const codes = source(node.inputs[0] ?? '');
  const table = graph.initializers.get(codes);
  if (op !== 'com.microsoft.GatherBlockQuantized' || !table) return [];
  const perSlot = table.dtype === 'uint8' ? 8 / (intOf(node, 'bits') || 4) : 1;
  return [[codes, sizeOf(table.dims) * perSlot], ...none(node.inputs.slice(2))];
}

function intOf(node: Node, name: string): number {
  const attribute = node.attributes[name];
  return attribute?.type === 'int' ? Number(attribute.value) : 0;
}
