/**
 * Where elements lie: strides, broadcasting and index lists.
 *
 * 1. Every walk is an Int32Array of offsets into row-major storage, built axis by axis. Transpose, Expand, Slice, Gather
 *    and reductions then differ only in the strides or index lists that they pass.
 */
import { sizeOf, type Tensor } from '../../graph/ir.ts';
import type { KernelContext } from './kernel.ts';
import { elements, emptyElements, pack } from './tensor.ts';

/** Row-major strides, in elements. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length);
  let step = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= dims[axis];
  }
  return strides;
}

/** Offset of every element of `dims` (row-major) when axis k advances by `strides[k]`. */
export function offsets(dims: readonly number[], strides: readonly number[], start = 0): Int32Array {
  let out = Int32Array.of(start);
  dims.forEach((count, axis) => {
    out = extended(out, count, strides[axis]);
  });
  return out;
}

function extended(bases: Int32Array, count: number, stride: number): Int32Array<ArrayBuffer> {
  const out = new Int32Array(bases.length * count);
  let p = 0;
  for (let i = 0; i < bases.length; i++) {
    for (let j = 0; j < count; j++) out[p++] = bases[i] + j * stride;
  }
  return out;
}

/** Offsets of the cartesian product of one index list per axis; −1 in a list marks "no source". */
export function listOffsets(lists: readonly ArrayLike<number>[], strides: readonly number[]): Int32Array {
  let out = Int32Array.of(0);
  lists.forEach((list, axis) => {
    const next = new Int32Array(out.length * list.length);
    let p = 0;
    for (let i = 0; i < out.length; i++) {
      for (let j = 0; j < list.length; j++) {
        next[p++] = out[i] < 0 || list[j] < 0 ? -1 : out[i] + list[j] * strides[axis];
      }
    }
    out = next;
  });
  return out;
}

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Element i of the result is element `at[i]` of `t`, zero where that is −1. */
export function take(t: Tensor, dims: readonly number[], at: Int32Array): Tensor {
  const from = elements(t);
  const to = emptyElements(t.dtype, at.length);
  for (let i = 0; i < at.length; i++) if (at[i] >= 0) to[i] = from[at[i]];
  return pack(t.dtype, dims, to);
}

/** `t` with axis `axis` replaced by the elements at `list`. */
export function takeAlong(t: Tensor, axis: number, list: ArrayLike<number>): Tensor {
  const lists = t.dims.map((count, k) => (k === axis ? list : range(count)));
  return takeLists(t, lists);
}

/** The cartesian product of one index list per axis. */
export const takeLists = (t: Tensor, lists: readonly ArrayLike<number>[]): Tensor =>
  take(
    t,
    lists.map(l => l.length),
    listOffsets(lists, stridesOf(t.dims)),
  );

/** An axis in [0, rank). Throws when it lies outside [−rank, rank). */
export function axisOf(c: KernelContext, axis: number, rank: number): number {
  if (axis < -rank || axis >= rank) c.fail(`axis ${axis} is outside a tensor of rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/** An index in [0, count). Throws when it lies outside [−count, count). */
export function indexOf(c: KernelContext, index: number, count: number): number {
  if (index < -count || index >= count) c.fail(`index ${index} is outside a dimension of ${count}`);
  return index < 0 ? index + count : index;
}

/** The common dims that all broadcast to. */
export function broadcastDims(c: KernelContext, ...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map(s => s.length));
  return range(rank).map(axis => {
    const sizes = shapes.map(s => s[axis - rank + s.length] ?? 1);
    const size = sizes.find(n => n !== 1) ?? 1;
    if (sizes.some(n => n !== 1 && n !== size)) {
      c.fail(`shapes ${shapes.map(s => `[${s.join(', ')}]`).join(' and ')} do not broadcast`);
    }
    return size;
  });
}

/** Offsets into a tensor of `dims` for every element of `target`, repeating along broadcast axes. */
export function broadcastOffsets(dims: readonly number[], target: readonly number[]): Int32Array {
  const strides = stridesOf(dims);
  const lead = target.length - dims.length;
  return offsets(
    target,
    target.map((_, axis) => (axis < lead || dims[axis - lead] === 1 ? 0 : strides[axis - lead])),
  );
}

/** `t` expanded to `target`; `t` itself when it has that shape. */
export function broadcastTo(t: Tensor, target: readonly number[]): Tensor {
  if (sameDims(t.dims, target)) return t;
  return take(t, target, broadcastOffsets(t.dims, target));
}

export const sameDims = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i]);

export const transposed = (t: Tensor, perm: readonly number[]): Tensor => {
  const strides = stridesOf(t.dims);
  const dims = perm.map(axis => t.dims[axis]);
  return take(
    t,
    dims,
    offsets(
      dims,
      perm.map(axis => strides[axis]),
    ),
  );
};

export const reshaped = (t: Tensor, dims: readonly number[]): Tensor => ({
  dtype: t.dtype,
  dims,
  data: t.data,
});

/** The lanes of a tensor along `axes`: element j of lane i lies at `bases[i] + steps[j]`. */
export interface Lanes {
  readonly bases: Int32Array;
  readonly steps: Int32Array;
}

export function lanesOf(dims: readonly number[], axes: readonly number[]): Lanes {
  const strides = stridesOf(dims);
  const kept = range(dims.length).filter(axis => !axes.includes(axis));
  const walk = (list: readonly number[]) =>
    offsets(
      list.map(k => dims[k]),
      list.map(k => strides[k]),
    );
  return { bases: walk(kept), steps: walk([...axes].sort((a, b) => a - b)) };
}

/** Product of dims in [from, to). */
export const sizeBetween = (dims: readonly number[], from: number, to: number): number =>
  sizeOf(dims.slice(from, to));
