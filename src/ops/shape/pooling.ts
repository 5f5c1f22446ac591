/** Shapes of pools: windows over the axes behind batch and channels, or all of those axes at once. */
import type { Dim, Shape } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import { input, requireKind, requireRank, shapeAt, type, unknownDims } from './common.ts';
import { slidDims, zeroPointDType } from './convolution.ts';
import { addDims, mulDims, showShape, subDims } from './dims.ts';
import { extentOf, windowOf } from './window.ts';

const pooledShape = (c: RuleContext, x: Shape): Shape => [
  ...x.slice(0, 2),
  ...slidDims(c, windowOf(c, x.length - 2), x),
];

const pool: ShapeRule = c => {
  requireKind(c, 0, 'float');
  const x = requireRank(c, 0, 3, Infinity);
  return [type(input(c, 0).dtype, x && pooledShape(c, x))];
};

/** MaxPool takes 8-bit integers too; Indices count elements of the whole input. */
const maxPool: ShapeRule = c => {
  const dtype = requireKind(c, 0, 'number');
  const x = requireRank(c, 0, 3, Infinity);
  const shape = x && pooledShape(c, x);
  return [type(dtype, shape), type('int64', shape)];
};

const overAll = (x: Shape): Shape => x.map((d, i) => (i < 2 ? d : 1));

const global: ShapeRule = c => {
  requireKind(c, 0, 'float');
  const x = requireRank(c, 0, 2, Infinity);
  return [type(input(c, 0).dtype, x && overAll(x))];
};

/** The inverse of MaxPool's lengths, (size − 1)·stride + kernel − pads, or `output_shape`. */
const maxUnpool: ShapeRule = c => {
  const { dtype } = input(c, 0);
  const x = requireRank(c, 0, 3, Infinity);
  if (!x) return [{ dtype }];
  if (c.inputs[2]) return [type(dtype, c.shapeValue(2) ?? unknownDims(c, x.length))];
  const w = windowOf(c, x.length - 2);
  const lengths = x.slice(2).map((size, i) => {
    const padding = (w.pads[i] as number) + (w.pads[i + w.kernel.length] as number);
    return addDims(mulDims(subDims(size, 1), w.strides[i] as number), extentOf(w, i) - padding);
  });
  return [type(dtype, [...x.slice(0, 2), ...lengths])];
};

/** Channels moved from the last place to the second, and back. */
const channelsFirst = (x: Shape): Shape => [x[0] as Dim, x.at(-1) as Dim, ...x.slice(1, -1)];
const channelsLast = (x: Shape): Shape => [x[0] as Dim, ...x.slice(2), x[1] as Dim];

/** `shape` of a channels-first input, for nodes that may have channels last. */
function laidOut(c: RuleContext, last: boolean, shape: (x: Shape) => Shape): Shape | undefined {
  const x = requireRank(c, 0, 3, Infinity);
  if (!x) return undefined;
  return last ? channelsLast(shape(channelsFirst(x))) : shape(x);
}

const isLast = (c: RuleContext): boolean => c.attributes.int('channels_last', 0) !== 0;

const nhwcMaxPool: ShapeRule = c => [
  type(
    input(c, 0).dtype,
    laidOut(c, true, x => pooledShape(c, x)),
  ),
];

/** QLinear pools: x, its scale and zero point, the output's scale and zero point. */
const qlinearPool =
  (shape: (c: RuleContext, x: Shape) => Shape): ShapeRule =>
  c => [
    type(
      zeroPointDType(c, 4, input(c, 0).dtype),
      laidOut(c, isLast(c), x => shape(c, x)),
    ),
  ];

/** MaxRoiPool(x [N,C,H,W], rois [R,5]) -> [R,C,pooled..]. */
const maxRoiPool: ShapeRule = c => {
  const { dtype } = input(c, 0);
  const [x, rois] = [requireRank(c, 0, 4), shapeAt(c, 1)];
  const pooled = c.attributes.ints('pooled_shape') ?? c.fail('attribute "pooled_shape" is missing');
  if (!x || !rois) return [{ dtype }];
  if (rois.length !== 2 || rois[1] !== 5) c.fail(`rois ${showShape(rois)} must be [count,5]`);
  return [type(dtype, [rois[0] as Dim, x[1] as Dim, ...pooled])];
};

export const POOLING = {
  MaxPool: maxPool,
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: global,
  GlobalMaxPool: global,
  GlobalLpPool: global,
  MaxUnpool: maxUnpool,
  MaxRoiPool: maxRoiPool,
  'com.microsoft.NhwcMaxPool': nhwcMaxPool,
  'com.microsoft.QLinearAveragePool': qlinearPool(pooledShape),
  'com.microsoft.QLinearGlobalAveragePool': qlinearPool((_, x) => overAll(x)),
} satisfies Record<string, ShapeRule>;
