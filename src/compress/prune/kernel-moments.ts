/**
 * Second moments of what the kernels of convolutions and the weights of Gemm sum over, from runs on data.
 *
 *   patches P = Conv(x, one-hot kernel), [batch, groups · columns, positions];   Σ P Pᵀ over batch and positions, by group
 *
 * 1. Patches are cut and multiplied inside the graph, so that [groups, columns, columns] leaves a run.
 * 2. Sums, not means: a positive factor changes no choice of zeros and nothing that makes up for them.
 */
import { float32, type Model, type Node, opKey, type Tensor } from '../../graph/ir.ts';
import { cloneGraph } from '../../graph/walk.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { inferShapes } from '../../ops/infer.ts';
import { Attributes } from '../../ops/rule.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Feeds } from '../quantize/calibrate.ts';
import type { InputStatistics } from '../quantize/methods/index.ts';

/** By weight name, one for each group; in the order of the columns of `matricesOf`. */
export async function kernelMoments(
  runtime: Runtime,
  model: Model,
  batches: Iterable<Feeds>,
  names: ReadonlySet<string>,
): Promise<Map<string, InputStatistics[]>> {
  const b = new Builder(cloneGraph(model.graph));
  inferShapes(b.graph);
  const readers = b.graph.nodes.filter(node => READS.has(opKey(node)) && names.has(node.inputs[1] as string));
  if (readers.length === 0) return new Map();
  b.graph.outputs = [];
  readers.forEach((node, i) => void b.output(momentsOf(b, node), `moments:${i}`));
  using program = await runtime.compile({ ...model, graph: b.graph });
  const sums = new Map<string, { groups: number; sum: Float64Array }>();
  for (const feeds of batches) {
    const found = await program.call(feeds);
    readers.forEach((node, i) => void add(sums, node.inputs[1] as string, found[`moments:${i}`] as Tensor));
  }
  return new Map([...sums].map(([name, { groups, sum }]) => [name, byGroup(groups, sum)]));
}

const READS: ReadonlySet<string> = new Set(['Conv', 'Gemm']);

/** [groups, columns, columns]. */
function momentsOf(b: Builder, node: Node): Value {
  const x = b.value(node.inputs[0] as string);
  if (opKey(node) === 'Gemm') return x.transpose([1, 0]).matmul(x).unsqueeze([0]);
  const groups = new Attributes(node.attributes).int('group', 1);
  const { dims } = b.graph.initializers.get(node.inputs[1] as string) as Tensor;
  const columns = dims.slice(1).reduce((product, n) => product * n, 1);
  const patches = b.op('Conv', [x, b.constant(oneHot(dims, groups))], windowOf(node, groups));
  const rows = patches
    .reshape([0, groups * columns, -1])
    .transpose([1, 0, 2])
    .reshape([groups, columns, -1]);
  return rows.matmul(rows.transpose([0, 2, 1]));
}

function windowOf(node: Node, group: number) {
  const a = new Attributes(node.attributes);
  const auto_pad = a.string('auto_pad', 'NOTSET');
  const pads = auto_pad === 'NOTSET' ? a.ints('pads') : undefined;
  return { group, auto_pad, pads, strides: a.ints('strides'), dilations: a.ints('dilations') };
}

/** A kernel [groups · taps · channels, channels, …taps] whose output number tap · channels + c is channel c under that tap. */
function oneHot([, channels, ...taps]: readonly number[], groups: number): Tensor {
  const count = taps.reduce((product, n) => product * n, 1);
  const c = channels as number;
  const columns = count * c;
  const data = new Float32Array(groups * columns * columns);
  for (let row = 0; row < groups * columns; row++) {
    const [tap, channel] = [Math.floor((row % columns) / c), row % c];
    data[row * columns + channel * count + tap] = 1;
  }
  return float32([groups * columns, c, ...taps], data);
}

function add(
  sums: Map<string, { groups: number; sum: Float64Array }>,
  name: string,
  { dims, data }: Tensor,
): void {
  const { sum } = sums.get(name) ?? { sum: new Float64Array(data.length) };
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (data[i] as number);
  sums.set(name, { groups: dims[0] as number, sum });
}

function byGroup(groups: number, sum: Float64Array): InputStatistics[] {
  const size = sum.length / groups;
  return Array.from({ length: groups }, (_, g) => ({
    columns: Math.sqrt(size),
    gram: sum.subarray(g * size, (g + 1) * size),
  }));
}
