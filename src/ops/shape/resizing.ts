/**
 * What Resize does along one axis: a list of taps (input position, weight) for every output position.
 *
 * 1. Resize is separable, so an axis is a matrix [out, in]. The reference kernel applies the taps, the gradient is a
 *    product with the matrix.
 * 2. Weights of a cubic tap: Keys' kernel with coefficient a; `antialias` stretches kernels by 1/scale when shrinking.
 * Sources: ONNX's Resize; Keys, Cubic Convolution Interpolation (1981), equation 4.
 */
import type { Attributes } from '../rule.ts';

export interface ResizedAxis {
  readonly size: number;
  readonly length: number;
  /** As the node has it: `length`/`size` when lengths are given. */
  readonly scale: number;
  /** Start and end of the region, for tf_crop_and_resize. */
  readonly region: readonly [number, number];
}

/** [input position, weight]; a position outside the input stands for the extrapolation value. */
export type ResizeTap = readonly [at: number, weight: number];

const OUTSIDE = -1;

/** Where output position `at` lies among input positions. */
function sourceOf(mode: string, axis: ResizedAxis, at: number): number {
  const { size, length, scale } = axis;
  const half = (at + 0.5) / scale - 0.5;
  switch (mode) {
    case 'half_pixel':
      return half;
    case 'half_pixel_symmetric':
      return (size / 2) * (1 - length / (size * scale)) + half;
    case 'pytorch_half_pixel':
      return length > 1 ? half : 0;
    case 'align_corners':
      return length === 1 ? 0 : (at * (size - 1)) / (length - 1);
    case 'asymmetric':
      return at / scale;
    case 'tf_crop_and_resize':
      return croppedSource(axis, at);
    default:
      return Number.NaN;
  }
}

function croppedSource({ size, length, region: [start, end] }: ResizedAxis, at: number): number {
  if (length > 1) return start * (size - 1) + (at * (end - start) * (size - 1)) / (length - 1);
  return 0.5 * (start + end) * (size - 1);
}

export const RESIZE_MODES: readonly string[] = ['nearest', 'linear', 'cubic'];

const ROUNDINGS: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: x => Math.ceil(x - 0.5),
  round_prefer_ceil: x => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

const triangle = (x: number): number => Math.max(0, 1 - Math.abs(x));

const keys =
  (a: number) =>
  (signed: number): number => {
    const x = Math.abs(signed);
    if (x <= 1) return (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1;
    return x < 2 ? a * x ** 3 - 5 * a * x ** 2 + 8 * a * x - 4 * a : 0;
  };

/** Settings that all axes of one node share. */
export interface ResizeSettings {
  readonly mode: string;
  readonly coordinates: string;
  readonly rounding: (x: number) => number;
  readonly kernel: (x: number) => number;
  /** Positions to either side that the kernel reaches. */
  readonly reach: number;
  readonly antialias: boolean;
  readonly excludeOutside: boolean;
}

export function resizeSettings(c: { attributes: Attributes; fail(message: string): never }): ResizeSettings {
  const { attributes: a } = c;
  const mode = a.string('mode', 'nearest');
  if (!RESIZE_MODES.includes(mode)) c.fail(`mode "${mode}" is none of ${RESIZE_MODES.join(', ')}`);
  const coordinates = a.string('coordinate_transformation_mode', 'half_pixel');
  if (Number.isNaN(sourceOf(coordinates, { size: 2, length: 2, scale: 1, region: [0, 1] }, 0)))
    c.fail(`coordinate_transformation_mode "${coordinates}" is not known`);
  const rounding = a.string('nearest_mode', 'round_prefer_floor');
  return {
    mode,
    coordinates,
    rounding: ROUNDINGS[rounding] ?? c.fail(`nearest_mode "${rounding}" is not known`),
    kernel: mode === 'cubic' ? keys(a.float('cubic_coeff_a', -0.75)) : triangle,
    reach: mode === 'cubic' ? 2 : 1,
    antialias: a.int('antialias', 0) !== 0,
    excludeOutside: a.int('exclude_outside', 0) !== 0,
  };
}

/** The taps of every output position along an axis. Positions −1 mark what lies outside a cropped input. */
export function resizeTaps(s: ResizeSettings, axis: ResizedAxis): ResizeTap[][] {
  return Array.from({ length: axis.length }, (_, at) => {
    const x = sourceOf(s.coordinates, axis, at);
    if (s.coordinates === 'tf_crop_and_resize' && (x < 0 || x > axis.size - 1)) return [[OUTSIDE, 1]];
    if (s.mode === 'nearest') return [[clamp(s.rounding(x), axis.size), 1]];
    return interpolated(s, axis, x);
  });
}

const clamp = (i: number, size: number): number => Math.min(size - 1, Math.max(0, i));

/** Kernel weights around x, summing to 1; positions outside count as the edge, or not at all. */
function interpolated(s: ResizeSettings, { size, scale }: ResizedAxis, x: number): ResizeTap[] {
  const stretch = s.antialias ? Math.min(1, scale) : 1;
  const reach = s.reach / stretch;
  const first = Math.ceil(x - reach);
  const positions = Array.from({ length: Math.floor(x + reach) - first + 1 }, (_, i) => first + i);
  const taps = positions.map(i => [i, s.kernel((i - x) * stretch)] as const);
  const kept = taps.filter(([i, w]) => w !== 0 && (!s.excludeOutside || (i >= 0 && i < size)));
  const total = kept.reduce((sum, [, w]) => sum + w, 0);
  return kept.map(([i, w]) => [clamp(i, size), w / total]);
}
