/**
 * Superblocks of 256: sub-blocks whose scales (and minima) are whole multiples of the superblock's factors.
 *
 *   affine       x ≈ d l q - dmin m     l, m of 0 to `most`
 *   symmetric    x ≈ d l q              l of -most to most - 1
 *
 * 1. Each sub-block is fitted by itself (fit.ts); the largest scale and minimum give the factors.
 * 2. With the factors as float16 has them, each sub-block takes the levels around its own fit, a step up and down, that
 *    have the least weighted error.
 * 3. With codes and levels fixed the best factors have a closed form; 2 is done again with them where that lowers the error.
 */
import { fromFloat16, toFloat16 } from '../../../util/float16.ts';
import {
  type Affine,
  affineCode,
  affineError,
  code,
  fitAffine,
  fitSymmetric,
  symmetricError,
} from './fit.ts';

export const SUPER = 256;

/** How often factors are fitted anew. */
const ROUNDS = 3;
const STEPS = [0, -1, 1];

const half = (x: number): number => fromFloat16(toFloat16(x));

/** A sub-block's values with their weights. */
type Part = readonly [x: Float32Array, weights: Float64Array];

const partsOf = (x: Float32Array, weights: Float64Array, count: number): Part[] => {
  const size = SUPER / count;
  return Array.from({ length: count }, (_, i) => [
    x.subarray(i * size, (i + 1) * size),
    weights.subarray(i * size, (i + 1) * size),
  ]);
};

/** Repeats `next` from `first` while the error falls. */
function improved<T extends { readonly error: number }>(first: T, next: (from: T) => T | undefined): T {
  let best = first;
  for (let round = 0; round < ROUNDS; round++) {
    const found = next(best);
    if (!found || found.error >= best.error) break;
    best = found;
  }
  return best;
}

// ---- affine ----

export interface Affines {
  readonly d: number;
  readonly dmin: number;
  readonly scales: Uint8Array;
  readonly minima: Uint8Array;
  readonly codes: Uint8Array;
}

interface AffineLevels {
  readonly d: number;
  readonly dmin: number;
  readonly scales: Uint8Array;
  readonly minima: Uint8Array;
  readonly error: number;
}

/** Fits `count` sub-blocks with minima: codes of 0 to `high`, levels of 0 to `most`. */
export function affineSuper(
  x: Float32Array,
  weights: Float64Array,
  count: number,
  high: number,
  most: number,
): Affines {
  const parts = partsOf(x, weights, count);
  const fits = parts.map(([values, w]) => fitAffine(values, w, high));
  const top = (of: (f: Affine) => number): number => Math.max(0, ...fits.map(of));
  const at = (d: number, dmin: number): AffineLevels =>
    affineLevels(parts, fits, high, most, half(d), half(dmin));
  const first = at(top(f => f.scale) / most, top(f => f.minimum) / most);
  const { error: _, ...best } = improved(first, from => {
    const factors = affineFactors(parts, from, high);
    return factors && at(...factors);
  });
  return { ...best, codes: affineCodes(parts, best, high) };
}

/** For given factors, the best levels of each sub-block around its own fit. */
function affineLevels(
  parts: readonly Part[],
  fits: readonly Affine[],
  high: number,
  most: number,
  d: number,
  dmin: number,
): AffineLevels {
  const scales = new Uint8Array(parts.length);
  const minima = new Uint8Array(parts.length);
  let error = 0;
  parts.forEach(([x, w], i) => {
    const { scale, minimum } = fits[i] as Affine;
    let least = Number.POSITIVE_INFINITY;
    for (const l of levelsAround(scale, d, most))
      for (const m of levelsAround(minimum, dmin, most)) {
        const found = affineError(x, w, d * l, dmin * m, high);
        if (found < least) [least, scales[i], minima[i]] = [found, l, m];
      }
    error += least;
  });
  return { d, dmin, scales, minima, error };
}

function levelsAround(value: number, unit: number, most: number): number[] {
  const middle = unit > 0 ? Math.min(most, Math.max(0, Math.round(value / unit))) : 0;
  return STEPS.map(step => middle + step).filter(level => level >= 0 && level <= most);
}

/** The least-squares factors for the codes and levels of `from`: a = l q, x ≈ d a - dmin m. */
function affineFactors(
  parts: readonly Part[],
  from: AffineLevels,
  high: number,
): [number, number] | undefined {
  let [aa, am, mm, xa, xm] = [0, 0, 0, 0, 0];
  parts.forEach(([x, weights], i) => {
    const [l, m] = [from.scales[i] as number, from.minima[i] as number];
    const fit = { scale: from.d * l, minimum: from.dmin * m };
    for (let j = 0; j < x.length; j++) {
      const [v, w] = [x[j] as number, weights[j] as number];
      const a = l * affineCode(v, fit, high);
      aa += w * a * a;
      am += w * a * m;
      mm += w * m * m;
      xa += w * v * a;
      xm += w * v * m;
    }
  });
  const determinant = aa * mm - am * am;
  if (determinant <= 0) return mm === 0 && aa > 0 ? [xa / aa, 0] : undefined;
  const [d, dmin] = [(xa * mm - xm * am) / determinant, (xa * am - xm * aa) / determinant];
  return d > 0 && dmin >= 0 ? [d, dmin] : undefined;
}

function affineCodes(
  parts: readonly Part[],
  { d, dmin, scales, minima }: Omit<AffineLevels, 'error'>,
  high: number,
): Uint8Array {
  const size = SUPER / parts.length;
  const codes = new Uint8Array(SUPER);
  parts.forEach(([x], i) => {
    const fit = { scale: d * (scales[i] as number), minimum: dmin * (minima[i] as number) };
    for (let j = 0; j < size; j++) codes[i * size + j] = affineCode(x[j] as number, fit, high);
  });
  return codes;
}

// ---- symmetric ----

export interface Symmetrics {
  readonly d: number;
  readonly scales: Int8Array;
  readonly codes: Int8Array;
}

interface SymmetricLevels {
  readonly d: number;
  readonly scales: Int8Array;
  readonly error: number;
}

/** Fits 16 sub-blocks without minima: codes of -low to low - 1. */
export function symmetricSuper(
  x: Float32Array,
  weights: Float64Array,
  low: number,
  most: number,
): Symmetrics {
  const parts = partsOf(x, weights, 16);
  const fits = parts.map(([values, w]) => fitSymmetric(values, w, low));
  const extreme = fits.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
  const at = (d: number): SymmetricLevels => symmetricLevels(parts, fits, low, most, half(d));
  const { d, scales } = improved(at(extreme / -most), from => {
    const factor = symmetricFactor(parts, from, low);
    return factor === undefined ? undefined : at(factor);
  });
  const codes = Int8Array.from(x, (v, i) => code(v, d * (scales[i >> 4] as number), low));
  return { d, scales, codes };
}

function symmetricLevels(
  parts: readonly Part[],
  fits: readonly number[],
  low: number,
  most: number,
  d: number,
): SymmetricLevels {
  const scales = new Int8Array(parts.length);
  let error = 0;
  parts.forEach(([x, w], i) => {
    const middle = code(fits[i] as number, d, most);
    let least = Number.POSITIVE_INFINITY;
    for (const step of STEPS) {
      const l = middle + step;
      if (l < -most || l > most - 1) continue;
      const found = symmetricError(x, w, d * l, low);
      if (found < least) [least, scales[i]] = [found, l];
    }
    error += least;
  });
  return { d, scales, error };
}

/** The least-squares factor for the codes and levels of `from`: x ≈ d l q. */
function symmetricFactor(
  parts: readonly Part[],
  { d, scales }: SymmetricLevels,
  low: number,
): number | undefined {
  let [aa, xa] = [0, 0];
  parts.forEach(([x, weights], i) => {
    const l = scales[i] as number;
    for (let j = 0; j < x.length; j++) {
      const [v, w] = [x[j] as number, weights[j] as number];
      const a = l * code(v, d * l, low);
      aa += w * a * a;
      xa += w * v * a;
    }
  });
  return aa > 0 ? xa / aa : undefined;
}
