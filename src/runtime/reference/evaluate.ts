/**
 * Running a graph by hand: nodes in order, values by name.
 *
 * 1. Only nodes that the asked outputs depend on run.
 * 2. A value is dropped after its last reader.
 */
import { type Graph, type Node, opKey, type Tensor } from '../../graph/ir.ts';
import { bodiesOf, usesOf } from '../../graph/walk.ts';
import { isOpType } from '../../ops/schema.ts';
import { GaslawError } from '../../util/errors.ts';
import { kernelContext, type RunBody } from './kernel.ts';
import { KERNELS } from './kernels/index.ts';

/** What to run for given outputs: nodes in order, and which values die after each. */
export interface Plan {
  readonly steps: readonly { readonly node: Node; readonly dead: readonly string[] }[];
  readonly outputs: readonly string[];
}

/** Throws a GaslawError naming the first node whose op is unknown, or the output that nothing makes. */
export function planRun(graph: Graph, outputs: readonly string[] = graph.outputs.map(o => o.name)): Plan {
  const nodes = neededNodes(graph, outputs);
  for (const node of nodes) checkKnown(node);
  return { steps: withDeaths(nodes, new Set(outputs)), outputs };
}

/** Throws for the first op, bodies included, that no kernel exists for. */
function checkKnown(node: Node): void {
  if (!isOpType(opKey(node)))
    throw new GaslawError(`node "${node.name}": op ${opKey(node)} is not in gaslaw's op list`);
  for (const body of bodiesOf(node)) body.nodes.forEach(checkKnown);
}

function neededNodes(graph: Graph, outputs: readonly string[]): Node[] {
  const needed = new Set(outputs);
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some(name => name !== '' && needed.has(name))) continue;
    nodes.push(node);
    for (const name of usesOf(node)) needed.add(name);
  }
  return nodes.reverse();
}

function withDeaths(nodes: readonly Node[], kept: ReadonlySet<string>): Plan['steps'] {
  const seen = new Set(kept);
  const steps = nodes.toReversed().map(node => {
    const dead = [...new Set([...usesOf(node), ...node.outputs])].filter(name => !seen.has(name));
    for (const name of dead) seen.add(name);
    return { node, dead };
  });
  return steps.reverse();
}

/** Runs a plan on `inputs` and returns its outputs. `outer` holds the values that a body captures. */
export function runPlan(
  graph: Graph,
  plan: Plan,
  inputs: Readonly<Record<string, Tensor>>,
  outer: ReadonlyMap<string, Tensor> = new Map(),
): Record<string, Tensor> {
  const values = new Map<string, Tensor>([...outer, ...graph.initializers, ...Object.entries(inputs)]);
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
  const outputs = KERNELS[key](kernelContext(node, inputs, bodyRunner(values)));
  node.outputs.forEach((name, i) => {
    if (name === '') return;
    if (!outputs[i]) throw new GaslawError(`node "${node.name}" (${key}): it has no output ${i}`);
    values.set(name, outputs[i]);
  });
}

/** Runs bodies inside the scope of `values`; a body is planned once for all its rounds. */
function bodyRunner(values: ReadonlyMap<string, Tensor>): RunBody {
  const plans = new Map<Graph, Plan>();
  return (body, inputs) => {
    const plan = plans.get(body) ?? planRun(body);
    plans.set(body, plan);
    const named = Object.fromEntries(body.inputs.map(({ name }, i) => [name, inputs[i]]));
    const results = runPlan(body, plan, named, values);
    return plan.outputs.map(name => results[name]);
  };
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
