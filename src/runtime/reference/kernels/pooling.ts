/** Pools: maximum, mean and p-norm of a window, or of all spatial axes at once. */
import { sizeOf, type Tensor } from '../../../graph/ir.ts';
import { insideCounts, padsFor, type Window, windowOf } from '../../../ops/shape/window.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { range, transposed } from '../layout.ts';
import { doubles, indices64, integers, store } from '../tensor.ts';
import type { Values } from './convolution.ts';
import { slidLengths, type Tap, tapsOf } from './window.ts';

/** A window laid over the input of a node. */
interface Pool {
  readonly window: Window;
  readonly taps: readonly Tap[];
  readonly sizes: readonly number[];
  readonly lengths: readonly number[];
  readonly pads: readonly number[];
}

function poolOf(c: KernelContext, dims: readonly number[]): Pool {
  const sizes = dims.slice(2);
  const window = windowOf(c, sizes.length);
  const lengths = slidLengths(c, window, sizes);
  const pads = padsFor(window, sizes);
  return { window, sizes, lengths, pads, taps: tapsOf(window, sizes, lengths, pads) };
}

/** The largest element of each window and its flat position in the channel; the first of equals. */
function maximum(x: Values, p: Pool): { values: Float64Array; at: Int32Array } {
  const [inside, outside, planes] = [sizeOf(p.sizes), sizeOf(p.lengths), sizeOf(x.dims.slice(0, 2))];
  const values = new Float64Array(planes * outside).fill(-Infinity);
  const at = new Int32Array(values.length);
  for (let n = 0; n < planes; n++) {
    for (const { outs, ins } of p.taps) {
      for (let i = 0; i < outs.length; i++) {
        const [o, v] = [n * outside + outs[i], x.values[n * inside + ins[i]]];
        if (!(v > values[o]) && !Number.isNaN(v)) continue;
        values[o] = v;
        at[o] = ins[i];
      }
    }
  }
  return { values, at };
}

const maxPool: Kernel = c => {
  const x = c.input(0);
  const p = poolOf(c, x.dims);
  const { values, at } = maximum({ dims: x.dims, values: doubles(x) }, p);
  const dims = [...x.dims.slice(0, 2), ...p.lengths];
  const order = c.attributes.int('storage_order', 0) === 0 ? (i: number) => i : columnMajor(p.sizes);
  const [inside, outside] = [sizeOf(p.sizes), sizeOf(p.lengths)];
  const flat = Array.from(at, (i, o) => Math.floor(o / outside) * inside + order(i));
  return [store(x.dtype, dims, values), indices64(dims, flat)].slice(0, Math.max(1, c.outputCount));
};

/** Row-major positions to column-major ones. */
function columnMajor(sizes: readonly number[]): (i: number) => number {
  return i => {
    let [rest, out] = [i, 0];
    for (const size of sizes.toReversed()) {
      out = out * size + (rest % size);
      rest = Math.floor(rest / size);
    }
    return out;
  };
}

/** Σ f(x) over each window. */
function summed(x: Values, p: Pool, f: (v: number) => number): Float64Array {
  const [inside, outside, planes] = [sizeOf(p.sizes), sizeOf(p.lengths), sizeOf(x.dims.slice(0, 2))];
  const sums = new Float64Array(planes * outside);
  for (let n = 0; n < planes; n++) {
    for (const { outs, ins } of p.taps) {
      for (let i = 0; i < outs.length; i++) sums[n * outside + outs[i]] += f(x.values[n * inside + ins[i]]);
    }
  }
  return sums;
}

/** What each window divides by: its elements inside the input, or inside the padded input. */
function countsOf(c: KernelContext, p: Pool): Float64Array {
  const padded = c.attributes.int('count_include_pad', 0) !== 0;
  const lists = p.sizes.map((size, i) => {
    const [start, end] = [p.pads[i], p.pads[i + p.sizes.length]];
    return insideCounts(p.window, i, p.lengths[i], start, padded ? [-start, size + end] : [0, size]);
  });
  return lists.reduce(
    (counts, list) =>
      Float64Array.from({ length: counts.length * list.length }, (_, i) => {
        const [outer, inner] = [Math.floor(i / list.length), i % list.length];
        return (counts[outer] as number) * (list[inner] as number);
      }),
    Float64Array.of(1),
  );
}

/** The mean of each window of a channels-first tensor in double. */
export function averagePooled(c: KernelContext, x: Values): Values {
  const p = poolOf(c, x.dims);
  const counts = countsOf(c, p);
  const sums = summed(x, p, v => v);
  return {
    dims: [...x.dims.slice(0, 2), ...p.lengths],
    values: sums.map((s, i) => s / counts[i % counts.length]),
  };
}

const averagePool: Kernel = c => {
  const x = c.input(0);
  const { dims, values } = averagePooled(c, { dims: x.dims, values: doubles(x) });
  return [store(x.dtype, dims, values)];
};

/** (Σ |x|^p)^(1/p). */
const lpPool: Kernel = c => {
  const x = c.input(0);
  const pool = poolOf(c, x.dims);
  const p = c.attributes.int('p', 2);
  const sums = summed({ dims: x.dims, values: doubles(x) }, pool, v => Math.abs(v) ** p);
  return [
    store(
      x.dtype,
      [...x.dims.slice(0, 2), ...pool.lengths],
      sums.map(s => s ** (1 / p)),
    ),
  ];
};

/** f of all elements of each channel. */
export function overChannels(x: Values, f: (channel: Float64Array) => number): Values {
  const size = sizeOf(x.dims.slice(2));
  const planes = sizeOf(x.dims.slice(0, 2));
  const values = Float64Array.from(range(planes), n => f(x.values.subarray(n * size, (n + 1) * size)));
  return { dims: x.dims.map((n, i) => (i < 2 ? n : 1)), values };
}

const global =
  (make: (c: KernelContext) => (channel: Float64Array) => number): Kernel =>
  c => {
    const x = c.input(0);
    const { dims, values } = overChannels({ dims: x.dims, values: doubles(x) }, make(c));
    return [store(x.dtype, dims, values)];
  };

export const meanOf = (v: Float64Array): number => v.reduce((a, b) => a + b, 0) / v.length;

/** Zeros, with each element of x where its index says; indices count elements of the whole output. */
const maxUnpool: Kernel = c => {
  const [x, indices] = [c.input(0), integers(c.input(1))];
  const own = unpooledDims(c, x);
  const dims = c.inputs[2] ? integers(c.inputs[2]) : own;
  const out = new Float64Array(sizeOf(dims));
  const moved = indices.map(i => repositioned(i, own, dims));
  doubles(x).forEach((v, i) => {
    out[moved[i]] = v;
  });
  return [store(x.dtype, dims, out)];
};

function unpooledDims(c: KernelContext, x: Tensor): number[] {
  const w = windowOf(c, x.dims.length - 2);
  const lengths = w.kernel.map(
    (k, i) => (x.dims[i + 2] - 1) * w.strides[i] + k - w.pads[i] - w.pads[i + w.kernel.length],
  );
  return [...x.dims.slice(0, 2), ...lengths];
}

/** A flat index into `from` as one into `to`, coordinates kept. */
function repositioned(index: number, from: readonly number[], to: readonly number[]): number {
  let [rest, out, step] = [index, 0, 1];
  for (let axis = from.length - 1; axis >= 0; axis--) {
    out += (rest % from[axis]) * step;
    rest = Math.floor(rest / from[axis]);
    step *= to[axis];
  }
  return out;
}

/** The largest element of each cell of a grid over each region [batch, x1, y1, x2, y2]; 0 where a cell is empty. */
const maxRoiPool: Kernel = c => {
  const [x, rois] = [c.input(0), doubles(c.input(1))];
  const [, channels, height, width] = x.dims;
  const [rows, columns] = c.attributes.ints('pooled_shape') ?? c.fail('attribute "pooled_shape" is missing');
  const scale = c.attributes.float('spatial_scale', 1);
  const values = doubles(x);
  const count = rois.length / 5;
  const out = new Float64Array(count * channels * rows * columns);
  let p = 0;
  for (let r = 0; r < count; r++) {
    const [batch, ...corners] = rois.subarray(r * 5, r * 5 + 5);
    const [left, top, right, bottom] = corners.map(v => Math.round(v * scale));
    for (let ch = 0; ch < channels; ch++) {
      const image = values.subarray((batch * channels + ch) * height * width);
      for (let cell = 0; cell < rows * columns; cell++) {
        const ys = cellOf(Math.floor(cell / columns), rows, top, bottom, height);
        const xs = cellOf(cell % columns, columns, left, right, width);
        const inside = ys.flatMap(i => xs.map(j => image[i * width + j]));
        out[p++] = inside.length === 0 ? 0 : Math.max(...inside);
      }
    }
  }
  return [store(x.dtype, [count, channels, rows, columns], out)];
};

/** Positions of part `i` of `parts` of [low, high], inside [0, size). */
function cellOf(i: number, parts: number, low: number, high: number, size: number): number[] {
  const step = Math.max(high - low + 1, 1) / parts;
  const from = Math.min(Math.max(Math.floor(i * step) + low, 0), size);
  const to = Math.min(Math.max(Math.ceil((i + 1) * step) + low, 0), size);
  return range(Math.max(0, to - from)).map(k => from + k);
}

/** MaxPool of a tensor whose channels come last. */
const nhwcMaxPool: Kernel = c => {
  const x = channelsFirst(c.input(0));
  const p = poolOf(c, x.dims);
  const { values } = maximum({ dims: x.dims, values: doubles(x) }, p);
  return [channelsLast(store(x.dtype, [...x.dims.slice(0, 2), ...p.lengths], values))];
};

export function channelsFirst(t: Tensor): Tensor {
  const last = t.dims.length - 1;
  return transposed(t, [0, last, ...range(last - 1).map(i => i + 1)]);
}

export const channelsLast = (t: Tensor): Tensor =>
  transposed(t, [0, ...range(t.dims.length - 2).map(i => i + 2), 1]);

export const POOLING = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
  GlobalAveragePool: global(() => meanOf),
  GlobalMaxPool: global(() => v => v.reduce((a, b) => Math.max(a, b), -Infinity)),
  GlobalLpPool: global(c => {
    const p = c.attributes.int('p', 2);
    return v => v.reduce((s, x) => s + Math.abs(x) ** p, 0) ** (1 / p);
  }),
  MaxUnpool: maxUnpool,
  MaxRoiPool: maxRoiPool,
  'com.microsoft.NhwcMaxPool': nhwcMaxPool,
} as const satisfies KernelFamily;
