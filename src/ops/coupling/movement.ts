/** Couplings of ops that move channels: each says where a channel goes. */
import type { Dim, Shape } from '../../graph/ir.ts';
import { axisAttribute, axisOf, numbersAt } from '../shape/common.ts';
import { divideExactly, mulDims, sameDim } from '../shape/dims.ts';
import { permutation } from '../shape/movement.ts';
import {
  aligned,
  type ChannelMap,
  type Coupling,
  couple,
  inputPlace,
  outputPlace,
  type Place,
  type PruningContext,
  type PruningRule,
  SAME,
  type SizeSource,
  same,
  shapeIn,
  shapeOut,
  shifted,
} from './coupling.ts';

export const transposed: PruningRule = c =>
  couple(
    'move',
    permutation(c, shapeIn(c, 0).length).map((from, to) => same(inputPlace(0, from), outputPlace(to))),
  );

/** Axes i0..i1 of the input hold what axes j0..j1 of the output hold. */
interface Group {
  readonly ins: readonly number[];
  readonly outs: readonly number[];
}

/** Cuts both shapes into the shortest runs of axes with equal products. */
export function matchAxes(from: Shape, to: Shape): Group[] {
  const groups: Group[] = [];
  let [i, j] = [0, 0];
  while (i < from.length && j < to.length) {
    const [i1, j1] = endOfGroup(from, to, i, j);
    groups.push({ ins: axesBetween(i, i1), outs: axesBetween(j, j1) });
    [i, j] = [i1, j1];
  }
  return groups;
}

const axesBetween = (start: number, end: number): number[] =>
  Array.from({ length: end - start }, (_, i) => start + i);

function endOfGroup(from: Shape, to: Shape, i: number, j: number): [number, number] {
  let [p, q] = [from[i++] as Dim, to[j++] as Dim];
  while (!sameDim(p, q) && (i < from.length || j < to.length)) {
    const grows = growing(p, q, i < from.length, j < to.length);
    if (grows.p) p = mulDims(p, from[i++] as Dim);
    if (grows.q) q = mulDims(q, to[j++] as Dim);
  }
  return [i, j];
}

/** The smaller product takes the next axis; both do where neither divides the other. */
function growing(p: Dim, q: Dim, moreP: boolean, moreQ: boolean): { p: boolean; q: boolean } {
  if (!moreP || !moreQ) return { p: moreP, q: moreQ };
  if (typeof p === 'number' && typeof q === 'number') return { p: p < q, q: q < p };
  if (divideExactly(q, p) !== undefined) return { p: true, q: false };
  if (divideExactly(p, q) !== undefined) return { p: false, q: true };
  return { p: true, q: true };
}

/** Factor `f` of a merged axis: outer factors repeat it, inner ones make runs of it. */
export function factorMap(dims: readonly number[], f: number): ChannelMap {
  const size = (of: readonly number[]) => of.reduce((a, b) => a * b, 1);
  const [outer, inner] = [size(dims.slice(0, f)), size(dims.slice(f + 1))];
  const repeats: [number, number][] = [
    [outer, (dims[f] as number) * inner],
    [inner, 1],
  ];
  return { offset: 0, stride: inner, repeats: repeats.filter(([count]) => count > 1) };
}

/** Couplings of a group's factors with the merged axis, or undefined when the group is no plain merge. */
function mergeCouplings(
  dims: Shape,
  parts: readonly number[],
  part: (axis: number) => Place,
  merged: Place,
): Coupling[] | undefined {
  const sizes = parts.map(axis => dims[axis]);
  if (sizes.some(d => typeof d !== 'number')) return undefined;
  return parts.map((axis, f) => ({
    from: part(axis),
    to: merged,
    map: factorMap(sizes as number[], f),
    factor: f,
  }));
}

function groupCouplings(from: Shape, to: Shape, group: Group): Coupling[] | undefined {
  const ins = group.ins.filter(axis => from[axis] !== 1);
  const outs = group.outs.filter(axis => to[axis] !== 1);
  const [i, o] = [(axis: number) => inputPlace(0, axis), (axis: number) => outputPlace(axis)];
  if (ins.length === 0 && outs.length === 0) return [];
  if (ins.length === 1 && outs.length === 1) {
    return sameDim(from[ins[0] as number] as Dim, to[outs[0] as number] as Dim)
      ? [same(i(ins[0] as number), o(outs[0] as number))]
      : undefined;
  }
  if (outs.length === 1) return mergeCouplings(from, ins, i, o(outs[0] as number));
  return ins.length === 1 ? mergeCouplings(to, outs, o, i(ins[0] as number)) : undefined;
}

const countable = (shape: Shape, axes: readonly number[], place: (axis: number) => Place): Place[] =>
  axes.filter(axis => typeof shape[axis] === 'number' && shape[axis] !== 1).map(place);

/** Reshape and its kin: axes with equal products correspond; merged and split ones couple factor by factor. */
export const reshaped =
  (sizes: readonly SizeSource[] = []): PruningRule =>
  c => {
    const [from, to] = [shapeIn(c, 0), shapeOut(c)];
    const couplings: Coupling[] = [];
    const fixed: Place[] = [];
    for (const group of matchAxes(from, to)) {
      const found = groupCouplings(from, to, group);
      if (found) couplings.push(...found);
      else
        fixed.push(
          ...countable(from, group.ins, a => inputPlace(0, a)),
          ...countable(to, group.outs, a => outputPlace(a)),
        );
    }
    return couple('move', couplings, { fixed, sizes });
  };

export const expanded: PruningRule = c => couple('move', aligned(c, 0), { sizes: [{ input: 1 }] });

/** Channel j of the input is channels j, j + n, j + 2n .. of the output. */
export const tiled: PruningRule = c => {
  const repeats = numbersAt(c, 1);
  const couplings: Coupling[] = [];
  const fixed: Place[] = [];
  shapeIn(c, 0).forEach((n, axis) => {
    const count = repeats?.[axis];
    const [from, to] = [inputPlace(0, axis), outputPlace(axis)];
    if (count === 1) couplings.push(same(from, to));
    else if (count === undefined || typeof n === 'string') fixed.push(from, to);
    else couplings.push({ from, to, map: { offset: 0, stride: 1, repeats: [[count, n]] } });
  });
  return couple('move', couplings, { fixed });
};

/** Starts of consecutive parts; undefined from the first symbolic length on. */
function starts(lengths: readonly (Dim | undefined)[]): (number | undefined)[] {
  let at: number | undefined = 0;
  return lengths.map(length => {
    const start = at;
    at = at === undefined || typeof length !== 'number' ? undefined : at + length;
    return start;
  });
}

/** Couplings of parts with the whole along `axis`, and the places that must stay because their start is not known. */
function partsOf(
  shapes: readonly Shape[],
  axis: number,
  part: (k: number, axis: number) => Place,
  whole: (axis: number) => Place,
): { couplings: Coupling[]; fixed: Place[] } {
  const couplings: Coupling[] = [];
  const fixed: Place[] = [];
  const offsets = starts(shapes.map(s => s[axis]));
  shapes.forEach((shape, k) => {
    shape.forEach((_, i) => {
      const offset = offsets[k];
      if (i !== axis) couplings.push(same(part(k, i), whole(i)));
      else if (offset === undefined) fixed.push(part(k, i), whole(i));
      else couplings.push({ from: part(k, i), to: whole(i), map: offset === 0 ? SAME : shifted(offset) });
    });
  });
  return { couplings, fixed };
}

export const concatenated: PruningRule = c => {
  const shapes = c.inputs.map((_, i) => shapeIn(c, i));
  const axis = axisAttribute(c, 0, shapeOut(c).length);
  const { couplings, fixed } = partsOf(shapes, axis, inputPlace, outputPlace);
  return couple('move', couplings, { fixed });
};

export const splitUp: PruningRule = c => {
  const shapes = c.outputs.map((_, o) => shapeOut(c, o));
  const axis = axisAttribute(c, 0, shapeIn(c, 0).length);
  const whole = (i: number) => inputPlace(0, i);
  const { couplings, fixed } = partsOf(shapes, axis, (k, i) => outputPlace(i, k), whole);
  return couple('move', couplings, {
    fixed,
    sizes: c.inputs[1] ? [{ input: 1 }] : [{ attribute: 'num_outputs' }],
  });
};

/** Start and step of each axis that a Slice cuts; undefined where they are not constant. */
function cuts(c: PruningContext): Map<number, { start: number; step: number } | undefined> {
  const shape = shapeIn(c, 0);
  const [starts, steps] = [numbersAt(c, 1), c.inputs[4] ? numbersAt(c, 4) : undefined];
  const axes = c.inputs[3] ? numbersAt(c, 3) : starts?.map((_, i) => i);
  const all = axes ?? shape.map((_, i) => i);
  return new Map(
    all.map((a, i) => [
      axisOf(c, a, shape.length),
      axes && cut(shape, a, starts?.[i], c.inputs[4] ? steps?.[i] : 1),
    ]),
  );
}

function cut(shape: Shape, axis: number, start: number | undefined, step: number | undefined) {
  const size = shape.at(axis);
  if (start === undefined || step === undefined || typeof size !== 'number') return undefined;
  const from = start < 0 ? start + size : start;
  return { start: Math.min(Math.max(from, 0), step < 0 ? size - 1 : size), step };
}

/** Channel j of the output is channel start + j step of the input; the channels cut away are free. */
export const sliced: PruningRule = c => {
  const [from, to, cut] = [shapeIn(c, 0), shapeOut(c), cuts(c)];
  const couplings: Coupling[] = [];
  const fixed: Place[] = [];
  from.forEach((d, axis) => {
    const [inside, outside] = [inputPlace(0, axis), outputPlace(axis)];
    const at = cut.get(axis);
    if (!cut.has(axis) || (sameDim(d, to[axis] as Dim) && (at?.step ?? 1) > 0))
      couplings.push(same(outside, inside));
    else if (at) couplings.push({ from: outside, to: inside, map: shifted(at.start, at.step) });
    else fixed.push(inside, outside);
  });
  return couple('move', couplings, { fixed, sizes: [{ input: 1 }, { input: 2 }] });
};

/** Axes that get padding stay: pads are channels that no input channel stands for. */
export const padded: PruningRule = c => {
  const shape = shapeIn(c, 0);
  const pads = numbersAt(c, 1);
  const axes = c.inputs[3] ? numbersAt(c, 3) : shape.map((_, i) => i);
  const untouched = (at: number) => pads?.[at] === 0 && pads[at + (axes?.length ?? 0)] === 0;
  const stays =
    axes?.filter((_, i) => !untouched(i)).map(a => axisOf(c, a, shape.length)) ?? shape.map((_, i) => i);
  const free = shape.map((_, i) => i).filter(axis => !stays.includes(axis));
  return couple(
    'move',
    free.map(axis => same(inputPlace(0, axis), outputPlace(axis))),
    { fixed: stays.flatMap(axis => [inputPlace(0, axis), outputPlace(axis)]) },
  );
};
