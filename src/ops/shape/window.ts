/**
 * Windows that slide over spatial axes: what convolutions and pools share.
 *
 * 1. Attributes are read once into a `Window`; lists have one entry a spatial axis, `pads` all starts, then all ends.
 * 2. Lengths are dims, so they may be symbols. Pads that `auto_pad` asks for need numbers.
 * 3. With `ceil_mode` the last window may start in the end's padding no more: such a window is dropped (opset 19 on).
 */
import type { Dim } from '../../graph/ir.ts';
import type { Attributes } from '../rule.ts';
import { addDims, ceilDivDims, divDims, mulDims, subDims } from './dims.ts';

/** The part of a rule's or kernel's context that reads attributes. */
export interface AttributeReader {
  readonly attributes: Attributes;
  fail(message: string): never;
}

export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** As written; zeros where absent. */
  readonly pads: readonly number[];
  readonly autoPad: 'NOTSET' | 'SAME_UPPER' | 'SAME_LOWER' | 'VALID';
  readonly ceil: boolean;
}

const AUTO_PADS: readonly string[] = ['NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'];

/** The window of a node over `rank` spatial axes. `kernel`: the weight's spatial dims, where there is a weight. */
export function windowOf(c: AttributeReader, rank: number, kernel?: readonly number[]): Window {
  const autoPad = c.attributes.string('auto_pad', 'NOTSET') || 'NOTSET';
  if (!AUTO_PADS.includes(autoPad)) c.fail(`auto_pad "${autoPad}" is none of ${AUTO_PADS.join(', ')}`);
  const size = listOf(c, 'kernel_shape', rank) ?? kernel ?? c.fail('attribute "kernel_shape" is missing');
  if (kernel && size.some((k, i) => k !== kernel[i]))
    c.fail(`kernel_shape [${size}] does not match weight axes [${kernel}]`);
  const ones = size.map(() => 1);
  return {
    kernel: size,
    strides: positive(c, 'strides', listOf(c, 'strides', rank) ?? ones),
    dilations: positive(c, 'dilations', listOf(c, 'dilations', rank) ?? ones),
    pads: listOf(c, 'pads', 2 * rank) ?? [...ones, ...ones].fill(0),
    // AUTO_PADS has just been asked.
    autoPad: autoPad as Window['autoPad'],
    ceil: c.attributes.int('ceil_mode', 0) !== 0,
  };
}

function listOf(c: AttributeReader, name: string, length: number): readonly number[] | undefined {
  const list = c.attributes.ints(name);
  if (!list || list.length === 0) return undefined;
  if (list.length !== length) c.fail(`${name} [${list}] must have ${length} entries`);
  return list;
}

const positive = (c: AttributeReader, name: string, list: readonly number[]): readonly number[] =>
  list.every(n => n > 0) ? list : c.fail(`${name} [${list}] must be positive`);

/** Elements that the window covers along axis i, holes included. */
export const extentOf = (w: Window, i: number): number =>
  ((w.kernel[i] as number) - 1) * (w.dilations[i] as number) + 1;

/** Pads along axis i together; `auto_pad` sets them aside. */
const paddingOf = (w: Window, i: number): number =>
  w.autoPad === 'VALID' ? 0 : (w.pads[i] as number) + (w.pads[i + w.kernel.length] as number);

/**
 * Number of positions of the window along axis i of length `size`: below 1 when the window does not fit, undefined
 * when only numbers could tell whether `ceil_mode` drops the last one.
 */
export function windowLength(w: Window, size: Dim, i: number): Dim | undefined {
  const stride = w.strides[i] as number;
  if (w.autoPad === 'SAME_UPPER' || w.autoPad === 'SAME_LOWER') return ceilDivDims(size, stride);
  const room = addDims(size, paddingOf(w, i) - extentOf(w, i));
  const count = addDims((w.ceil ? ceilDivDims : divDims)(room, stride), 1);
  if (!w.ceil) return count;
  const [start, end] = w.autoPad === 'VALID' ? [0, 0] : [w.pads[i], w.pads[i + w.kernel.length]];
  if (typeof count !== 'number' || typeof size !== 'number')
    return end === 0 && stride <= extentOf(w, i) ? count : undefined;
  return (count - 1) * stride < size + (start as number) ? count : count - 1;
}

/** Pads in numbers, all starts, then all ends, `auto_pad` settled. */
export function padsFor(w: Window, sizes: readonly number[]): readonly number[] {
  if (w.autoPad === 'NOTSET') return w.pads;
  if (w.autoPad === 'VALID') return w.pads.map(() => 0);
  const totals = sizes.map((size, i) => {
    const stride = w.strides[i] as number;
    return Math.max(0, (Math.ceil(size / stride) - 1) * stride + extentOf(w, i) - size);
  });
  return sharedPads(totals, w.autoPad === 'SAME_UPPER');
}

/** Totals cut in halves; the odd element goes to the end (`upper`) or to the start. */
function sharedPads(totals: readonly number[], upper: boolean): number[] {
  const [small, large] = [totals.map(t => Math.floor(t / 2)), totals.map(t => Math.ceil(t / 2))];
  return upper ? [...small, ...large] : [...large, ...small];
}

/** What a transposed convolution adds: its output's lengths and the pads that lead to them. */
export interface TransposedWindow extends Window {
  readonly outputPadding: readonly number[];
  readonly outputShape: readonly number[] | undefined;
}

export function transposedWindowOf(
  c: AttributeReader,
  rank: number,
  kernel: readonly number[],
): TransposedWindow {
  const window = windowOf(c, rank, kernel);
  const given = c.attributes.ints('output_shape');
  // Some exporters write batch and channels too.
  const outputShape = given?.length ? given.slice(-rank) : undefined;
  return { ...window, outputPadding: listOf(c, 'output_padding', rank) ?? kernel.map(() => 0), outputShape };
}

/** Length that axis i would have without pads: (size − 1)·stride + extent + output_padding. */
const unpadded = (w: TransposedWindow, size: Dim, i: number): Dim =>
  addDims(mulDims(subDims(size, 1), w.strides[i] as number), extentOf(w, i) + (w.outputPadding[i] as number));

/** Length of axis i of a transposed convolution's output. */
export function transposedLength(w: TransposedWindow, size: Dim, i: number): Dim {
  if (w.outputShape) return w.outputShape[i] as number;
  if (w.autoPad.startsWith('SAME')) return mulDims(size, w.strides[i] as number);
  return subDims(unpadded(w, size, i), paddingOf(w, i));
}

/** Pads of a transposed convolution in numbers. Negative ones add zeros. */
export function transposedPads(w: TransposedWindow, sizes: readonly number[]): readonly number[] {
  const settled = w.outputShape !== undefined || w.autoPad.startsWith('SAME');
  if (!settled) return w.autoPad === 'VALID' ? w.pads.map(() => 0) : w.pads;
  const totals = sizes.map((size, i) => Number(unpadded(w, size, i)) - Number(transposedLength(w, size, i)));
  return sharedPads(totals, w.autoPad === 'SAME_UPPER');
}

/** Kernel positions inside [low, high) for each of `count` window positions that start at −pad, along axis i. */
export function insideCounts(
  w: Window,
  i: number,
  count: number,
  pad: number,
  bounds: readonly [number, number],
): number[] {
  const [stride, dilation] = [w.strides[i] as number, w.dilations[i] as number];
  return Array.from({ length: count }, (_, o) => {
    let inside = 0;
    for (let k = 0; k < (w.kernel[i] as number); k++) {
      const at = o * stride + k * dilation - pad;
      if (at >= bounds[0] && at < bounds[1]) inside++;
    }
    return inside;
  });
}
