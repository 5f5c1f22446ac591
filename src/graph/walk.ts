/**
 * Getting around in graphs: who makes and who reads a value, order, copies, renaming.
 *
 * 1. A node with bodies (`If`, `Loop`) reads what its bodies capture from outside; every helper here counts that.
 * 2. Tensors are never copied: graphs share them and nobody writes into an initializer's data.
 */
import { GaslawError } from '../util/errors.ts';
import type { Attribute, Graph, Model, Node } from './ir.ts';

/** The graphs that a node holds as attributes. */
export const bodiesOf = (node: Node): Graph[] =>
  Object.values(node.attributes).flatMap(a => (a.type === 'graph' ? [a.value] : []));

/** All nodes, those of bodies included, each after the node that holds it; with the graph it lies in. */
export function* walkNodes(graph: Graph): Generator<{ node: Node; graph: Graph }> {
  for (const node of graph.nodes) {
    yield { node, graph };
    for (const body of bodiesOf(node)) yield* walkNodes(body);
  }
}

/** Names that a graph defines itself: inputs, initializers and node outputs, bodies excluded. */
export function definedNames(graph: Graph): Set<string> {
  const names = new Set([...graph.inputs.map(input => input.name), ...graph.initializers.keys()]);
  for (const node of graph.nodes) for (const output of node.outputs) names.add(output);
  names.delete('');
  return names;
}

/** Names that a body reads from the graphs around it. */
export function capturedNames(body: Graph): Set<string> {
  const defined = definedNames(body);
  const read = [...body.nodes.flatMap(usesOf), ...body.outputs.map(output => output.name)];
  return new Set(read.filter(name => !defined.has(name)));
}

/** All values that a node reads: its inputs (left-out ones excluded) and what its bodies capture. */
export function usesOf(node: Node): string[] {
  const captured = bodiesOf(node).flatMap(body => [...capturedNames(body)]);
  return [...node.inputs, ...captured].filter(name => name !== '');
}

/** The node that makes each value. */
export function producersOf(graph: Graph): Map<string, Node> {
  const producers = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) producers.set(output, node);
  producers.delete('');
  return producers;
}

/** The nodes that read each value, in order, each once. Graph outputs are not nodes: see `graph.outputs`. */
export function consumersOf(graph: Graph): Map<string, Node[]> {
  const consumers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const name of new Set(usesOf(node))) {
      const list = consumers.get(name);
      if (list) list.push(node);
      else consumers.set(name, [node]);
    }
  }
  return consumers;
}

/**
 * Orders nodes so that each stands after the makers of what it reads, otherwise as they stood.
 * Throws when nodes depend on each other in a circle.
 */
export function sortTopologically(graph: Graph): void {
  const producers = producersOf(graph);
  const state = new Map<Node, 'open' | 'done'>();
  const order: Node[] = [];
  for (const node of graph.nodes) visit(node, producers, state, order);
  graph.nodes = order;
}

/** Depth-first without recursion: graphs of a hundred thousand nodes in a row exist. */
function visit(root: Node, producers: Map<string, Node>, state: Map<Node, string>, order: Node[]): void {
  const stack = [root];
  while (stack.length > 0) {
    const node = stack[stack.length - 1];
    const waiting = state.has(node) ? [] : unfinished(node, producers, state);
    if (!state.has(node)) state.set(node, 'open');
    stack.push(...waiting);
    if (waiting.length > 0) continue;
    stack.pop();
    if (state.get(node) === 'open') order.push(node);
    state.set(node, 'done');
  }
}

function unfinished(node: Node, producers: Map<string, Node>, state: Map<Node, string>): Node[] {
  const makers = new Set(usesOf(node).flatMap(name => producers.get(name) ?? []));
  for (const maker of makers) {
    if (maker !== node && state.get(maker) !== 'open') continue;
    throw new GaslawError(`node "${node.name}" and node "${maker.name}" depend on each other`);
  }
  return [...makers].filter(maker => !state.has(maker)).reverse();
}

/**
 * Makes every node (and body) that reads `from` read `to`. Graph outputs keep their names, since callers use them:
 * a pass that wants to free an output renames the maker's output instead.
 */
export function replaceUses(graph: Graph, from: string, to: string): void {
  replaceAllUses(graph, new Map([[from, to]]));
}

/** Many replacements in one walk. Chains (a to b, b to c) are not followed. */
export function replaceAllUses(graph: Graph, names: ReadonlyMap<string, string>): void {
  for (const { node } of walkNodes(graph)) {
    node.inputs = node.inputs.map(name => names.get(name) ?? name);
  }
}

/** Removes nodes and the types of what they made. Readers of their outputs must be gone or renamed. */
export function removeNodes(graph: Graph, nodes: ReadonlySet<Node>): void {
  for (const node of nodes) for (const output of node.outputs) graph.types.delete(output);
  graph.nodes = graph.nodes.filter(node => !nodes.has(node));
}

/** A copy whose lists, maps and nodes may be changed; tensors are shared. */
export function cloneGraph(graph: Graph): Graph {
  return {
    name: graph.name,
    inputs: [...graph.inputs],
    outputs: [...graph.outputs],
    initializers: new Map(graph.initializers),
    nodes: graph.nodes.map(cloneNode),
    types: new Map(graph.types),
  };
}

export const cloneNode = (node: Node): Node => ({
  ...node,
  inputs: [...node.inputs],
  outputs: [...node.outputs],
  attributes: Object.fromEntries(
    Object.entries(node.attributes).map(([name, a]) => [name, cloneAttribute(a)]),
  ),
});

const cloneAttribute = (a: Attribute): Attribute =>
  a.type === 'graph' ? { type: 'graph', value: cloneGraph(a.value) } : a;

export const cloneModel = (model: Model): Model => ({
  ...model,
  opsets: new Map(model.opsets),
  metadata: new Map(model.metadata),
  graph: cloneGraph(model.graph),
});

/** Gives names that no value and no node of the graph or its bodies has. */
export class FreshNames {
  readonly #taken = new Set<string>();
  readonly #next = new Map<string, number>();

  constructor(graph: Graph) {
    this.#takeFrom(graph);
  }

  #takeFrom(graph: Graph): void {
    for (const name of definedNames(graph)) this.#taken.add(name);
    for (const node of graph.nodes) {
      for (const name of [node.name, ...node.inputs]) this.#taken.add(name);
      for (const body of bodiesOf(node)) this.#takeFrom(body);
    }
  }

  /** `base` itself if it is free, else `base_1`, `base_2`, … */
  fresh(base: string): string {
    let count = this.#next.get(base) ?? 0;
    let name = count === 0 ? base : `${base}_${count}`;
    while (this.#taken.has(name)) name = `${base}_${++count}`;
    this.#next.set(base, count + 1);
    this.#taken.add(name);
    return name;
  }
}
