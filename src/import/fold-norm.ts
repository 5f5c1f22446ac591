/**
 * BatchNormalization at inference, folded into the Conv or Gemm before it.
 *
 * With f = γ/√(σ² + ε), a channel's output f(Wx + b − μ) + β is (fW)x + (b − μ)f + β (Jacob et al. 2018, section 3.2).
 * 1. A product stays as it is where something else reads its result, where weights or statistics are no float32
 *    initializers, where the norm trains, and where Gemm scales (alpha, beta) or broadcasts a bias of another form.
 * 2. Factors are computed in double precision and rounded once.
 */
import { float32, type Graph, type Node, opKey, type Tensor } from '../graph/ir.ts';
import { consumersOf, FreshNames, producersOf, removeNodes } from '../graph/walk.ts';
import { Attributes } from '../ops/rule.ts';

/** Per output channel: what the weights are multiplied by, and what is added. */
interface Affine {
  readonly factor: Float64Array;
  readonly shift: (channel: number, bias: number) => number;
}

/** Folds in place and returns the names of the norms that are gone. Nodes must be in order. */
export function foldBatchNorm(graph: Graph): string[] {
  const [producers, consumers] = [producersOf(graph), consumersOf(graph)];
  const names = new FreshNames(graph);
  const kept = new Set(graph.outputs.map(output => output.name));
  const folded = new Set<Node>();
  for (const norm of graph.nodes) {
    const x = norm.inputs[0] ?? '';
    const product = producers.get(x);
    const affine = affineOf(graph, norm);
    if (!product || !affine || kept.has(x) || consumers.get(x)?.length !== 1) continue;
    if (!foldInto(graph, product, norm, affine, names)) continue;
    product.outputs = [norm.outputs[0] as string];
    producers.set(norm.outputs[0] as string, product);
    graph.types.delete(x);
    folded.add(norm);
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

function affineOf(graph: Graph, norm: Node): Affine | undefined {
  if (opKey(norm) !== 'BatchNormalization') return undefined;
  const attributes = new Attributes(norm.attributes);
  const [scale, beta, mean, variance] = norm.inputs.slice(1).map(name => floatsOf(graph, name)?.data);
  if (!scale || !beta || !mean || !variance || attributes.int('training_mode', 0) !== 0) return undefined;
  const epsilon = attributes.float('epsilon', 1e-5);
  const at = (list: Float32Array, i: number) => list[i] as number;
  const factor = Float64Array.from(scale, (s, c) => s / Math.sqrt(at(variance, c) + epsilon));
  const shift = (c: number, bias: number) => (bias - at(mean, c)) * (factor[c] as number) + at(beta, c);
  return { factor, shift };
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

/** Whether it could be done. */
function foldInto(graph: Graph, product: Node, norm: Node, a: Affine, names: FreshNames): boolean {
  const weight = floatsOf(graph, product.inputs[1]);
  const channels = a.factor.length;
  const inner = weight && valuesPerChannel(product, weight.dims, channels);
  const given = product.inputs[2] ?? '';
  const bias = given === '' ? undefined : floatsOf(graph, given);
  if (!weight || inner === undefined || (given !== '' && bias?.data.length !== channels)) return false;
  if (bias && bias.dims.length !== 1) return false;
  const scaled = weight.data.map((w, i) => w * (a.factor[Math.floor(i / inner) % channels] as number));
  const shifted = Float32Array.from(a.factor, (_, c) => a.shift(c, bias?.data[c] ?? 0));
  const added = [float32(weight.dims, scaled), float32([channels], shifted)].map((tensor, i) => {
    const name = names.fresh(`${norm.name}/${i === 0 ? 'weight' : 'bias'}`);
    graph.initializers.set(name, tensor);
    return name;
  });
  product.inputs = [product.inputs[0] as string, ...added];
  return true;
}

/** How many consecutive weights belong to one output channel; undefined where the product cannot take the norm. */
function valuesPerChannel(product: Node, dims: readonly number[], channels: number): number | undefined {
  const attributes = new Attributes(product.attributes);
  const rest = dims.slice(1).reduce((n, d) => n * d, 1);
  switch (opKey(product)) {
    case 'Conv':
      return dims[0] === channels ? rest : undefined;
    case 'Gemm':
      if (attributes.float('alpha', 1) !== 1 || attributes.float('beta', 1) !== 1) return undefined;
      return attributes.int('transB', 0) === 1 ? rest : 1;
    default:
      return undefined;
  }
}
