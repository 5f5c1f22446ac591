/**
 * What the channels that stay say about those that go: a layer that reads both is changed so that its output keeps what can be
 * foretold from the rest.
 *
 *   x_R ≈ A x_K,  A = E[x_R x_Kᵀ] E[x_K x_Kᵀ]⁻¹ = −(P_RR)⁻¹ P_RK  with P = E[x xᵀ]⁻¹
 *   W x = W_K x_K + W_R x_R ≈ (W_K + W_R A) x_K
 *
 * Positions of an image are samples of their own, and every tap of a kernel is changed alike.
 * Sources: Hassibi and Stork 1993; Kurtić et al. 2023 (ZipLM, arXiv:2302.04089); He et al. 2017 (arXiv:1707.06168).
 */
import { float32, type Graph, type Model, type Node, opKey, type Tensor, typeOf } from '../../graph/ir.ts';
import { cloneGraph, consumersOf } from '../../graph/walk.ts';
import { Builder } from '../../ops/builder.ts';
import { Attributes } from '../../ops/rule.ts';
import type { CompileOptions, Runtime } from '../../runtime/runtime.ts';
import type { Feeds } from '../../train/graph-learner.ts';
import { dampedInverse } from '../quantize/methods/hessian.ts';
import { type ChannelGroup, pruningDimensions } from './groups.ts';

/** A weight that sums over channels of a value. */
interface Reader {
  readonly weight: string;
  readonly axis: number;
  readonly value: string;
  /** Axis of the channels in the value. */
  readonly channels: number;
}

/** P = E[x xᵀ]⁻¹ of what a reader reads, and how many channels that has. */
interface Known {
  readonly count: number;
  readonly precision: Float64Array;
}

/** Sets other weights in the graph for the removal of `groups`, which is still to be done. */
export type Compensation = (graph: Graph, groups: Iterable<ChannelGroup>) => void;

const DAMPING = 1e-3;

/** From runs of `model` (types inferred) on batches. */
export async function compensation(
  runtime: Runtime,
  model: Model,
  batches: Iterable<Feeds>,
  options: CompileOptions = {},
): Promise<Compensation> {
  const readers = readersOf(model.graph);
  const grams = await gramsOf(runtime, model, readers, batches, options);
  const known = new Map<string, Known>();
  for (const [value, gram] of grams) {
    const count = Math.sqrt(gram.length);
    known.set(value, { count, precision: dampedInverse({ columns: count, gram }, DAMPING) });
  }
  return (graph, groups) => compensate(graph, readers, known, groups);
}

/** Products and convolutions whose weight sums over an axis that pruning may shorten. */
function readersOf(graph: Graph): Reader[] {
  const runs = pruningDimensions(graph).flatMap(d => d.groups[0]?.weights ?? []);
  const axes = new Set(runs.map(run => `${run.value}\0${run.axis}`));
  const consumers = consumersOf(graph);
  return [...graph.initializers.keys()].flatMap(weight => {
    const [node, ...more] = consumers.get(weight) ?? [];
    const reader = node && more.length === 0 ? readerOf(graph, node, weight) : undefined;
    return reader && axes.has(`${weight}\0${reader.axis}`) ? [reader] : [];
  });
}

function readerOf(graph: Graph, node: Node, weight: string): Reader | undefined {
  const [value] = node.inputs as [string];
  const rank = typeOf(graph, value)?.shape?.length ?? 0;
  const a = new Attributes(node.attributes);
  if (node.inputs[1] !== weight || rank < 2) return undefined;
  if (graph.initializers.get(weight)?.dtype !== 'float32') return undefined;
  switch (opKey(node)) {
    case 'Conv':
      return a.int('group', 1) === 1 ? { weight, axis: 1, value, channels: 1 } : undefined;
    case 'Gemm':
      return a.int('transA', 0) === 0 ? { weight, axis: a.int('transB', 0), value, channels: 1 } : undefined;
    case 'MatMul':
      return (graph.initializers.get(weight) as Tensor).dims.length === 2
        ? { weight, axis: 0, value, channels: rank - 1 }
        : undefined;
    default:
      return undefined;
  }
}

/** Σ x xᵀ over samples and positions, by value; computed inside the graph, so that [C, C] leaves a run. */
async function gramsOf(
  runtime: Runtime,
  model: Model,
  readers: readonly Reader[],
  batches: Iterable<Feeds>,
  options: CompileOptions,
): Promise<Map<string, Float64Array>> {
  const axes = new Map(readers.map(r => [r.value, r.channels]));
  const values = [...axes.keys()];
  const b = new Builder(cloneGraph(model.graph));
  b.graph.outputs = [];
  values.forEach((value, i) => {
    const x = b.value(value).cast('float32');
    const axis = axes.get(value) as number;
    const order = [axis, ...Array.from({ length: x.rank }, (_, k) => k).filter(k => k !== axis)];
    const rows = x.transpose(order).reshape([0, -1]);
    b.output(rows.matmul(rows.transpose([1, 0])), `gram:${i}`);
  });
  using program = await runtime.compile({ ...model, graph: b.graph }, options);
  const sums = new Map<string, Float64Array>();
  for (const feeds of batches) {
    const found = await program.call(feeds);
    values.forEach((value, i) => {
      const gram = (found[`gram:${i}`] as Tensor).data as Float32Array;
      const sum = sums.get(value) ?? new Float64Array(gram.length);
      sums.set(value, sum);
      for (let n = 0; n < gram.length; n++) sum[n] = (sum[n] as number) + (gram[n] as number);
    });
  }
  return sums;
}

/** For every channel of an axis the weights that read it. */
function columnsOf({ dims, data }: Tensor, axis: number): Float64Array[] {
  const count = dims[axis] as number;
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const lines = Array.from({ length: count }, () => new Float64Array(data.length / count));
  for (let i = 0; i < data.length; i++) {
    const [outer, within] = [Math.floor(i / (inner * count)), i % inner];
    (lines[Math.floor(i / inner) % count] as Float64Array)[outer * inner + within] = Number(data[i]);
  }
  return lines;
}

function withColumns({ dims, data }: Tensor, axis: number, lines: readonly Float64Array[]): Tensor {
  const count = dims[axis] as number;
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  return float32(
    dims,
    Float32Array.from(data as Float32Array, (_, i) => {
      const [outer, within] = [Math.floor(i / (inner * count)), i % inner];
      return (lines[Math.floor(i / inner) % count] as Float64Array)[outer * inner + within] as number;
    }),
  );
}

function compensate(
  graph: Graph,
  readers: readonly Reader[],
  known: ReadonlyMap<string, Known>,
  groups: Iterable<ChannelGroup>,
): void {
  const gone = new Map<string, Set<number>>();
  for (const { value, axis, channels } of [...groups].flatMap(g => g.weights)) {
    const key = `${value}\0${axis}`;
    gone.set(key, new Set([...(gone.get(key) ?? []), ...channels]));
  }
  for (const { weight, axis, value } of readers) {
    const removed = [...(gone.get(`${weight}\0${axis}`) ?? [])].sort((a, b) => a - b);
    const of = known.get(value);
    if (removed.length === 0 || !of || removed.length === of.count) continue;
    const tensor = graph.initializers.get(weight) as Tensor;
    graph.initializers.set(weight, withColumns(tensor, axis, shifted(columnsOf(tensor, axis), of, removed)));
  }
}

/** w_k + Σ_r w_r A_rk for every channel k that stays. */
function shifted(lines: readonly Float64Array[], { count, precision: p }: Known, removed: readonly number[]) {
  const r = removed.length;
  const block = Float64Array.from({ length: r * r }, (_, i) => {
    const [row, column] = [removed[Math.floor(i / r)] as number, removed[i % r] as number];
    return p[row * count + column] as number;
  });
  const inverse = dampedInverse({ columns: r, gram: block }, 0);
  const gone = new Set(removed);
  return lines.map((line, k) => {
    if (gone.has(k)) return line;
    const out = line.slice();
    for (let i = 0; i < r; i++) {
      let a = 0;
      for (let j = 0; j < r; j++)
        a -= (inverse[i * r + j] as number) * (p[(removed[j] as number) * count + k] as number);
      const from = lines[removed[i] as number] as Float64Array;
      for (let n = 0; n < out.length; n++) out[n] = (out[n] as number) + a * (from[n] as number);
    }
    return out;
  });
}
