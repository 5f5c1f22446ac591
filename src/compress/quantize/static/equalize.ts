/**
 * Cross-layer equalization (Nagel et al. 2019, arXiv:1906.04721): between two layers with nothing but positively homogeneous
 * ops, what a channel is scaled by in the first can be undone in the second. Scales are chosen so that both have the same
 * range in that channel, which lets weights share one scale.
 *
 *   s = √(r₁ / r₂),   W₁ ← W₁ / s,   b₁ ← b₁ / s,   W₂ ← W₂ s
 *
 * 1. Chains are gone over until no scale moves: a depthwise layer is second of one pair and first of the next.
 * 2. The function stays what it was but for rounding in float. Values that other nodes read, and outputs, are left alone.
 */
import { float32, type Graph, type Node, opKey, type Tensor } from '../../../graph/ir.ts';
import { consumersOf } from '../../../graph/walk.ts';
import { Attributes } from '../../../ops/rule.ts';
import { channelsOf } from './weights.ts';

const HOMOGENEOUS: ReadonlySet<string> = new Set([
  'Relu',
  'LeakyRelu',
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
  'Identity',
]);
const ROUNDS = 40;
const STILL = 1e-4;

/** A weight, and its axis along the channels that a pair shares. */
interface Side {
  readonly name: string;
  readonly axis: number;
}

interface Pair {
  readonly first: Side;
  readonly bias?: string;
  readonly second: Side;
}

/** Changes weights of `graph` in place; returns the names of the pairs' first and second weights. */
export function equalize(graph: Graph): (readonly [string, string])[] {
  const pairs = pairsOf(graph);
  for (let round = 0; round < ROUNDS; round++) {
    const moved = Math.max(0, ...pairs.map(pair => balance(graph, pair)));
    if (moved < STILL) break;
  }
  return pairs.map(({ first, second }) => [first.name, second.name]);
}

function pairsOf(graph: Graph): Pair[] {
  const consumers = consumersOf(graph);
  const outputs = new Set(graph.outputs.map(o => o.name));
  const alone = (name: string) => graph.initializers.has(name) && consumers.get(name)?.length === 1;
  return graph.nodes.flatMap(node => {
    const first = sideOf(graph, node, 'out');
    const [, , bias = ''] = node.inputs;
    if (!first || !alone(first.name) || (bias !== '' && !alone(bias))) return [];
    const next = nextOf(node, consumers, outputs);
    const second = next && sideOf(graph, next, 'in');
    if (!second || !alone(second.name) || sizeAt(graph, first) !== sizeAt(graph, second)) return [];
    return [{ first, second, ...(bias !== '' && { bias }) }];
  });
}

/** The layer that alone reads what `node` makes. */
function nextOf(
  node: Node,
  consumers: ReadonlyMap<string, readonly Node[]>,
  outputs: ReadonlySet<string>,
): Node | undefined {
  const [name] = node.outputs;
  const [next, ...more] = consumers.get(name) ?? [];
  if (!next || more.length > 0 || outputs.has(name) || next.inputs[0] !== name) return undefined;
  return HOMOGENEOUS.has(opKey(next)) ? nextOf(next, consumers, outputs) : next;
}

/** The axis of a layer's weight that counts what goes out of it or into it. */
function sideOf(graph: Graph, node: Node, end: 'in' | 'out'): Side | undefined {
  const [, name = ''] = node.inputs;
  const dims = graph.initializers.get(name)?.dims;
  const a = new Attributes(node.attributes);
  if (!dims) return undefined;
  if (opKey(node) === 'Gemm') {
    if (a.int('transA', 0) === 1 || a.float('alpha', 1) !== 1 || a.float('beta', 1) !== 1) return undefined;
    return { name, axis: (a.int('transB', 0) === 1) === (end === 'out') ? 0 : 1 };
  }
  if (opKey(node) !== 'Conv') return undefined;
  const group = a.int('group', 1);
  if (end === 'out' || (dims[1] === 1 && group === dims[0])) return { name, axis: 0 };
  return group === 1 ? { name, axis: 1 } : undefined;
}

const sizeAt = (graph: Graph, { name, axis }: Side): number | undefined =>
  graph.initializers.get(name)?.dims[axis];

/** Balances a pair; the largest |ln s|. */
function balance(graph: Graph, { first, bias, second }: Pair): number {
  const [before, after] = [rangesOf(graph, first), rangesOf(graph, second)];
  const scales = before.map((r, i) => (r > 0 && after[i] > 0 ? Math.sqrt(r / after[i]) : 1));
  scaleBy(
    graph,
    first,
    scales.map(s => 1 / s),
  );
  if (bias !== undefined)
    scaleBy(
      graph,
      { name: bias, axis: 0 },
      scales.map(s => 1 / s),
    );
  scaleBy(graph, second, scales);
  return Math.max(...scales.map(s => Math.abs(Math.log(s))));
}

function rangesOf(graph: Graph, { name, axis }: Side): number[] {
  const { dims, data } = graph.initializers.get(name) as Tensor;
  return channelsOf(dims, axis).map(at => at.reduce((m, i) => Math.max(m, Math.abs(Number(data[i]))), 0));
}

function scaleBy(graph: Graph, { name, axis }: Side, scales: readonly number[]): void {
  const { dims, data } = graph.initializers.get(name) as Tensor;
  const scaled = Float32Array.from(data as Float32Array);
  channelsOf(dims, axis).forEach((at, c) => {
    for (const i of at) scaled[i] *= scales[c];
  });
  graph.initializers.set(name, float32(dims, scaled));
}
