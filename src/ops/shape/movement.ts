/** Shapes of ops that move, cut and join elements without computing. */
import type { Dim, Shape, TensorType } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import {
  allInputs,
  axisAttribute,
  axisOf,
  broadcast,
  input,
  lengthAt,
  numbersAt,
  requireRank,
  sameDType,
  shapeAt,
  type,
  unify,
  unknownDim,
  unknownDims,
  withDim,
} from './common.ts';
import {
  addDims,
  ceilDivDims,
  divDims,
  divideExactly,
  mulDims,
  productOf,
  showShape,
  subDims,
  surelyDiffer,
} from './dims.ts';
import { sliceLength } from './slicing.ts';

/** Reshape: 0 copies the dim at its place (unless allowzero), one -1 takes what is left. */
const reshape: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  const target = c.shapeValue(1);
  if (target) return [type(dtype, resolveReshape(c, shape, target))];
  const rank = lengthAt(c, 1);
  return [type(dtype, rank === undefined ? undefined : unknownDims(c, rank))];
};

/** `target` with 0 and -1 replaced. */
export function resolveReshape(c: RuleContext, shape: Shape | undefined, target: Shape): Shape {
  const copies = c.attributes.int('allowzero', 0) === 0;
  const dims = target.map((d, i) => (d === 0 && copies ? copiedDim(c, shape, target, i) : d));
  const holes = dims.flatMap((d, i) => (d === -1 ? [i] : []));
  if (holes.length > 1) c.fail(`cannot reshape to ${showShape(target)}: more than one -1`);
  if (holes.length === 0) return checkedReshape(c, shape, dims);
  return withDim(dims, holes[0] as number, leftOver(c, shape, dims, target));
}

function copiedDim(c: RuleContext, shape: Shape | undefined, target: Shape, i: number): Dim {
  if (!shape) return unknownDim(c, i);
  return (
    shape[i] ??
    c.fail(`cannot reshape ${showShape(shape)} to ${showShape(target)}: there is no dim ${i} for 0 to copy`)
  );
}

function leftOver(c: RuleContext, shape: Shape | undefined, dims: Shape, target: Shape): Dim {
  if (!shape) return unknownDim(c, dims.indexOf(-1));
  const total = productOf(shape);
  const rest = productOf(dims.filter(d => d !== -1));
  const exact = divideExactly(total, rest);
  if (exact !== undefined) return exact;
  if (rest === 0 || (typeof total === 'number' && typeof rest === 'number')) {
    c.fail(
      `cannot reshape ${showShape(shape)} to ${showShape(target)}: ${total} elements are no multiple of ${rest}`,
    );
  }
  return divDims(total, rest);
}

/** Fails when the counts of elements cannot agree. */
function checkedReshape(c: RuleContext, shape: Shape | undefined, dims: Shape): Shape {
  if (!shape) return dims;
  const [from, to] = [productOf(shape), productOf(dims)];
  if (surelyDiffer(from, to)) {
    c.fail(`cannot reshape ${showShape(shape)} (${from} elements) to ${showShape(dims)} (${to} elements)`);
  }
  return dims;
}

const flatten: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  if (!shape) return [type(dtype, unknownDims(c, 2))];
  const axis = c.attributes.int('axis', 1);
  const at = axis === shape.length ? axis : axisOf(c, axis, shape.length);
  return [type(dtype, [productOf(shape.slice(0, at)), productOf(shape.slice(at))])];
};

const squeeze: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  if (!shape) return [{ dtype }];
  if (!c.inputs[1])
    return [type(dtype, shape.some(d => typeof d === 'string') ? undefined : shape.filter(d => d !== 1))];
  const axes = numbersAt(c, 1)?.map(a => axisOf(c, a, shape.length));
  if (!axes) return [type(dtype, fewerDims(c, shape.length))];
  for (const a of axes) {
    const dim = shape[a];
    if (typeof dim === 'number' && dim !== 1)
      c.fail(`cannot squeeze axis ${a} of ${showShape(shape)}: its dim is not 1`);
  }
  return [
    type(
      dtype,
      shape.filter((_, i) => !axes.includes(i)),
    ),
  ];
};

function fewerDims(c: RuleContext, rank: number): Shape | undefined {
  const count = lengthAt(c, 1);
  return count === undefined ? undefined : unknownDims(c, rank - count);
}

/** Unsqueeze: axes are places in the output. */
const unsqueeze: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  const count = lengthAt(c, 1);
  if (!shape || count === undefined) return [{ dtype }];
  const rank = shape.length + count;
  const axes = numbersAt(c, 1)?.map(a => axisOf(c, a, rank));
  if (!axes) return [type(dtype, unknownDims(c, rank))];
  if (new Set(axes).size < axes.length) c.fail(`axes [${axes}] repeat`);
  const rest = [...shape];
  return [
    type(
      dtype,
      Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : (rest.shift() as Dim))),
    ),
  ];
};

/** out[i] = in[perm[i]]; the default reverses the axes. */
export function permutation(c: RuleContext, rank: number): readonly number[] {
  const perm = c.attributes.ints('perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  const sorted = [...perm].sort((a, b) => a - b);
  if (perm.length !== rank || sorted.some((p, i) => p !== i)) {
    c.fail(`perm [${perm}] is no order of the ${rank} axes of ${showShape(shapeAt(c, 0))}`);
  }
  return perm;
}

const transpose: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  return [type(dtype, shape && permutation(c, shape.length).map(p => shape[p] as Dim))];
};

/** Expand: broadcast(in, target). */
const expand: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  const target = c.shapeValue(1);
  if (shape && target) return [type(dtype, broadcast(c, [shape, target]))];
  const length = lengthAt(c, 1);
  if (!shape || length === undefined) return [{ dtype }];
  const rank = Math.max(length, shape.length);
  const unknown = unknownDims(c, rank);
  return [
    type(
      dtype,
      unknown.map((d, i) => knownLarge(shape[i - rank + shape.length]) ?? d),
    ),
  ];
};

/** A dim that broadcasting cannot change. */
const knownLarge = (dim: Dim | undefined): Dim | undefined =>
  typeof dim === 'number' && dim > 1 ? dim : undefined;

const tile: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  if (!shape)
    return [type(dtype, lengthAt(c, 1) === undefined ? undefined : unknownDims(c, lengthAt(c, 1) as number))];
  const repeats = c.shapeValue(1);
  if (!repeats) return [type(dtype, unknownDims(c, shape.length))];
  if (repeats.length !== shape.length) {
    c.fail(`repeats ${showShape(repeats)} must have one entry for each axis of ${showShape(shape)}`);
  }
  return [
    type(
      dtype,
      shape.map((d, i) => mulDims(d, repeats[i] as Dim)),
    ),
  ];
};

const concat: ShapeRule = c => {
  const dtype = sameDType(c, allInputs(c));
  const shapes = allInputs(c).map(i => shapeAt(c, i));
  if (shapes.some(s => !s)) return [{ dtype }];
  return [type(dtype, concatShape(c, shapes as Shape[]))];
};

export function concatShape(c: RuleContext, shapes: readonly Shape[]): Shape {
  const first = shapes[0] as Shape;
  if (!c.attributes.has('axis')) c.fail('attribute "axis" is missing');
  const axis = axisAttribute(c, 0, first.length);
  return shapes.slice(1).reduce((a, b) => joined(c, a, b, axis), first);
}

function joined(c: RuleContext, a: Shape, b: Shape, axis: number): Shape {
  const complaint = () => `cannot concatenate ${showShape(a)} and ${showShape(b)} along axis ${axis}`;
  if (a.length !== b.length) c.fail(complaint());
  return a.map((d, i) => (i === axis ? addDims(d, b[i] as Dim) : unify(c, d, b[i] as Dim, complaint)));
}

const split: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  if (!shape) return Array.from({ length: c.outputCount }, (): TensorType => ({ dtype }));
  const axis = axisAttribute(c, 0, shape.length);
  return splitSizes(c, shape[axis] as Dim, axis, shape).map(size => type(dtype, withDim(shape, axis, size)));
};

/** Sizes of the parts: the vector at input 1, else equal ones of which the last may be smaller. */
function splitSizes(c: RuleContext, total: Dim, axis: number, shape: Shape): readonly Dim[] {
  if (!c.inputs[1]) return equalParts(c, total);
  const sizes = c.shapeValue(1);
  if (!sizes) return Array.from({ length: c.outputCount }, (_, i) => unknownDim(c, i));
  if (sizes.length < c.outputCount)
    c.fail(`${c.outputCount} outputs for ${sizes.length} sizes ${showShape(sizes)}`);
  const sum = sizes.reduce(addDims, 0);
  if (surelyDiffer(sum, total))
    c.fail(`sizes ${showShape(sizes)} sum to ${sum}, not to axis ${axis} of ${showShape(shape)}`);
  return sizes;
}

function equalParts(c: RuleContext, total: Dim): readonly Dim[] {
  const count = c.attributes.int('num_outputs', c.outputCount);
  const size = ceilDivDims(total, count);
  const last = subDims(total, mulDims(size, count - 1));
  return Array.from({ length: count }, (_, i) => (i < count - 1 ? size : last));
}

/** Slice(data, starts, ends, axes?, steps?). */
const slice: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  if (!shape) return [{ dtype }];
  const axes = slicedAxes(c, shape.length);
  if (!axes) return [type(dtype, unknownDims(c, shape.length))];
  const out = [...shape];
  axes.forEach((axis, i) => {
    out[axis] = sliceLength(boundsAt(c, i), shape[axis] as Dim) ?? unknownDim(c, axis);
  });
  return [type(dtype, out)];
};

function slicedAxes(c: RuleContext, rank: number): readonly number[] | undefined {
  if (c.inputs[3]) return numbersAt(c, 3)?.map(a => axisOf(c, a, rank));
  const count = lengthAt(c, 1);
  return count === undefined ? undefined : Array.from({ length: count }, (_, i) => i);
}

const boundsAt = (c: RuleContext, i: number) => ({
  start: c.shapeValue(1)?.[i],
  end: c.shapeValue(2)?.[i],
  step: c.inputs[4] ? c.shapeValue(4)?.[i] : 1,
});

/** Pad: pads are all starts, then all ends, for `axes` (default all). */
const pad: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  if (!shape) return [{ dtype }];
  const pads = c.shapeValue(1);
  const axes = c.inputs[3] ? numbersAt(c, 3)?.map(a => axisOf(c, a, shape.length)) : shape.map((_, i) => i);
  if (!pads || !axes) return [type(dtype, unknownDims(c, shape.length))];
  if (pads.length !== 2 * axes.length)
    c.fail(`pads has ${pads.length} entries for ${axes.length} axes; two each are needed`);
  const out = [...shape];
  axes.forEach((axis, i) => {
    out[axis] = [pads[i] as Dim, pads[i + axes.length] as Dim].reduce(addDims, shape[axis] as Dim);
  });
  return [type(dtype, out)];
};

const trilu: ShapeRule = c => {
  requireRank(c, 0, 2, Infinity);
  return [input(c, 0)];
};

/** CenterCropPad(x, lengths): those lengths along `axes`, all when absent. */
const centerCropPad: ShapeRule = c => {
  const { dtype, shape } = input(c, 0);
  if (!shape) return [{ dtype }];
  const axes = c.attributes.ints('axes')?.map(a => axisOf(c, a, shape.length)) ?? shape.map((_, i) => i);
  const lengths = c.shapeValue(1);
  const at = (i: number) => axes.indexOf(i);
  return [
    type(
      dtype,
      shape.map((d, i) => (at(i) < 0 ? d : (lengths?.[at(i)] ?? unknownDim(c, i)))),
    ),
  ];
};

const blockSize = (c: RuleContext): number => {
  const size = c.attributes.int('blocksize', 0);
  return size > 0 ? size : c.fail(`blocksize ${size} must be positive`);
};

/** [N,C,H,W] -> [N, C/b², H·b, W·b]. */
const depthToSpace: ShapeRule = c => {
  const { dtype } = input(c, 0);
  const s = requireRank(c, 0, 4);
  const b = blockSize(c);
  if (!s) return [{ dtype }];
  if (typeof s[1] === 'number' && s[1] % (b * b) !== 0)
    c.fail(`${s[1]} channels of ${showShape(s)} are no multiple of blocksize² = ${b * b}`);
  return [
    type(dtype, [s[0] as Dim, divDims(s[1] as Dim, b * b), mulDims(s[2] as Dim, b), mulDims(s[3] as Dim, b)]),
  ];
};

/** [N,C,H,W] -> [N, C·b², H/b, W/b]. */
const spaceToDepth: ShapeRule = c => {
  const { dtype } = input(c, 0);
  const s = requireRank(c, 0, 4);
  const b = blockSize(c);
  if (!s) return [{ dtype }];
  const odd = [2, 3].find(i => typeof s[i] === 'number' && (s[i] as number) % b !== 0);
  if (odd !== undefined) c.fail(`axis ${odd} of ${showShape(s)} is no multiple of blocksize ${b}`);
  return [
    type(dtype, [s[0] as Dim, mulDims(s[1] as Dim, b * b), divDims(s[2] as Dim, b), divDims(s[3] as Dim, b)]),
  ];
};

const reverseSequence: ShapeRule = c => {
  requireRank(c, 0, 2, Infinity);
  requireRank(c, 1, 1);
  return [input(c, 0)];
};

export const MOVEMENT = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Trilu: trilu,
  ReverseSequence: reverseSequence,
  CenterCropPad: centerCropPad,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
} satisfies Record<string, ShapeRule>;
