/**
 * The whole search over a graph: an elastic network is trained once, then sizes and bits of it are judged by error on examples
 * and by what a device needs for them.
 *
 * 1. Examples are split by seed: what trains, what chooses, and (given apart) what the result is told with.
 * 2. Cost is the milliseconds that are estimated for the device, or multiply-adds where nobody published measurements.
 * 3. Without labels the error is how far the answers are from the whole model's.
 */
import { batchesOf, type Examples, firstOf, splitExamples } from '../../data/examples/examples.ts';
import type { TrainingBatchOptions } from '../../data/examples/training.ts';
import { stepsOf } from '../../data/stream.ts';
import { check } from '../../devices/check.ts';
import { workingMemory } from '../../devices/memory.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import type { Graph, Model } from '../../graph/ir.ts';
import { bindDims } from '../../ops/bind-dims.ts';
import { inferShapes } from '../../ops/infer.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { UsageError } from '../../util/errors.ts';
import { predictionsOf } from '../evaluate.ts';
import { magnitude } from '../prune/importance.ts';
import { macsOf } from '../prune/structured.ts';
import { measuredQuality } from '../quality.ts';
import { optionsFor } from '../quantize/static/device.ts';
import { quantizeStatic } from '../quantize/static/index.ts';
import { Elastic, type ElasticAxis } from './elastic.ts';
import type { Found, Judged, Rewrite } from './joint.ts';
import { nothing, searchJointly } from './joint.ts';
import { fitted, pictureSizes, withPictures } from './resolution.ts';
import { trainElastic } from './supernet.ts';
import { bytesWithoutZeros, zeroRewrites } from './zeros.ts';

export interface SearchOptions {
  readonly device: DeviceProfile;
  readonly examples: Examples;
  /** Shares of channels that may be kept. */
  readonly widths: readonly number[];
  readonly depth: boolean;
  readonly kernels: boolean;
  /** 32: float, 8: integers as the device takes them. */
  readonly bits: readonly (8 | 32)[];
  /** Shares of zeros among the weights that are tried beside none; weights' bytes are an objective then. */
  readonly zeros?: readonly number[];
  /** Shares of the sides of pictures that are tried beside the whole, where the graph takes them. */
  readonly pictures?: readonly number[];
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
  const steps = stepsOf(o.epochs, training.count, o.batchSize);
  const trained = await trainElastic(runtime, elastic, model, training, {
    ...o,
    steps,
    onStep: (step, metrics) => o.onTraining?.(step, steps, metrics),
  });
  const judge = judgeOf(runtime, model, choosing, o);
  const calibration = firstOf(training, CALIBRATION);
  const rewrites = [
    pictureRewrites(model.graph, o.pictures ?? []),
    zeroRewrites(o.device, o.zeros ?? []),
    precisionsOf(runtime, calibration, o),
  ];
  const found = await searchJointly(
    elastic,
    genome => ({ ...model, graph: elastic.extract(genome, trained) }),
    { ...o, rewrites, judge },
  );
  const space = [...elastic.space, ...rewrites.map(list => list.length)].reduce((a, b) => a * b, 1);
  return { baseline: await judge(model), ...found, space, axes: elastic.axes };
}

/** The pictures as they are, and smaller ones. Throws a UsageError where the graph takes one size alone. */
function pictureRewrites(graph: Graph, shares: readonly number[]): Rewrite[] {
  if (shares.length === 0) return [nothing('')];
  const [, ...smaller] = pictureSizes(graph, shares);
  if (smaller.length === 0)
    throw new UsageError(
      'the model takes pictures of one size alone, or none of a known size: a layer counts their positions; leave their sizes out of the search',
    );
  const made = smaller.map(
    (size): Rewrite => ({
      name: `pictures of ${size.join('×')}`,
      apply: async model => ({ ...model, graph: withPictures(model.graph, size) as Graph }), // checked on the whole graph
    }),
  );
  return [nothing(''), ...made];
}

/** The bits that are asked for, calibrated on `data`. */
export function precisionsOf(
  runtime: Runtime,
  data: Examples,
  { bits, device }: Pick<SearchOptions, 'bits' | 'device'>,
): Rewrite[] {
  return bits.map(width => {
    if (width === 32) return nothing('float32');
    const options = device.quantization ? optionsFor(device, { activations: 8, weights: 8 }) : {};
    const feeds = (own: Examples) => [...batchesOf(own.count, 32)].map(at => own.batch(at));
    return {
      name: 'int8',
      apply: async m => (await quantizeStatic(runtime, m, feeds(fitted(data, m.graph)), options)).model,
    };
  });
}

/** Error and costs of a model on the device. */
export function judgeOf(
  runtime: Runtime,
  whole: Model,
  examples: Examples,
  o: Pick<SearchOptions, 'device' | 'estimateMs' | 'maxLatencyMs' | 'maxMemoryBytes' | 'zeros'>,
) {
  return async (model: Model): Promise<Appraisal> => {
    const cost = costOn(model, o);
    const right = await rightOf(runtime, whole, model, examples);
    return {
      ...cost,
      model,
      error: 1 - right,
      costs: [cost.estimatedMs ?? cost.macs, ...(o.zeros?.length ? [cost.bytes] : [])],
      violation: beyond(cost.estimatedMs, o.maxLatencyMs) + beyond(cost.peakMemoryBytes, o.maxMemoryBytes),
    };
  };
}

/** On pictures of the size that the model takes; without labels those of another size are to get the class that the whole gives its own. */
async function rightOf(runtime: Runtime, whole: Model, model: Model, examples: Examples): Promise<number> {
  const [size, own] = [whole, model].map(m => m.graph.inputs.map(input => input.shape?.slice(2)).join());
  const labels =
    examples.labels ?? (size === own ? undefined : await predictionsOf(runtime, whole, examples));
  const told = { ...fitted(examples, model.graph), ...(labels && { labels }) };
  return (await measuredQuality(runtime, whole, model, told)).value;
}

/** How far `value` is above `limit`, as a share of it. */
const beyond = (value: number | undefined, limit: number | undefined): number =>
  value === undefined || limit === undefined ? 0 : Math.max(0, value / limit - 1);

/** What a run of one example takes on a device. */
export function costOn(model: Model, o: Pick<SearchOptions, 'device' | 'estimateMs' | 'zeros'>): ModelCost {
  const graph = bindDims(model.graph, new Map(), 'all');
  inferShapes(graph);
  const { weightBytes, activationBytes = 0, ...checked } = check({ ...model, graph }, o.device);
  const estimatedMs = checked.estimatedMs ?? o.estimateMs?.(graph);
  return {
    macs: macsOf(graph),
    bytes: o.zeros?.length ? bytesWithoutZeros(graph, o.device) : weightBytes,
    peakMemoryBytes: workingMemory(o.device, activationBytes, weightBytes),
    ...(estimatedMs !== undefined && { estimatedMs }),
  };
}
