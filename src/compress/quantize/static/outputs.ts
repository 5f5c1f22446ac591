/**
 * What graphs give on the same data, and how far apart it is.
 *
 * 1. Of a Softmax that ends a graph its input is looked at: probabilities near 0 and 1 hide what changed.
 * 2. `relativeError` suits every float output; `divergence` is for classes, and is blind to what Softmax is blind to.
 */
import { isFloat } from '../../../graph/dtype.ts';
import type { Graph, Tensor } from '../../../graph/ir.ts';
import { producersOf } from '../../../graph/walk.ts';
import type { Program } from '../../../runtime/runtime.ts';
import { assert } from '../../../util/errors.ts';
import type { Feeds } from '../calibrate.ts';

/** The float ones of each batch, in the order of the program's outputs. */
export type Outputs = readonly (readonly Tensor[])[];

/** Throws when there are no data. */
export async function outputsOf(program: Program, data: Iterable<Feeds>): Promise<Outputs> {
  const names = program.outputs.filter(output => isFloat(output.dtype)).map(output => output.name);
  const all: Tensor[][] = [];
  for (const feeds of data) {
    const values = await program.call(feeds);
    all.push(names.map(name => values[name]));
  }
  assert(all.length > 0, 'calibration needs data: the list of batches is empty');
  return all;
}

/** The float outputs, or what goes into the Softmax that makes one; also behind Q/DQ pairs. */
export function resultsOf(graph: Graph): string[] {
  const producers = producersOf(graph);
  const beforePairs = (name: string): string => {
    const maker = producers.get(name);
    return maker?.opType === 'DequantizeLinear' || maker?.opType === 'QuantizeLinear'
      ? beforePairs(maker.inputs[0])
      : name;
  };
  return graph.outputs
    .filter(output => isFloat(output.dtype))
    .map(({ name }) => {
      const maker = producers.get(beforePairs(name));
      return maker?.opType === 'Softmax' ? maker.inputs[0] : name;
    });
}

/** Σ (y − ŷ)² / Σ y², the mean over outputs. Values that are not finite do not count. */
export function relativeError(wanted: Outputs, got: Outputs): number {
  const errors = pairsOf(wanted, got).map(batches => {
    let [noise, signal] = [0, 0];
    for (const [y, z] of batches)
      for (let k = 0; k < y.length; k++) {
        if (!Number.isFinite(y[k])) continue;
        noise += (y[k] - z[k]) ** 2;
        signal += y[k] ** 2;
      }
    return signal > 0 ? noise / signal : 0;
  });
  return errors.reduce((a, b) => a + b, 0) / errors.length;
}

/** Mean KL(softmax y ‖ softmax ŷ) over the rows of the first output, in nats. */
export function divergence(wanted: Outputs, got: Outputs): number {
  const [first = []] = pairsOf(wanted, got);
  const width = wanted[0][0].dims.at(-1) ?? 1;
  let [sum, rows] = [0, 0];
  for (const [y, z] of first)
    for (let at = 0; at + width <= y.length; at += width, rows++) {
      const [p, q] = [logSoftmax(y.subarray(at, at + width)), logSoftmax(z.subarray(at, at + width))];
      for (let k = 0; k < width; k++) sum += Math.exp(p[k]) * (p[k] - q[k]);
    }
  return sum / rows;
}

function logSoftmax(x: Float32Array): Float64Array {
  const top = x.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const log = Math.log(x.reduce((sum, v) => sum + Math.exp(v - top), 0));
  return Float64Array.from(x, v => v - top - log);
}

type Pair = readonly [Float32Array, Float32Array];

/** Of each output, the batches of both sides. */
const pairsOf = (wanted: Outputs, got: Outputs): Pair[][] =>
  wanted[0].map((_, i) => wanted.map((outputs, batch) => [floats(outputs[i]), floats(got[batch][i])]));

/** No other float type leaves a graph that is quantized. */
const floats = ({ data }: Tensor): Float32Array => data as Float32Array;
