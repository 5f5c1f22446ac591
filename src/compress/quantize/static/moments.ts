/**
 * What decides the error of one layer's output: second moments of what its weights multiply, and how they go with the
 * output that is wanted. The patches of a convolution are made by a convolution of each plane with kernels that hold a single 1.
 *
 *   E ‖y − W x̂ − b‖²  depends on W through  G = E[x̂ x̂ᵀ]  and  C = E[y x̂ᵀ],  on b through the means.
 *
 * Data are read until there are ENOUGH columns for each weight of an output channel, and SAMPLES samples: a convolution
 * has thousands in every image. Batches go to two halves in turn: what one half says can be checked on the other.
 */
import {
  float32,
  type Graph,
  int64,
  type Model,
  modelOf,
  type Node,
  opKey,
  sizeOf,
  type Tensor,
  typeOf,
} from '../../../graph/ir.ts';
import { Builder, type Value } from '../../../ops/builder.ts';
import { Attributes } from '../../../ops/rule.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { Feeds } from '../calibrate.ts';
import { tapped } from './observe.ts';
import type { PlannedWeight } from './plan.ts';
import type { Simulation } from './simulate.ts';

const ENOUGH = 256;
const SAMPLES = 128;

/** Of one layer, by group of channels; means, not sums. */
export interface Moments {
  readonly groups: number;
  /** Output channels of a group. */
  readonly rows: number;
  /** Weights of an output channel. */
  readonly columns: number;
  /** [groups, columns, columns] */
  readonly gram: Float64Array;
  /** [groups, rows, columns] */
  readonly cross: Float64Array;
  /** [groups, columns] */
  readonly meanX: Float64Array;
  /** [groups, rows] */
  readonly meanY: Float64Array;
}

export interface SplitMoments {
  readonly all: Moments;
  /** Absent where there is one batch. */
  readonly halves?: readonly [Moments, Moments];
}

/** Whether a weight's layer can be seen so: one node that multiplies by it from the right. */
export function isLinear({ places, tensor, channelAxis }: PlannedWeight): boolean {
  const [{ node, input }, ...more] = places;
  if (more.length > 0 || input !== 1) return false;
  const key = opKey(node);
  const a = new Attributes(node.attributes);
  if (key === 'Gemm') return a.int('transA', 0) === 0 && a.float('alpha', 1) === 1;
  if (key === 'MatMul') return tensor.dims.length === 2;
  return key === 'Conv' && channelAxis === 0;
}

/** Moments of weight `i`: x̂ from the simulation as it is now, y from the float model. */
export async function momentsOf(
  runtime: Runtime,
  model: Model,
  simulation: Simulation,
  i: number,
  weight: PlannedWeight,
  data: Iterable<Feeds>,
): Promise<SplitMoments> {
  const { node } = weight.places[0];
  const [x, y] = [simulation.inputOf(i), node.outputs[0]];
  using float = await runtime.compile({ ...model, graph: tapped(model.graph, [y]) });
  using stand = await simulation.compile(runtime, [x]);
  const shape = typeOf(model.graph, node.inputs[0])?.shape ?? [];
  using products = await runtime.compile(modelOf(productsGraph(node, weight, shape.length)));
  const [all, ...halves] = [0, 1, 2].map(() => new Sums(weight, node));
  let batches = 0;
  for (const feeds of data) {
    const wanted = (await float.call(feeds, [y]))[y];
    const seen = (await stand.call(feeds, [x]))[x];
    const values = await products.call({ x: seen, y: wanted });
    for (const sums of [all, halves[batches % 2]]) sums.add(values, seen.dims[0]);
    batches++;
    if (all.enough) break;
  }
  const [first, second] = halves;
  return {
    all: all.moments(),
    ...(batches > 1 && { halves: [first.moments(), second.moments()] as const }),
  };
}

const groupOf = (node: Node): number => new Attributes(node.attributes).int('group', 1);

class Sums {
  readonly #groups: number;
  readonly #rows: number;
  readonly #columns: number;
  readonly #sums: Record<string, Float64Array> = {};
  #count = 0;
  #samples = 0;

  constructor({ tensor, channelAxis }: PlannedWeight, node: Node) {
    const channels = tensor.dims[channelAxis];
    this.#groups = groupOf(node);
    this.#rows = channels / this.#groups;
    this.#columns = sizeOf(tensor.dims) / channels;
  }

  get enough(): boolean {
    return this.#count >= ENOUGH * this.#columns && this.#samples >= SAMPLES;
  }

  add(values: Readonly<Record<string, Tensor>>, samples: number): void {
    this.#samples += samples;
    for (const [name, { data }] of Object.entries(values)) {
      if (name === 'count') continue;
      const numbers = data as Float32Array;
      this.#sums[name] ??= new Float64Array(numbers.length);
      const sum = this.#sums[name];
      for (let k = 0; k < sum.length; k++) sum[k] += numbers[k];
    }
    this.#count += Number(values.count.data[0]);
  }

  moments(): Moments {
    const mean = (name: string) => this.#sums[name].map(v => v / this.#count);
    return {
      groups: this.#groups,
      rows: this.#rows,
      columns: this.#columns,
      gram: mean('gram'),
      cross: mean('cross'),
      meanX: mean('sumX'),
      meanY: mean('sumY'),
    };
  }
}

/** x, y → Σ u uᵀ, Σ y uᵀ, Σ u, Σ y, count over the columns u that the weights multiply. */
function productsGraph(node: Node, { tensor }: PlannedWeight, rank: number): Graph {
  const b = new Builder('moments');
  const free = Array.from({ length: rank }, (_, k) => `d${k}`);
  const x = b.input('x', 'float32', free);
  const y = b.input(
    'y',
    'float32',
    free.map(d => `${d}y`),
  );
  const convolution = opKey(node) === 'Conv';
  const u = convolution ? patches(b, x, node, tensor.dims) : rowsFirst(b, x);
  const v = convolution ? channelsFirst(b, y, groupOf(node)) : rowsFirst(b, y);
  const turned = b.op('Transpose', [u], { perm: [0, 2, 1] });
  b.output(b.op('MatMul', [u, turned], {}), 'gram');
  b.output(b.op('MatMul', [v, turned], {}), 'cross');
  b.output(u.sum([2], false), 'sumX');
  b.output(v.sum([2], false), 'sumY');
  b.output(b.op('Shape', [u], { start: 2, end: 3 }), 'count');
  return b.graph;
}

/** [.., K] → [1, K, N] */
function rowsFirst(b: Builder, x: Value): Value {
  const last = b.op('Shape', [x], { start: -1 });
  const flat = b.op('Reshape', [x, b.concat([b.constant(int64([1], [-1])), last], 0)], {});
  return b.op('Unsqueeze', [b.op('Transpose', [flat], { perm: [1, 0] }), b.constant(int64([1], [0]))], {});
}

/** [N, C, …] → [groups, C / groups, N · …] */
function channelsFirst(b: Builder, x: Value, groups: number): Value {
  const perm = [1, 0, ...Array.from({ length: x.rank - 2 }, (_, k) => k + 2)];
  const turned = b.op('Transpose', [x], { perm });
  const flat = b.op('Flatten', [turned], { axis: 1 });
  const channels = b.op('Shape', [x], { start: 1, end: 2 });
  const each = b.op('Div', [channels, b.constant(int64([1], [groups]))], {});
  const shape = b.concat([b.constant(int64([1], [groups])), each, b.constant(int64([1], [-1]))], 0);
  return b.op('Reshape', [flat, shape], {});
}

/** The patches that a convolution's weights multiply, [groups, columns, N · positions]: each plane by itself. */
function patches(b: Builder, x: Value, node: Node, dims: readonly number[]): Value {
  const kernel = dims.slice(2);
  const size = sizeOf(kernel);
  const ones = Float32Array.from({ length: size * size }, (_, k) => (k % (size + 1) === 0 ? 1 : 0));
  const w = b.constant(float32([size, 1, ...kernel], ones));
  const [samples, space] = [b.op('Shape', [x], { end: 1 }), b.op('Shape', [x], { start: 2 })];
  const at = (...n: number[]) => b.constant(int64([n.length], n));
  const planes = b.op('Reshape', [x, b.concat([at(-1, 1), space], 0)], {});
  const y = b.op('Conv', [planes, w], {});
  b.graph.nodes[b.graph.nodes.length - 1].attributes = {
    ...node.attributes,
    group: { type: 'int', value: 1 },
  };
  const columns = at(groupOf(node) * sizeOf(dims.slice(1)));
  const joined = b.op('Reshape', [y, b.concat([samples, columns, at(-1)], 0)], {});
  return channelsFirst(b, joined, groupOf(node));
}
