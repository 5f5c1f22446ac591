/**
 * Common subexpression elimination: of nodes that compute the same from the same inputs, the first stays.
 *
 * 1. Identity nodes are followed to what they copy.
 * 2. A node that makes a graph output stays, since its name is the graph's signature; later equals still merge into it.
 * 3. Ops that draw random numbers, and nodes with bodies, are left alone.
 */
import type { Attribute, Graph, Node, Tensor } from '../ir.ts';
import { opKey } from '../ir.ts';
import { bodiesOf, removeNodes, replaceAllUses } from '../walk.ts';

const RANDOM: ReadonlySet<string> = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
  'Dropout',
]);

const TENSOR_ELEMENTS = 64;

/** Merges equal nodes. Nodes must be in order. */
export function eliminateCommonSubexpressions(graph: Graph): void {
  const outputs = new Set(graph.outputs.map(output => output.name));
  const replaced = new Map<string, string>();
  const seen = new Map<string, Node>();
  const removed = new Set<Node>();
  for (const node of graph.nodes) {
    node.inputs = node.inputs.map(name => replaced.get(name) ?? name);
    const fixed = node.outputs.some(name => outputs.has(name));
    const from = sourcesOf(node, seen);
    if (from && !fixed) {
      node.outputs.forEach((name, i) => void (name !== '' && replaced.set(name, from[i] as string)));
      removed.add(node);
    }
  }
  replaceAllUses(graph, replaced);
  removeNodes(graph, removed);
}

/** Values equal to the node's outputs that exist already; remembers the node when there are none. */
function sourcesOf(node: Node, seen: Map<string, Node>): readonly string[] | undefined {
  if (opKey(node) === 'Identity') return node.inputs;
  const key = keyOf(node);
  if (key === undefined) return undefined;
  const earlier = seen.get(key);
  if (!earlier) seen.set(key, node);
  return earlier && node.outputs.every((name, i) => name === '' || earlier.outputs[i])
    ? earlier.outputs
    : undefined;
}

/** Equal for nodes that compute the same; undefined for nodes that must stay apart. */
function keyOf(node: Node): string | undefined {
  if (RANDOM.has(node.opType) || bodiesOf(node).length > 0) return undefined;
  const attributes = Object.entries(node.attributes).sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = attributes.map(([name, a]) => `${name}=${a.type}:${textOf(a)}`);
  if (parts.some(part => part.endsWith(':undefined'))) return undefined;
  return JSON.stringify([opKey(node), node.inputs, parts]);
}

const textOf = (a: Attribute): string | undefined =>
  a.type === 'tensor' ? tensorText(a.value) : a.type === 'graph' ? undefined : JSON.stringify(a.value, plain);

/**
 * Makes integer and bool initializers that are equal one: axes, shapes and bounds, so that nodes which read them are seen as
 * equal. Floats stay apart: equal weights may be trained to differ.
 */
export function mergeEqualIntegers(graph: Graph): void {
  const inputs = new Set(graph.inputs.map(input => input.name));
  const outputs = new Set(graph.outputs.map(output => output.name));
  const first = new Map<string, string>();
  const replaced = new Map<string, string>();
  for (const [name, tensor] of graph.initializers) {
    if (inputs.has(name) || outputs.has(name) || !/^(u?int|bool)/.test(tensor.dtype)) continue;
    const key = tensorText(tensor);
    if (key === undefined) continue;
    const earlier = first.get(key);
    if (earlier === undefined) first.set(key, name);
    else replaced.set(name, earlier);
  }
  replaceAllUses(graph, replaced);
  for (const name of replaced.keys()) graph.initializers.delete(name);
}

const tensorText = ({ dtype, dims, data }: Tensor): string | undefined =>
  data.length > TENSOR_ELEMENTS ? undefined : `${dtype}[${dims}]${[...data].join()}`;

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);
