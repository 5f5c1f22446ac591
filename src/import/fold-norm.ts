/**
 * What scales and shifts whole channels at inference, folded into the Conv, ConvTranspose or Gemm before it:
 * BatchNormalization, and Add, Sub, Mul and Div with a constant by channel, or one for all.
 *
 * With y = f·z + a for z = Wx + b, a channel's output is (fW)x + (fb + a); for a norm f = γ/√(σ² + ε) and a = β − fμ
 * (Jacob et al. 2018, section 3.2).
 * 1. A product stays as it is where something else reads its result, where weights or statistics are no float32
 *    initializers, where the norm trains, and where Gemm scales (alpha, beta) or broadcasts a bias of another form.
 * 2. Factors are computed in double precision and rounded once.
 */
import { float32, type Graph, type Node, opKey, type Tensor, typeOf } from '../graph/ir.ts';
import { consumersOf, FreshNames, producersOf, removeNodes } from '../graph/walk.ts';
import { Attributes } from '../ops/rule.ts';

/** Per output channel: what results are multiplied by, and what is added then. */
interface Affine {
  readonly factor: Float64Array;
  readonly offset: Float64Array;
}

/** Folds in place and returns the names of the nodes that are gone. Nodes must be in order and typed. */
export function foldBatchNorm(graph: Graph): string[] {
  const [producers, consumers] = [producersOf(graph), consumersOf(graph)];
  const names = new FreshNames(graph);
  const kept = new Set(graph.outputs.map(output => output.name));
  const folded = new Set<Node>();
  for (const node of graph.nodes) {
    const x = node.inputs.find(name => producers.has(name)) ?? '';
    const product = producers.get(x);
    if (!product || kept.has(x) || consumers.get(x)?.length !== 1) continue;
    const channels = channelsOf(graph, product);
    const affine = channels === undefined ? undefined : affineOf(graph, node, x, channels);
    if (!affine || !foldInto(graph, product, node, affine, names)) continue;
    product.outputs = [node.outputs[0] as string];
    producers.set(node.outputs[0] as string, product);
    graph.types.delete(x);
    folded.add(node);
  }
  removeNodesKeepingTypes(graph, folded);
  return [...folded].map(node => node.name);
}

/** The outputs are made by the products now, so their types hold. */
function removeNodesKeepingTypes(graph: Graph, nodes: ReadonlySet<Node>): void {
  const types = new Map(graph.types);
  removeNodes(graph, nodes);
  graph.types = types;
}

function affineOf(graph: Graph, node: Node, x: string, channels: number): Affine | undefined {
  const key = opKey(node);
  if (key === 'BatchNormalization') return normOf(graph, node);
  const own = node.inputs.indexOf(x);
  if (node.inputs.length !== 2 || node.inputs[1 - own] === x) return undefined;
  const values = byChannel(graph, node.inputs[1 - own], node, channels);
  return values && ARITHMETIC[key]?.(values, own === 0);
}

/** f and a for a constant `c` by channel; `first` says that the product is the left operand. */
const ARITHMETIC: Readonly<Record<string, (c: Float64Array, first: boolean) => Affine | undefined>> = {
  Add: c => ({ factor: c.map(() => 1), offset: c }),
  Sub: (c, first) => ({ factor: c.map(() => (first ? 1 : -1)), offset: c.map(v => (first ? -v : v)) }),
  Mul: c => ({ factor: c, offset: c.map(() => 0) }),
  Div: (c, first) => (first ? { factor: c.map(v => 1 / v), offset: c.map(() => 0) } : undefined),
};

/** A constant that is one for all channels, or one for each of them, and stretches nothing. */
function byChannel(
  graph: Graph,
  name: string | undefined,
  node: Node,
  channels: number,
): Float64Array | undefined {
  const constant = floatsOf(graph, name);
  const rank = typeOf(graph, node.outputs[0] as string)?.shape?.length;
  if (!constant || rank === undefined || constant.dims.length > rank) return undefined;
  if (constant.data.length === 1) return new Float64Array(channels).fill(constant.data[0] as number);
  const axis = 1 - (rank - constant.dims.length);
  const alone = constant.dims.every((d, i) => d === (i === axis ? channels : 1));
  return alone ? Float64Array.from(constant.data) : undefined;
}

function normOf(graph: Graph, norm: Node): Affine | undefined {
  const attributes = new Attributes(norm.attributes);
  const [scale, beta, mean, variance] = norm.inputs.slice(1).map(name => floatsOf(graph, name)?.data);
  if (!scale || !beta || !mean || !variance || attributes.int('training_mode', 0) !== 0) return undefined;
  const epsilon = attributes.float('epsilon', 1e-5);
  const at = (list: ArrayLike<number>, i: number) => list[i] as number;
  const factor = Float64Array.from(scale, (s, c) => s / Math.sqrt(at(variance, c) + epsilon));
  return { factor, offset: factor.map((f, c) => at(beta, c) - f * at(mean, c)) };
}

interface Floats {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

function floatsOf(graph: Graph, name: string | undefined): Floats | undefined {
  const tensor: Tensor | undefined = graph.initializers.get(name ?? '');
  return tensor?.dtype === 'float32' && tensor.data instanceof Float32Array
    ? { dims: tensor.dims, data: tensor.data }
    : undefined;
}

/** Output channels of a product whose weight is constant. */
function channelsOf(graph: Graph, product: Node): number | undefined {
  const dims = floatsOf(graph, product.inputs[1])?.dims;
  const attributes = new Attributes(product.attributes);
  switch (opKey(product)) {
    case 'Conv':
      return dims?.[0];
    case 'ConvTranspose':
      return dims && (dims[1] as number) * attributes.int('group', 1);
    case 'Gemm':
      if (attributes.float('alpha', 1) !== 1 || attributes.float('beta', 1) !== 1) return undefined;
      return dims?.[attributes.int('transB', 0) === 1 ? 0 : 1];
    default:
      return undefined;
  }
}

/** Whether it could be done. */
function foldInto(graph: Graph, product: Node, norm: Node, a: Affine, names: FreshNames): boolean {
  const weight = floatsOf(graph, product.inputs[1]);
  const channels = a.factor.length;
  const given = product.inputs[2] ?? '';
  const bias = given === '' ? undefined : floatsOf(graph, given);
  if (!weight || channels !== channelsOf(graph, product)) return false;
  if (given !== '' && (bias?.data.length !== channels || bias.dims.length !== 1)) return false;
  const channel = channelOfWeight(product, weight.dims);
  const scaled = weight.data.map((w, i) => w * (a.factor[channel(i)] as number));
  const shifted = a.factor.map((f, c) => f * (bias?.data[c] ?? 0) + (a.offset[c] as number));
  const added = [float32(weight.dims, scaled), float32([channels], Float32Array.from(shifted))].map(
    (tensor, i) => {
      const name = names.fresh(`${norm.name}/${i === 0 ? 'weight' : 'bias'}`);
      graph.initializers.set(name, tensor);
      return name;
    },
  );
  product.inputs = [product.inputs[0] as string, ...added];
  return true;
}

/** The output channel of the weight at a flat position. */
function channelOfWeight(product: Node, dims: readonly number[]): (i: number) => number {
  const attributes = new Attributes(product.attributes);
  const [rows, columns] = dims as [number, number];
  const inner = dims.slice(2).reduce((n, d) => n * d, 1);
  switch (opKey(product)) {
    case 'ConvTranspose': {
      // [C, M/group, …]: channel m of the group that row c belongs to
      const perGroup = rows / attributes.int('group', 1);
      return i =>
        Math.floor(Math.floor(i / (inner * columns)) / perGroup) * columns +
        (Math.floor(i / inner) % columns);
    }
    case 'Gemm':
      return attributes.int('transB', 0) === 1 ? i => Math.floor(i / columns) : i => i % columns;
    default:
      return i => Math.floor(i / (inner * columns));
  }
}
