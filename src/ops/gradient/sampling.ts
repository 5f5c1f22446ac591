/**
 * Gradients of ops that sample images.
 *
 * 1. Resize is linear and separable: along each axis it is a matrix [out, in] of constants, so the gradient is one
 *    product by its transpose an axis. Copies by a whole factor go back as sums, also for symbolic sizes.
 * 2. GridSample reads corners by gathers: the gradient of the image scatters to them, that of the grid goes through the
 *    weights.
 */
import { staticDims, type Tensor } from '../../graph/ir.ts';
import type { Value } from '../builder.ts';
import { type GradientContext, none } from '../rule.ts';
import { resizeSettings, resizeTaps } from '../shape/resizing.ts';
import { resizedAxes } from '../shape/sampling.ts';
import {
  axisOf,
  decomposed,
  dimsVector,
  first,
  type Gradients,
  input,
  output,
  range,
  reshapeLike,
  shaped,
  extentOf as sizeAt,
} from './common.ts';
import type { Family } from './family.ts';

const floats = (t: Tensor | undefined): number[] | undefined =>
  t && t.data.length > 0 ? Array.from(t.data as Float32Array, Number) : undefined;

/** The axes that change, with their factor and matrix in numbers. */
interface ResizedAxis {
  readonly axis: number;
  readonly size: number | undefined;
  readonly length: number | undefined;
  readonly scale: number | undefined;
  readonly region: readonly [number, number];
}

function changedAxes(c: GradientContext, x: Value): ResizedAxis[] {
  const axes = resizedAxes(c, x.rank).map(a => axisOf(a, x.rank));
  const scales = floats(c.constant(2));
  const crops = c.attributes.string('coordinate_transformation_mode', '') === 'tf_crop_and_resize';
  const roi = crops
    ? (floats(c.constant(1)) ?? c.fail('has no gradient with a region that is not constant'))
    : undefined;
  const all = axes.map((axis, i): ResizedAxis => {
    const [size, length] = [x.shape[axis], output(c).shape[axis]];
    const numbers = typeof size === 'number' && typeof length === 'number' ? length / size : undefined;
    return {
      axis,
      size: typeof size === 'number' ? size : undefined,
      length: typeof length === 'number' ? length : undefined,
      scale: scales?.[i] ?? numbers,
      region: roi ? [roi[i] as number, roi[i + axes.length] as number] : [0, 1],
    };
  });
  return all.filter(a => crops || a.scale !== 1 || a.size !== a.length);
}

/** Whether every input element is copied `factor` times in a row. */
function copiesWhole(c: GradientContext, { scale, region }: ResizedAxis): boolean {
  const { coordinates, mode } = resizeSettings(c);
  if (mode !== 'nearest' || scale === undefined || !Number.isInteger(scale) || region[0] !== 0) return false;
  const rounding = c.attributes.string('nearest_mode', 'round_prefer_floor');
  if (coordinates === 'asymmetric') return rounding === 'floor';
  return coordinates === 'half_pixel' || coordinates === 'pytorch_half_pixel'
    ? rounding === 'round_prefer_floor' || rounding === 'round_prefer_ceil'
    : false;
}

/** Sums of runs of `factor` along `axis`. */
function runSums(g: Value, axis: number, factor: number, x: Value): Value {
  const dims = range(g.rank).flatMap(i => (i === axis ? [sizeAt(x, axis), factor] : [sizeAt(g, i)]));
  const summed = g.reshapeTo(dimsVector(g, dims)).sum([axis + 1], false);
  return shaped(
    summed,
    g.shape.map((d, i) => (i === axis ? (x.shape[axis] as number | string) : d)),
  );
}

/** The matrix [out, in] of one axis. */
function matrixOf(c: GradientContext, a: ResizedAxis, like: Value): Value {
  const { size, length, scale } = a;
  if (size === undefined || length === undefined || scale === undefined)
    return c.fail(`has no gradient along axis ${a.axis} while its sizes are symbolic`);
  const taps = resizeTaps(resizeSettings(c), { size, length, scale, region: a.region });
  const values = new Float64Array(length * size);
  taps.forEach((list, row) => {
    for (const [at, weight] of list) if (at >= 0) values[row * size + at] += weight;
  });
  const wide = like.dtype === 'float64';
  const data = wide ? values : Float32Array.from(values);
  return c.b.constant({ dtype: wide ? 'float64' : 'float32', dims: [length, size], data }).cast(like.dtype);
}

/** g along `axis` times the matrix: [.., out, ..] to [.., in, ..]. */
function contracted(g: Value, matrix: Value, axis: number): Value {
  if (axis === g.rank - 1) return g.matmul(matrix);
  const perm = range(g.rank).map(i => (i === axis ? g.rank - 1 : i === g.rank - 1 ? axis : i));
  return g.transpose(perm).matmul(matrix).transpose(perm);
}

function resize(c: GradientContext, g: Value): Gradients {
  const x = input(c, 0);
  const back = changedAxes(c, x).reduce(
    (grad, a) =>
      copiesWhole(c, a)
        ? runSums(grad, a.axis, a.scale as number, x)
        : contracted(grad, matrixOf(c, a, g), a.axis),
    g,
  );
  return [shaped(back, x.shape)];
}

/** Flat positions of one corner of every point, its weight, and whether it lies inside. [N, 1, P] each */
interface Corner {
  readonly index: Value;
  readonly weight: Value;
}

/** Places of grid coordinate `v` in [−1, 1] among `size` elements. */
const placed = (v: Value, size: number, corners: boolean): Value =>
  corners
    ? v.add(1).mul((size - 1) / 2)
    : v
        .add(1)
        .mul(size / 2)
        .sub(0.5);

/** Linear taps of one axis: two whole positions with their weights, those outside weighing nothing. */
function linearTaps(place: Value, size: number, border: boolean): { at: Value; weight: Value }[] {
  const { builder: b } = place;
  const x = border
    ? b.op('Clip', [place, b.scalar(0, place.dtype), b.scalar(size - 1, place.dtype)], {})
    : place;
  const low = b.op('Floor', [x], {}).stopGradient();
  return [0, 1].map(step => {
    const at = low.add(step);
    const inside = b.op('And', [at.greaterOrEqual(0), at.lessOrEqual(size - 1)], {}).cast(x.dtype);
    const weight = x.sub(at).abs().neg().add(1).mul(inside.stopGradient());
    return { at: at.max(0).min(size - 1), weight };
  });
}

/** Products of one tap an axis. */
function cornersOf(taps: readonly { at: Value; weight: Value }[][], sizes: readonly number[]): Corner[] {
  return taps.slice(1).reduce<Corner[]>(
    (all, axis, i) =>
      all.flatMap(c =>
        axis.map(t => ({
          index: c.index.mul(sizes[i + 1] as number).add(t.at),
          weight: c.weight.mul(t.weight),
        })),
      ),
    (taps[0] as { at: Value; weight: Value }[]).map(t => ({ index: t.at, weight: t.weight })),
  );
}

function gridSample(c: GradientContext): Value {
  const [x, grid] = [input(c, 0), input(c, 1)];
  const mode = c.attributes.string('mode', 'linear');
  const padding = c.attributes.string('padding_mode', 'zeros');
  if ((mode !== 'linear' && mode !== 'bilinear') || padding === 'reflection')
    c.fail(`has no gradient in mode ${mode} with padding ${padding}; linear with zeros or border has one`);
  const sizes =
    staticDims(x.shape.slice(2)) ?? c.fail('has no gradient while the sizes of the image are symbolic');
  const align = c.attributes.int('align_corners', 0) !== 0;
  const points = grid.reshapeTo(dimsVector(grid, [sizeAt(grid, 0), 1, -1, sizes.length]));
  // The grid names the last axis first.
  const taps = sizes.map((size, i) => {
    const v = points.gather(c.b.scalar(sizes.length - 1 - i, 'int64'), 3);
    return linearTaps(placed(v, size, align), size, padding === 'border');
  });
  const flat = x.reshapeTo(dimsVector(x, [sizeAt(x, 0), sizeAt(x, 1), -1]));
  const reads = cornersOf(taps, sizes).map(corner => gathered(flat, corner.index).mul(corner.weight));
  return reshapeLike(
    reads.reduce((a, v) => a.add(v)),
    output(c),
  );
}

/** Elements of every channel [N, C, S] at positions [N, 1, P]. */
function gathered(flat: Value, index: Value): Value {
  const whole = index.stopGradient().cast('int64');
  const dims = dimsVector(flat, [sizeAt(flat, 0), sizeAt(flat, 1), 1]);
  return flat.builder.op('GatherElements', [flat, whole.expandTo(dims)], { axis: 2 });
}

/** theta times a constant grid of positions. */
function affineGrid(c: GradientContext): Value {
  const theta = input(c, 0);
  const size = c.constant(1) ?? c.fail('has no gradient with a size that is not constant');
  const sizes = Array.from(size.data as BigInt64Array, Number).slice(2);
  const align = c.attributes.int('align_corners', 0) !== 0;
  const at = (i: number, n: number) => (align && n > 1 ? (2 * i) / (n - 1) - 1 : (2 * i + 1) / n - 1);
  const points = sizes.reduce<number[][]>(
    (all, n) => all.flatMap(p => range(n).map(i => [at(i, n), ...p])),
    [[1]],
  );
  const wide = theta.dtype === 'float64';
  const data = wide ? Float64Array.from(points.flat()) : Float32Array.from(points.flat());
  const dims = [points.length, sizes.length + 1];
  const base = c.b.constant({ dtype: wide ? 'float64' : 'float32', dims, data }).cast(theta.dtype);
  return reshapeLike(base.matmul(theta.transpose([0, 2, 1])), output(c));
}

export const SAMPLING = {
  Resize: first(resize),
  GridSample: decomposed(gridSample),
  AffineGrid: decomposed(affineGrid),
  NonMaxSuppression: none('its output is integer'),
} satisfies Family;
