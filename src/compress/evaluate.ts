/**
 * What a graph gets right: accuracy where there are labels, nearness to another graph where there are none.
 *
 * 1. Of outputs with several classes the largest is the prediction, the first among equals; a single one is compared with ½
 *    after a Sigmoid and with 0 otherwise. Images may have a class at each pixel or none: those have no accuracy here.
 * 2. Intervals are Wilson's at 95 %.
 * 3. A graph of fixed batch gets its last batch filled up; what was filled in counts for nothing.
 * 4. SQNR = 10 log10(Σ y² / Σ (y - ŷ)²) over all examples, in dB, for each output.
 */
import { batchesOf, type Examples, filledTo, fixedBatch, labelsOf } from '../data/examples/examples.ts';
import { isFloat } from '../graph/dtype.ts';
import type { Model, Tensor } from '../graph/ir.ts';
import { doubles } from '../runtime/reference/tensor.ts';
import type { Program, Runtime } from '../runtime/runtime.ts';
import { type Interval, wilson } from '../tasks/statistics.ts';
import { GaslawError } from '../util/errors.ts';

export interface EvaluateOptions {
  /** Examples at a time, for graphs whose batch is not fixed. */
  readonly batch?: number;
  /** Output that holds the classes; the first when absent. */
  readonly output?: string;
}

export interface Accuracy {
  readonly accuracy: number;
  readonly interval: Interval;
  readonly correct: number;
  readonly count: number;
  /** Class of each example. */
  readonly predictions: Int32Array;
}

const BATCH = 64;

/** Share of examples whose class `model` predicts. Throws when they have no labels or the output no classes. */
export async function accuracyOf(
  runtime: Runtime,
  model: Model,
  examples: Examples,
  options: EvaluateOptions = {},
): Promise<Accuracy> {
  const labels = labelsOf(examples);
  const predictions = await predictionsOf(runtime, model, examples, options);
  return { ...shareOf(predictions, labels), predictions };
}

/** `correct` of `count`, with its interval. */
function shareOf(predictions: Int32Array, wanted: Int32Array): Omit<Accuracy, 'predictions'> {
  const count = predictions.length;
  const correct = predictions.reduce((sum, p, i) => sum + (p === wanted[i] ? 1 : 0), 0);
  return { accuracy: correct / count, interval: wilson(correct, count), correct, count };
}

/** The class that `model` predicts for each example. */
export async function predictionsOf(
  runtime: Runtime,
  model: Model,
  examples: Examples,
  options: EvaluateOptions = {},
): Promise<Int32Array> {
  const output = options.output ?? model.graph.outputs[0]?.name ?? '';
  const predictions = new Int32Array(examples.count);
  await forEachBatch(runtime, model, examples, options, (outputs, indices) =>
    predict(predictions, model, output, outputs, indices),
  );
  return predictions;
}

/** Writes the classes of a batch to the places of its examples. */
function predict(
  predictions: Int32Array,
  { graph }: Model,
  output: string,
  outputs: Readonly<Record<string, Tensor>>,
  indices: readonly number[],
): void {
  const isProbability = graph.nodes.some(n => n.opType === 'Sigmoid' && n.outputs.includes(output));
  const classes = classesOf(output, outputs[output], indices.length, isProbability ? 0.5 : 0);
  indices.forEach((at, i) => {
    predictions[at] = classes[i];
  });
}

/** Calls `visit` with the outputs of each batch, which may have more rows than there are indices. */
export async function forEachBatch(
  runtime: Runtime,
  model: Model,
  examples: Examples,
  { batch = BATCH }: EvaluateOptions,
  visit: (outputs: Readonly<Record<string, Tensor>>, indices: readonly number[]) => void,
): Promise<void> {
  using program = await runtime.compile(model);
  const fixed = fixedBatch(program.inputs);
  for (const indices of batchesOf(examples.count, fixed ?? batch)) {
    const filled = fixed === undefined ? indices : filledTo(indices, fixed);
    visit(await callWith(program, examples, filled), indices);
  }
}

async function callWith(
  program: Program,
  examples: Examples,
  indices: readonly number[],
): Promise<Record<string, Tensor>> {
  const inputs = examples.batch(indices);
  const missing = program.inputs.find(({ name }) => !inputs[name]);
  if (missing) throw new GaslawError(`${examples.name}: has nothing for the model's input "${missing.name}"`);
  return program.call(Object.fromEntries(program.inputs.map(({ name }) => [name, inputs[name]])));
}

/** Classes of the first `rows` rows of [N], [N, classes] or [N, classes, 1, …]. */
function classesOf(name: string, output: Tensor | undefined, rows: number, threshold: number): number[] {
  if (!output) throw new GaslawError(`the model has no output "${name}"; name one of its outputs`);
  const width = output.dims.slice(1).reduce((a, b) => a * b, 1);
  if (output.dims.length === 0 || output.dims[0] < rows || output.dims.slice(2).some(d => d !== 1)) {
    throw new GaslawError(
      `output "${name}" is [${output.dims.join(', ')}]: a class is read from [batch, classes]; compare its values instead (no labels)`,
    );
  }
  const values = doubles(output);
  // one integer is the class itself (ArgMax), one float how likely class 1 is
  if (width === 1 && !isFloat(output.dtype)) return Array.from(values.subarray(0, rows));
  if (width === 1) return Array.from({ length: rows }, (_, i) => (values[i] > threshold ? 1 : 0));
  return Array.from({ length: rows }, (_, i) => largestAt(values.subarray(i * width, (i + 1) * width)));
}

function largestAt(row: Float64Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i] > row[best]) best = i;
  return best;
}

export interface Comparison {
  /** dB for each float output, or for all where none is float; Infinity when equal. */
  readonly sqnr: Readonly<Record<string, number>>;
  /** Share of examples of which both predict the same class; absent when the first output has no classes, or gives all examples one. */
  readonly agreement?: Omit<Accuracy, 'predictions'>;
}

/** How near `model` comes to `reference` on the examples; labels are not needed. */
export async function compareModels(
  runtime: Runtime,
  reference: Model,
  model: Model,
  examples: Examples,
  options: EvaluateOptions = {},
): Promise<Comparison> {
  const output = options.output ?? reference.graph.outputs[0]?.name ?? '';
  const classes = reference.graph.outputs.find(o => o.name === output)?.shape?.length === 2;
  const [wanted, got] = [new Int32Array(examples.count), new Int32Array(examples.count)];
  const kept: Record<string, Float64Array>[] = [];
  await forEachBatch(runtime, reference, examples, options, (outputs, indices) => {
    kept.push(valuesOf(outputs, indices.length));
    if (classes) predict(wanted, reference, output, outputs, indices);
  });
  const sums = new Map<string, { signal: number; noise: number }>();
  let at = 0;
  await forEachBatch(runtime, model, examples, options, (outputs, indices) => {
    addErrors(sums, kept[at++], valuesOf(outputs, indices.length));
    if (classes) predict(got, model, output, outputs, indices);
  });
  const sqnr = Object.fromEntries([...sums].map(([name, s]) => [name, 10 * Math.log10(s.signal / s.noise)]));
  const differ = wanted.some(label => label !== wanted[0]);
  return { sqnr, ...(classes && differ && { agreement: shareOf(got, wanted) }) };
}

/** Values of the first `rows` rows of each float output, or of every output where none is float. */
function valuesOf(outputs: Readonly<Record<string, Tensor>>, rows: number): Record<string, Float64Array> {
  const all = Object.entries(outputs);
  const floats = all.filter(([, t]) => isFloat(t.dtype));
  return Object.fromEntries((floats.length > 0 ? floats : all).map(([name, t]) => [name, rowsOf(t, rows)]));
}

function rowsOf(t: Tensor, rows: number): Float64Array {
  const all = doubles(t);
  const counted = t.dims.length > 0 && t.dims[0] >= rows;
  return counted ? all.subarray(0, (rows * all.length) / t.dims[0]) : all;
}

function addErrors(
  sums: Map<string, { signal: number; noise: number }>,
  wanted: Readonly<Record<string, Float64Array>>,
  got: Readonly<Record<string, Float64Array>>,
): void {
  for (const [name, y] of Object.entries(wanted)) {
    const x = got[name];
    if (x?.length !== y.length) throw new GaslawError(`output "${name}" of the two models differs in shape`);
    const s = sums.get(name) ?? { signal: 0, noise: 0 };
    y.forEach((v, i) => {
      s.signal += v * v;
      s.noise += (v - x[i]) ** 2;
    });
    sums.set(name, s);
  }
}
