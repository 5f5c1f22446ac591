/**
 * What a model is made of: parameters, bytes, FLOPs, inputs, outputs, ops.
 *
 * 1. FLOPs a token are model FLOPs at half the context that it was trained on, the mean over a full row; training costs three times the forward
 *    pass (PaLM's convention).
 * 2. In an ONNX file every constant but int64 ones (axes, shapes) and single numbers counts as a parameter, Constant nodes
 *    included, of the op that reads it first. A block-quantized matrix counts its weights, not its packed bytes; scales and
 *    zero points are no parameters.
 * 3. Multiply-adds are those of one run with every symbolic dim 1; absent where an op or a shape is not known.
 */
import {
  type Graph,
  type Model,
  type Node,
  opKey,
  sizeOf,
  type Tensor,
  type ValueInfo,
} from '../graph/ir.ts';
import { producersOf, usesOf, walkNodes } from '../graph/walk.ts';
import { type Imported, importModel, type Obstacle } from '../import/index.ts';
import { batchOfOne } from '../ops/bind-dims.ts';
import { graphCost } from '../ops/cost.ts';
import { GaslawError } from '../util/errors.ts';
import type { LoadedWeights } from './files.ts';
import { modelFromConfig } from './index.ts';
import { type CausalModel, elementsPerToken } from './model.ts';
import type { OnnxContent } from './onnx-files.ts';

export interface Inspection {
  readonly architecture: string;
  readonly parameters: number;
  readonly activeParameters?: number;
  /** Of the module that predicts one token further, where the files hold it; not among `parameters`. */
  readonly aheadParameters?: number;
  /** Bytes of the weights; absent for a configuration alone. */
  readonly bytes?: number;
  /** How many tensors of a GGUF file have each type, the most frequent first. */
  readonly types?: Readonly<Record<string, number>>;
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
  /** Multiply-adds of one run. */
  readonly macs?: number;
  /** Parameters by the op that reads them, the most first. */
  readonly parametersByOp?: Readonly<Record<string, number>>;
  /** Nodes that no gradient goes through, with the reason; empty when the whole model trains. */
  readonly notDifferentiable?: readonly Obstacle[];
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
  const module = new Set(model.ahead?.parameters.map(({ name }) => name));
  const count = (specs: CausalModel['parameters']) => specs.reduce((n, { dims }) => n + sizeOf(dims), 0);
  const parameters = count(model.parameters.filter(({ name }) => !module.has(name)));
  const aheadParameters = count(model.parameters) - parameters;
  return {
    architecture: model.architecture,
    parameters,
    ...(aheadParameters > 0 && { aheadParameters }),
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
export function inspectOnnx({ model, bytes }: OnnxContent): Inspection {
  const { graph, opsets, producer } = model;
  const imported = importedOf(model);
  const byOp = parametersByOp(graph);
  return {
    architecture: graph.name || 'onnx',
    parameters: Object.values(byOp).reduce((sum, n) => sum + n, 0),
    bytes,
    ...(imported && costOf(imported.model.graph)),
    parametersByOp: byOp,
    ...(imported && { notDifferentiable: imported.report.notDifferentiable }),
    inputs: graph.inputs.map(printed),
    outputs: graph.outputs.map(printed),
    ops: countOps(graph),
    opsets: Object.fromEntries([...opsets].map(([domain, version]) => [domain || 'ai.onnx', version])),
    producer,
  };
}

/** Undefined for models that cannot be brought to today's ops. */
function importedOf(model: Model): Imported | undefined {
  try {
    return importModel(model, { foldNorms: false, pairs: false });
  } catch (error) {
    if (error instanceof GaslawError) return undefined;
    throw error;
  }
}

function costOf(graph: Graph): { macs?: number } {
  try {
    return { macs: graphCost(batchOfOne(graph)).macs };
  } catch (error) {
    if (error instanceof GaslawError) return {};
    throw error;
  }
}

const printed = ({ name, dtype, shape }: ValueInfo): PrintedValue => ({ name, dtype, shape });

function countOps(graph: Graph): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { node } of walkNodes(graph)) counts.set(opKey(node), (counts.get(opKey(node)) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)));
}

function parametersByOp(graph: Graph): Record<string, number> {
  const sources = sourcesOf(graph);
  const packed = new Map(graph.nodes.flatMap(node => quantizedParts(node, graph, sources)));
  const readers = firstReaders(graph);
  const counts = new Map<string, number>();
  for (const [name, tensor] of [...graph.initializers, ...constantNodes(graph)]) {
    if (tensor.dtype === 'int64' || tensor.data.length < 2) continue;
    const op = readers.get(name) ?? 'none';
    counts.set(op, (counts.get(op) ?? 0) + (packed.get(name) ?? sizeOf(tensor.dims)));
  }
  return Object.fromEntries(
    [...counts].filter(([, n]) => n > 0).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)),
  );
}

const constantNodes = (graph: Graph): [string, Tensor][] =>
  graph.nodes.flatMap((node): [string, Tensor][] => {
    const value = node.opType === 'Constant' ? node.attributes.value : undefined;
    return value?.type === 'tensor' ? [[node.outputs[0] as string, value.value]] : [];
  });

/** Ops that only hand constants on. */
const CARRIERS: ReadonlySet<string> = new Set([
  'DequantizeLinear',
  'Cast',
  'Reshape',
  'Transpose',
  'Identity',
]);

/** The op of the first node that computes with each value. */
function firstReaders(graph: Graph): Map<string, string> {
  const readers = new Map<string, string>();
  for (const node of graph.nodes.toReversed()) {
    const behind = CARRIERS.has(node.opType) ? readers.get(node.outputs[0] ?? '') : undefined;
    for (const name of usesOf(node)) readers.set(name, behind ?? opKey(node));
  }
  return readers;
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
