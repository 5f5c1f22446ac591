/** Normalizations of channels-first tensors: batch, instance, group, local response, and p-norms. */
import { sizeOf, type Tensor } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { axisOf, lanesOf, range } from '../layout.ts';
import { doubles, store } from '../tensor.ts';

interface Statistics {
  readonly mean: number;
  readonly variance: number;
}

/** Mean and (population) variance of `values`. */
function statisticsOf(values: ArrayLike<number>): Statistics {
  const list = Array.from(values);
  const mean = list.reduce((a, b) => a + b, 0) / list.length;
  return { mean, variance: list.reduce((s, v) => s + (v - mean) ** 2, 0) / list.length };
}

/** Channel of every element of [N,C,..]. */
const channelOf = (dims: readonly number[]): ((i: number) => number) => {
  const channels = dims[1];
  const size = sizeOf(dims.slice(2));
  return i => Math.floor(i / size) % channels;
};

const epsilonOf = (c: KernelContext): number => c.attributes.float('epsilon', 1e-5);

/** scale·(x − mean)/√(variance + ε) + bias by channel. */
function normalized(c: KernelContext, x: Tensor, of: (channel: number) => Statistics): Tensor {
  const [scale, bias] = [doubles(c.input(1)), doubles(c.input(2))];
  const at = channelOf(x.dims);
  const epsilon = epsilonOf(c);
  const values = doubles(x).map((v, i) => {
    const { mean, variance } = of(at(i));
    return (scale[at(i)] * (v - mean)) / Math.sqrt(variance + epsilon) + bias[at(i)];
  });
  return store(x.dtype, x.dims, values);
}

const batchNormalization: Kernel = c => {
  const x = c.input(0);
  const [means, variances] = [doubles(c.input(3)), doubles(c.input(4))];
  const given = range(means.length).map(i => ({ mean: means[i], variance: variances[i] }));
  if (c.attributes.int('training_mode', 0) === 0) return [normalized(c, x, i => given[i])];
  const found = channelStatistics(x);
  return [normalized(c, x, i => found[i]), ...runningStatistics(c, given, found)];
};

function channelStatistics(x: Tensor): Statistics[] {
  const values = doubles(x);
  const at = channelOf(x.dims);
  return range(x.dims[1]).map(channel => statisticsOf(values.filter((_, i) => at(i) === channel)));
}

/** old·momentum + batch·(1 − momentum). */
function runningStatistics(
  c: KernelContext,
  old: readonly Statistics[],
  found: readonly Statistics[],
): Tensor[] {
  const momentum = c.attributes.float('momentum', 0.9);
  return (['mean', 'variance'] as const).map((key, k) => {
    const { dtype, dims } = c.input(3 + k);
    const mixed = found.map((s, i) => old[i][key] * momentum + s[key] * (1 - momentum));
    return store(dtype, dims, Float64Array.from(mixed));
  });
}

/** Every run of `size` elements normalized by its own statistics, then scaled and shifted by channel. */
function groupNormalized(c: KernelContext, x: Tensor, size: number): Tensor {
  const [scale, bias] = [doubles(c.input(1)), doubles(c.input(2))];
  const at = channelOf(x.dims);
  const values = doubles(x);
  const epsilon = epsilonOf(c);
  const groups = range(values.length / size).map(g =>
    statisticsOf(values.subarray(g * size, (g + 1) * size)),
  );
  const out = values.map((v, i) => {
    const { mean, variance } = groups[Math.floor(i / size)];
    return (scale[at(i)] * (v - mean)) / Math.sqrt(variance + epsilon) + bias[at(i)];
  });
  return store(x.dtype, x.dims, out);
}

const instanceNormalization: Kernel = c => {
  const x = c.input(0);
  return [groupNormalized(c, x, sizeOf(x.dims.slice(2)))];
};

const groupNormalization: Kernel = c => {
  const x = c.input(0);
  const groups = c.attributes.int('num_groups', 1);
  return [groupNormalized(c, x, (x.dims[1] / groups) * sizeOf(x.dims.slice(2)))];
};

/** (x − mean)/(√variance + 1e-9) over `axes`. */
const meanVariance: Kernel = c => {
  const x = c.input(0);
  const rank = x.dims.length;
  const axes = (c.attributes.ints('axes') ?? [0, 2, 3]).map(a => axisOf(c, a, rank));
  return [
    perLane(x, axes, lane => {
      const { mean, variance } = statisticsOf(lane);
      return lane.map(v => (v - mean) / (Math.sqrt(variance) + 1e-9));
    }),
  ];
};

/** x/‖x‖_p along `axis`; a lane of zeros stays. */
const lpNormalization: Kernel = c => {
  const x = c.input(0);
  const p = c.attributes.int('p', 2);
  return [
    perLane(x, [axisOf(c, c.attributes.int('axis', -1), x.dims.length)], lane => {
      const norm = lane.reduce((s, v) => s + Math.abs(v) ** p, 0) ** (1 / p);
      return norm === 0 ? lane : lane.map(v => v / norm);
    }),
  ];
};

/** `x` with every lane along `axes` replaced by f of it. */
function perLane(x: Tensor, axes: readonly number[], f: (lane: number[]) => number[]): Tensor {
  const values = doubles(x);
  const out = new Float64Array(values.length);
  const { bases, steps } = lanesOf(x.dims, axes);
  for (const base of bases) {
    f(Array.from(steps, step => values[base + step])).forEach((v, i) => {
      out[base + steps[i]] = v;
    });
  }
  return store(x.dtype, x.dims, out);
}

/** x / (bias + alpha/size · Σ x²)^beta, summed over `size` neighbouring channels. */
const localResponse: Kernel = c => {
  const x = c.input(0);
  const size = c.attributes.int('size', 1);
  const [alpha, beta, bias] = [
    c.attributes.float('alpha', 1e-4),
    c.attributes.float('beta', 0.75),
    c.attributes.float('bias', 1),
  ];
  const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
  return [
    perLane(x, [1], lane =>
      lane.map((v, i) => {
        const near = lane.slice(Math.max(0, i - before), i + after + 1);
        return v / (bias + (alpha / size) * near.reduce((s, u) => s + u * u, 0)) ** beta;
      }),
    ),
  ];
};

export const NORMALIZE_CHANNELS = {
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
  GroupNormalization: groupNormalization,
  MeanVarianceNormalization: meanVariance,
  LpNormalization: lpNormalization,
  LRN: localResponse,
} as const satisfies KernelFamily;
