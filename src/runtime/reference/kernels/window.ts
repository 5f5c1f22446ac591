/**
 * Windows over spatial axes, as pairs of offsets.
 *
 * 1. For each kernel position, row-major, a `Tap` lists which output element meets which input element; padding has no
 *    pair. Convolution, its transpose and pools of every rank are loops over the same taps.
 */
import { type Window, windowLength } from '../../../ops/shape/window.ts';
import type { KernelContext } from '../kernel.ts';
import { stridesOf } from '../layout.ts';

/** Pair i: output element `outs[i]` reads input element `ins[i]`, both counted within one channel. */
export interface Tap {
  readonly outs: Int32Array;
  readonly ins: Int32Array;
}

/** Lengths of the window's positions; fails where it does not fit. */
export function slidLengths(c: KernelContext, w: Window, sizes: readonly number[]): number[] {
  return sizes.map((size, i) => {
    const length = Number(windowLength(w, size, i));
    return length > 0 ? length : c.fail(`a window of [${w.kernel}] does not fit [${sizes}]`);
  });
}

/** The taps of a window at `outs` positions over `ins` elements with these starts of padding. */
export function tapsOf(
  w: Window,
  ins: readonly number[],
  outs: readonly number[],
  pads: readonly number[],
): Tap[] {
  const [inSteps, outSteps] = [stridesOf(ins), stridesOf(outs)];
  let taps: Tap[] = [{ outs: Int32Array.of(0), ins: Int32Array.of(0) }];
  w.kernel.forEach((size, i) => {
    const axis = {
      size: ins[i],
      count: outs[i],
      stride: w.strides[i],
      dilation: w.dilations[i],
      pad: pads[i],
      inStep: inSteps[i],
      outStep: outSteps[i],
    };
    const lines = Array.from({ length: size }, (_, k) => lineOf(axis, k));
    taps = taps.flatMap(tap => lines.map(line => crossed(tap, line)));
  });
  return taps;
}

/** One spatial axis: elements, window positions, and how far apart both lie in storage. */
interface Axis {
  readonly size: number;
  readonly count: number;
  readonly stride: number;
  readonly dilation: number;
  readonly pad: number;
  readonly inStep: number;
  readonly outStep: number;
}

/** Pairs along one axis for kernel position k. */
function lineOf({ size, count, stride, dilation, pad, inStep, outStep }: Axis, k: number): Tap {
  const pairs: [number, number][] = [];
  for (let o = 0; o < count; o++) {
    const i = o * stride + k * dilation - pad;
    if (i >= 0 && i < size) pairs.push([o * outStep, i * inStep]);
  }
  return { outs: Int32Array.from(pairs, p => p[0]), ins: Int32Array.from(pairs, p => p[1]) };
}

/** Every pair of `a` with every pair of `b`, offsets added. */
function crossed(a: Tap, b: Tap): Tap {
  const count = a.outs.length * b.outs.length;
  const [outs, ins] = [new Int32Array(count), new Int32Array(count)];
  let p = 0;
  for (let i = 0; i < a.outs.length; i++) {
    for (let j = 0; j < b.outs.length; j++) {
      outs[p] = a.outs[i] + b.outs[j];
      ins[p++] = a.ins[i] + b.ins[j];
    }
  }
  return { outs, ins };
}
