/**
 * Gradients of ops that move elements without computing: reshapes, slices, joins and paddings.
 *
 * 1. A Slice of step 1 with known bounds goes back by one Pad. Every other Slice, and every Pad that is not
 *    constant, goes back along the map of source positions, found by slicing or padding 0, 1, 2, ….
 * 2. A constant Pad goes back by the Pad with negated amounts.
 */
import type { Value } from '../builder.ts';
import { type GradientContext, none } from '../rule.ts';
import {
  axisOf,
  constantInts,
  dimsVector,
  type Extent,
  extentOf,
  filledLike,
  first,
  flat,
  type Gradients,
  input,
  iota,
  output,
  range,
  reshapeLike,
  shaped,
  sumTo,
  unary,
} from './common.ts';
import type { Family } from './family.ts';
import { gatherGradient } from './indexing.ts';

const reshaped = unary((g, x) => reshapeLike(g, x));

function inversePermutation(perm: readonly number[]): number[] {
  const inverse: number[] = [];
  perm.forEach((from, to) => {
    inverse[from] = to;
  });
  return inverse;
}

function transposed(c: GradientContext, g: Value): Gradients {
  const perm = c.attributes.ints('perm') ?? range(g.rank).reverse();
  return [g.transpose(inversePermutation(perm))];
}

/** Copies along axis i are summed: [r0·d0, r1·d1, …] as [r0, d0, r1, d1, …], summed over the r. */
function untiled(c: GradientContext, g: Value): Gradients {
  const x = input(c, 0);
  const repeats = constantInts(c, 1);
  const extents = range(x.rank).flatMap((axis): Extent[] => {
    const at = c.b.ints([axis]);
    return [repeats?.[axis] ?? c.b.op('Gather', [input(c, 1), at], { axis: 0 }), extentOf(x, axis)];
  });
  const pairs = g.reshapeTo(dimsVector(g, extents));
  return [
    shaped(
      pairs.sum(
        range(x.rank).map(i => 2 * i),
        false,
      ),
      x.shape,
    ),
  ];
}

function splitBack(c: GradientContext, g: Value): Gradients {
  const parts = c.inputs.map((_, i) => input(c, i));
  const axis = axisOf(c.attributes.int('axis', 0), g.rank);
  const sizes = dimsVector(
    g,
    parts.map(p => extentOf(p, axis)),
  );
  const grads = c.b.ops('Split', [g, sizes], { axis }, parts.length);
  return grads.map((part, i) => shaped(part, (parts[i] as Value).shape));
}

function joinBack(c: GradientContext): Gradients {
  const parts = c.outputs.map(
    (y, i) => c.grads[i] ?? (y ? filledLike(y) : c.fail(`output ${i} has no name`)),
  );
  const joined = c.b.concat(parts, axisOf(c.attributes.int('axis', 0), input(c, 0).rank));
  return [shaped(joined, input(c, 0).shape)];
}

interface SliceAxis {
  readonly axis: number;
  /** Position among the axes named by the node. */
  readonly at: number;
}

function slicedAxes(c: GradientContext): SliceAxis[] {
  const { rank } = input(c, 0);
  if (c.inputs[3] && !c.constant(3)) c.fail('has no gradient with axes that are not constant');
  const axes = constantInts(c, 3) ?? range(input(c, 1).shape[0] as number);
  return axes.map((axis, at) => ({ axis: axisOf(axis, rank), at }));
}

/** [before, after] to pad with along one sliced axis, when all bounds are known and the step is 1. */
function knownPadding(c: GradientContext, { axis, at }: SliceAxis): [number, number] | undefined {
  const start = constantInts(c, 1)?.[at];
  const step = c.inputs[4] ? constantInts(c, 4)?.[at] : 1;
  const [have, want] = [output(c).shape[axis], input(c, 0).shape[axis]];
  if (start === undefined || step !== 1 || typeof have !== 'number' || typeof want !== 'number')
    return undefined;
  const before = Math.min(Math.max(start < 0 ? start + want : start, 0), want - have);
  return [before, want - have - before];
}

function padBack(
  g: Value,
  x: Value,
  paddings: readonly { axis: number; amounts: [number, number] }[],
): Value {
  const pads = new Array<number>(2 * x.rank).fill(0);
  for (const { axis, amounts } of paddings) {
    pads[axis] = amounts[0];
    pads[axis + x.rank] = amounts[1];
  }
  return shaped(g.builder.op('Pad', [g, g.builder.ints(pads)], {}), x.shape);
}

/** Where along its axis each kept element came from: the same slice of 0, 1, 2, …. */
function sourcePositions(c: GradientContext, { axis, at }: SliceAxis): Value {
  const pick = (i: number) => {
    const v = c.inputs[i];
    return v && c.b.op('Gather', [v, c.b.ints([at])], { axis: 0 });
  };
  const x = input(c, 0);
  const positions = c.b.op(
    'Slice',
    [iota(x, extentOf(x, axis)), pick(1), pick(2), c.b.ints([0]), pick(4)],
    {},
  );
  return shaped(positions, [output(c).shape[axis] as number]);
}

function sliceBack(c: GradientContext, g: Value): Gradients {
  const x = input(c, 0);
  const axes = slicedAxes(c);
  const known = axes.map(a => ({ axis: a.axis, amounts: knownPadding(c, a) }));
  if (known.every((k): k is { axis: number; amounts: [number, number] } => k.amounts !== undefined)) {
    return [padBack(g, x, known)];
  }
  const back = axes.reduce(
    (grad, a) => gatherGradient(grad, sourcePositions(c, a), a.axis, extentOf(x, a.axis)),
    g,
  );
  return [shaped(back, x.shape)];
}

/** Reflecting, edge and wrapping pads: where each element came from is the same pad of 0, 1, 2, …. */
function padMapBack(c: GradientContext, g: Value, mode: string): Gradients {
  const x = input(c, 0);
  const pads = constantInts(c, 1);
  if (!pads || c.inputs[3])
    c.fail(`has no gradient in mode ${mode} with axes or with pads that are not constant`);
  const back = range(x.rank).reduce((grad, axis) => {
    const [before, after] = [pads[axis] as number, pads[axis + x.rank] as number];
    if (before === 0 && after === 0) return grad;
    const extent = extentOf(x, axis);
    const source = c.b.op('Pad', [iota(x, extent), c.b.ints([before, after])], { mode });
    return gatherGradient(grad, source, axis, extent);
  }, g);
  return [shaped(back, x.shape)];
}

function unpad(c: GradientContext, g: Value): Gradients {
  const mode = c.attributes.string('mode', 'constant');
  if (mode !== 'constant') return padMapBack(c, g, mode);
  const [x, pads, fill] = [input(c, 0), input(c, 1), c.inputs[2]];
  const known = constantInts(c, 1);
  const negated = known ? c.b.ints(known.map(p => (p === 0 ? 0 : -p))) : pads.neg();
  const dx = shaped(c.b.op('Pad', [g, negated, undefined, c.inputs[3]], {}), x.shape);
  const total = (v: Value) => v.sum(undefined, false);
  return [dx, undefined, fill && c.wants(2) ? reshapeLike(total(g).sub(total(dx)), fill) : undefined];
}

/** Range is start + i·delta: Σg and Σg·i. */
function rangeBack(g: Value): Gradients {
  const steps = iota(g, extentOf(g, 0)).cast(g.dtype);
  return [g.sum(undefined, false), undefined, g.mul(steps).sum(undefined, false)];
}

/** values = [off, on]: the sums of g over the cold and the hot places. */
function oneHotBack(c: GradientContext, g: Value): Gradients {
  const { b } = c;
  const unit = b.constant({ dtype: 'float32', dims: [2], data: Float32Array.of(0, 1) });
  const attributes = { axis: c.attributes.int('axis', -1) };
  const hot = b.op('OneHot', [input(c, 0), input(c, 1), unit], attributes).cast(g.dtype);
  const on = g.mul(hot).sum(undefined, false);
  const off = g.sum(undefined, false).sub(on);
  return [undefined, undefined, b.concat([off.unsqueeze([0]), on.unsqueeze([0])], 0)];
}

/** Blocks of pixels back into channels; CRD counts channels before the positions in a block. */
function depthBack(c: GradientContext, g: Value): Gradients {
  const [x, size] = [input(c, 0), c.attributes.int('blocksize', 1)];
  const packed = c.b.op('SpaceToDepth', [g], { blocksize: size });
  if (c.attributes.string('mode', 'DCR') === 'DCR') return [shaped(packed, x.shape)];
  const [n, rows, columns] = [extentOf(packed, 0), extentOf(packed, 2), extentOf(packed, 3)];
  const split = packed.reshapeTo(dimsVector(packed, [n, size * size, -1, rows, columns]));
  return [reshapeLike(split.transpose([0, 2, 1, 3, 4]), x)];
}

/** A crop is undone by a pad around the same middle, and the other way round. */
function uncrop(c: GradientContext, g: Value): Gradients {
  const x = input(c, 0);
  const axes = (c.attributes.ints('axes') ?? range(x.rank)).map(a => axisOf(a, x.rank));
  const lengths = dimsVector(
    x,
    axes.map(a => extentOf(x, a)),
  );
  return [shaped(c.b.op('CenterCropPad', [g, lengths], { axes }), x.shape)];
}

const INTEGERS = none('its output is integer');

export const MOVEMENT = {
  Shape: INTEGERS,
  Size: INTEGERS,
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Transpose: first(transposed),
  // broadcasting copies: their sum
  Expand: unary((g, x) => sumTo(g, x)),
  Tile: first(untiled),
  Concat: first(splitBack),
  Split: joinBack,
  Slice: first(sliceBack),
  Pad: first(unpad),
  // the same elements change places again
  ReverseSequence: unary((g, _x, _y, c) =>
    c.b.op('ReverseSequence', [g, input(c, 1)], {
      batch_axis: c.attributes.int('batch_axis', 1),
      time_axis: c.attributes.int('time_axis', 0),
    }),
  ),
  CenterCropPad: first(uncrop),
  DepthToSpace: first(depthBack),
  SpaceToDepth: unary((g, x, _y, c) =>
    shaped(c.b.op('DepthToSpace', [g], { blocksize: c.attributes.int('blocksize', 1) }), x.shape),
  ),
  Constant: none('it has no inputs'),
  ConstantOfShape: none('its input is a shape'),
  Range: first((_c, g) => rangeBack(g)),
  EyeLike: flat,
  OneHot: first(oneHotBack),
} satisfies Family;
