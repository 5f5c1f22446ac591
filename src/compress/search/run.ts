/**
 * The whole search over a graph: an elastic network is trained once, then sizes and bits of it are judged by error on examples
 * and by what a device needs for them.
 *
 * 1. Examples are split by seed: what trains, what chooses, and (given apart) what the result is told with.
 * 2. Cost is the milliseconds that are estimated for the device, or multiply-adds where nobody published measurements.
 * 3. Without labels the error is how far the answers are from the whole model's.
 */
import { batchesOf, type Examples, splitExamples, subset } from '../../data/examples/examples.ts';
import type { TrainingBatchOptions } from '../../data/examples/training.ts';
import { check } from '../../devices/check.ts';
import { workingMemory } from '../../devices/memory.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import type { Graph, Model } from '../../graph/ir.ts';
import { bindDims } from '../../ops/bind-dims.ts';
import { inferShapes } from '../../ops/infer.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { magnitude } from '../prune/importance.ts';
import { macsOf } from '../prune/structured.ts';
import { measuredQuality } from '../quality.ts';
import { optionsFor } from '../quantize/static/device.ts';
import { quantizeStatic } from '../quantize/static/index.ts';
import { Elastic, type ElasticAxis } from './elastic.ts';
import type { Found, Judged, Precision } from './joint.ts';
import { FLOAT, searchJointly } from './joint.ts';
import { trainElastic } from './supernet.ts';

export interface SearchOptions {
  readonly device: DeviceProfile;
  readonly examples: Examples;
  /** Shares of channels that may be kept. */
  readonly widths: readonly number[];
  readonly depth: boolean;
  readonly kernels: boolean;
  /** 32: float, 8: integers as the device takes them. */
  readonly bits: readonly (8 | 32)[];
  readonly epochs: number;
  readonly batchSize: number;
  readonly rate: number;
  readonly augment?: TrainingBatchOptions['augment'];
  readonly population: number;
  readonly generations: number;
  readonly seed: number;
  /** Milliseconds of a graph (dims fixed) where the device has no published ones: this machine, measured. */
  readonly estimateMs?: (graph: Graph) => number | undefined;
  readonly maxLatencyMs?: number;
  /** Bytes of working memory at the peak. */
  readonly maxMemoryBytes?: number;
  readonly onTraining?: (step: number, steps: number, metrics: Readonly<Record<string, number>>) => void;
  readonly onGeneration?: (generation: number, front: readonly SearchedModel[]) => void;
}

export interface ModelCost {
  readonly macs: number;
  /** Of the weights. */
  readonly bytes: number;
  /** What the device's working memory holds at the peak. */
  readonly peakMemoryBytes: number;
  readonly estimatedMs?: number;
}

export interface Appraisal extends Judged, ModelCost {
  readonly model: Model;
}

export type SearchedModel = Found<Appraisal>;

export interface SearchResult {
  readonly baseline: Appraisal;
  /** By error; empty when nothing is within the limits. */
  readonly front: readonly SearchedModel[];
  readonly nearest: SearchedModel;
  /** How many were judged, and out of how many. */
  readonly judged: number;
  readonly space: number;
  readonly axes: readonly (Omit<ElasticAxis, 'kind'> & { readonly kind: ElasticAxis['kind'] | 'block' })[];
}

const CALIBRATION = 128;
/** Of the examples, what chooses and never trains. */
export const CHOOSING_SHARE = 0.2;

/** `model` is imported, with a free batch. */
export async function searchModel(runtime: Runtime, model: Model, o: SearchOptions): Promise<SearchResult> {
  const [choosing, training] = splitExamples(
    o.examples,
    Math.round(CHOOSING_SHARE * o.examples.count),
    o.seed,
  );
  const elastic = new Elastic(model.graph, {
    importance: magnitude(model.graph),
    widths: o.widths,
    depth: o.depth,
    kernels: o.kernels,
    align: o.device.channelAlignment?.value,
  });
  const steps = Math.ceil((o.epochs * training.count) / o.batchSize);
  const trained = await trainElastic(runtime, elastic, model, training, {
    ...o,
    steps,
    onStep: (step, metrics) => o.onTraining?.(step, steps, metrics),
  });
  const judge = judgeOf(runtime, model, choosing, o);
  const calibration = subset(training, [...Array(Math.min(CALIBRATION, training.count)).keys()]);
  const found = await searchJointly(
    elastic,
    genome => ({ ...model, graph: elastic.extract(genome, trained) }),
    { ...o, precisions: precisionsOf(runtime, calibration, o), judge },
  );
  const space = elastic.space.reduce((a, b) => a * b, o.bits.length);
  return { baseline: await judge(model), ...found, space, axes: elastic.axes };
}

/** The bits that are asked for, calibrated on `data`. */
export function precisionsOf(
  runtime: Runtime,
  data: Examples,
  { bits, device }: Pick<SearchOptions, 'bits' | 'device'>,
): Precision[] {
  return bits.map(width => {
    if (width === 32) return FLOAT;
    const options = device.quantization ? optionsFor(device, { activations: 8, weights: 8 }) : {};
    const feeds = () => [...batchesOf(data.count, 32)].map(at => data.batch(at));
    return { name: 'int8', apply: async m => (await quantizeStatic(runtime, m, feeds(), options)).model };
  });
}

/** Error and costs of a model on the device. */
export function judgeOf(
  runtime: Runtime,
  whole: Model,
  examples: Examples,
  o: Pick<SearchOptions, 'device' | 'estimateMs' | 'maxLatencyMs' | 'maxMemoryBytes'>,
) {
  return async (model: Model): Promise<Appraisal> => {
    const cost = costOn(model, o);
    const { value: right } = await measuredQuality(runtime, whole, model, examples);
    return {
      ...cost,
      model,
      error: 1 - right,
      cost: cost.estimatedMs ?? cost.macs,
      violation: beyond(cost.estimatedMs, o.maxLatencyMs) + beyond(cost.peakMemoryBytes, o.maxMemoryBytes),
    };
  };
}

/** How far `value` is above `limit`, as a share of it. */
const beyond = (value: number | undefined, limit: number | undefined): number =>
  value === undefined || limit === undefined ? 0 : Math.max(0, value / limit - 1);

/** What a run of one example takes on a device. */
export function costOn(model: Model, o: Pick<SearchOptions, 'device' | 'estimateMs'>): ModelCost {
  const graph = bindDims(model.graph, new Map(), 'all');
  inferShapes(graph);
  const { weightBytes, activationBytes = 0, ...checked } = check({ ...model, graph }, o.device);
  const estimatedMs = checked.estimatedMs ?? o.estimateMs?.(graph);
  return {
    macs: macsOf(graph),
    bytes: weightBytes,
    peakMemoryBytes: workingMemory(o.device, activationBytes, weightBytes),
    ...(estimatedMs !== undefined && { estimatedMs }),
  };
}
