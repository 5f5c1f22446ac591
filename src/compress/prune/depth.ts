/**
 * Taking whole residual branches out: y = x + f(x) becomes y = x.
 *
 * 1. A branch hangs on an Add of two values of one shape, of which one (the shortcut) is all that the other is made of, weights
 *    aside. What shortens or widens the shortcut (strides, projections) is no such branch, since without it shapes differ.
 * 2. Influence of a branch: 1 − mean cos(x, x + f(x)) over examples and positions, forward only (block influence of ShortGPT,
 *    Men et al. 2024, arXiv:2403.03853).
 */
import { type Graph, type Model, type Node, opKey, type Shape, type Tensor, typeOf } from '../../graph/ir.ts';
import { eliminateDeadCode } from '../../graph/passes/dce.ts';
import { cloneGraph, producersOf, replaceUses, usesOf } from '../../graph/walk.ts';
import { inferShapes } from '../../ops/infer.ts';
import { sameDim } from '../../ops/shape/dims.ts';
import type { CompileOptions, Runtime } from '../../runtime/runtime.ts';
import { GaslawError } from '../../util/errors.ts';
import { macsOf } from './structured.ts';

export interface ResidualBranch {
  /** Name of the sum x + f(x). */
  readonly sum: string;
  /** Name of x. */
  readonly shortcut: string;
  /** Name of f(x). */
  readonly branch: string;
}

/** Every branch that can go, in the order of the graph, which needs inferred types. */
export function residualBranches(graph: Graph): ResidualBranch[] {
  const producers = producersOf(graph);
  const outputs = new Set(graph.outputs.map(o => o.name));
  return graph.nodes.flatMap(node => {
    const sum = node.outputs[0] as string;
    if (opKey(node) !== 'Add' || outputs.has(sum)) return [];
    const [a, b] = node.inputs as [string, string];
    if (!sameShape(typeOf(graph, a)?.shape, typeOf(graph, b)?.shape)) return [];
    const found = [
      { sum, shortcut: a, branch: b },
      { sum, shortcut: b, branch: a },
    ].find(r => hangsOn(graph, producers, r));
    return found ? [found] : [];
  });
}

/** Branches that do the work of a layer: without them there are fewer multiply-adds (x + 0.04 x³ of a GELU is none). */
export function layerBranches(graph: Graph): ResidualBranch[] {
  const whole = macsOf(graph);
  return residualBranches(graph).filter(branch => macsOf(withoutBranches(graph, [branch])) < whole);
}

const sameShape = (a: Shape | undefined, b: Shape | undefined): boolean =>
  a !== undefined && b !== undefined && a.length === b.length && a.every((d, i) => sameDim(d, b[i] ?? ''));

/** Whether `branch` is computed from `shortcut` and constants alone, over one node at least. */
function hangsOn(graph: Graph, producers: ReadonlyMap<string, Node>, r: ResidualBranch): boolean {
  const seen = new Set<string>();
  const waiting = [r.branch];
  let reached = false;
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (name === r.shortcut) {
      reached = true;
      continue;
    }
    if (seen.has(name) || graph.initializers.has(name)) continue;
    seen.add(name);
    const maker = producers.get(name);
    if (!maker) return false;
    waiting.push(...usesOf(maker));
  }
  return reached && r.branch !== r.shortcut;
}

/** A copy of `graph` without `branches`; those within a branch that goes may be named too. */
export function withoutBranches(graph: Graph, branches: readonly ResidualBranch[]): Graph {
  const shorter = cloneGraph(graph);
  const gone = new Map(branches.map(b => [b.sum, b.shortcut]));
  const stands = (name: string): string => {
    const next = gone.get(name);
    return next === undefined ? name : stands(next);
  };
  for (const sum of gone.keys()) replaceUses(shorter, sum, stands(sum));
  eliminateDeadCode(shorter);
  shorter.types.clear();
  inferShapes(shorter);
  return shorter;
}

/** 1 − mean cos(x, x + f(x)) of each branch over the vectors of `axis` (channels of images: 1, of sequences: −1). */
export async function branchInfluence(
  runtime: Runtime,
  model: Model,
  branches: readonly ResidualBranch[],
  batches: Iterable<Readonly<Record<string, Tensor>>>,
  { axis, ...options }: CompileOptions & { axis?: number } = {},
): Promise<number[]> {
  const graph = cloneGraph(model.graph);
  const taps = [...new Set(branches.flatMap(b => [b.shortcut, b.sum]))].filter(
    name => !graph.inputs.some(i => i.name === name),
  );
  graph.outputs = taps.map(name => ({ name, ...(typeOf(graph, name) ?? { dtype: 'float32' as const }) }));
  using program = await runtime.compile({ ...model, graph }, options);
  const cosines = branches.map(() => ({ sum: 0, count: 0 }));
  for (const feeds of batches) {
    const values = { ...feeds, ...(await program.call(feeds, taps)) };
    branches.forEach((branch, i) => {
      const [x, y] = [values[branch.shortcut] as Tensor, values[branch.sum] as Tensor];
      const found = cosineSum(x, y, axis ?? (x.dims.length === 4 ? 1 : -1));
      const total = cosines[i] as { sum: number; count: number };
      total.sum += found.sum;
      total.count += found.count;
    });
  }
  if (cosines.some(c => c.count === 0))
    throw new GaslawError('influence of layers needs data; give data, or name the layers to remove');
  return cosines.map(c => 1 - c.sum / c.count);
}

/** Σ cos over the vectors along `axis` of two tensors of one shape, and how many there are. */
function cosineSum(x: Tensor, y: Tensor, axis: number): { sum: number; count: number } {
  const at = axis < 0 ? axis + x.dims.length : axis;
  const width = x.dims[at] as number;
  const inner = x.dims.slice(at + 1).reduce((a, b) => a * b, 1);
  const [a, b] = [x.data as Float32Array, y.data as Float32Array];
  const count = a.length / width;
  let sum = 0;
  for (let v = 0; v < count; v++) {
    const start = Math.floor(v / inner) * width * inner + (v % inner);
    let [dot, aa, bb] = [0, 0, 0];
    for (let i = start, end = start + width * inner; i < end; i += inner) {
      const [p, q] = [a[i] as number, b[i] as number];
      dot += p * q;
      aa += p * p;
      bb += q * q;
    }
    sum += aa === 0 && bb === 0 ? 1 : dot / Math.max(Math.sqrt(aa * bb), 1e-12);
  }
  return { sum, count };
}
