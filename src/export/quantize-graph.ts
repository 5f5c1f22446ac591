/**
 * A graph file in few bits: weights and activations as integers, as a device takes them, or weights as float16.
 *
 * 1. `int16` widens activations, `int4` narrows weights: a name says the type that is not 8 bits.
 * 2. Without data of its own to measure on, half of the examples are kept from calibration, a fifth from training. float16 learns
 *    nothing of data, so that all of them measure.
 * 3. TFLite has fixed shapes; so have the graphs of devices that ask for them. ONNX is of an opset that the device reads.
 */
import { macsOf } from '../compress/prune/structured.ts';
import { type Quality, qualityOf } from '../compress/quality.ts';
import { halved } from '../compress/quantize/float16.ts';
import { optionsFor, type Widths } from '../compress/quantize/static/device.ts';
import type { StaticOptions } from '../compress/quantize/static/index.ts';
import { quantizeGraph, type RunOptions } from '../compress/quantize/static/run.ts';
import type { Examples } from '../data/examples/examples.ts';
import { type LearningNames, openLearningData } from '../data/examples/learning.ts';
import { withOpset } from '../devices/fixes/apply.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import { toTflite } from '../formats/tflite/from-graph.ts';
import type { Model } from '../graph/ir.ts';
import { encodeModel } from '../graph/protobuf.ts';
import { openImported } from '../models/open-graph.ts';
import { assertDims, bindDims } from '../ops/bind-dims.ts';
import { inferShapes } from '../ops/infer.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { FileStore } from '../util/files.ts';

export const GRAPH_DTYPES = ['int8', 'int4', 'int16', 'float16'] as const;
export type GraphDType = (typeof GRAPH_DTYPES)[number];

const WIDTHS: Readonly<Record<Exclude<GraphDType, 'float16'>, Widths>> = {
  int8: { activations: 8, weights: 8 },
  int4: { activations: 8, weights: 4 },
  int16: { activations: 16, weights: 8 },
};

export interface QuantizeGraphOptions
  extends LearningNames,
    Pick<RunOptions, 'averageBits' | 'epochs' | 'augment' | 'onStep'> {
  readonly dtype: GraphDType;
  /** Whose integers these are. */
  readonly device?: DeviceProfile;
  /** What is wanted besides. */
  readonly choices?: StaticOptions;
  /** How many examples calibrate, or random inputs where there are no data. Default 128. */
  readonly samples?: number;
  /** What random inputs lie within; standard normal when absent. */
  readonly range?: RunOptions['random']['range'];
  /** Numbers for symbolic dims, of random inputs and of fixed shapes. */
  readonly dims?: ReadonlyMap<string, number>;
  /** An .onnx file (Q/DQ) or a .tflite file. */
  readonly out: string;
  readonly warn?: (line: string) => void;
}

export interface QuantizeGraphReport extends Partial<Quality> {
  readonly output: string;
  readonly dtype: GraphDType;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Multiply-adds of one example: quantizing leaves them. */
  readonly macsBefore: number;
  readonly macsAfter: number;
  /** What quality is measured on, in words. */
  readonly qualityOn?: string;
  /** How many weights are narrow. */
  readonly weights: number;
  /** Types of weights by name, of integers. */
  readonly dtypes?: Readonly<Record<string, string>>;
  /** How many activations are integers. */
  readonly activations?: number;
  /** What stays float, and why. */
  readonly kept: readonly { readonly name: string; readonly reason: string }[];
  readonly calibration?: { readonly data: string; readonly samples: number; readonly method: string };
}

/** Quantizes the .onnx or .tflite file at `path`. Quality is there when data are. Throws one sentence naming what does not fit together. */
export async function quantizeGraphFile(
  files: FileStore,
  openRuntime: () => Promise<Runtime>,
  path: string,
  options: QuantizeGraphOptions,
): Promise<QuantizeGraphReport> {
  const { dtype, out, dims = new Map(), device } = options;
  const { model, original, bytes } = await openImported(files, path);
  assertDims(model.graph, dims);
  const macs = macsOf(model.graph);
  const { learning, evaluation, evaluated } = await dataOf(files, model, options);
  const { made, ...details } =
    dtype === 'float16'
      ? floats(model)
      : await integers(await openRuntime(), model, dtype, learning, options);
  await files.write(out, contentOf(made, out, device, dims));
  return {
    output: out,
    dtype,
    bytesBefore: bytes,
    bytesAfter: await files.size(out),
    macsBefore: macs,
    macsAfter: macs,
    ...details,
    ...(evaluation && (await qualityOf(await openRuntime(), original, made, evaluation))),
    ...(evaluated && { qualityOn: evaluated }),
  };
}

function dataOf(files: FileStore, { graph }: Model, o: QuantizeGraphOptions) {
  const { dtype, samples = 128, epochs } = o;
  const names = dtype === 'float16' ? { ...o, data: undefined, eval: o.eval ?? o.data } : o;
  const wanted = epochs === undefined ? samples : Number.POSITIVE_INFINITY;
  return openLearningData(files, graph.inputs, names, wanted, epochs === undefined ? 0.5 : 0.8);
}

type Quantized = Pick<QuantizeGraphReport, 'weights' | 'dtypes' | 'activations' | 'kept' | 'calibration'> & {
  readonly made: Model;
};

function floats(model: Model): Quantized {
  const { model: made, converted, kept } = halved(model);
  const reason = 'it has values that float16 cannot hold';
  return { made, weights: converted.length, kept: kept.map(name => ({ name, reason })) };
}

async function integers(
  runtime: Runtime,
  model: Model,
  dtype: keyof typeof WIDTHS,
  examples: Examples | undefined,
  o: QuantizeGraphOptions,
): Promise<Quantized> {
  const { samples = 128, seed, range, dims, averageBits, epochs, augment, onStep } = o;
  const choices = choicesOf(dtype, o);
  if (!examples && epochs === undefined) o.warn?.(randomText(samples, range !== undefined));
  const { model: made, report } = await quantizeGraph(runtime, model, examples, {
    random: { samples, seed, ...(dims && { dims }), ...(range && { range }) },
    options: choices,
    averageBits,
    epochs,
    augment,
    onStep,
  });
  const { weights, activations, kept } = report;
  return {
    made,
    weights: weights.length,
    dtypes: Object.fromEntries(weights.map(w => [w.name, w.dtype])),
    activations,
    kept,
    calibration: {
      data: o.data ?? 'random',
      samples: Math.min(samples, examples?.count ?? samples),
      method: choices.observer?.method ?? 'mse',
    },
  };
}

const randomText = (samples: number, ranged: boolean): string =>
  `without data ranges come from ${samples} random inputs${ranged ? '' : ' (standard normal; a range tells more)'}`;

/** What the device wants, and what was asked for besides. */
function choicesOf(
  dtype: keyof typeof WIDTHS,
  { device, out, choices }: QuantizeGraphOptions,
): StaticOptions {
  const { activations, weights } = WIDTHS[dtype];
  const plain: StaticOptions = { activations: `int${activations}`, weights: `int${weights}` };
  const wanted = device ? optionsFor(device, WIDTHS[dtype]) : plain;
  return { ...wanted, ...(isTflite(out) && { coverage: 'all' as const }), ...choices };
}

const isTflite = (out: string): boolean => out.endsWith('.tflite');

/** Whether what is written to `out` for `device` has numbers for all dims. */
export const hasFixedShapes = (out: string, device: DeviceProfile | undefined): boolean =>
  isTflite(out) || (device?.staticShapes.value ?? false);

function contentOf(
  model: Model,
  out: string,
  device: DeviceProfile | undefined,
  dims: ReadonlyMap<string, number>,
): Uint8Array {
  const encoded = (made: Model) =>
    encodeModel(withOpset(made, device?.opset?.value.max ?? Number.POSITIVE_INFINITY));
  if (!hasFixedShapes(out, device)) return encoded(model);
  const graph = bindDims(model.graph, dims, 'batch');
  inferShapes(graph);
  return isTflite(out) ? toTflite({ ...model, graph }) : encoded({ ...model, graph });
}
