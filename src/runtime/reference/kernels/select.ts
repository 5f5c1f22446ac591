/** Ops whose output's length only the data tell, and Dropout, which draws. */
import { sizeOf, type Tensor } from '../../../graph/ir.ts';
import { Random } from '../../../util/random.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { axisOf, lanesOf, range, reshaped, takeAlong } from '../layout.ts';
import { boolean, doubles, elements, indices64, type Slots, scalar, store } from '../tensor.ts';

/** Slices along `axis` (elements of the flat tensor without it) where the condition holds. */
const compress: Kernel = c => {
  const x = c.attributes.has('axis') ? c.input(0) : reshaped(c.input(0), [sizeOf(c.input(0).dims)]);
  const axis = axisOf(c, c.attributes.int('axis', 0), x.dims.length);
  const condition = doubles(c.input(1));
  return [
    takeAlong(
      x,
      axis,
      range(Math.min(condition.length, x.dims[axis])).filter(i => condition[i] !== 0),
    ),
  ];
};

/** Order of two slices, element by element. */
function order(values: Slots, steps: Int32Array, a: number, b: number): number {
  const at = steps.findIndex(step => values[a + step] !== values[b + step]);
  return at < 0 ? 0 : values[a + steps[at]] < values[b + steps[at]] ? -1 : 1;
}

/** Distinct slices: first position of each, the slice that each position holds, and how many hold it. */
interface Distinct {
  readonly firsts: readonly number[];
  readonly inverse: readonly number[];
  readonly counts: readonly number[];
}

function distinct(x: Tensor, axis: number, sorted: boolean): Distinct {
  const others = range(x.dims.length).filter(k => k !== axis);
  const { bases, steps } = lanesOf(x.dims, others);
  const values = elements(x);
  const compare = (i: number, j: number) => order(values, steps, bases[i], bases[j]);
  const ranked = range(bases.length).sort((i, j) => compare(i, j) || i - j);
  const firsts: number[] = [];
  const owner = new Map<number, number>();
  for (const i of ranked) {
    if (firsts.length === 0 || compare(firsts[firsts.length - 1], i) !== 0) firsts.push(i);
    owner.set(i, firsts[firsts.length - 1]);
  }
  if (!sorted) firsts.sort((i, j) => i - j);
  const inverse = range(bases.length).map(i => firsts.indexOf(owner.get(i) as number));
  return { firsts, inverse, counts: firsts.map((_, k) => inverse.filter(v => v === k).length) };
}

const unique: Kernel = c => {
  const x = c.attributes.has('axis') ? c.input(0) : reshaped(c.input(0), [sizeOf(c.input(0).dims)]);
  const axis = axisOf(c, c.attributes.int('axis', 0), x.dims.length);
  const { firsts, inverse, counts } = distinct(x, axis, c.attributes.int('sorted', 1) !== 0);
  const list = (values: readonly number[]) => indices64([values.length], values);
  return [takeAlong(x, axis, firsts), list(firsts), list(inverse), list(counts)];
};

/**
 * Training: elements stay with probability 1 − ratio, scaled by 1/(1 − ratio); which ones is drawn from `seed`, in an
 * order of this program's own. Otherwise the input.
 */
const dropout: Kernel = c => {
  const x = c.input(0);
  const training = c.inputs[2] !== undefined && doubles(c.inputs[2])[0] !== 0;
  const ratio = c.inputs[1] ? scalar(c.inputs[1]) : 0.5;
  const mask = keptMask(c, sizeOf(x.dims), training ? ratio : 0);
  if (!training || ratio === 0) return [x, boolean(x.dims, mask)];
  const values = doubles(x).map((v, i) => (mask[i] ? v / (1 - ratio) : 0));
  return [store(x.dtype, x.dims, values), boolean(x.dims, mask)];
};

function keptMask(c: KernelContext, count: number, ratio: number): Uint8Array {
  const random = new Random(c.attributes.int('seed', 0));
  return Uint8Array.from({ length: count }, () => (ratio === 0 || random.uniform() >= ratio ? 1 : 0));
}

export const SELECT = {
  Compress: compress,
  Unique: unique,
  Dropout: dropout,
} as const satisfies KernelFamily;
