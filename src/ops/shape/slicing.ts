/**
 * Length of a slice whose bounds may be symbols.
 *
 * 1. A negative bound counts from the end; bounds are clamped to the axis.
 * 2. A bound that is a symbol other than the axis itself is taken to lie within the axis: a table of 2048 rows cut
 *    to `T` rows has `T` rows. Run time decides whether that holds.
 */
import type { Dim } from '../../graph/ir.ts';
import { ceilDivDims, maxDims, minDims, subDims } from './dims.ts';

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
  return step > 0 ? forward(start, end, step, size) : backward(start, end, -step, size);
}

const forward = (start: Dim, end: Dim, step: number, size: Dim): Dim =>
  atLeastZero(ceilDivDims(subDims(clamped(end, size), clamped(start, size)), step));

/** Symbolic lengths such as `T-1` are taken to be no less than 0. */
const atLeastZero = (length: Dim): Dim => (typeof length === 'number' ? Math.max(0, length) : length);

function backward(start: Dim, end: Dim, step: number, size: Dim): Dim {
  const last = subDims(size, 1);
  const from = typeof start === 'number' && start >= HUGE ? last : minDims(fromFront(start, size), last);
  const to = typeof end === 'number' && end <= -HUGE ? -1 : maxDims(-1, fromFront(end, size));
  return atLeastZero(ceilDivDims(subDims(from, to), step));
}

const fromFront = (bound: Dim, size: Dim): Dim =>
  typeof bound === 'number' && bound < 0 ? subDims(size, -bound) : bound;

/** `bound` within 0..size; differences such as `T-1` of a symbolic axis count as within it. */
function clamped(bound: Dim, size: Dim): Dim {
  if (typeof bound === 'string') return bound;
  if (bound >= HUGE) return size;
  if (typeof size === 'number') return Math.min(Math.max(bound < 0 ? bound + size : bound, 0), size);
  if (bound < 0) return bound <= -HUGE ? 0 : subDims(size, -bound);
  return bound === 0 ? 0 : minDims(bound, size);
}
