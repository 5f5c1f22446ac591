/** Shapes of ops that sample images: resizing, grids, regions of interest, box selection. */
import { type Dim, type Shape, staticDims, type Tensor } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import { axisOf, input, requireRank, shapeAt, type, unify, unknownDim, unknownDims } from './common.ts';
import { divideExactly, mulDims, showShape } from './dims.ts';

/** Axes that a Resize speaks of, in the order of its lists. */
export function resizedAxes(c: Pick<RuleContext, 'attributes'>, rank: number): readonly number[] {
  const axes = c.attributes.ints('axes')?.map(a => (a < 0 ? a + rank : a));
  return axes ?? Array.from({ length: rank }, (_, i) => i);
}

const isEmpty = (t: { shape?: Shape } | undefined): boolean => !t || t.shape?.[0] === 0;

/** Resize(x, roi?, scales?, sizes?): floor(in·(end − start)·scale), or sizes; one of the two is given. */
const resize: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  if (!shape) return [{ dtype }];
  const axes = resizedAxes(c, shape.length).map(a => axisOf(c, a, shape.length));
  const sized = !isEmpty(c.inputs[3]);
  if (sized === !isEmpty(c.inputs[2])) c.fail('exactly one of scales and sizes must be given');
  const lengths = sized ? resizedTo(c, shape, axes) : resizedBy(c, shape, axes);
  const at = (i: number) => axes.indexOf(i);
  return [
    type(
      dtype,
      shape.map((d, i) => (at(i) < 0 ? d : (lengths?.[at(i)] ?? unknownDim(c, i)))),
    ),
  ];
};

type Lengths = readonly (Dim | undefined)[] | undefined;

function resizedBy(c: RuleContext, shape: Shape, axes: readonly number[]): Lengths {
  const scales = floatsOf(c.constant(2));
  if (!scales) return undefined;
  if (scales.length !== axes.length)
    c.fail(`${scales.length} scales for ${axes.length} axes of ${showShape(shape)}`);
  const crops = c.attributes.string('coordinate_transformation_mode', '') === 'tf_crop_and_resize';
  const roi = crops ? floatsOf(c.constant(1)) : undefined;
  if (crops && !roi) return undefined;
  const part = (i: number) => (roi ? (roi[i + axes.length] as number) - (roi[i] as number) : 1);
  return axes.map((axis, i) => scaledLength(shape[axis] as Dim, part(i) * (scales[i] as number)));
}

/** floor(size·factor); of a symbol only where the factor is a whole number or one over a whole number. */
export function scaledLength(size: Dim, factor: number): Dim | undefined {
  if (typeof size === 'number') return Math.floor(size * factor);
  if (Number.isInteger(factor)) return mulDims(size, factor);
  return Number.isInteger(1 / factor)
    ? (divideExactly(size, 1 / factor) ?? `floor(${size}/${1 / factor})`)
    : undefined;
}

const floatsOf = (t: Tensor | undefined): readonly number[] | undefined =>
  t && (t.dtype === 'float32' || t.dtype === 'float64') ? Array.from(t.data as Float32Array) : undefined;

function resizedTo(c: RuleContext, shape: Shape, axes: readonly number[]): Lengths {
  const sizes = c.shapeValue(3);
  const policy = c.attributes.string('keep_aspect_ratio_policy', 'stretch');
  if (policy === 'stretch' || !sizes) return sizes;
  const [from, to] = [staticDims(axes.map(a => shape[a] as Dim)), staticDims(sizes)];
  return from && to ? keptAspect(from, to, policy) : undefined;
}

/** Sizes with the aspect ratio of `from` that are not larger, or not smaller, than `to`; halves round up. */
export function keptAspect(from: readonly number[], to: readonly number[], policy: string): number[] {
  const ratios = from.map((n, i) => (to[i] as number) / n);
  const scale = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  return from.map(n => Math.floor(n * scale + 0.5));
}

/** GridSample(x [N,C,in..], grid [N,out..,rank]) -> [N,C,out..]. */
const gridSample: ShapeRule = c => {
  const { dtype } = input(c, 0);
  const x = requireRank(c, 0, 3, Infinity);
  const grid = requireRank(c, 1, x?.length ?? 3, x?.length ?? Infinity);
  if (!x || !grid) return [{ dtype }];
  const complaint = () => `grid ${showShape(grid)} does not fit ${showShape(x)}`;
  unify(c, grid.at(-1) as Dim, x.length - 2, complaint);
  const batch = unify(c, x[0] as Dim, grid[0] as Dim, complaint);
  return [type(dtype, [batch, x[1] as Dim, ...grid.slice(1, -1)])];
};

/** AffineGrid(theta [N,rank,rank+1], size [N,C,spatial..]) -> [N,spatial..,rank]. */
const affineGrid: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  const size = c.shapeValue(1);
  if (size) return [type(dtype, [size[0] as Dim, ...size.slice(2), size.length - 2])];
  const rank = shape?.[1];
  if (!shape || typeof rank !== 'number') return [{ dtype }];
  return [type(dtype, [shape[0] as Dim, ...unknownDims(c, rank), rank])];
};

/** RoiAlign(x [N,C,H,W], rois [R,4], batch indices [R]) -> [R,C,output_height,output_width]. */
const roiAlign: ShapeRule = c => {
  const { dtype } = input(c, 0);
  const [x, rois, batches] = [requireRank(c, 0, 4), requireRank(c, 1, 2), shapeAt(c, 2)];
  if (!x || !rois) return [{ dtype }];
  const complaint = () => `rois ${showShape(rois)} and batch_indices ${showShape(batches)} do not fit`;
  const count = unify(c, rois[0] as Dim, batches?.[0] ?? (rois[0] as Dim), complaint);
  const [height, width] = ['output_height', 'output_width'].map(name => c.attributes.int(name, 1));
  return [type(dtype, [count, x[1] as Dim, height as number, width as number])];
};

/** NonMaxSuppression(boxes [N,B,4], scores [N,C,B]) -> int64 [selected,3]. */
const nonMaxSuppression: ShapeRule = c => {
  const [boxes, scores] = [requireRank(c, 0, 3), requireRank(c, 1, 3)];
  if (boxes && scores) {
    const complaint = () => `boxes ${showShape(boxes)} and scores ${showShape(scores)} do not fit`;
    unify(c, boxes[0] as Dim, scores[0] as Dim, complaint);
    unify(c, boxes[1] as Dim, scores[2] as Dim, complaint);
    unify(c, boxes[2] as Dim, 4, complaint);
  }
  return [type('int64', [unknownDim(c, 'selected'), 3])];
};

export const SAMPLING = {
  Resize: resize,
  GridSample: gridSample,
  AffineGrid: affineGrid,
  RoiAlign: roiAlign,
  NonMaxSuppression: nonMaxSuppression,
} satisfies Record<string, ShapeRule>;
