/** Ops that sample images: Resize, GridSample, AffineGrid, RoiAlign, NonMaxSuppression. */
import { sizeOf, type Tensor } from '../../../graph/ir.ts';
import { type ResizeTap, resizeSettings, resizeTaps } from '../../../ops/shape/resizing.ts';
import { keptAspect, resizedAxes } from '../../../ops/shape/sampling.ts';
import { roundHalfEven } from '../../../util/float16.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { axisOf, lanesOf, range } from '../layout.ts';
import { doubles, indices64, integers, scalar, store } from '../tensor.ts';
import type { Values } from './convolution.ts';

const given = (t: Tensor | undefined): t is Tensor => t !== undefined && sizeOf(t.dims) > 0;

/** Length and scale of every axis that the node resizes. */
function resizedTo(
  c: KernelContext,
  sizes: readonly number[],
  regions: readonly (readonly [number, number])[],
) {
  const [scales, lengths] = [c.inputs[2], c.inputs[3]];
  if (given(lengths)) {
    const policy = c.attributes.string('keep_aspect_ratio_policy', 'stretch');
    const to = integers(lengths);
    const kept = policy === 'stretch' ? to : keptAspect(sizes, to, policy);
    const ratios = sizes.map((n, i) => to[i] / n);
    const shared = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
    return kept.map((length, i) => ({ length, scale: policy === 'stretch' ? ratios[i] : shared }));
  }
  if (!given(scales)) c.fail('neither scales nor sizes are given');
  return Array.from(doubles(scales as Tensor), (scale, i) => ({
    length: Math.floor(sizes[i] * (regions[i][1] - regions[i][0]) * scale),
    scale,
  }));
}

const resize: Kernel = c => {
  const x = c.input(0);
  const axes = resizedAxes(c, x.dims.length).map(a => axisOf(c, a, x.dims.length));
  const settings = resizeSettings(c);
  const crops = settings.coordinates === 'tf_crop_and_resize' && given(c.inputs[1]);
  const roi = crops ? doubles(c.input(1)) : undefined;
  const regions = axes.map((_, i) => (roi ? ([roi[i], roi[i + axes.length]] as const) : ([0, 1] as const)));
  const sizes = axes.map(a => x.dims[a]);
  const extrapolated = c.attributes.float('extrapolation_value', 0);
  let out: Values = { dims: x.dims, values: doubles(x) };
  resizedTo(c, sizes, regions).forEach(({ length, scale }, i) => {
    if (length === sizes[i] && scale === 1 && !crops) return;
    const taps = resizeTaps(settings, { size: sizes[i], length, scale, region: regions[i] });
    out = alongAxis(out, axes[i], taps, extrapolated);
  });
  return [store(x.dtype, out.dims, x.dtype.startsWith('float') ? out.values : out.values.map(Math.round))];
};

/** Output j of every lane along `axis` is the weighted sum of its taps. */
function alongAxis(x: Values, axis: number, taps: readonly ResizeTap[][], outside: number): Values {
  const dims = x.dims.map((n, i) => (i === axis ? taps.length : n));
  const [from, to] = [lanesOf(x.dims, [axis]), lanesOf(dims, [axis])];
  const values = new Float64Array(sizeOf(dims));
  from.bases.forEach((base, lane) => {
    taps.forEach((list, j) => {
      const at = (i: number) => (i < 0 ? outside : x.values[base + from.steps[i]]);
      values[to.bases[lane] + to.steps[j]] = list.reduce((s, [i, w]) => s + w * at(i), 0);
    });
  });
  return { dims, values };
}

/** Normalized [−1, 1] to positions among `size` elements. */
const position = (v: number, size: number, corners: boolean): number =>
  corners ? ((v + 1) / 2) * (size - 1) : ((v + 1) * size - 1) / 2;

/** Position `i` brought inside [low, high] by mirrors at both. */
function reflected(i: number, low: number, high: number): number {
  const span = high - low;
  if (span === 0) return 0;
  const [distance, beyond] = [Math.abs(i - low), Math.abs(i - low) % span];
  return Math.floor(distance / span) % 2 === 0 ? low + beyond : high - beyond;
}

interface Grid {
  readonly mode: 'linear' | 'nearest' | 'cubic';
  readonly padding: 'zeros' | 'border' | 'reflection';
  readonly corners: boolean;
}

const GRID_MODES: Readonly<Record<string, Grid['mode']>> = {
  linear: 'linear',
  bilinear: 'linear',
  nearest: 'nearest',
  cubic: 'cubic',
  bicubic: 'cubic',
};

function gridOf(c: KernelContext): Grid {
  const [mode, padding] = [
    c.attributes.string('mode', 'linear'),
    c.attributes.string('padding_mode', 'zeros'),
  ];
  if (padding !== 'zeros' && padding !== 'border' && padding !== 'reflection')
    c.fail(`padding_mode "${padding}" is none of zeros, border, reflection`);
  return {
    mode: GRID_MODES[mode] ?? c.fail(`mode "${mode}" is none of linear, nearest, cubic`),
    padding: padding as Grid['padding'],
    corners: c.attributes.int('align_corners', 0) !== 0,
  };
}

/** Where a position reads, after padding: undefined for a zero. */
function padded(g: Grid, i: number, size: number): number | undefined {
  if (i >= 0 && i < size) return i;
  if (g.padding === 'zeros') return undefined;
  const mirrored =
    g.padding === 'reflection' ? reflected(i, g.corners ? 0 : -0.5, g.corners ? size - 1 : size - 0.5) : i;
  return Math.min(size - 1, Math.max(0, Math.round(mirrored)));
}

const cubicWeight = (a: number, x: number): number =>
  x <= 1
    ? (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1
    : x < 2
      ? a * x ** 3 - 5 * a * x ** 2 + 8 * a * x - 4 * a
      : 0;

/** Taps of a grid position along one axis. */
function gridTaps(g: Grid, v: number, size: number): [number | undefined, number][] {
  const raw = position(v, size, g.corners);
  // Linear and nearest positions are padded before they are cut into taps, cubic ones tap by tap.
  const x = g.mode === 'cubic' || g.padding === 'zeros' ? raw : moved(g, raw, size);
  const low = Math.floor(x);
  if (g.mode === 'nearest') return [[padded(g, roundHalfEven(x), size), 1]];
  const reach = g.mode === 'linear' ? [0, 1] : [-1, 0, 1, 2];
  const weight = (i: number) =>
    g.mode === 'linear' ? 1 - Math.abs(i - x) : cubicWeight(-0.75, Math.abs(i - x));
  return reach.map(r => [padded(g, low + r, size), weight(low + r)]);
}

/** A position clamped or mirrored into the image. */
function moved(g: Grid, x: number, size: number): number {
  const inside =
    g.padding === 'reflection' ? reflected(x, g.corners ? 0 : -0.5, g.corners ? size - 1 : size - 0.5) : x;
  return Math.min(size - 1, Math.max(0, inside));
}

const gridSample: Kernel = c => {
  const [x, grid] = [c.input(0), c.input(1)];
  const g = gridOf(c);
  const [samples, channels] = x.dims;
  const sizes = x.dims.slice(2);
  const dims = [samples, channels, ...grid.dims.slice(1, -1)];
  const [points, inside] = [sizeOf(dims.slice(2)), sizeOf(sizes)];
  const [values, places] = [doubles(x), doubles(grid)];
  const out = new Float64Array(sizeOf(dims));
  for (let n = 0; n < samples; n++) {
    for (let p = 0; p < points; p++) {
      const row = (n * points + p) * sizes.length;
      // The grid names the last axis first.
      const taps = crossTaps(
        sizes.map((size, i) => gridTaps(g, places[row + sizes.length - 1 - i], size)),
        sizes,
      );
      for (let ch = 0; ch < channels; ch++) {
        const base = (n * channels + ch) * inside;
        out[(n * channels + ch) * points + p] = taps.reduce((s, [at, w]) => s + w * values[base + at], 0);
      }
    }
  }
  return [store(x.dtype, dims, out)];
};

/** Products of one tap an axis, those that read padding left out. */
function crossTaps(
  axes: readonly [number | undefined, number][][],
  sizes: readonly number[],
): [number, number][] {
  return axes.reduce<[number, number][]>(
    (taps, axis, i) =>
      taps.flatMap(([at, w]) =>
        axis.flatMap(([j, v]): [number, number][] => (j === undefined ? [] : [[at * sizes[i] + j, w * v]])),
      ),
    [[0, 1]],
  );
}

/** theta · (x, y, .., 1) over a grid of normalized positions, the last axis first; an axis of one stands at 0. */
const affineGrid: Kernel = c => {
  const theta = c.input(0);
  const [samples, , ...sizes] = integers(c.input(1));
  const corners = c.attributes.int('align_corners', 0) !== 0;
  const rank = sizes.length;
  const values = doubles(theta);
  const dims = [samples, ...sizes, rank];
  const out = new Float64Array(sizeOf(dims));
  const normalized = (i: number, size: number) =>
    corners && size > 1 ? (2 * i) / (size - 1) - 1 : (2 * i + 1) / size - 1;
  for (let p = 0; p < samples * sizeOf(sizes); p++) {
    const place = coordinates(p % sizeOf(sizes), sizes)
      .map((i, k) => normalized(i, sizes[k]))
      .reverse();
    const n = Math.floor(p / sizeOf(sizes));
    for (let r = 0; r < rank; r++) {
      const row = (n * rank + r) * (rank + 1);
      out[p * rank + r] = [...place, 1].reduce((s, v, k) => s + values[row + k] * v, 0);
    }
  }
  return [store(theta.dtype, dims, out)];
};

/** Coordinates of a flat position. */
function coordinates(flat: number, dims: readonly number[]): number[] {
  let rest = flat;
  return dims
    .toReversed()
    .map(size => {
      const at = rest % size;
      rest = Math.floor(rest / size);
      return at;
    })
    .reverse();
}

/**
 * Each cell of a grid over a region [x1, y1, x2, y2] is the mean (or maximum) of points interpolated in the image; the
 * points of a cell are evenly spaced, and count ceil(cell size) an axis when `sampling_ratio` is 0.
 */
const roiAlign: Kernel = c => {
  const [x, rois, batches] = [c.input(0), doubles(c.input(1)), integers(c.input(2))];
  const [, channels, height, width] = x.dims;
  const [rows, columns] = [c.attributes.int('output_height', 1), c.attributes.int('output_width', 1)];
  const values = doubles(x);
  const out: number[] = [];
  batches.forEach((batch, r) => {
    const cells = regionCells(c, rois.subarray(r * 4, r * 4 + 4), rows, columns);
    for (let ch = 0; ch < channels; ch++) {
      const image = values.subarray(
        (batch * channels + ch) * height * width,
        (batch * channels + ch + 1) * height * width,
      );
      for (const points of cells) out.push(pointsValue(c, points, image, height, width));
    }
  });
  return [store(x.dtype, [batches.length, channels, rows, columns], Float64Array.from(out))];
};

/** Sample points of every cell, row-major. */
function regionCells(
  c: KernelContext,
  roi: Float64Array,
  rows: number,
  columns: number,
): [number, number][][] {
  const half = c.attributes.string('coordinate_transformation_mode', 'half_pixel') === 'half_pixel';
  const scale = c.attributes.float('spatial_scale', 1);
  const [x1, y1, x2, y2] = Array.from(roi, v => v * scale - (half ? 0.5 : 0));
  const size = (low: number, high: number) => (half ? high - low : Math.max(high - low, 1));
  const [cellWidth, cellHeight] = [size(x1, x2) / columns, size(y1, y2) / rows];
  const ratio = c.attributes.int('sampling_ratio', 0);
  const [nx, ny] = [cellWidth, cellHeight].map(s => (ratio > 0 ? ratio : Math.ceil(s)));
  return range(rows * columns).map(cell => {
    const [top, left] = [y1 + Math.floor(cell / columns) * cellHeight, x1 + (cell % columns) * cellWidth];
    return range(ny * nx).map((p): [number, number] => [
      top + ((Math.floor(p / nx) + 0.5) * cellHeight) / ny,
      left + (((p % nx) + 0.5) * cellWidth) / nx,
    ]);
  });
}

function pointsValue(
  c: KernelContext,
  points: readonly [number, number][],
  image: Float64Array,
  height: number,
  width: number,
): number {
  const mode = c.attributes.string('mode', 'avg');
  if (mode !== 'avg' && mode !== 'max') c.fail(`mode "${mode}" is none of avg, max`);
  const reads = points.map(([y, x]) => cornerReads(image, height, width, y, x));
  if (mode === 'max') return Math.max(...reads.flat());
  return reads.reduce((s, four) => s + four.reduce((a, b) => a + b, 0), 0) / Math.max(1, points.length);
}

/** The four weighted corners around a point; beyond one pixel outside the image it is zero, within it the edge. */
function cornerReads(image: Float64Array, height: number, width: number, y: number, x: number): number[] {
  if (y < -1 || y > height || x < -1 || x > width) return [0];
  const [top, left] = [Math.min(Math.max(y, 0), height - 1), Math.min(Math.max(x, 0), width - 1)];
  const [r, s] = [Math.floor(top), Math.floor(left)];
  const [fy, fx] = [top - r, left - s];
  const at = (i: number, j: number) => image[Math.min(i, height - 1) * width + Math.min(j, width - 1)];
  return [
    (1 - fy) * (1 - fx) * at(r, s),
    (1 - fy) * fx * at(r, s + 1),
    fy * (1 - fx) * at(r + 1, s),
    fy * fx * at(r + 1, s + 1),
  ];
}

type Box = readonly [top: number, left: number, bottom: number, right: number];

function boxAt(c: KernelContext, boxes: Float64Array, i: number): Box {
  const [a, b, p, q] = boxes.subarray(i * 4, i * 4 + 4);
  if (c.attributes.int('center_point_box', 0) !== 0) return [b - q / 2, a - p / 2, b + q / 2, a + p / 2];
  return [Math.min(a, p), Math.min(b, q), Math.max(a, p), Math.max(b, q)];
}

const areaOf = ([top, left, bottom, right]: Box): number => (bottom - top) * (right - left);

/** Intersection over union. */
function overlap(a: Box, b: Box): number {
  const height = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const width = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (height <= 0 || width <= 0) return 0;
  const inner = height * width;
  return inner / (areaOf(a) + areaOf(b) - inner);
}

/** [batch, class, box] rows: by score, each box that overlaps no chosen one by more than the threshold. */
const nonMaxSuppression: Kernel = c => {
  const [boxes, scores] = [c.input(0), c.input(1)];
  const [batches, classes, count] = scores.dims;
  const number = (i: number, otherwise: number) => (given(c.inputs[i]) ? scalar(c.input(i)) : otherwise);
  const [most, threshold, least] = [number(2, 0), number(3, 0), number(4, -Infinity)];
  const [places, values] = [doubles(boxes), doubles(scores)];
  const rows: number[] = [];
  for (let p = 0; p < batches * classes; p++) {
    const batch = Math.floor(p / classes);
    const of = range(count).map(i => boxAt(c, places, batch * count + i));
    const score = (i: number) => values[p * count + i];
    const order = range(count)
      .filter(i => score(i) > least)
      .sort((i, j) => score(j) - score(i));
    for (const i of chosen(order, of, threshold, most)) rows.push(batch, p % classes, i);
  }
  return [indices64([rows.length / 3, 3], rows)];
};

function chosen(order: readonly number[], boxes: readonly Box[], threshold: number, most: number): number[] {
  const kept: number[] = [];
  for (const i of order) {
    if (kept.length >= most) break;
    if (kept.every(k => overlap(boxes[k], boxes[i]) <= threshold)) kept.push(i);
  }
  return kept;
}

export const SAMPLING = {
  Resize: resize,
  GridSample: gridSample,
  AffineGrid: affineGrid,
  RoiAlign: roiAlign,
  NonMaxSuppression: nonMaxSuppression,
} as const satisfies KernelFamily;
