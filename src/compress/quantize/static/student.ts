/**
 * A float graph that rounds in every step, and what of it trains: latent weights, biases and step sizes.
 *
 * 1. All parameters are differences in units of their own, so that one learning rate suits them all, from 2 bits to 8: a
 *    weight is w₀ + s₀ u; a bias b₀ + √K s₀ x v, what a code of each of its K weights does to the output at random with inputs
 *    of x, a quarter of their range; a step size s₀ e^(κ θ). It stays positive (TQT, Jain et al. 2020, trains logarithms as well) and moves
 *    slower than weights: κ takes the place of LSQ's gradient scale, which Adam would undo. w₀ is the float weight, or the
 *    nearest to it that has the code chosen.
 * 2. Codes of fewer bits than their dtype are cut by min and max with the step size's own multiples, whose gradients are LSQ's
 *    outside of the range.
 */
import { float32, type Graph, type Node, type Tensor, typeOf } from '../../../graph/ir.ts';
import { cloneGraph, FreshNames, sortTopologically } from '../../../graph/walk.ts';
import { inferShapes } from '../../../ops/infer.ts';
import { store } from '../../../runtime/reference/tensor.ts';
import { type Affine, codesOf, encode, type Range, type Scheme } from './affine.ts';
import {
  type Group,
  type PlannedBias,
  type PlannedWeight,
  type PlanOptions,
  planQdq,
  type QdqPlan,
} from './plan.ts';
import { type Chosen, writeQdq } from './rewrite.ts';
import { chosenFor, groupsOf } from './simulate.ts';
import { channelsOf, dequantized, type QuantizedTensor } from './weights.ts';

/** How fast the logarithm of a step size moves beside a weight in codes. */
const KAPPA = 0.3;
/** How far from its code a latent weight may start, in codes: ½ is where the next one begins, and noise would carry it there. */
const NEAREST = 0.25;

/** A step size of the graph: its logarithm's change, and what it was. */
interface Step {
  readonly name: string;
  readonly start: Float32Array;
}

/** A value of the graph: where it started and by what its parameter `name` moves it. */
interface Moved {
  readonly name: string;
  readonly value: string;
  readonly start: Float32Array;
  readonly units: Float32Array;
}

export class Student {
  readonly graph: Graph;
  readonly #plan: QdqPlan;
  readonly #chosen: Chosen;
  readonly #names: FreshNames;
  /** In the order of the plan. */
  readonly #weights: { latent: Moved; step: Step }[];
  readonly #biases: Moved[];
  readonly #groups: (Step | undefined)[];

  constructor(graph: Graph, plan: QdqPlan, chosen: Chosen, options: PlanOptions) {
    this.graph = cloneGraph(graph);
    this.#plan = plan;
    this.#chosen = chosen;
    const own = planQdq(this.graph, options);
    const start = chosenFor(own, plan, chosen);
    const stored = { activations: wide(chosen.activations), weights: new Map(), biases: new Map() };
    const parameters = writeQdq(this.graph, own, { ...start, ...stored });
    this.#names = new FreshNames(this.graph);
    this.#groups = groupsOf(own).map(group => {
      const names = parameters.get(group);
      if (!names) return undefined;
      this.#cut(names[0], names[1]);
      return this.#learned(names[0]);
    });
    this.#weights = own.weights.map(w => this.#weight(w, start.weights.get(w) as QuantizedTensor));
    this.#biases = own.biases.map(bias => this.#bias(bias, start, own.groups.get(bias.activation)));
    sortTopologically(this.graph);
    inferShapes(this.graph);
  }

  /** What trains. */
  get parameters(): string[] {
    const steps = [...this.#groups, ...this.#weights.map(w => w.step)];
    const thetas = steps.flatMap(step => (step ? [step.name] : []));
    const moved = [...this.#weights.map(w => w.latent), ...this.#biases];
    return [...new Set([...moved.map(m => m.name), ...thetas])];
  }

  /** The choice with the values of `trained`. */
  chosen(trained: Graph): Chosen {
    const valuesOf = (name: string) => (trained.initializers.get(name) as Tensor).data as Float32Array;
    const stepped = (affine: Affine, step: Step | undefined, at: number): Affine =>
      step
        ? { ...affine, scale: Math.fround(step.start[at] * Math.exp(KAPPA * valuesOf(step.name)[at])) }
        : affine;
    const placed = ({ name, start, units }: Moved): Float32Array =>
      valuesOf(name).map((u, i) => start[i] + units[i] * u);
    const groups = new Map(this.#chosen.groups);
    groupsOf(this.#plan).forEach((group, i) => {
      const affine = groups.get(group);
      if (affine) groups.set(group, stepped(affine, this.#groups[i], 0));
    });
    const weights = new Map<PlannedWeight, QuantizedTensor>();
    this.#plan.weights.forEach((w, i) => {
      const { latent, step } = this.#weights[i];
      const q = this.#chosen.weights.get(w) as QuantizedTensor;
      const affine = q.affine.map((a, channel) => stepped(a, step, channel));
      weights.set(w, recoded({ ...q, affine }, placed(latent)));
    });
    const biases = new Map<PlannedBias, Float32Array>();
    this.#plan.biases.forEach((bias, i) => void biases.set(bias, placed(this.#biases[i])));
    return { ...this.#chosen, groups, weights, biases };
  }

  /** A float weight, rounded on its way to its readers. */
  #weight(weight: PlannedWeight, q: QuantizedTensor): { latent: Moved; step: Step } {
    const put = (what: string, tensor: Tensor) => this.#put(`${weight.name}_${what}`, tensor);
    const dims = q.axis === undefined ? [] : [q.affine.length];
    const floats = weight.tensor.data as Float32Array;
    const units = new Float32Array(q.codes.length);
    channelsOf(q.dims, q.axis).forEach((at, c) => {
      for (const i of at) units[i] = q.affine[c].scale;
    });
    const near = dequantized(q).map((w, i) => {
      const rest = (floats[i] - w) / units[i];
      return w + units[i] * Math.min(NEAREST, Math.max(-NEAREST, rest));
    });
    const latent = this.#moved(weight.name, q.dims, near, units);
    const scale = put(
      'step',
      float32(
        dims,
        Float32Array.from(q.affine, a => a.scale),
      ),
    );
    const zeros = Float64Array.from(q.affine, a => a.zeroPoint);
    const zero = put('zero', store(wide(q.scheme).dtype, dims, zeros));
    const axis: Node['attributes'] = q.axis === undefined ? {} : { axis: { type: 'int', value: q.axis } };
    const bounded = this.#bounded(latent.value, scale, boundsOf(q), q.axis, q.dims.length);
    const codes = this.#node('QuantizeLinear', [bounded, scale, zero], axis);
    const value = this.#node('DequantizeLinear', [codes, scale, zero], axis);
    for (const { node, input } of weight.places) node.inputs[input] = value;
    return { latent, step: this.#learned(scale) };
  }

  #bias(bias: PlannedBias, start: Chosen, group: Group | undefined): Moved {
    const { name, tensor, weight } = bias;
    const { affine } = start.weights.get(weight) as QuantizedTensor;
    const input = group && start.groups.get(group);
    const { low, high } = codesOf(start.activations);
    const quarter = input ? (input.scale * (high - low)) / 4 : 1;
    const values = start.biases.get(bias) ?? (tensor.data as Float32Array);
    const channels = weight.tensor.dims[weight.channelAxis];
    const root = Math.sqrt(weight.tensor.data.length / channels);
    const units = values.map((_, c) => root * quarter * affine[c % affine.length].scale);
    const moved = this.#moved(name, tensor.dims, values, units);
    bias.node.inputs[bias.input] = moved.value;
    return moved;
  }

  /** start + units u with u trained from 0. */
  #moved(base: string, dims: readonly number[], start: Float32Array, units: Float32Array): Moved {
    const put = (what: string, data: Float32Array) => this.#put(`${base}_${what}`, float32(dims, data));
    const name = put('moved', new Float32Array(start.length));
    const change = this.#node('Mul', [name, put('units', units)]);
    const value = this.#node('Add', [change, put('start', start)]);
    return { name, value, start, units };
  }

  /** Bounds before every QuantizeLinear of a scale whose codes are fewer than its dtype's. */
  #cut(scale: string, zero: string): void {
    const { activations } = this.#chosen;
    if (wide(activations).dtype === activations.dtype) return;
    const zeroPoint = Number((this.graph.initializers.get(zero) as Tensor).data[0]);
    const { low, high } = codesOf(activations);
    for (const node of [...this.graph.nodes]) {
      if (node.opType !== 'QuantizeLinear' || node.inputs[1] !== scale) continue;
      const rank = typeOf(this.graph, node.inputs[0])?.shape?.length ?? 0;
      const bounds = [{ low: low - zeroPoint, high: high - zeroPoint }];
      node.inputs[0] = this.#bounded(node.inputs[0], scale, bounds, undefined, rank);
    }
  }

  /** min(max(x, s low), s high) */
  #bounded(
    x: string,
    scale: string,
    bounds: readonly Range[],
    axis: number | undefined,
    rank: number,
  ): string {
    const shaped = axis === undefined ? scale : this.#node('Unsqueeze', [scale, this.#others(axis, rank)]);
    const end = (which: 'low' | 'high') => {
      const dims =
        axis === undefined ? [] : Array.from({ length: rank }, (_, i) => (i === axis ? bounds.length : 1));
      const factor = this.#put(
        `${x}_${which}`,
        float32(
          dims,
          Float32Array.from(bounds, b => b[which]),
        ),
      );
      return this.#node('Mul', [shaped, factor]);
    };
    return this.#node('Min', [this.#node('Max', [x, end('low')]), end('high')]);
  }

  #others(axis: number, rank: number): string {
    const others = Array.from({ length: rank }, (_, i) => i).filter(i => i !== axis);
    return this.#put('axes', store('int64', [others.length], Float64Array.from(others)));
  }

  /** Makes an initializer s₀ into s₀ e^(κ θ). */
  #learned(scale: string): Step {
    const tensor = this.graph.initializers.get(scale) as Tensor;
    const start = tensor.data as Float32Array;
    this.graph.initializers.delete(scale);
    const name = this.#put(`${scale}_theta`, float32(tensor.dims, new Float32Array(start.length)));
    const kappa = this.#put('kappa', float32([], Float32Array.of(KAPPA)));
    const factor = this.#node('Exp', [this.#node('Mul', [name, kappa])]);
    this.#node('Mul', [factor, this.#put(`${scale}_start`, tensor)], {}, scale);
    return { name, start };
  }

  #node(opType: string, inputs: string[], attributes: Node['attributes'] = {}, output?: string): string {
    const name = this.#names.fresh(`${inputs[0]}_${opType}`);
    const made = output ?? name;
    this.graph.nodes.push({ name, domain: '', opType, inputs, outputs: [made], attributes });
    return made;
  }

  #put(base: string, tensor: Tensor): string {
    const name = this.#names.fresh(base);
    this.graph.initializers.set(name, tensor);
    return name;
  }
}

/** 8 bits in place of 4: kernels know them, and bounds cut what 4 do not hold. */
const wide = (scheme: Scheme): Scheme => ({
  ...scheme,
  dtype: scheme.dtype === 'int4' ? 'int8' : scheme.dtype === 'uint4' ? 'uint8' : scheme.dtype,
});

/** Codes without zero point, of each scale. */
function boundsOf({ scheme, affine }: QuantizedTensor): Range[] {
  const { low, high } = codesOf(scheme);
  return affine.map(({ zeroPoint }) => ({ low: low - zeroPoint, high: high - zeroPoint }));
}

/** The nearest codes of `values`. */
function recoded(q: QuantizedTensor, values: Float32Array): QuantizedTensor {
  const codes = new Float64Array(values.length);
  channelsOf(q.dims, q.axis).forEach((at, c) => {
    for (const i of at) codes[i] = encode(values[i], q.affine[c], codesOf(q.scheme));
  });
  return { ...q, codes };
}
