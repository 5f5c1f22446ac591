/**
 * Which float constants of a graph are weights, and which are numbers that its arithmetic needs.
 *
 * 1. A weight is what an op takes as one: kernels, matrices, tables, gains and biases, also behind ops that only move, cast
 *    or quantize it.
 * 2. An operand of Add, Sub, Mul or Div is one where the other side depends on a weight (a mean that is taken off the
 *    input does not), it has more than one element (an epsilon has one), and it is no mask: two different values at most,
 *    or one beyond ±10,000.
 * 3. Running statistics of norms are no weights: they are measured.
 */
import { type Graph, type Node, opKey, type Tensor } from '../graph/ir.ts';
import type { OpType } from '../ops/schema.ts';

/** Inputs that an op takes as weights. */
const WEIGHT_INPUTS: { readonly [K in OpType]?: readonly number[] } = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  DeformConv: [1, 3],
  CausalConvWithState: [1, 2],
  Gemm: [0, 1, 2],
  MatMul: [0, 1],
  'com.microsoft.FusedMatMul': [0, 1],
  Gather: [0],
  RNN: [1, 2, 3],
  GRU: [1, 2, 3],
  LSTM: [1, 2, 3, 7],
  BatchNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  GroupNormalization: [1, 2],
  LayerNormalization: [1, 2],
  RMSNormalization: [1],
  SimplifiedLayerNormalization: [1],
  'com.microsoft.SkipLayerNormalization': [2, 3, 4],
  'com.microsoft.SkipSimplifiedLayerNormalization': [2, 3],
  'com.microsoft.BiasGelu': [1],
  PRelu: [1],
  Einsum: [0, 1, 2, 3],
};

/** Ops that hand the elements of input 0 on. */
const CARRIERS: ReadonlySet<string> = new Set([
  'Identity',
  'Cast',
  'Transpose',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Slice',
  'Split',
  'Expand',
  'Tile',
  'QuantizeLinear',
  'DequantizeLinear',
]);
const ARITHMETIC: ReadonlySet<string> = new Set(['Add', 'Sub', 'Mul', 'Div']);
const LARGEST_WEIGHT = 1e4;

/** Names of the float32 initializers that are weights, in the order in which they are read. Nodes must be in order. */
export function weightsOf(graph: Graph): string[] {
  const found = new Set<string>();
  /** The initializer behind a value that only carries it. */
  const behind = new Map([...floats(graph)].map(name => [name, name]));
  const learned = new Set<string>();
  for (const node of graph.nodes) {
    const source = behind.get(node.inputs[0] ?? '');
    if (source !== undefined && CARRIERS.has(opKey(node))) {
      for (const output of node.outputs) behind.set(output, source);
      continue;
    }
    for (const weight of weightsRead(graph, node, behind, learned)) found.add(weight);
    if (node.inputs.some(name => learned.has(name) || found.has(behind.get(name) ?? '')))
      for (const output of node.outputs) learned.add(output);
  }
  return [...found];
}

const floats = (graph: Graph): string[] =>
  [...graph.initializers].filter(([, tensor]) => tensor.dtype === 'float32').map(([name]) => name);

function weightsRead(
  graph: Graph,
  node: Node,
  behind: ReadonlyMap<string, string>,
  learned: ReadonlySet<string>,
): string[] {
  const key = opKey(node) as OpType; // only looked up
  const sources = (positions: readonly number[]) =>
    positions.flatMap(i => behind.get(node.inputs[i] ?? '') ?? []);
  if (!ARITHMETIC.has(key)) return sources(WEIGHT_INPUTS[key] ?? []);
  if (!node.inputs.some(name => learned.has(name))) return [];
  return sources([0, 1]).filter(name => looksLearned(graph.initializers.get(name) as Tensor));
}

function looksLearned({ data }: Tensor): boolean {
  const values = data as Float32Array; // float32 by selection
  if (values.length < 2 || values.some(v => !(Math.abs(v) < LARGEST_WEIGHT))) return false;
  const distinct = new Set(values.length > 64 ? values.subarray(0, 4096) : values).size;
  return distinct !== 2 || values.length === 2;
}
