/** Convolutions: out[n,m,o] = Σ x[n,c,o·stride + k·dilation − pad] · w[m,c,k] (+ bias[m]), channels in groups. */
import { sizeOf, type Tensor } from '../../../graph/ir.ts';
import {
  padsFor,
  transposedLength,
  transposedPads,
  transposedWindowOf,
  type Window,
  windowOf,
} from '../../../ops/shape/window.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { range } from '../layout.ts';
import { sigmoid } from '../math.ts';
import { doubles, integers, store } from '../tensor.ts';
import { slidLengths, type Tap, tapsOf } from './window.ts';

/** Values with the dims that they stand for. */
export interface Values {
  readonly dims: readonly number[];
  readonly values: Float64Array;
}

/** Sizes of one group's work. */
interface Groups {
  readonly group: number;
  /** Channels of x and of the output in one group. */
  readonly ins: number;
  readonly outs: number;
}

function groupsOf(c: KernelContext, channels: number, outs: number, perGroup: number): Groups {
  const group = c.attributes.int('group', 1);
  if (perGroup * group !== channels)
    c.fail(`${channels} channels, but the weight takes ${perGroup} in each of ${group} groups`);
  if (outs % group !== 0) c.fail(`${outs} outputs do not divide into ${group} groups`);
  return { group, ins: perGroup, outs: outs / group };
}

/** The convolution of x [N,C,in..] with w [M,C/group,kernel..] in double. */
export function convolve(c: KernelContext, x: Values, w: Values, bias?: Float64Array): Values {
  const window = windowOf(c, x.dims.length - 2, w.dims.slice(2));
  const sizes = x.dims.slice(2);
  const lengths = slidLengths(c, window, sizes);
  const taps = tapsOf(window, sizes, lengths, padsFor(window, sizes));
  const groups = groupsOf(c, x.dims[1], w.dims[0], w.dims[1]);
  const dims = [x.dims[0], w.dims[0], ...lengths];
  const out = new Float64Array(sizeOf(dims));
  eachPlane(x.dims[0], groups, (n, m, ch, weight) => {
    const y = plane(out, n * w.dims[0] + m, sizeOf(lengths));
    const input = plane(x.values, n * x.dims[1] + ch, sizeOf(sizes));
    taps.forEach(
      (tap, k) => void accumulate(y, tap.outs, input, tap.ins, w.values[weight * taps.length + k]),
    );
  });
  if (bias) addBias(out, bias, sizeOf(lengths));
  return { dims, values: out };
}

/** Calls `body` for every sample, output channel and input channel of its group, with the weight's plane. */
function eachPlane(
  samples: number,
  { group, ins, outs }: Groups,
  body: (n: number, m: number, channel: number, weight: number) => void,
): void {
  for (let n = 0; n < samples; n++) {
    for (let m = 0; m < group * outs; m++) {
      for (let i = 0; i < ins; i++) body(n, m, Math.floor(m / outs) * ins + i, m * ins + i);
    }
  }
}

const plane = (values: Float64Array, index: number, size: number): Float64Array =>
  values.subarray(index * size, (index + 1) * size);

/** y[ys[i]] += scale · x[xs[i]]. */
function accumulate(y: Float64Array, ys: Int32Array, x: Float64Array, xs: Int32Array, scale: number): void {
  for (let i = 0; i < ys.length; i++) y[ys[i]] += scale * x[xs[i]];
}

function addBias(out: Float64Array, bias: Float64Array, size: number): void {
  for (let i = 0; i < out.length; i++) out[i] += bias[Math.floor(i / size) % bias.length];
}

const valuesOf = (t: Tensor): Values => ({ dims: t.dims, values: doubles(t) });
const optional = (t: Tensor | undefined): Float64Array | undefined => t && doubles(t);

const conv: Kernel = c => {
  const x = c.input(0);
  const { dims, values } = convolve(c, valuesOf(x), valuesOf(c.input(1)), optional(c.inputs[2]));
  return [store(x.dtype, dims, values)];
};

/** Every x[n,c,i] is spread over out[n,m,i·stride + k·dilation − pad] with weight w[c,m,k]. */
const convTranspose: Kernel = c => {
  const [x, w] = [c.input(0), c.input(1)];
  const sizes = x.dims.slice(2);
  const window = transposedWindowOf(c, sizes.length, w.dims.slice(2));
  const lengths = sizes.map((size, i) => Number(transposedLength(window, size, i)));
  // The convolution that this one transposes reads its output: ins and outs change sides.
  const taps = tapsOf(window, lengths, sizes, transposedPads(window, sizes));
  const groups = transposedGroups(c, x, w);
  const dims = [x.dims[0], groups.group * groups.outs, ...lengths];
  const out = new Float64Array(sizeOf(dims));
  spread(out, doubles(x), doubles(w), {
    taps,
    groups,
    samples: x.dims[0],
    sizes: [sizeOf(sizes), sizeOf(lengths)],
  });
  if (c.inputs[2]) addBias(out, doubles(c.inputs[2]), sizeOf(lengths));
  return [store(x.dtype, dims, out)];
};

function transposedGroups(c: KernelContext, x: Tensor, w: Tensor): Groups {
  const group = c.attributes.int('group', 1);
  if (x.dims[1] !== w.dims[0]) c.fail(`${x.dims[1]} channels, but the weight takes ${w.dims[0]}`);
  return { group, ins: x.dims[1] / group, outs: w.dims[1] };
}

interface Spread {
  readonly taps: readonly Tap[];
  readonly groups: Groups;
  readonly samples: number;
  /** Elements of one channel of x and of the output. */
  readonly sizes: readonly [number, number];
}

function spread(out: Float64Array, x: Float64Array, w: Float64Array, s: Spread): void {
  const { group, ins, outs } = s.groups;
  eachPlane(s.samples, s.groups, (n, m, ch) => {
    const y = plane(out, n * group * outs + m, s.sizes[1]);
    const input = plane(x, n * group * ins + ch, s.sizes[0]);
    const weight = (ch * outs + (m % outs)) * s.taps.length;
    s.taps.forEach((tap, k) => void accumulate(y, tap.ins, input, tap.outs, w[weight + k]));
  });
}

/**
 * Convolution whose taps are moved: element k of the window at o reads x at o·stride + k·dilation − pad + offset,
 * interpolated linearly (zero outside), times mask.
 */
const deformConv: Kernel = c => {
  const [x, w, offset] = [c.input(0), c.input(1), c.input(2)];
  if (x.dims.length !== 4) c.fail(`input [${x.dims}] must have rank 4`);
  const window = windowOf(c, 2, w.dims.slice(2));
  const lengths = slidLengths(c, window, x.dims.slice(2));
  const dims = [x.dims[0], w.dims[0], ...lengths];
  const sampler = deformedSampler(c, window, x, doubles(offset), optional(c.inputs[4]), lengths);
  const out = new Float64Array(sizeOf(dims));
  const [count, taps] = [sizeOf(lengths), sizeOf(window.kernel)];
  const weights = doubles(w);
  eachPlane(x.dims[0], groupsOf(c, x.dims[1], w.dims[0], w.dims[1]), (n, m, ch, weight) => {
    const y = plane(out, n * w.dims[0] + m, count);
    for (let k = 0; k < taps; k++) {
      for (let o = 0; o < count; o++) y[o] += weights[weight * taps + k] * sampler(n, ch, k, o);
    }
  });
  const bias = optional(c.inputs[3]);
  if (bias) addBias(out, bias, count);
  return [store(x.dtype, dims, out)];
};

/** x[n, channel] where kernel position k at output o looks. */
function deformedSampler(
  c: KernelContext,
  w: Window,
  x: Tensor,
  offset: Float64Array,
  mask: Float64Array | undefined,
  [rows, columns]: readonly number[],
): (n: number, channel: number, k: number, o: number) => number {
  const groups = c.attributes.int('offset_group', 1);
  const [, channels, height, width] = x.dims;
  const [taps, count, values] = [sizeOf(w.kernel), rows * columns, doubles(x)];
  return (n, channel, k, o) => {
    const g = n * groups + Math.floor((channel * groups) / channels);
    const moved = (axis: number) => offset[((g * taps + k) * 2 + axis) * count + o];
    const place = (axis: number, at: number, kernel: number) =>
      at * w.strides[axis] + kernel * w.dilations[axis] - w.pads[axis] + moved(axis);
    const y = place(0, Math.floor(o / columns), Math.floor(k / w.kernel[1]));
    const z = place(1, o % columns, k % w.kernel[1]);
    const weight = mask ? mask[(g * taps + k) * count + o] : 1;
    return weight * bilinear(plane(values, n * channels + channel, height * width), height, width, y, z);
  };
}

/** Value between the four pixels around (y, x); pixels outside are 0. */
export function bilinear(image: Float64Array, height: number, width: number, y: number, x: number): number {
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const at = (r: number, s: number) =>
    r >= 0 && r < height && s >= 0 && s < width ? image[r * width + s] : 0;
  const [fy, fx] = [y - top, x - left];
  const upper = at(top, left) * (1 - fx) + at(top, left + 1) * fx;
  const lower = at(top + 1, left) * (1 - fx) + at(top + 1, left + 1) * fx;
  return upper * (1 - fy) + lower * fy;
}

/** y[n,c,t] = f(Σ_k w[c,k]·s[n,c,t+k] + bias[c]) over s = state followed by x; the new state is the end of s. */
const causalConv: Kernel = c => {
  const [x, w] = [c.input(0), c.input(1)];
  const [samples, channels, length] = x.dims;
  const kept = w.dims[2] - 1;
  const [values, weights, bias] = [doubles(x), doubles(w), optional(c.inputs[2])];
  const past = optional(c.inputs[3]) ?? new Float64Array(samples * channels * kept);
  const activate = activationOf(c);
  const [y, state] = [new Float64Array(values.length), new Float64Array(past.length)];
  for (let row = 0; row < samples * channels; row++) {
    const line = [...plane(past, row, kept), ...plane(values, row, length)];
    const channel = row % channels;
    for (let t = 0; t < length; t++) {
      const sum = range(kept + 1).reduce((s, k) => s + weights[channel * (kept + 1) + k] * line[t + k], 0);
      y[row * length + t] = activate(sum + (bias?.[channel] ?? 0));
    }
    state.set(line.slice(length), row * kept);
  }
  return [store(x.dtype, x.dims, y), store(x.dtype, [samples, channels, kept], state)];
};

function activationOf(c: KernelContext): (x: number) => number {
  const name = c.attributes.string('activation', 'none');
  if (name === 'none') return x => x;
  return name === 'silu' || name === 'swish'
    ? x => x * sigmoid(x)
    : c.fail(`activation "${name}" is none of none, silu, swish`);
}

/** Adds every column [N, C·block, L] back to where a window took it from the image. */
const col2im: Kernel = c => {
  const [x, image, block] = [c.input(0), integers(c.input(1)), integers(c.input(2))];
  const window: Window = { ...windowOf(c, image.length, block), kernel: block };
  const lengths = slidLengths(c, window, image);
  const taps = tapsOf(window, image, lengths, window.pads);
  const channels = x.dims[1] / taps.length;
  const dims = [x.dims[0], channels, ...image];
  const [values, out] = [doubles(x), new Float64Array(sizeOf(dims))];
  for (let i = 0; i < x.dims[0] * channels; i++) {
    const target = plane(out, i, sizeOf(image));
    taps.forEach((tap, k) => {
      accumulate(target, tap.ins, plane(values, i * taps.length + k, x.dims[2]), tap.outs, 1);
    });
  }
  return [store(x.dtype, dims, out)];
};

export const CONVOLUTION = {
  Conv: conv,
  ConvTranspose: convTranspose,
  DeformConv: deformConv,
  CausalConvWithState: causalConv,
  Col2Im: col2im,
} as const satisfies KernelFamily;
