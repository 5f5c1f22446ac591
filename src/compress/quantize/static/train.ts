/**
 * Quantization-aware training of any graph: weights and activations are rounded in every step, gradients go straight through
 * inside the range, and step sizes are learned (LSQ, Esser et al. 2020, arXiv:1902.08153).
 *
 * 1. The float model is the teacher; no label is needed. What was chosen without training is where it starts.
 * 2. A step size is s₀ e^θ with θ trained: it stays positive, and one learning rate suits steps of all sizes (as in TQT, Jain
 *    et al. 2020, which trains their logarithms). Powers of two would not stay such, and are refused.
 * 3. Codes of fewer bits than their dtype are cut by min and max with the step size's own multiples, whose gradients are LSQ's
 *    outside of the range.
 */
import { float32, type Graph, type Model, type Node, type Tensor, typeOf } from '../../../graph/ir.ts';
import { cloneGraph, FreshNames, sortTopologically } from '../../../graph/walk.ts';
import { inferShapes } from '../../../ops/infer.ts';
import { store } from '../../../runtime/reference/tensor.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { FineTuneOptions } from '../../../train/fine-tune.ts';
import { UsageError } from '../../../util/errors.ts';
import { recovery } from '../../distil/recovery.ts';
import type { Term } from '../../distil/terms.ts';
import type { Affine, Range, Scheme } from './affine.ts';
import { codesOf, encode } from './affine.ts';
import { type PlannedBias, type PlannedWeight, type PlanOptions, planQdq, type QdqPlan } from './plan.ts';
import { type Chosen, writeQdq } from './rewrite.ts';
import { groupsOf } from './simulate.ts';
import { channelsOf, dequantized, type QuantizedTensor } from './weights.ts';

export interface QuantizedTrainingOptions {
  /** Batches of a step, as for recovery: `transferBatches` makes them of examples. */
  readonly data: FineTuneOptions['data'];
  readonly batchSize: number;
  /** Of the model's symbols but for the batch. */
  readonly dims?: FineTuneOptions['dims'];
  readonly steps: number;
  /** Peak of the learning rate. Default 1e-3. */
  readonly rate?: number;
  /** Default: softened answers of the float model, as they are. */
  readonly terms?: readonly Term[];
  readonly seed: number;
  readonly threads?: number;
  readonly onStep?: (step: number, metrics: Readonly<Record<string, number>>) => void;
}

/** The choice after training. `model` is prepared, `plan` of its graph with `options`. */
export async function trainQuantized(
  runtime: Runtime,
  model: Model,
  plan: QdqPlan,
  chosen: Chosen,
  options: PlanOptions,
  training: QuantizedTrainingOptions,
): Promise<Chosen> {
  if (chosen.activations.powerOfTwo)
    throw new UsageError(
      'learned step sizes would not stay powers of two; train without power-of-two scales',
    );
  const student = new Student(model.graph, plan, chosen, options);
  const { steps, rate = 1e-3, terms = [{ kind: 'logits' }], onStep, ...rest } = training;
  using stage = await recovery(runtime, student.graph, model, {
    ...rest,
    terms,
    parameters: student.parameters,
    optimizer: { kind: 'adamw', weightDecay: 0 },
    schedule: { kind: 'cosine', rate, finalRate: 0, steps, warmupSteps: Math.ceil(steps / 20) },
    maxGradientNorm: 1,
  });
  for (let step = 0; step < steps; step++) {
    const metrics = await stage.step(step);
    onStep?.(step, metrics);
  }
  return student.chosen(stage.trained());
}

/** A step size of the graph: its logarithm's change, and what it was. */
interface Step {
  readonly name: string;
  readonly start: Float32Array;
}

class Student {
  readonly graph: Graph;
  readonly #plan: QdqPlan;
  readonly #chosen: Chosen;
  readonly #names: FreshNames;
  /** In the order of the plan. */
  readonly #weights: { name: string; step: Step }[];
  readonly #biases: string[];
  readonly #groups: (Step | undefined)[];

  constructor(graph: Graph, plan: QdqPlan, chosen: Chosen, options: PlanOptions) {
    this.graph = cloneGraph(graph);
    this.#plan = plan;
    this.#chosen = chosen;
    const own = planQdq(this.graph, options);
    const given = groupsOf(plan).map(group => chosen.groups.get(group));
    const ownGroups = groupsOf(own);
    const groups = new Map(ownGroups.flatMap((group, i) => (given[i] ? [[group, given[i]] as const] : [])));
    const stored = {
      ...chosen,
      activations: wide(chosen.activations),
      groups,
      weights: new Map(),
      biases: new Map(),
    };
    const parameters = writeQdq(this.graph, own, stored);
    this.#names = new FreshNames(this.graph);
    this.#groups = ownGroups.map(group => {
      const names = parameters.get(group);
      if (!names) return undefined;
      this.#cut(names[0], names[1]);
      return this.#learned(names[0]);
    });
    this.#weights = own.weights.map((w, i) =>
      this.#weight(w, chosen.weights.get(plan.weights[i]) as QuantizedTensor),
    );
    this.#biases = own.biases.map((b, i) => this.#bias(b, chosen.biases.get(plan.biases[i])));
    sortTopologically(this.graph);
    inferShapes(this.graph);
  }

  /** What trains. */
  get parameters(): string[] {
    const steps = [...this.#groups, ...this.#weights.map(w => w.step)];
    const thetas = steps.flatMap(step => (step ? [step.name] : []));
    return [...new Set([...this.#weights.map(w => w.name), ...this.#biases, ...thetas])];
  }

  /** The choice with the values of `trained`. */
  chosen(trained: Graph): Chosen {
    const valuesOf = (name: string) => (trained.initializers.get(name) as Tensor).data as Float32Array;
    const stepped = (affine: Affine, step: Step | undefined, at: number): Affine =>
      step ? { ...affine, scale: Math.fround(step.start[at] * Math.exp(valuesOf(step.name)[at])) } : affine;
    const groups = new Map(this.#chosen.groups);
    groupsOf(this.#plan).forEach((group, i) => {
      const affine = groups.get(group);
      if (affine) groups.set(group, stepped(affine, this.#groups[i], 0));
    });
    const weights = new Map<PlannedWeight, QuantizedTensor>();
    this.#plan.weights.forEach((w, i) => {
      const { name, step } = this.#weights[i];
      const q = this.#chosen.weights.get(w) as QuantizedTensor;
      const affine = q.affine.map((a, channel) => stepped(a, step, channel));
      weights.set(w, recoded({ ...q, affine }, valuesOf(name)));
    });
    const biases = new Map<PlannedBias, Float32Array>();
    this.#plan.biases.forEach((bias, i) => void biases.set(bias, valuesOf(this.#biases[i])));
    return { ...this.#chosen, groups, weights, biases };
  }

  /** A float weight, rounded on its way to its readers. */
  #weight(weight: PlannedWeight, q: QuantizedTensor): { name: string; step: Step } {
    const put = (what: string, tensor: Tensor) => this.#put(`${weight.name}_${what}`, tensor);
    const dims = q.axis === undefined ? [] : [q.affine.length];
    const name = put('latent', float32(q.dims, dequantized(q)));
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
    const bounded = this.#bounded(name, scale, boundsOf(q), q.axis, q.dims.length);
    const codes = this.#node('QuantizeLinear', [bounded, scale, zero], axis);
    const value = this.#node('DequantizeLinear', [codes, scale, zero], axis);
    for (const { node, input } of weight.places) node.inputs[input] = value;
    return { name, step: this.#learned(scale) };
  }

  #bias(bias: PlannedBias, values: Float32Array | undefined): string {
    const tensor = values ? { ...bias.tensor, data: values } : bias.tensor;
    const name = this.#put(`${bias.name}_trained`, tensor);
    bias.node.inputs[bias.input] = name;
    return name;
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

  /** Makes an initializer s₀ into s₀ e^θ. */
  #learned(scale: string): Step {
    const tensor = this.graph.initializers.get(scale) as Tensor;
    const start = tensor.data as Float32Array;
    this.graph.initializers.delete(scale);
    const name = this.#put(`${scale}_theta`, float32(tensor.dims, new Float32Array(start.length)));
    const factor = this.#node('Exp', [name]);
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
