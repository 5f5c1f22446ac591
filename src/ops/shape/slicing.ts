/**
 * Length of a slice whose bounds may be symbols.
 *
 * 1. A negative bound counts from the end; bounds are clamped to the axis, as ONNX says.
 * 2. What cannot be compared is taken to lie within the axis: a table of 2048 rows cut to `T` rows has `T` rows, and
 *    an axis of `T` cut from 1 on has `T-1`. Only a constant end is kept as `min(512,T)`, since cutting what may be
 *    shorter is common. Run time decides whether that holds.
 */
import type { Dim } from '../../graph/ir.ts';
import { addDims, ceilDivDims, minDims, subDims } from './dims.ts';

export interface Bounds {
  readonly start: Dim | undefined;
  readonly end: Dim | undefined;
  readonly step: Dim | undefined;
}

/** Numbers beyond this stand for "to the end", whatever integer width the exporter had in mind. */
const HUGE = 2 ** 31 - 1;

/** Elements that `start:end:step` takes of an axis of `size`; undefined when that is not known. */
export function sliceLength({ start, end, step }: Bounds, size: Dim): Dim | undefined {
  if (start === undefined || end === undefined || typeof step !== 'number' || step === 0) return undefined;
  if (typeof start === 'number' && typeof end === 'number' && typeof size === 'number') {
    return knownLength(start, end, step, size);
  }
  const forward = step > 0;
  const [from, to] = forward
    ? [startOf(start, size), endOf(end, size)]
    : [lastOf(start, size), beforeOf(end, size)];
  const length = ceilDivDims(forward ? subDims(to, from) : subDims(from, to), Math.abs(step));
  return typeof length === 'number' ? Math.max(0, length) : length;
}

const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

function knownLength(start: number, end: number, step: number, size: number): number {
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const from = clamp(start < 0 ? start + size : start, 0, high);
  const to = clamp(end < 0 ? end + size : end, low, high);
  return Math.max(0, Math.ceil((to - from) / step));
}

const fromFront = (bound: Dim, size: Dim): Dim =>
  typeof bound === 'number' && bound < 0 ? addDims(size, bound) : bound;

const startOf = (start: Dim, size: Dim): Dim =>
  typeof start === 'number' && start <= -HUGE ? 0 : fromFront(start, size);

function endOf(end: Dim, size: Dim): Dim {
  if (typeof end === 'string') return end;
  if (end >= HUGE) return size;
  return end > 0 ? minDims(end, size) : fromFront(end, size);
}

/** Where a backward slice starts. */
const lastOf = (start: Dim, size: Dim): Dim =>
  typeof start === 'number' && start >= HUGE ? subDims(size, 1) : fromFront(start, size);

/** Where a backward slice stops: -1 is before the first element. */
const beforeOf = (end: Dim, size: Dim): Dim =>
  typeof end === 'number' && end <= -HUGE ? -1 : fromFront(end, size);
