/**
 * What of each class of op a graph has: the only things that the latency model sees of it.
 *
 * 1. Classes: convolution, 1×1 convolution, grouped, depthwise, and products of matrices: each has its own efficiency everywhere.
 * 2. Beside multiply-adds: layers (launches, synchronisation), elements written by products, by joins and by the rest (memory),
 *    stored elements, and the elements of layers that are too large for the memory of small accelerators.
 * 3. Relu, Clip and BatchNormalization fuse into what stands before them, as do scales by a constant and the second half of x·sigmoid(x);
 *    Q/DQ and reshapes move nothing: none counts. `bench/peers/model_features.py` counts published models in the same way.
 */
import { type Graph, type Node, opKey, sizeOf, staticDims, typeOf } from '../../graph/ir.ts';
import { producersOf } from '../../graph/walk.ts';
import { COST_RULES } from '../../ops/cost.ts';
import { ruleContext } from '../../ops/infer.ts';
import { withoutQdq } from '../../ops/qdq.ts';
import { isOpType } from '../../ops/schema.ts';
import { GaslawError } from '../../util/errors.ts';

export const FEATURES = [
  'conv',
  'pointwise',
  'grouped',
  'depthwise',
  'dense',
  'layers',
  'produced',
  'moved',
  'joined',
  'weights',
  'large',
] as const;
export type Feature = (typeof FEATURES)[number];

/** In the order of FEATURES: multiply-adds of five classes, layers, elements written, stored, and of large layers. */
export type Features = readonly number[];

const FREE: ReadonlySet<string> = new Set([
  'Relu',
  'Clip',
  'BatchNormalization',
  'QuantizeLinear',
  'DequantizeLinear',
  'Identity',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Constant',
  'ConstantOfShape',
  'Shape',
  'Dropout',
  'Cast',
]);

/** The features of a graph with inferred types. Throws a GaslawError where a dim is symbolic. */
export function featuresOf(graph: Graph): Features {
  const plain = withoutQdq(graph);
  const f: Record<Feature, number> = {
    conv: 0,
    pointwise: 0,
    grouped: 0,
    depthwise: 0,
    dense: 0,
    layers: 0,
    produced: 0,
    moved: 0,
    joined: 0,
    weights: 0,
    large: 0,
  };
  const producers = producersOf(plain);
  for (const node of plain.nodes) if (!fuses(plain, producers, node)) add(plain, node, f);
  return FEATURES.map(name => f[name]);
}

/** The same, or nothing where a dim is symbolic. */
export function featuresIfFixed(graph: Graph): Features | undefined {
  try {
    return featuresOf(graph);
  } catch (error) {
    if (error instanceof GaslawError) return undefined;
    throw error;
  }
}

/** Elements that a layer reads and writes, above which two megabytes of memory do not hold them in 8 bits. */
const LARGE = 2 ** 21;

function add(graph: Graph, node: Node, f: Record<Feature, number>): void {
  const key = opKey(node);
  if (FREE.has(key) || !isOpType(key)) return;
  const outputs = node.outputs.map(name => typeOf(graph, name)).filter(type => type !== undefined);
  const written = elements(graph, node.outputs[0] ?? '');
  const { macs } = COST_RULES[key]({ ...ruleContext(graph, node), outputs });
  const touched = written + read(graph, node);
  f.layers++;
  if (touched > LARGE) f.large += touched;
  if (macs === 0) {
    f[key === 'Concat' ? 'joined' : 'moved'] += written;
    return;
  }
  f[classOf(graph, node)] += macs;
  f.produced += written;
  f.weights += node.inputs
    .slice(1, 2)
    .reduce((sum, name) => sum + sizeOf(graph.initializers.get(name)?.dims ?? [0]), 0);
}

const read = (graph: Graph, { inputs }: Node): number =>
  inputs
    .filter(name => name !== '' && !graph.initializers.has(name))
    .reduce((sum, name) => sum + sizeOf(staticDims(typeOf(graph, name)?.shape) ?? [0]), 0);

/** Whether it costs nothing: a scale or shift by one constant, the product of x·sigmoid(x), the layout of an input or output of the file. */
function fuses(graph: Graph, producers: ReadonlyMap<string, Node>, node: Node): boolean {
  const [x, y] = node.inputs as [string, string];
  if (node.opType === 'Transpose')
    return graph.inputs.some(i => i.name === x) || graph.outputs.some(o => o.name === node.outputs[0]);
  if (!['Add', 'Sub', 'Mul', 'Div'].includes(node.opType)) return false;
  if ([x, y].some(name => sizeOf(graph.initializers.get(name)?.dims ?? [0]) === 1)) return true;
  const gates = (to: string, from: string): boolean => {
    const gate = producers.get(to);
    return gate?.inputs[0] === from && ['Sigmoid', 'HardSigmoid'].includes(gate.opType);
  };
  return node.opType === 'Mul' && (gates(y, x) || gates(x, y));
}

function elements(graph: Graph, name: string): number {
  const dims = staticDims(typeOf(graph, name)?.shape);
  if (!dims) throw new GaslawError(`"${name}" has no fixed shape: give its symbolic dims numbers first`);
  return sizeOf(dims);
}

function classOf(graph: Graph, node: Node): Feature {
  if (!node.opType.includes('Conv')) return 'dense';
  const dims = staticDims(typeOf(graph, node.inputs[1] ?? '')?.shape) ?? [];
  const group = node.attributes.group?.type === 'int' ? Number(node.attributes.group.value) : 1;
  if (group > 1) return dims[1] === 1 ? 'depthwise' : 'grouped';
  return sizeOf(dims.slice(2)) === 1 ? 'pointwise' : 'conv';
}
