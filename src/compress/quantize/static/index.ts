/**
 * Post-training static quantization: a float graph and data in, the same graph with Q/DQ pairs out (Jacob et al. 2018;
 * Nagel et al. 2021). Stock ONNX Runtime, LiteRT (through formats/tflite) and the compilers of devices run the result.
 *
 * 1. Batch normalization is folded first: it would keep what it scales in float.
 * 2. Weights, activations and biases are chosen apart: ranges by an observer, weights by their own error, biases last, with
 *    the scale that the product has.
 * 3. Codes chosen layer by layer are kept where they bring the model's outputs on the calibration data nearer.
 * 4. Values whose range only a mask has (not finite, or beyond ±1e4) stay float, and so do the ops around them.
 */
import type { Graph, Model } from '../../../graph/ir.ts';
import { importModel } from '../../../import/index.ts';
import { modelFor } from '../../../ops/opset.ts';
import { constantTensor } from '../../../ops/shape/values.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { Feeds } from '../calibrate.ts';
import { type Affine, affineOfBounds, type CodeDType, type Scheme } from './affine.ts';
import { equalize } from './equalize.ts';
import { observe, tapped, type Watch } from './observe.ts';
import { type ObserverOptions, observed, type Seen } from './observers.ts';
import { outputsOf, relativeError, resultsOf } from './outputs.ts';
import {
  type Coverage,
  type Group,
  type PlannedWeight,
  type PlanOptions,
  planQdq,
  type QdqPlan,
} from './plan.ts';
import { type Rounding, refineLayers } from './refine.ts';
import { type Chosen, writeQdq } from './rewrite.ts';
import { compileChosen, groupsOf, Simulation } from './simulate.ts';
import { type QuantizedTrainingOptions, trainQuantized } from './train.ts';
import { dequantized, type QuantizedTensor, quantizeTensor, type WeightMethod } from './weights.ts';

export interface StaticOptions {
  /** Default int8. */
  readonly activations?: CodeDType;
  /** Default int8. */
  readonly weights?: CodeDType;
  /** Fewer bits than `weights` stores: its codes then use part of their range. */
  readonly weightBits?: number;
  /** One scale a weight, or one for each of its output channels (default). */
  readonly granularity?: 'per-tensor' | 'per-channel';
  /** Overrides `granularity` for products (MatMul, Gemm), which some devices take with one scale alone. */
  readonly productGranularity?: 'per-tensor' | 'per-channel';
  /** Activations without zero point. Default false. */
  readonly symmetric?: boolean;
  /** Weights without zero point. Default true. */
  readonly symmetricWeights?: boolean;
  /** Scales that are powers of two. Default false. */
  readonly powerOfTwo?: boolean;
  /** How ranges of activations are chosen. Default `mse`. */
  readonly observer?: ObserverOptions;
  /** How ranges of weights are chosen. Default `mse`. */
  readonly weightMethod?: WeightMethod;
  /** Whether ranges of layers that follow each other are made alike first. Default false. */
  readonly equalize?: boolean;
  /** How codes of weights are chosen. Default `nearest`. */
  readonly rounding?: Rounding;
  /** Whether biases make up for what the mean of each output loses. Default: with `rounding` other than `nearest`. */
  readonly biasCorrection?: boolean;
  /** Default `kernels`. */
  readonly coverage?: Coverage;
  /** Ops that must have one scale, as a device asks. */
  readonly unified?: readonly string[];
  /** Names of nodes that stay float. */
  readonly float?: ReadonlySet<string>;
  /** Train what was chosen, against the float model's answers. */
  readonly training?: QuantizedTrainingOptions;
  /** The dtype of a weight by its name, for mixed precision; undefined for the others. */
  readonly dtypeOf?: (weight: string) => CodeDType | undefined;
}

export interface StaticReport {
  readonly weights: readonly {
    readonly name: string;
    readonly dtype: CodeDType;
    readonly scales: number;
    readonly relativeError: number;
  }[];
  /** Values with integers. */
  readonly activations: number;
  /** Values that stayed float, and why. */
  readonly kept: readonly { readonly name: string; readonly reason: string }[];
}

export interface StaticResult {
  readonly model: Model;
  readonly report: StaticReport;
}

/**
 * A quantized copy of `model`. `data` is iterated twice when the observer wants histograms. Throws a GaslawError where an
 * input is missing in the data, or there are no data.
 */
export async function quantizeStatic(
  runtime: Runtime,
  model: Model,
  data: Iterable<Feeds>,
  options: StaticOptions = {},
): Promise<StaticResult> {
  const prepared = prepare(model);
  if (options.equalize) equalize(prepared.graph);
  const plan = planQdq(prepared.graph, planOptions(options));
  const { groups, kept } = await activationsOf(runtime, prepared, plan, data, options);
  const nearest: Chosen = {
    activations: activationScheme(options),
    groups,
    weights: new Map(plan.weights.map(w => [w, quantizeTensor(w.tensor, weightOptions(w, options))])),
    biases: new Map(),
  };
  const chosen = await refinedChoice(runtime, prepared, plan, nearest, data, options);
  const { training } = options;
  const last = training
    ? await trainQuantized(runtime, prepared, plan, chosen, planOptions(options), training)
    : chosen;
  return written(prepared, plan, last, kept);
}

/** Codes and biases by the outputs of layers, where the model's own outputs come nearer by it than by the nearest codes. */
async function refinedChoice(
  runtime: Runtime,
  model: Model,
  plan: QdqPlan,
  nearest: Chosen,
  data: Iterable<Feeds>,
  options: StaticOptions,
): Promise<Chosen> {
  const { rounding = 'nearest', biasCorrection = rounding !== 'nearest' } = options;
  if (rounding === 'nearest' && !biasCorrection) return nearest;
  const simulation = simulationOf(model, plan, nearest.groups, options);
  const layers = { rounding, biasCorrection };
  const weights = new Map(nearest.weights);
  const biases = await refineLayers(runtime, model, plan, simulation, weights, data, layers);
  const refined: Chosen = { ...nearest, weights, biases };
  using float = await runtime.compile({ ...model, graph: tapped(model.graph, resultsOf(model.graph)) });
  const wanted = await outputsOf(float, data);
  const errorOf = async (chosen: Chosen) => {
    using program = await compileChosen(runtime, model, planOptions(options), plan, chosen);
    return relativeError(wanted, await outputsOf(program, data));
  };
  return (await errorOf(refined)) < (await errorOf(nearest)) ? refined : nearest;
}

export const planOptions = ({ coverage = 'kernels', unified, float }: StaticOptions): PlanOptions => ({
  coverage,
  ...(unified && { unified }),
  ...(float && { float }),
});

/** `model` with these activations in integers and its weights as they are. */
export const simulationOf = (
  model: Model,
  plan: QdqPlan,
  groups: ReadonlyMap<Group, Affine>,
  options: StaticOptions,
): Simulation =>
  new Simulation(
    model,
    planOptions(options),
    groupsOf(plan).map(group => groups.get(group)),
    activationScheme(options),
  );

/** Today's forms, types known, constants and batch normalizations folded. */
export const prepare = (model: Model): Model => importModel(model).model;

export const activationScheme = ({
  activations = 'int8',
  symmetric = false,
  powerOfTwo = false,
}: StaticOptions): Scheme => ({
  dtype: activations,
  symmetric,
  powerOfTwo,
});

export function weightOptions(
  weight: PlannedWeight,
  options: StaticOptions,
): Parameters<typeof quantizeTensor>[1] {
  const dtype = options.dtypeOf?.(weight.name) ?? options.weights ?? 'int8';
  const {
    granularity = 'per-channel',
    symmetricWeights = true,
    powerOfTwo = false,
    weightMethod = 'mse',
  } = options;
  const isProduct = weight.places.every(({ node }) => node.opType === 'MatMul' || node.opType === 'Gemm');
  const each = (isProduct ? options.productGranularity : undefined) ?? granularity;
  const { weightBits: bits } = options;
  const narrow = dtype !== 'int4';
  const scheme = {
    dtype,
    symmetric: symmetricWeights,
    powerOfTwo,
    narrow,
    ...(bits !== undefined && { bits }),
  };
  return { scheme, method: weightMethod, ...(each === 'per-channel' && { axis: weight.channelAxis }) };
}

interface Activations {
  readonly groups: Map<Group, Affine>;
  readonly kept: { name: string; reason: string }[];
}

/** Scale and zero point of every group. */
export async function activationsOf(
  runtime: Runtime,
  model: Model,
  plan: QdqPlan,
  data: Iterable<Feeds>,
  options: StaticOptions,
): Promise<Activations> {
  const observer = options.observer ?? { method: 'mse' };
  const scheme = activationScheme(options);
  const all = [...new Set(plan.groups.values())];
  const seen = await observe(
    runtime,
    model,
    all.map(group => watchOf(model.graph, group)),
    data,
    observer,
  );
  const groups = new Map<Group, Affine>();
  const kept: { name: string; reason: string }[] = [];
  all.forEach((group, i) => {
    const sight = seen[i] as Seen;
    const [name = ''] = group.sources;
    const reason = unfit(sight);
    if (reason) kept.push({ name, reason });
    else
      groups.set(
        group,
        group.bounds ? affineOfBounds(group.bounds, scheme) : observed(sight, scheme, observer),
      );
  });
  return { groups, kept };
}

function watchOf(graph: Graph, group: Group): Watch {
  const names = [...group.sources];
  const constants = names.flatMap(name => constantTensor(graph, name) ?? []);
  return { names: names.filter(name => !constantTensor(graph, name)), constants };
}

const MASK = -1e4;

function unfit({ range: { low, high } }: Seen): string | undefined {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return 'it is not finite everywhere';
  return low <= MASK ? `it reaches ${low}, as masks do` : undefined;
}

/** The graph with its pairs, and what became of it. */
export function written(
  model: Model,
  plan: QdqPlan,
  chosen: Chosen,
  kept: StaticReport['kept'],
): StaticResult {
  const weights = plan.weights.map(w => reportOf(w, chosen.weights.get(w) as QuantizedTensor));
  const activations = [...plan.groups.values()].filter(group => chosen.groups.has(group)).length;
  writeQdq(model.graph, plan, chosen);
  return { model: modelFor(model.graph, model.metadata), report: { weights, activations, kept } };
}

function reportOf({ name, tensor }: PlannedWeight, q: QuantizedTensor): StaticReport['weights'][number] {
  const w = tensor.data as Float32Array;
  let [error, size] = [0, 0];
  dequantized(q).forEach((x, i) => {
    error += (x - (w[i] as number)) ** 2;
    size += (w[i] as number) ** 2;
  });
  return {
    name,
    dtype: q.scheme.dtype,
    scales: q.affine.length,
    relativeError: size > 0 ? Math.sqrt(error / size) : 0,
  };
}
