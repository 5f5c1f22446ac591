/**
 * Gradients of pools.
 *
 * 1. MaxPool goes back through its Indices, to the first of equal elements, as PyTorch does. Windows that share no
 *    element scatter, others add.
 * 2. A mean over windows is a Conv by ones over single channels, divided by what each window counts. Windows that tile
 *    the input go back as copies, without a convolution.
 */
import { type Shape, staticDims, type Tensor } from '../../graph/ir.ts';
import type { Value } from '../builder.ts';
import { type GradientContext, none } from '../rule.ts';
import { extentOf, insideCounts, padsFor, type Window, windowOf } from '../shape/window.ts';
import {
  decomposed,
  dimsVector,
  expandLike,
  filled,
  first,
  type Gradients,
  input,
  output,
  range,
  reshapeLike,
  shaped,
  extentOf as sizeAt,
  unary,
} from './common.ts';
import type { Family } from './family.ts';

const windowAttributes = ({ kernel, strides, dilations }: Window, pads: readonly number[]) => ({
  kernel_shape: kernel,
  strides,
  dilations,
  pads,
});

function padsOf(c: GradientContext, w: Window, x: Value): readonly number[] {
  const sizes = staticDims(x.shape.slice(2));
  const free = !w.autoPad.startsWith('SAME') || w.strides.every(s => s === 1);
  if (!sizes && !free) c.fail(`has no gradient with auto_pad ${w.autoPad} while sizes are symbolic`);
  return padsFor(w, sizes ?? w.kernel.map(() => 1));
}

/** Pads whose ends let the last window of `ceil_mode` lie inside. */
function roundedPads(c: GradientContext, w: Window, x: Value): readonly number[] {
  const pads = padsOf(c, w, x);
  if (!w.ceil) return pads;
  const [sizes, counts] = [staticDims(x.shape.slice(2)), staticDims(output(c).shape.slice(2))];
  if (!sizes || !counts) return c.fail('has no gradient with ceil_mode while sizes are symbolic');
  const ends = sizes.map((size, i) => {
    const reached = ((counts[i] as number) - 1) * (w.strides[i] as number) + extentOf(w, i);
    return Math.max(pads[i + sizes.length] as number, reached - size - (pads[i] as number));
  });
  return [...pads.slice(0, sizes.length), ...ends];
}

const overlaps = (w: Window): boolean => w.kernel.some((_, i) => extentOf(w, i) > (w.strides[i] as number));

/** Row-major Indices of a MaxPool: its own output, or another MaxPool's. */
function indicesOf(c: GradientContext, x: Value, w: Window): Value {
  const rowMajor = c.attributes.int('storage_order', 0) === 0;
  if (rowMajor && c.outputs[1]) return c.outputs[1];
  const attributes = { ...windowAttributes(w, padsOf(c, w, x)), ceil_mode: Number(w.ceil) };
  return c.b.ops('MaxPool', [x], attributes, 2)[1] as Value;
}

function maxPool(c: GradientContext, g: Value): Gradients {
  const x = input(c, 0);
  const w = windowOf(c, x.rank - 2);
  const total = c.b.op('Size', [x], {}).reshape([1]);
  const inputs = [filled(g, total), indicesOf(c, x, w).reshape([-1]), g.reshape([-1])];
  const flat = c.b.op('ScatterElements', inputs, { axis: 0, reduction: overlaps(w) ? 'add' : 'none' });
  return [shaped(flat.reshapeTo(x.dims()), x.shape)];
}

/** Σ over windows of every channel alone: a Conv by ones on [N·C, 1, ..]. */
function windowSums(c: GradientContext, x: Value, w: Window, pads: readonly number[], shape: Shape): Value {
  const singles = x.reshapeTo(dimsVector(x, [-1, 1, ...range(x.rank - 2, 2).map(i => sizeAt(x, i))]));
  const ones = filled(x, c.b.ints([1, 1, ...w.kernel]), 1);
  const { strides, dilations } = w;
  const y = c.b.op('Conv', [singles, shaped(ones, [1, 1, ...w.kernel])], { strides, dilations, pads });
  const channels = [sizeAt(x, 0), sizeAt(x, 1), ...range(y.rank - 2, 2).map(i => sizeAt(y, i))];
  return shaped(y.reshapeTo(dimsVector(y, channels)), shape);
}

/** What each window divides by: a number where it is the same for all, else one for each position. */
function countsOf(c: GradientContext, x: Value, w: Window): number | Value {
  const pads = padsOf(c, w, x);
  const whole = w.kernel.reduce((a, b) => a * b, 1);
  const padded = c.attributes.int('count_include_pad', 0) !== 0;
  if (!w.ceil && (padded || pads.every(p => p === 0))) return whole;
  const [sizes, lengths] = [staticDims(x.shape.slice(2)), staticDims(output(c).shape.slice(2))];
  if (!sizes || !lengths)
    return c.fail('has no gradient with pads that do not count while sizes are symbolic');
  const lists = sizes.map((size, i) => {
    const [start, end] = [pads[i] as number, pads[i + sizes.length] as number];
    return insideCounts(w, i, lengths[i] as number, start, padded ? [-start, size + end] : [0, size]);
  });
  return countMap(x, lists);
}

function countMap(x: Value, lists: readonly number[][]): Value {
  const counts = lists.reduce((all, list) => all.flatMap(n => list.map(m => n * m)), [1]);
  const dims = lists.map(l => l.length);
  const data = x.dtype === 'float64' ? Float64Array.from(counts) : Float32Array.from(counts);
  const tensor: Tensor = { dtype: x.dtype === 'float64' ? 'float64' : 'float32', dims, data };
  return x.builder.constant(tensor).cast(x.dtype);
}

/** Windows that lie side by side without pads cover the input, but for a rest at the end. */
const tiles = (c: GradientContext, w: Window, x: Value): boolean =>
  !w.ceil &&
  padsOf(c, w, x).every(p => p === 0) &&
  w.kernel.every((k, i) => k === w.strides[i] && w.dilations[i] === 1);

/** Every element of `g` copied over its window, then zeros to the lengths of `x`. */
function copied(c: GradientContext, g: Value, w: Window, x: Value): Value {
  const axes = range(w.kernel.length, 2);
  const apart = g.unsqueeze(w.kernel.map((_, i) => 3 + 2 * i));
  const lead = [sizeAt(g, 0), sizeAt(g, 1)];
  const wide = apart.expandTo(
    dimsVector(g, [...lead, ...axes.flatMap((a, i) => [sizeAt(g, a), w.kernel[i] as number])]),
  );
  const merged = axes.map((a, i) => {
    const length = sizeAt(g, a);
    return typeof length === 'number' ? length * (w.kernel[i] as number) : length.mul(w.kernel[i] as number);
  });
  const covered = wide.reshapeTo(dimsVector(g, [...lead, ...merged]));
  return shaped(c.b.op('Pad', [covered, missing(c, covered, x)], {}), x.shape);
}

/** Pads that bring `from` to the lengths of `to`, at the end. */
function missing(c: GradientContext, from: Value, to: Value): Value {
  const [have, want] = [staticDims(from.shape), staticDims(to.shape)];
  const zeros = c.b.ints(to.shape.map(() => 0));
  if (have && want) return c.b.ints([...want.map(() => 0), ...want.map((n, i) => n - (have[i] as number))]);
  return c.b.concat([zeros, to.dims().sub(from.dims())], 0);
}

function averagePool(c: GradientContext, g: Value): Gradients {
  const x = input(c, 0);
  const w = windowOf(c, x.rank - 2);
  const counts = countsOf(c, x, w);
  const share = typeof counts === 'number' ? g.mul(1 / counts) : g.div(counts);
  if (tiles(c, w, x)) return [copied(c, share, w, x)];
  const pads = roundedPads(c, w, x);
  return c.differentiate(() => [windowSums(c, x, w, pads, output(c).shape)], [share]);
}

/** (Σ|x|^p)^(1/p) over windows. */
const lpPool = decomposed(c => {
  const x = input(c, 0);
  const w = windowOf(c, x.rank - 2);
  const p = c.attributes.int('p', 2);
  return root(windowSums(c, power(x, p), w, roundedPads(c, w, x), output(c).shape), p);
});

const power = (x: Value, p: number): Value => (p === 1 ? x.abs() : p === 2 ? x.mul(x) : x.abs().pow(p));
const root = (sum: Value, p: number): Value => (p === 1 ? sum : p === 2 ? sum.sqrt() : sum.pow(1 / p));

const spatial = (x: Value): number[] => range(x.rank - 2, 2);

/** Σg goes to the elements that attain the maximum, in equal parts. */
const globalMax = decomposed(c => input(c, 0).reduceMax(spatial(input(c, 0))));

const globalLp = decomposed(c => {
  const p = c.attributes.int('p', 2);
  return root(power(input(c, 0), p).sum(spatial(input(c, 0))), p);
});

/** g/count in every element. */
const globalAverage = unary((g, x, _y, c) => {
  const sizes = staticDims(x.shape.slice(2));
  if (sizes) return expandLike(g.mul(1 / sizes.reduce((a, b) => a * b, 1)), x);
  const size = (v: Value) => c.b.op('Size', [v], {}).cast(g.dtype);
  return expandLike(g.mul(size(g).div(size(x))), x);
});

/** Each element comes back from where it went. */
function maxUnpool(c: GradientContext, g: Value): Gradients {
  if (c.inputs[2]) c.fail('has no gradient with output_shape');
  const indices = input(c, 1).reshape([-1]);
  const flat = c.b.op('GatherElements', [g.reshape([-1]), indices], { axis: 0 });
  return [reshapeLike(flat, input(c, 0))];
}

const REGIONS = none('which elements a region reads is no smooth function of its corners');

export const POOLING = {
  MaxPool: first(maxPool),
  AveragePool: first(averagePool),
  LpPool: lpPool,
  GlobalAveragePool: globalAverage,
  GlobalMaxPool: globalMax,
  GlobalLpPool: globalLp,
  MaxUnpool: first(maxUnpool),
  MaxRoiPool: REGIONS,
  RoiAlign: REGIONS,
} satisfies Family;
