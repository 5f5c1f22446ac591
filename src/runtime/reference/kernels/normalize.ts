/** Softmax and its losses, layer and RMS normalization with and without a residual input. */
import type { Tensor } from '../../../graph/ir.ts';
import { sizeOf } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { axisOf, broadcastOffsets, lanesOf, range, sameDims, sizeBetween } from '../layout.ts';
import { doubles, integers, store } from '../tensor.ts';
import { laneLogSumExp } from './reduce.ts';

/** log softmax along `axis`: x − log Σ e^x. */
function logSoftmax(c: KernelContext, x: Tensor, axis: number): Float64Array {
  const { bases, steps } = lanesOf(x.dims, [axisOf(c, axis, x.dims.length)]);
  const values = doubles(x);
  const out = new Float64Array(values.length);
  for (const base of bases) {
    const total = laneLogSumExp(values, base, steps);
    for (const step of steps) out[base + step] = values[base + step] - total;
  }
  return out;
}

const softmaxLike =
  (f: (log: number) => number): Kernel =>
  c => {
    const x = c.input(0);
    return [
      store(
        x.dtype,
        x.dims,
        logSoftmax(c, x, c.attributes.int('axis', -1)).map(v => f(v)),
      ),
    ];
  };

/**
 * Scores [N, C, d…], labels [N, d…], class weights [C]: −w[label] · log softmax(scores)[label], where
 * `ignore_index` counts nothing; `mean` divides by the sum of the weights counted.
 */
const crossEntropy: Kernel = c => {
  const scores = c.input(0);
  return labelLoss(c, logSoftmax(c, scores, 1));
};

/** The same from log-probabilities. */
const negativeLogLikelihood: Kernel = c => labelLoss(c, doubles(c.input(0)));

function labelLoss(c: KernelContext, logs: Float64Array): readonly Tensor[] {
  const [scores, labels] = [c.input(0), c.input(1)];
  const { losses, weight } = labelLosses(c, logs, scores.dims, integers(labels));
  const loss = reduceLoss(c, losses, weight, labels.dims, scores);
  return c.outputCount > 1 ? [loss, store(scores.dtype, scores.dims, logs)] : [loss];
}

/** 1 at the first largest element of each lane, 0 elsewhere. */
const hardmax: Kernel = c => {
  const x = c.input(0);
  const { bases, steps } = lanesOf(x.dims, [axisOf(c, c.attributes.int('axis', -1), x.dims.length)]);
  const [values, out] = [doubles(x), new Float64Array(sizeOf(x.dims))];
  for (const base of bases) {
    const best = steps.reduce((at, step) => (values[base + step] > values[base + at] ? step : at), steps[0]);
    out[base + best] = 1;
  }
  return [store(x.dtype, x.dims, out)];
};

function labelLosses(
  c: KernelContext,
  logs: Float64Array,
  dims: readonly number[],
  labels: readonly number[],
): { losses: Float64Array; weight: number } {
  const ignored = c.attributes.has('ignore_index') ? c.attributes.int('ignore_index', 0) : undefined;
  const weights = c.inputs[2] && doubles(c.inputs[2]);
  const { bases, steps } = lanesOf(dims, [1]);
  const losses = new Float64Array(labels.length);
  let weight = 0;
  labels.forEach((label, i) => {
    if (label === ignored) return;
    if (label < 0 || label >= steps.length) c.fail(`label ${label} is outside ${steps.length} classes`);
    const w = weights?.[label] ?? 1;
    losses[i] = -w * logs[bases[i] + steps[label]];
    weight += w;
  });
  return { losses, weight };
}

function reduceLoss(
  c: KernelContext,
  losses: Float64Array,
  weight: number,
  dims: readonly number[],
  { dtype }: Tensor,
): Tensor {
  const reduction = c.attributes.string('reduction', 'mean');
  if (reduction === 'none') return store(dtype, dims, losses);
  const total = losses.reduce((a, b) => a + b, 0);
  return store(dtype, [], Float64Array.of(reduction === 'sum' ? total : total / weight));
}

/** What one normalized row needs; `centered` tells layer from RMS normalization. */
interface Norm {
  readonly width: number;
  readonly epsilon: number;
  readonly centered: boolean;
}

interface Normalized {
  readonly values: Float64Array;
  readonly means: Float64Array;
  readonly inverses: Float64Array;
}

/** (x − mean) / √(variance + ε), or x / √(mean square + ε), over rows of `width`. */
function normalizeRows(x: Float64Array, { width, epsilon, centered }: Norm): Normalized {
  const rows = width === 0 ? 0 : x.length / width;
  const [means, inverses] = [new Float64Array(rows), new Float64Array(rows)];
  const values = new Float64Array(x.length);
  for (let r = 0; r < rows; r++) {
    const row = x.subarray(r * width, (r + 1) * width);
    const mean = centered ? row.reduce((a, b) => a + b, 0) / width : 0;
    const variance = row.reduce((s, v) => s + (v - mean) ** 2, 0) / width;
    const inverse = 1 / Math.sqrt(variance + epsilon);
    for (let j = 0; j < width; j++) values[r * width + j] = (row[j] - mean) * inverse;
    means[r] = mean;
    inverses[r] = inverse;
  }
  return { values, means, inverses };
}

/** values · scale + bias, both broadcast to `dims`. */
function affine(values: Float64Array, dims: readonly number[], scale: Tensor, bias?: Tensor): Float64Array {
  const [s, atS] = [doubles(scale), broadcastOffsets(scale.dims, dims)];
  const out = values.map((v, i) => v * s[atS[i]]);
  if (!bias) return out;
  const [b, atB] = [doubles(bias), broadcastOffsets(bias.dims, dims)];
  return out.map((v, i) => v + b[atB[i]]);
}

/** LayerNormalization and its RMS form: statistics over the axes from `axis` on. */
const normalization =
  (centered: boolean): Kernel =>
  c => {
    const x = c.input(0);
    const axis = axisOf(c, c.attributes.int('axis', -1), x.dims.length);
    const width = sizeBetween(x.dims, axis, x.dims.length);
    const norm = { width, epsilon: c.attributes.float('epsilon', 1e-5), centered };
    const { values, means, inverses } = normalizeRows(doubles(x), norm);
    const y = store(x.dtype, x.dims, affine(values, x.dims, c.input(1), centered ? c.inputs[2] : undefined));
    const dims = x.dims.map((n, k) => (k < axis ? n : 1));
    const statistics = (centered ? [means, inverses] : [inverses]).map(v =>
      store(statisticsDType(x), dims, v),
    );
    return [y, ...statistics].slice(0, Math.max(1, c.outputCount));
  };

const statisticsDType = (x: Tensor) => (x.dtype === 'float64' ? 'float64' : 'float32');

/**
 * y = norm(s) · gamma (+ beta) with s = input + skip (+ bias).
 * Outputs: y, mean, inverse deviation, s. The skip may lack the batch axis or hold 1 in it.
 */
const skipNormalization =
  (centered: boolean): Kernel =>
  c => {
    const x = c.input(0);
    const [beta, bias] = centered ? [c.inputs[3], c.inputs[4]] : [undefined, c.inputs[3]];
    const sum = residual(x, c.input(1), bias);
    const width = x.dims[x.dims.length - 1];
    const norm = { width, epsilon: c.attributes.float('epsilon', centered ? 1e-12 : 1e-6), centered };
    const { values, means, inverses } = normalizeRows(sum, norm);
    const dims = [...x.dims.slice(0, -1), 1];
    const outputs = [
      store(x.dtype, x.dims, affine(values, x.dims, c.input(2), beta)),
      store('float32', dims, means),
      store('float32', dims, inverses),
      store(x.dtype, x.dims, sum),
    ];
    return outputs.slice(0, Math.max(1, c.outputCount));
  };

function residual(x: Tensor, skip: Tensor, bias: Tensor | undefined): Float64Array {
  const values = doubles(x);
  const others = [skip, ...(bias ? [bias] : [])].map(t => ({
    values: doubles(t),
    at: sameDims(t.dims, x.dims) ? Int32Array.from(range(sizeOf(x.dims))) : broadcastOffsets(t.dims, x.dims),
  }));
  return values.map((v, i) => others.reduce((s, o) => s + o.values[o.at[i]], v));
}

export const NORMALIZE = {
  Softmax: softmaxLike(Math.exp),
  LogSoftmax: softmaxLike(v => v),
  Hardmax: hardmax,
  NegativeLogLikelihoodLoss: negativeLogLikelihood,
  SoftmaxCrossEntropyLoss: crossEntropy,
  LayerNormalization: normalization(true),
  RMSNormalization: normalization(false),
  SimplifiedLayerNormalization: normalization(false),
  'com.microsoft.SkipLayerNormalization': skipNormalization(true),
  'com.microsoft.SkipSimplifiedLayerNormalization': skipNormalization(false),
} as const satisfies KernelFamily;
