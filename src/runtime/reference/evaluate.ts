/**
 * Running a graph by hand: nodes in order, values by name.
 *
 * 1. Only nodes that the asked outputs depend on run.
 * 2. A value is dropped after its last reader.
 */
import { type Graph, type Node, opKey, type Tensor } from '../../graph/ir.ts';
import { isOpType } from '../../ops/schema.ts';
import { GaslawError } from '../../util/errors.ts';
import { kernelContext } from './kernel.ts';
import { KERNELS } from './kernels/index.ts';

/** What to run for given outputs: nodes in order, and which values die after each. */
export interface Plan {
  readonly steps: readonly { readonly node: Node; readonly dead: readonly string[] }[];
  readonly outputs: readonly string[];
}

/** Throws a GaslawError naming the first node whose op is unknown, or the output that nothing makes. */
export function planRun(graph: Graph, outputs: readonly string[] = graph.outputs.map(o => o.name)): Plan {
  const nodes = neededNodes(graph, outputs);
  const unknown = nodes.find(node => !isOpType(opKey(node)));
  if (unknown) {
    throw new GaslawError(`node "${unknown.name}": op ${opKey(unknown)} is not in gaslaw's op list`);
  }
  return { steps: withDeaths(nodes, new Set(outputs)), outputs };
}

function neededNodes(graph: Graph, outputs: readonly string[]): Node[] {
  const needed = new Set(outputs);
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some(name => name !== '' && needed.has(name))) continue;
    nodes.push(node);
    for (const name of node.inputs) needed.add(name);
  }
  return nodes.reverse();
}

function withDeaths(nodes: readonly Node[], kept: ReadonlySet<string>): Plan['steps'] {
  const seen = new Set(kept);
  const steps = nodes.toReversed().map(node => {
    const dead = [...new Set([...node.inputs, ...node.outputs])].filter(name => !seen.has(name));
    for (const name of dead) seen.add(name);
    return { node, dead };
  });
  return steps.reverse();
}

/** Runs a plan on `inputs` and returns its outputs. */
export function runPlan(
  graph: Graph,
  plan: Plan,
  inputs: Readonly<Record<string, Tensor>>,
): Record<string, Tensor> {
  const values = new Map<string, Tensor>([...graph.initializers, ...Object.entries(inputs)]);
  for (const { node, dead } of plan.steps) {
    runNode(node, values);
    for (const name of dead) values.delete(name);
  }
  return Object.fromEntries(
    plan.outputs.map(name => [name, values.get(name) ?? missing(`graph "${graph.name}"`, name)]),
  );
}

function runNode(node: Node, values: Map<string, Tensor>): void {
  const inputs = node.inputs.map(name =>
    name === '' ? undefined : (values.get(name) ?? missing(`node "${node.name}" (${opKey(node)})`, name)),
  );
  const key = opKey(node);
  if (!isOpType(key)) throw new GaslawError(`node "${node.name}": op ${key} is not in gaslaw's op list`);
  const outputs = KERNELS[key](kernelContext(node, inputs));
  node.outputs.forEach((name, i) => {
    if (name === '') return;
    if (!outputs[i]) throw new GaslawError(`node "${node.name}" (${key}): it has no output ${i}`);
    values.set(name, outputs[i]);
  });
}

function missing(where: string, name: string): never {
  throw new GaslawError(
    `${where}: value "${name}" has no data; pass it as an input or make it earlier in the graph`,
  );
}

/**
 * The values of `outputs` (the graph's own when absent; any value name is allowed) for the given inputs.
 * Results may share data with inputs and initializers: do not write to them.
 */
export function evaluate(
  graph: Graph,
  inputs: Readonly<Record<string, Tensor>>,
  outputs?: readonly string[],
): Record<string, Tensor> {
  return runPlan(graph, planRun(graph, outputs), inputs);
}
