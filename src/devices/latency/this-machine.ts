/**
 * This machine, measured: small graphs of one class of op each, timed through a runtime, become the rows of a fit.
 *
 * 1. Each graph has a few layers of one class at a size where arithmetic dominates, and one is all launches: the price of a layer.
 * 2. The fit is the one that published rows get (`fit.ts`); what it says of a model can be held against a run of it here.
 * 3. The small graphs are of floats, so of a quantized model only the run tells.
 */
import { float32, type Graph, type Model, modelOf } from '../../graph/ir.ts';
import { upgrade } from '../../import/upgrade.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { Qdq } from '../../ops/qdq.ts';
import { benchGraph } from '../../runtime/bench.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { featuresIfFixed, featuresOf } from './features.ts';
import { fit, predictOn, type Row } from './fit.ts';

/** The device's id. */
export const THIS_MACHINE = 'this-machine';

const LAYERS = 4;
const RUNS = 9;
const RUNS_OF_MODEL = 21;

type Layer = (b: Builder, x: Value, channels: number) => Value;

const weight = (...dims: number[]) =>
  float32(dims, new Float32Array(dims.reduce((a, c) => a * c, 1)).fill(0.01));

const convolution =
  (kernel: number, groups: (channels: number) => number): Layer =>
  (b, x, channels) => {
    const group = groups(channels);
    const pads = new Array<number>(4).fill((kernel - 1) / 2);
    return b.op('Conv', [x, b.constant(weight(channels, channels / group, kernel, kernel))], { group, pads });
  };

const CLASSES: Readonly<Record<string, Layer>> = {
  conv: convolution(3, () => 1),
  pointwise: convolution(1, () => 1),
  grouped: convolution(3, channels => channels / 8),
  depthwise: convolution(3, channels => channels),
  dense: (b, x, channels) => {
    const rows = x.rank === 2 ? x : x.reshape([-1, channels]);
    return b.op('Gemm', [rows, b.constant(weight(channels, channels))], {});
  },
  moved: (_, x) => x.sigmoid(),
};

/** Rows of one graph a class, [1,channels,size,size], and of one that is tiny. Takes a second or two. */
export async function measureClasses(runtime: Runtime, channels = 64, size = 28): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [name, layer] of Object.entries(CLASSES))
    rows.push(await measured(runtime, name, layer, channels, size));
  rows.push(await measured(runtime, 'layers', CLASSES.pointwise as Layer, 8, 1, 8 * LAYERS));
  return rows;
}

async function measured(
  runtime: Runtime,
  name: string,
  layer: Layer,
  channels: number,
  size: number,
  layers = LAYERS,
): Promise<Row> {
  const b = new Builder(name);
  let x = b.input('x', 'float32', [1, channels, size, size]);
  for (let i = 0; i < layers; i++) x = layer(b, x, channels);
  b.output(x, 'y');
  const { medianMs } = await benchGraph(runtime, modelOf(b.graph), { runs: RUNS, seed: 1 });
  return { rig: THIS_MACHINE, model: name, features: featuresOf(b.graph), ms: medianMs };
}

/** Milliseconds of a graph of floats with inferred types; undefined where a dim is symbolic. */
export type GraphTimes = (graph: Graph) => number | undefined;

/** Milliseconds of graphs on this machine, from what each class of op takes here. */
export async function machineTimes(runtime: Runtime): Promise<GraphTimes> {
  const made = fit(await measureClasses(runtime));
  return graph => {
    const features = featuresIfFixed(graph);
    return features && predictOn(made, THIS_MACHINE, features);
  };
}

export interface TimedHere {
  /** Absent where a dim is symbolic, and for quantized models. */
  readonly estimatedMs?: number;
  /** Median of some runs, symbolic dims 1. */
  readonly measuredMs: number;
}

/** Runs `model` (any opset) here, and says beside it what `times` expects of it. */
export async function timedHere(runtime: Runtime, model: Model, times?: GraphTimes): Promise<TimedHere> {
  const { medianMs } = await benchGraph(runtime, model, { runs: RUNS_OF_MODEL, seed: 1 });
  const { graph } = upgrade(model);
  const estimatedMs = new Qdq(graph).quantized ? undefined : times?.(graph);
  return { measuredMs: medianMs, ...(estimatedMs !== undefined && { estimatedMs }) };
}
