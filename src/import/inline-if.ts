/**
 * `If` nodes whose condition is known: the branch that runs stands in the node's place.
 *
 * 1. What the branch defines gets names that nothing else has; what it captures keeps its names.
 * 2. A branch's output takes the node's output name; one that is no node's own gets an Identity.
 */
import { type Graph, type Node, opKey, type Tensor } from '../graph/ir.ts';
import { bodiesOf, definedNames, FreshNames } from '../graph/walk.ts';
import { inferKnown } from './types.ts';

type Constants = (name: string) => Tensor | undefined;

/** Inlines in place, bodies included, and returns the names of the nodes that are gone. Nodes stay in order. */
export function inlineConstantIfs(graph: Graph): string[] {
  const gone = inlineIn(graph, () => undefined, new FreshNames(graph));
  if (gone.length > 0) inferKnown(graph);
  return gone;
}

function inlineIn(graph: Graph, outer: Constants, names: FreshNames): string[] {
  const inputs = new Set(graph.inputs.map(input => input.name));
  const constants: Constants = name =>
    (inputs.has(name) ? undefined : graph.initializers.get(name)) ?? outer(name);
  const gone: string[] = [];
  graph.nodes = graph.nodes.flatMap(node => {
    const condition = opKey(node) === 'If' ? constants(node.inputs[0] ?? '') : undefined;
    if (!condition) {
      for (const body of bodiesOf(node)) gone.push(...inlineIn(body, constants, names));
      return [node];
    }
    const branch = node.attributes[Number(condition.data[0]) === 0 ? 'else_branch' : 'then_branch'];
    if (branch?.type !== 'graph') return [node];
    gone.push(node.name);
    return spliced(graph, node, branch.value, names);
  });
  return gone;
}

/** The branch's nodes under new names; its initializers move to `graph`. */
function spliced(graph: Graph, node: Node, branch: Graph, names: FreshNames): Node[] {
  const renamed = new Map([...definedNames(branch)].map(name => [name, names.fresh(name)]));
  const made = new Set(branch.nodes.flatMap(inner => inner.outputs));
  const copies: Node[] = [];
  branch.outputs.forEach(({ name }, i) => {
    const output = node.outputs[i] ?? '';
    if (output === '') return;
    if (made.delete(name)) renamed.set(name, output);
    else copies.push(identity(names, node, renamed.get(name) ?? name, output));
  });
  for (const [name, tensor] of branch.initializers)
    graph.initializers.set(renamed.get(name) as string, tensor);
  const nodes = branch.nodes.map(inner => renamedNode(inner, renamed, names));
  return [...nodes, ...copies];
}

const identity = (names: FreshNames, node: Node, from: string, to: string): Node => ({
  name: names.fresh(`${node.name}/Identity`),
  domain: '',
  opType: 'Identity',
  inputs: [from],
  outputs: [to],
  attributes: {},
});

function renamedNode(node: Node, renamed: ReadonlyMap<string, string>, names: FreshNames): Node {
  const to = (name: string) => renamed.get(name) ?? name;
  for (const body of bodiesOf(node)) renameCaptured(body, renamed);
  return {
    ...node,
    name: names.fresh(node.name),
    inputs: node.inputs.map(to),
    outputs: node.outputs.map(to),
  };
}

/** Names of the graph around `body`, wherever it reads them. */
function renameCaptured(body: Graph, renamed: ReadonlyMap<string, string>): void {
  const own = definedNames(body);
  const to = (name: string) => (own.has(name) ? name : (renamed.get(name) ?? name));
  body.outputs = body.outputs.map(output => ({ ...output, name: to(output.name) }));
  const outside = new Map([...renamed].filter(([name]) => !own.has(name)));
  for (const node of body.nodes) {
    node.inputs = node.inputs.map(to);
    for (const inner of bodiesOf(node)) renameCaptured(inner, outside);
  }
}
