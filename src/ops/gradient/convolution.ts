/**
 * Gradients of convolutions, as convolutions.
 *
 * 1. Input gradient: for stride 1 a Conv of g with the weight turned round and its channels exchanged, which ONNX
 *    Runtime runs faster than a ConvTranspose; else a ConvTranspose.
 * 2. Weight gradient: dW[m,c,k] = Σ_{n,o} g[n,m,o]·x[n,c,o·stride + k·dilation − pad] is for every k a product of g by
 *    a strided slice of x. Or, for few channels, where products are thin, a Conv of x by g with batch and channels
 *    exchanged, stride and dilation too; groups go into the batch of x.
 *    Measured on ONNX Runtime, 2 threads, 3×3 kernels: 194 against 77 GFLOP/s at 64 channels, 70 against 26 at 16;
 *    at 3 channels and 7×7 the Conv has 72 against 17.
 * 3. ConvTranspose is the transpose of a Conv: its input gradient is that Conv, its weight gradient has x and g exchanged.
 */
import type { Shape } from '../../graph/ir.ts';
import { staticDims } from '../../graph/ir.ts';
import type { Value } from '../builder.ts';
import { type GradientContext, none } from '../rule.ts';
import {
  extentOf,
  padsFor,
  transposedPads,
  transposedWindowOf,
  type Window,
  windowOf,
} from '../shape/window.ts';
import {
  decomposedAll,
  dimsVector,
  type Extent,
  first,
  type Gradients,
  input,
  range,
  shaped,
  extentOf as sizeAt,
} from './common.ts';
import type { Family } from './family.ts';

/** A convolution's geometry in numbers. */
interface Geometry {
  readonly window: Window;
  /** All starts, then all ends. */
  readonly pads: readonly number[];
  readonly group: number;
}

const rankOf = (g: Geometry): number => g.window.kernel.length;
const spatialAxes = (rank: number): number[] => range(rank, 2);

const kernelOf = (c: GradientContext, w: Value): readonly number[] =>
  staticDims(w.shape.slice(2)) ?? c.fail('has no gradient while the kernel size is symbolic');

/** Sizes in numbers, or 1 each where pads do not depend on them. */
function sizesFor(c: GradientContext, w: Window, shape: Shape): readonly number[] {
  const sizes = staticDims(shape.slice(2));
  const free = !w.autoPad.startsWith('SAME') || w.strides.every(s => s === 1);
  return (
    sizes ??
    (free
      ? w.kernel.map(() => 1)
      : c.fail(`has no gradient with auto_pad ${w.autoPad} while sizes are symbolic`))
  );
}

function geometryOf(c: GradientContext, x: Value, w: Value): Geometry {
  const window = windowOf(c, x.rank - 2, kernelOf(c, w));
  return { window, pads: padsFor(window, sizesFor(c, window, x.shape)), group: c.attributes.int('group', 1) };
}

/** A plain Conv with this geometry. */
function convolve(x: Value, w: Value, { window, pads, group }: Geometry, bias?: Value): Value {
  const { strides, dilations } = window;
  return x.builder.op('Conv', [x, w, bias], { strides, dilations, pads, group });
}

/** w [G·a, b, k..] as [G·b, a, k..] with every kernel turned round. */
function turned(w: Value, group: number): Value {
  const [outs, ins, ...kernel] = staticDims(w.shape) as number[];
  const axes = spatialAxes(kernel.length);
  const grouped = group === 1 ? w.unsqueeze([0]) : w.reshape([group, outs / group, ins, ...kernel]);
  const swapped = grouped
    .transpose([0, 2, 1, ...axes.map(a => a + 1)])
    .reshape([group * ins, outs / group, ...kernel]);
  if (kernel.every(k => k === 1)) return swapped;
  const b = w.builder;
  const all = (n: number) => b.ints(axes.map(() => n));
  return b.op('Slice', [swapped, all(-1), all(-(2 ** 31)), b.ints(axes), all(-1)], {});
}

/** Σ over the windows that each element lies in: the transpose of `convolve`, of the shape of `x`. */
function spread(c: GradientContext, g: Value, w: Value, geometry: Geometry, x: Value): Value {
  const { window, pads, group } = geometry;
  const rank = rankOf(geometry);
  const rest = pads.map((p, i) => extentOf(window, i % rank) - 1 - p);
  if (window.strides.every(s => s === 1) && rest.every(p => p >= 0) && staticDims(w.shape)) {
    return shaped(convolve(g, turned(w, group), { window, pads: rest, group }), x.shape);
  }
  const { strides, dilations } = window;
  const leftOver = leftOvers(geometry, g, x);
  const output_padding = leftOver ?? strides.map(s => s - 1);
  const y = c.b.op('ConvTranspose', [g, w], { strides, dilations, pads, group, output_padding });
  return shaped(leftOver ? y : cropped(y, x), x.shape);
}

/** Elements at the end that no window reaches; undefined where sizes are symbolic. */
function leftOvers({ window, pads }: Geometry, g: Value, x: Value): number[] | undefined {
  const [sizes, counts] = [staticDims(x.shape.slice(2)), staticDims(g.shape.slice(2))];
  if (!sizes || !counts) return undefined;
  return sizes.map((size, i) => {
    const padded = size + (pads[i] as number) + (pads[i + sizes.length] as number);
    return padded - extentOf(window, i) - ((counts[i] as number) - 1) * (window.strides[i] as number);
  });
}

/** The spatial axes of `y` cut at the end to the lengths of `x`. */
function cropped(y: Value, x: Value): Value {
  const { builder: b } = y;
  const axes = spatialAxes(x.rank - 2);
  const ends = dimsVector(
    x,
    axes.map(a => sizeAt(x, a)),
  );
  return b.op('Slice', [y, b.ints(axes.map(() => 0)), ends, b.ints(axes)], {});
}

/** [N, G·c, ..] as [c, G·N, ..]. */
function groupsToBatch(x: Value, group: number): Value {
  const axes = spatialAxes(x.rank - 2);
  if (group === 1) return x.transpose([1, 0, ...axes]);
  const spatial = axes.map(a => sizeAt(x, a));
  const channels = Number(x.shape[1]) / group;
  const split = x.reshapeTo(dimsVector(x, [sizeAt(x, 0), group, channels, ...spatial]));
  const moved = split.transpose([2, 1, 0, ...axes.map(a => a + 1)]);
  return moved.reshapeTo(dimsVector(x, [channels, -1, ...spatial] as Extent[]));
}

/** Fewer input channels a group make products too thin. */
const FEW_CHANNELS = 8;

/** dW of the Conv of `x` that gave the shape of `g`: [M, C/group, kernel..]. */
function weightGradient(x: Value, g: Value, geometry: Geometry, shape: Shape): Value {
  const thin = Number(shape[1]) < FEW_CHANNELS && geometry.window.kernel.some(k => k > 1);
  return shaped(thin ? convolvedWeight(x, g, geometry) : multipliedWeight(x, g, geometry, shape), shape);
}

/** Batch and channels exchanged. */
const exchanged = (v: Value): Value => v.transpose([1, 0, ...spatialAxes(v.rank - 2)]);

/** A Conv of x by g, cut to the kernel. */
function convolvedWeight(x: Value, g: Value, geometry: Geometry): Value {
  const { window, pads, group } = geometry;
  const { builder: b } = x;
  const axes = spatialAxes(rankOf(geometry));
  const y = b.op('Conv', [groupsToBatch(x, group), exchanged(g)], {
    strides: window.dilations,
    dilations: window.strides,
    pads,
    group,
  });
  const fits = y.shape.slice(2).every((d, i) => d === window.kernel[i]);
  const zeros = b.ints(axes.map(() => 0));
  return exchanged(fits ? y : b.op('Slice', [y, zeros, b.ints(window.kernel), b.ints(axes)], {}));
}

/** One product [M/group, N·out] × [N·out, C/group] for every kernel position, group by group. */
function multipliedWeight(x: Value, g: Value, geometry: Geometry, shape: Shape): Value {
  const { window, pads, group } = geometry;
  const [outs, ins] = shape as number[];
  const rows = exchanged(g).reshape([group, (outs as number) / group, -1]);
  const moved = exchanged(x);
  const around = [0, 0, ...pads.slice(0, rankOf(geometry)), 0, 0, ...pads.slice(rankOf(geometry))];
  const padded = pads.some(p => p > 0) ? x.builder.op('Pad', [moved, x.builder.ints(around)], {}) : moved;
  const parts = kernelPositions(window.kernel).map(at => {
    const columns = readAt(padded, g, window, at).reshape([group, ins as number, -1]);
    return x.builder.op('com.microsoft.FusedMatMul', [rows, columns], { transB: 1 }).unsqueeze([3]);
  });
  const all = parts.length === 1 ? (parts[0] as Value) : x.builder.concat(parts, 3);
  return all.reshape(shape as number[]);
}

/** All positions of a kernel, row-major. */
const kernelPositions = (kernel: readonly number[]): number[][] =>
  kernel.reduce<number[][]>((all, size) => all.flatMap(at => range(size).map(k => [...at, k])), [[]]);

/** The elements of x [C, N, ..], padded, that kernel position `at` reads, in the spatial shape of `g`. */
function readAt(x: Value, g: Value, { strides, dilations }: Window, at: readonly number[]): Value {
  const { builder: b } = x;
  const axes = spatialAxes(at.length);
  const starts = at.map((k, i) => k * (dilations[i] as number));
  const ends = axes.map((axis, i): Extent => {
    const [count, stride, start] = [sizeAt(g, axis), strides[i] as number, starts[i] as number];
    return typeof count === 'number'
      ? (count - 1) * stride + start + 1
      : count
          .sub(1)
          .mul(stride)
          .add(start + 1);
  });
  const y = b.op('Slice', [x, b.ints(starts), dimsVector(x, ends), b.ints(axes), b.ints(strides)], {});
  return shaped(y, [...x.shape.slice(0, 2), ...g.shape.slice(2)]);
}

const overChannels = (g: Value): Value => g.sum([0, ...spatialAxes(g.rank - 2)], false);

function conv(c: GradientContext, g: Value): Gradients {
  const [x, w] = [input(c, 0), input(c, 1)];
  const geometry = geometryOf(c, x, w);
  return [
    c.wants(0) ? spread(c, g, w, geometry, x) : undefined,
    c.wants(1) ? weightGradient(x, g, geometry, w.shape) : undefined,
    c.wants(2) ? overChannels(g) : undefined,
  ];
}

/** Pads of a transposed convolution; where they are negative its output has zeros, whose gradients are dropped. */
function transposedGeometry(
  c: GradientContext,
  x: Value,
  w: Value,
): { geometry: Geometry; crop: readonly number[] } {
  const window = transposedWindowOf(c, x.rank - 2, kernelOf(c, w));
  const settled = window.outputShape || window.autoPad.startsWith('SAME');
  const sizes = staticDims(x.shape.slice(2));
  if (settled && !sizes) c.fail('has no gradient with output_shape or auto_pad while sizes are symbolic');
  const pads = transposedPads(window, sizes ?? window.kernel.map(() => 1));
  const geometry = { window, pads: pads.map(p => Math.max(0, p)), group: c.attributes.int('group', 1) };
  return { geometry, crop: pads.map(p => Math.min(0, p)) };
}

function convTranspose(c: GradientContext, grad: Value): Gradients {
  const [x, w] = [input(c, 0), input(c, 1)];
  const { geometry, crop } = transposedGeometry(c, x, w);
  const amounts = [0, 0, ...crop.slice(0, crop.length / 2), 0, 0, ...crop.slice(crop.length / 2)];
  const g = crop.some(p => p !== 0) ? c.b.op('Pad', [grad, c.b.ints(amounts)], {}) : grad;
  const back = () => convolve(g, w, geometry);
  return [
    c.wants(0) ? shaped(fitted(back(), x), x.shape) : undefined,
    c.wants(1) ? weightGradient(g, x, geometry, w.shape) : undefined,
    c.wants(2) ? overChannels(grad) : undefined,
  ];
}

/** Output padding of a stride or more makes room for one more window: it is left out. */
const fitted = (y: Value, x: Value): Value =>
  y.shape.some((d, i) => i > 1 && typeof d === 'number' && d !== x.shape[i]) ? cropped(y, x) : y;

/** The state in front of x, a depthwise Conv, an activation; the new state is the end of both. */
function causal(c: GradientContext): readonly (Value | undefined)[] {
  const [x, w] = [input(c, 0), input(c, 1)];
  const [channels, kept] = [Number(w.shape[0]), Number(w.shape[2]) - 1];
  const past = c.inputs[3];
  const padded = past ? c.b.concat([past, x], 2) : c.b.op('Pad', [x, c.b.ints([0, 0, kept, 0, 0, 0])], {});
  const y = c.b.op('Conv', [padded, w, c.inputs[2]], { group: channels });
  const plain = c.attributes.string('activation', 'none') === 'none';
  const state =
    c.grads[1] && c.b.op('Slice', [padded, c.b.ints([-kept]), c.b.ints([2 ** 31]), c.b.ints([2])], {});
  return [plain ? y : y.mul(y.sigmoid()), state];
}

export const CONVOLUTION = {
  Conv: first(conv),
  ConvTranspose: first(convTranspose),
  DeformConv: none('where it samples depends on its offsets; no op gathers so in a gradient'),
  CausalConvWithState: decomposedAll(causal),
  Col2Im: none('it has no inverse op; write the sum of columns as a ConvTranspose'),
} satisfies Family;
