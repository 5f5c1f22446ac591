/** Inputs that stay what they are in every run (a sample rate): as constants they decide branches, and no data are needed for them. */
import { type Graph, opKey, sizeOf, staticDims, type Tensor } from '../graph/ir.ts';
import { producersOf, usesOf } from '../graph/walk.ts';
import { store } from '../runtime/reference/tensor.ts';
import { UsageError } from '../util/errors.ts';

/** Tensors for `importModel`'s `constants`, each filled with its number. Throws a UsageError for an input that there is not, or of open size. */
export function constantInputs(graph: Graph, values: ReadonlyMap<string, number>): Map<string, Tensor> {
  return new Map([...values].map(([name, value]) => [name, constantFor(graph, name, value)]));
}

function constantFor(graph: Graph, name: string, value: number): Tensor {
  const input = graph.inputs.find(other => other.name === name);
  if (!input)
    throw new UsageError(
      `the model has no input "${name}"; it has ${graph.inputs.map(other => other.name).join(', ')}`,
    );
  const dims = staticDims(input.shape);
  if (!dims)
    throw new UsageError(
      `input "${name}" is [${input.shape ?? '?'}]; only inputs of fixed size can be constants`,
    );
  return store(input.dtype, dims, new Float64Array(sizeOf(dims)).fill(value));
}

export interface OpenBranch {
  readonly node: string;
  /** The inputs that it chooses by. */
  readonly inputs: readonly string[];
}

/** `If` nodes that choose by inputs of a single number alone: with numbers for these their branch is known. */
export function openBranches(graph: Graph): OpenBranch[] {
  const producers = producersOf(graph);
  const inputs = new Map(graph.inputs.map(input => [input.name, input]));
  return graph.nodes.flatMap(node => {
    if (opKey(node) !== 'If') return [];
    const seen = new Set<string>(node.inputs);
    for (const name of seen) {
      const maker = producers.get(name);
      for (const used of maker ? usesOf(maker) : []) seen.add(used);
    }
    const chosenBy = [...seen].flatMap(name => inputs.get(name) ?? []);
    const small = chosenBy.every(({ shape }) => sizeOf(staticDims(shape) ?? [2]) === 1);
    return chosenBy.length > 0 && small ? [{ node: node.name, inputs: chosenBy.map(i => i.name) }] : [];
  });
}
