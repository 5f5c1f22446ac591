/**
 * One network that holds many: masks for the channels, branches and kernels that a smaller one does without are inputs of the
 * graph, so that all sizes train together and any of them can be taken out for real.
 *
 * 1. Width: each prunable dimension keeps its most important groups (channels, heads, neurons); every weight of the others is
 *    multiplied by 0, which computes the same as their removal. Depth: residual branches. Kernel: the middle of a larger one.
 * 2. A genome has one gene an axis: an index into the axis's choices, the last of which is the whole.
 * 3. Masked and extracted networks agree exactly but for the running statistics of batch norms, which are those of all sizes:
 *    measure them anew after extracting (`recovery` at rate 0).
 * Sources: Cai et al. 2020 (Once-for-all, arXiv:1908.09791), Yu and Huang 2019 (sandwich rule, arXiv:1903.05134).
 */
import { float32, type Graph, int64, opKey, type Tensor } from '../../graph/ir.ts';
import { cloneGraph, sortTopologically } from '../../graph/walk.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { inferShapes } from '../../ops/infer.ts';
import { GaslawError } from '../../util/errors.ts';
import { layerBranches, type ResidualBranch, withoutBranches } from '../prune/depth.ts';
import { type ChannelGroup, type PruningDimension, pruningDimensions } from '../prune/groups.ts';
import { removeGroups } from '../prune/remove.ts';
import { croppedKernels, type ElasticKernel, elasticKernels } from './kernels.ts';

export interface ElasticOptions {
  /** Shares of a dimension's groups that may be kept, ascending; 1 is added. Empty: widths stay. */
  readonly widths?: readonly number[];
  /** Channels kept are a multiple of this where a layer has as many. */
  readonly align?: number;
  readonly importance: (group: ChannelGroup) => number;
  /** Whether residual branches may go. */
  readonly depth?: boolean;
  /** Whether kernels above 3 may shrink. */
  readonly kernels?: boolean;
}

export interface ElasticAxis {
  readonly kind: 'width' | 'depth' | 'kernel';
  /** The weights or the value that it is about. */
  readonly name: string;
  /** Groups kept, branch kept (0 or 1), or kernel size; ascending, the last is the whole. */
  readonly choices: readonly number[];
}

/** One choice an axis, by index. */
export type Genome = readonly number[];

interface Width {
  readonly dimension: PruningDimension;
  /** Groups, the most important first. */
  readonly order: readonly number[];
  readonly choices: readonly number[];
}

export class Elastic {
  readonly axes: readonly ElasticAxis[];
  /** The network with masks as inputs; names of weights are those of the network that it was made of. */
  readonly graph: Graph;
  readonly #base: Graph;
  readonly #widths: readonly Width[];
  readonly #branches: readonly ResidualBranch[];
  readonly #kernels: readonly ElasticKernel[];

  /** `graph` needs inferred types; it stays as it was. Throws when nothing of it can be made smaller. */
  constructor(graph: Graph, options: ElasticOptions) {
    this.#base = graph;
    this.#widths = elasticWidths(graph, options);
    this.#branches = options.depth ? layerBranches(graph) : [];
    this.#kernels = options.kernels ? elasticKernels(graph) : [];
    this.axes = [
      ...this.#widths.map(w => ({ kind: 'width' as const, name: w.dimension.name, choices: w.choices })),
      ...this.#branches.map(b => ({ kind: 'depth' as const, name: b.sum, choices: [0, 1] })),
      ...this.#kernels.map(k => ({ kind: 'kernel' as const, name: k.weight, choices: k.choices })),
    ];
    if (this.axes.length === 0)
      throw new GaslawError(
        `graph "${graph.name}": nothing of it can be made smaller; allow widths, depth or kernels`,
      );
    this.graph = this.#masked();
  }

  /** How many choices each gene has. */
  get space(): number[] {
    return this.axes.map(axis => axis.choices.length);
  }

  get largest(): Genome {
    return this.axes.map(axis => axis.choices.length - 1);
  }

  get smallest(): Genome {
    return this.axes.map(() => 0);
  }

  /** The mask inputs of a genome. */
  masks(genome: Genome): Record<string, Tensor> {
    return Object.fromEntries(
      this.axes.map((axis, i) => [maskName(i), this.#mask(i, axis, this.#chosen(genome, i))]),
    );
  }

  #mask(i: number, axis: ElasticAxis, choice: number): Tensor {
    if (axis.kind === 'depth') return float32([1], [choice]);
    if (axis.kind === 'kernel') {
      const { size } = this.#kernels[i - this.#widths.length - this.#branches.length] as ElasticKernel;
      const margin = (size - choice) / 2;
      const inside = (p: number) => p >= margin && p < size - margin;
      const at = (n: number) => Number(inside(n % size) && inside(Math.floor(n / size)));
      return float32(
        [size, size],
        Float32Array.from({ length: size * size }, (_, n) => at(n)),
      );
    }
    const { order } = this.#widths[i] as Width;
    const mask = new Float32Array(order.length);
    for (const group of order.slice(0, choice)) mask[group] = 1;
    return float32([order.length], mask);
  }

  #chosen(genome: Genome, i: number): number {
    const choice = this.axes[i]?.choices[genome[i] ?? -1];
    if (choice !== undefined) return choice;
    throw new GaslawError(`gene ${i} is ${genome[i]}; it has ${this.axes[i]?.choices.length ?? 0} choices`);
  }

  /** The network of a genome by itself, with the weights of `trained` (the whole network's by name). */
  extract(genome: Genome, trained: Graph = this.#base): Graph {
    const graph = cloneGraph(this.#base);
    for (const name of graph.initializers.keys())
      graph.initializers.set(name, trained.initializers.get(name) as Tensor);
    const chosen = this.axes.map((_, i) => this.#chosen(genome, i));
    const [w, d] = [this.#widths.length, this.#branches.length];
    removeGroups(
      graph,
      this.#widths.flatMap(({ dimension, order }, i) =>
        order.slice(chosen[i]).map(group => dimension.groups[group] as ChannelGroup),
      ),
    );
    croppedKernels(graph, this.#kernels, chosen.slice(w + d));
    return withoutBranches(
      graph,
      this.#branches.filter((_, i) => chosen[w + i] === 0),
    );
  }

  #masked(): Graph {
    const b = new Builder(cloneGraph(this.#base));
    const masks = this.axes.map((axis, i) => b.input(maskName(i), 'float32', this.#mask(i, axis, 1).dims));
    const factors = new Map<string, Value[]>();
    const multiply = (weight: string, factor: Value) =>
      factors.set(weight, [...(factors.get(weight) ?? []), factor]);
    this.#widths.forEach(({ dimension }, i) => {
      for (const [weight, factor] of channelFactors(b, dimension, masks[i] as Value))
        multiply(weight, factor);
    });
    this.#branches.forEach(({ branch }, i) => {
      multiply(branch, masks[this.#widths.length + i] as Value);
    });
    this.#kernels.forEach(({ weight }, i) => {
      multiply(weight, masks[this.#widths.length + this.#branches.length + i] as Value);
    });
    readMasked(b, this.#base.nodes.length, factors, this.#branches);
    inferShapes(b.graph);
    return b.graph;
  }
}

const maskName = (i: number): string => `elastic:${i}`;

function elasticWidths(graph: Graph, { widths = [], align = 1, importance }: ElasticOptions): Width[] {
  const shares = [...new Set([...widths, 1])].sort((a, b) => a - b);
  if (shares.length < 2) return [];
  if ((shares[0] as number) <= 0 || (shares[shares.length - 1] as number) > 1)
    throw new GaslawError(`widths are shares of the whole, above 0 and at most 1, not ${widths.join(', ')}`);
  return pruningDimensions(graph)
    .filter(d => !d.mixing)
    .flatMap(dimension => {
      const choices = [...new Set(shares.map(share => groupsKept(dimension, share, align)))];
      if (choices.length < 2) return [];
      const scores = dimension.groups.map(importance);
      const order = scores.map((_, i) => i).sort((i, j) => (scores[j] as number) - (scores[i] as number));
      return [{ dimension, order, choices }];
    });
}

/** Groups of a dimension that a share of them is, in whole blocks of `align` channels. */
export function groupsKept({ groups, groupSize }: PruningDimension, share: number, align: number): number {
  const step = Math.max(1, Math.ceil(align / groupSize));
  return Math.min(groups.length, Math.max(1, Math.round((share * groups.length) / step)) * step);
}

/** Running statistics of norms: read by the norm as they are, so that they stay what training updates. */
const statisticsOf = (graph: Graph): ReadonlySet<string> =>
  new Set(graph.nodes.filter(n => opKey(n) === 'BatchNormalization').flatMap(n => n.inputs.slice(3, 5)));

/** For every float weight that a dimension runs through, a factor of 0 and 1 that broadcasts over it. */
function channelFactors(b: Builder, dimension: PruningDimension, mask: Value): Map<string, Value> {
  const { initializers } = b.graph;
  const statistics = statisticsOf(b.graph);
  const groupOf = new Map<string, { weight: string; axis: number; group: number[] }>();
  dimension.groups.forEach(({ weights }, group) => {
    for (const { value, axis, channels } of weights) {
      const tensor = initializers.get(value);
      if (tensor?.dtype !== 'float32' || statistics.has(value)) continue;
      const key = `${value}\0${axis}`;
      // channels outside the dimension read the 1 that stands behind its mask
      const known = groupOf.get(key) ?? {
        weight: value,
        axis,
        group: new Array<number>(tensor.dims[axis] as number).fill(dimension.groups.length),
      };
      groupOf.set(key, known);
      for (const c of channels) known.group[c] = group;
    }
  });
  const whole = b.concat([mask, b.constant(float32([1], [1]))], 0);
  const factors = new Map<string, Value>();
  for (const { weight, axis, group } of groupOf.values()) {
    const rank = (initializers.get(weight) as Tensor).dims.length;
    const shape = Array.from({ length: rank }, (_, i) => (i === axis ? group.length : 1));
    const factor = whole.gather(b.constant(int64([group.length], group))).reshape(shape);
    const before = factors.get(weight);
    factors.set(weight, before ? before.mul(factor) : factor);
  }
  return factors;
}

/** Lets the first `readers` nodes read weights times their factors, and sums their branches times theirs. */
function readMasked(
  b: Builder,
  readers: number,
  factors: ReadonlyMap<string, readonly Value[]>,
  branches: readonly ResidualBranch[],
): void {
  const products = new Map<string, string>();
  for (const [name, values] of factors)
    products.set(name, values.reduce((x, factor) => x.mul(factor), b.value(name)).name);
  const sumOf = new Map(branches.map(({ branch, sum }) => [branch, sum]));
  for (const node of b.graph.nodes.slice(0, readers)) {
    const reads = (name: string) => !sumOf.has(name) || sumOf.get(name) === node.outputs[0];
    node.inputs = node.inputs.map(name => (reads(name) ? (products.get(name) ?? name) : name));
  }
  sortTopologically(b.graph);
}
