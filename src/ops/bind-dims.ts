/** Numbers for symbolic dims: what one run costs, what a device with fixed shapes takes, what to time. */
import type { Graph, ValueInfo } from '../graph/ir.ts';
import { UNNAMED } from '../graph/to-proto.ts';
import { cloneGraph } from '../graph/walk.ts';
import { UsageError } from '../util/errors.ts';
import { inferShapes } from './infer.ts';

/** What becomes of symbols without a number: the first axis of an input (the batch) is 1, every symbol is, or none. */
export type OtherDims = 'batch' | 'all' | 'none';

/** A copy with the symbols of inputs and outputs bound to `dims`. Types have to be inferred anew, in today's op forms. */
export function bindDims(graph: Graph, dims: ReadonlyMap<string, number>, others: OtherDims): Graph {
  const bound = cloneGraph(graph);
  const known = new Map(dims);
  for (const { shape } of others === 'none' ? [] : bound.inputs) {
    for (const dim of others === 'all' ? (shape ?? []) : (shape ?? []).slice(0, 1))
      if (typeof dim === 'string' && !known.has(dim)) known.set(dim, 1);
  }
  bound.inputs = bound.inputs.map(input => withDims(input, known));
  bound.outputs = bound.outputs.map(output => withDims(output, known));
  bound.types.clear();
  return bound;
}

const withDims = (value: ValueInfo, dims: ReadonlyMap<string, number>): ValueInfo =>
  value.shape
    ? { ...value, shape: value.shape.map(d => (typeof d === 'string' ? (dims.get(d) ?? d) : d)) }
    : value;

/** Symbolic dims, each once. */
export const symbolsOf = (values: readonly Pick<ValueInfo, 'shape'>[]): string[] => [
  ...new Set(values.flatMap(({ shape }) => shape ?? []).filter(dim => typeof dim === 'string')),
];

/** Whether the model's maker named the symbol. */
export const isNamed = (symbol: string): boolean => !symbol.startsWith(UNNAMED);

/** Throws a UsageError for the first of `dims` that no input has. */
export function assertDims({ inputs }: Graph, dims: ReadonlyMap<string, number>): void {
  const names = symbolsOf(inputs);
  const unknown = [...dims.keys()].find(name => !names.includes(name));
  if (unknown !== undefined)
    throw new UsageError(
      `the model has no dimension "${unknown}"; it has ${names.filter(isNamed).join(', ') || 'none with a name'}`,
    );
}

/** A copy whose symbolic dims are all 1, with types inferred anew. */
export function batchOfOne(graph: Graph): Graph {
  const copy = bindDims(graph, new Map(), 'all');
  inferShapes(copy);
  return copy;
}
