/**
 * This machine, measured: small graphs of one class of op each, timed through a runtime, become the rows of a fit.
 *
 * 1. Each graph has a few layers of one class at a size where arithmetic dominates, and one is all launches: the price of a layer.
 * 2. The fit is the one that published rows get (`fit.ts`); what it says of a model can be held against a run of it here.
 */
import { float32, modelOf } from '../../graph/ir.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { benchGraph } from '../../runtime/bench.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { featuresOf } from './features.ts';
import { type Fit, fit, type Row } from './fit.ts';

const LAYERS = 4;
const RUNS = 9;

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
  return { rig: 'this-machine', model: name, features: featuresOf(b.graph), ms: medianMs };
}

/** The price of each class on this machine. */
export const fitMachine = async (runtime: Runtime): Promise<Fit> => fit(await measureClasses(runtime));
