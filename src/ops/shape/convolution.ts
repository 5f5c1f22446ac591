/** Shapes of convolutions and their integer forms: [N,C,spatial..] by [M,C/group,kernel..] -> [N,M,spatial..]. */
import type { DType } from '../../graph/dtype.ts';
import { type Dim, type Shape, staticDims } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import {
  input,
  lengthAt,
  requireKind,
  requireRank,
  sameDType,
  shapeAt,
  type,
  unknownDim,
  unknownDims,
} from './common.ts';
import { divDims, mulDims, productOf, showShape, surelyDiffer } from './dims.ts';
import { transposedLength, transposedWindowOf, type Window, windowLength, windowOf } from './window.ts';

/** The weight's kernel dims, or what the attribute states; undefined while neither is known. */
function kernelOf(c: RuleContext, weight: Shape): readonly number[] | undefined {
  const stated = c.attributes.ints('kernel_shape');
  return staticDims(weight.slice(2)) ?? (stated?.length ? stated : undefined);
}

/** Dims of a window's positions over the axes of `x` from the third on. Fails where the window does not fit. */
export function slidDims(c: RuleContext, w: Window, x: Shape): Dim[] {
  return x.slice(2).map((size, i) => {
    const length = windowLength(w, size, i) ?? unknownDim(c, i + 2);
    if (typeof length === 'number' && length < 1)
      c.fail(`a window of [${w.kernel}] does not fit ${showShape(x)} with pads [${w.pads}]`);
    return length;
  });
}

function checkChannels(c: RuleContext, x: Shape, weight: Shape, perGroup: Dim): void {
  const wanted = mulDims(perGroup, c.attributes.int('group', 1));
  if (surelyDiffer(x[1] as Dim, wanted)) {
    c.fail(
      `input ${showShape(x)} has ${x[1]} channels, weight ${showShape(weight)} with group ${c.attributes.int('group', 1)} takes ${wanted}`,
    );
  }
}

function checkBias(c: RuleContext, i: number, channels: Dim): void {
  const bias = c.inputs[i]?.shape;
  if (bias && (bias.length !== 1 || surelyDiffer(bias[0] as Dim, channels)))
    c.fail(`bias ${showShape(bias)} must be [${channels}]`);
}

/** Shape of a convolution whose weight is input `weightAt`; undefined when a rank is not known. */
function convolved(c: RuleContext, weightAt: number, biasAt: number): Shape | undefined {
  const x = requireRank(c, 0, 3, Infinity);
  const weight = requireRank(c, weightAt, x?.length ?? 3, x?.length ?? Infinity);
  if (!x || !weight) return undefined;
  checkChannels(c, x, weight, weight[1] as Dim);
  checkBias(c, biasAt, weight[0] as Dim);
  const group = c.attributes.int('group', 1);
  if (typeof weight[0] === 'number' && weight[0] % group !== 0)
    c.fail(`weight ${showShape(weight)} has ${weight[0]} outputs, which do not divide into ${group} groups`);
  const kernel = kernelOf(c, weight);
  const spatial = kernel
    ? slidDims(c, windowOf(c, x.length - 2, kernel), x)
    : x.slice(2).map((_, i) => unknownDim(c, i + 2));
  return [x[0] as Dim, weight[0] as Dim, ...spatial];
}

const conv: ShapeRule = c => {
  requireKind(c, 0, 'float');
  const dtype = sameDType(
    c,
    [0, 1, 2].filter(i => c.inputs[i]),
  );
  return [type(dtype, convolved(c, 1, 2))];
};

/** Weight [C, M/group, kernel..]. */
const convTranspose: ShapeRule = c => {
  requireKind(c, 0, 'float');
  const dtype = sameDType(
    c,
    [0, 1, 2].filter(i => c.inputs[i]),
  );
  const x = requireRank(c, 0, 3, Infinity);
  const weight = requireRank(c, 1, x?.length ?? 3, x?.length ?? Infinity);
  if (!x || !weight) return [{ dtype }];
  if (surelyDiffer(x[1] as Dim, weight[0] as Dim))
    c.fail(`input ${showShape(x)} has ${x[1]} channels, weight ${showShape(weight)} takes ${weight[0]}`);
  const channels = mulDims(weight[1] as Dim, c.attributes.int('group', 1));
  checkBias(c, 2, channels);
  const kernel = kernelOf(c, weight);
  const w = kernel && transposedWindowOf(c, x.length - 2, kernel);
  const spatial = x.slice(2).map((size, i) => (w ? transposedLength(w, size, i) : unknownDim(c, i + 2)));
  return [type(dtype, [x[0] as Dim, channels, ...spatial])];
};

/** Offsets [N, offset_group·kernel·rank, out..] say where the window samples. */
const deformConv: ShapeRule = c => {
  requireKind(c, 0, 'float');
  const shape = convolved(c, 1, 3);
  const offset = shapeAt(c, 2);
  if (shape && offset?.some((d, i) => i > 1 && surelyDiffer(d, shape[i] as Dim)))
    c.fail(`offset ${showShape(offset)} does not fit the output ${showShape(shape)}`);
  return [type(input(c, 0).dtype, shape)];
};

/** x [N,C,L], weight [C,1,k] -> y like x, state [N,C,k-1]. */
const causalConv: ShapeRule = c => {
  const dtype = sameDType(
    c,
    [0, 1, 2, 3].filter(i => c.inputs[i]),
  );
  const [x, weight] = [requireRank(c, 0, 3), requireRank(c, 1, 3)];
  if (!x || !weight) return [{ dtype }, { dtype }];
  const kernel = weight[2] as Dim;
  const kept = typeof kernel === 'number' ? kernel - 1 : unknownDim(c, 'state');
  return [input(c, 0), type(dtype, [x[0] as Dim, x[1] as Dim, kept])];
};

/** Columns [N, C·block, L] laid back into images [N, C, image..]. */
const col2im: ShapeRule = c => {
  const { dtype } = input(c, 0);
  const x = requireRank(c, 0, 3);
  const image = c.shapeValue(1);
  const rank = image?.length ?? lengthAt(c, 1);
  const block = c.shapeValue(2);
  if (!x || rank === undefined) return [{ dtype }];
  const channels = block ? divDims(x[1] as Dim, productOf(block)) : unknownDim(c, 'channels');
  return [type(dtype, [x[0] as Dim, channels, ...(image ?? unknownDims(c, rank))])];
};

/** ConvInteger(x, w, x_zero?, w_zero?) -> int32. */
const convInteger: ShapeRule = c => [type('int32', convolved(c, 1, c.inputs.length))];

/** QLinearConv(x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias?): the output dtype is y_zero's. */
const qlinearConv: ShapeRule = c => [type(zeroPointDType(c, 7, input(c, 0).dtype), convolved(c, 3, 8))];

export const zeroPointDType = (c: RuleContext, i: number, otherwise: DType): DType =>
  c.inputs[i]?.dtype ?? otherwise;

export const CONVOLUTION = {
  Conv: conv,
  ConvTranspose: convTranspose,
  DeformConv: deformConv,
  CausalConvWithState: causalConv,
  Col2Im: col2im,
  ConvInteger: convInteger,
  QLinearConv: qlinearConv,
} satisfies Record<string, ShapeRule>;
