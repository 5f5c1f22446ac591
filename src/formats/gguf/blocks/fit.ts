/**
 * Scales (and minima) of a sub-block, fitted to its values.
 *
 *   symmetric    x ≈ s q,       -low ≤ q ≤ high        s = Σ w x q / Σ w q²
 *   affine       x ≈ s q - m,   0 ≤ q ≤ high            s and m from the 2 x 2 normal equations; m ≥ 0 where it has no sign
 *
 * 1. Codes are rounded for a number of ranges around the one that spans the values; for the codes of each, the best scale
 *    has a closed form; what has the least weighted square error wins, and is refined once by its own codes.
 */

export interface Affine {
  readonly scale: number;
  readonly minimum: number;
}

/** Rounds half away from zero, as C's roundf. */
const round = (x: number): number => (x < 0 ? -Math.round(-x) : Math.round(x));

const clamp = (q: number, low: number, high: number): number => Math.min(high, Math.max(low, q));

export const code = (x: number, scale: number, low: number, high: number): number =>
  scale === 0 ? 0 : clamp(round(x / scale), low, high);

/** Candidate ranges, in codes around the one that spans the values. */
const SYMMETRIC_STEPS = [0, -0.9, -0.7, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7, 0.9];
const AFFINE_STEPS = Array.from({ length: 21 }, (_, i) => -1 + 0.1 * i);

/** The scale of x ≈ scale · q with codes of -low to low - 1. */
export function fitSymmetric(x: Float32Array, w: Float64Array, low: number): number {
  let extreme = 0;
  for (const v of x) if (Math.abs(v) > Math.abs(extreme)) extreme = v;
  if (extreme === 0) return 0;
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  const consider = (scale: number): void => {
    const error = symmetricError(x, w, scale, low);
    if (error < least) [best, least] = [scale, error];
  };
  for (const step of SYMMETRIC_STEPS) {
    const first = extreme / -(low + step);
    const fitted = bestScale(x, w, first, low);
    consider(fitted);
    consider(bestScale(x, w, fitted, low));
  }
  return best;
}

/** Σ w x q / Σ w q² for the codes of `scale`. */
function bestScale(x: Float32Array, w: Float64Array, scale: number, low: number): number {
  let [xq, qq] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    const q = code(x[i] as number, scale, -low, low - 1);
    xq += (w[i] as number) * (x[i] as number) * q;
    qq += (w[i] as number) * q * q;
  }
  return qq > 0 ? xq / qq : scale;
}

/** Σ w (x - s q)² for the best codes. */
export function symmetricError(x: Float32Array, w: Float64Array, scale: number, low: number): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) {
    const e = (x[i] as number) - scale * code(x[i] as number, scale, -low, low - 1);
    sum += (w[i] as number) * e * e;
  }
  return sum;
}

/** Scale and minimum of x ≈ scale · q - minimum with codes of 0 to high; `signed` where the minimum may be negative. */
export function fitAffine(x: Float32Array, w: Float64Array, high: number, signed = false): Affine {
  const [min, max] = [signed ? Math.min(...x) : Math.min(0, ...x), Math.max(...x)];
  if (max <= min) return { scale: 0, minimum: -min };
  let best: Affine = { scale: (max - min) / high, minimum: -min };
  let least = affineError(x, w, best, high);
  const consider = (fit: Affine): void => {
    const error = affineError(x, w, fit, high);
    if (error < least) [best, least] = [fit, error];
  };
  for (const step of AFFINE_STEPS) {
    const first = { scale: (max - min) / (high + step), minimum: -min };
    const fitted = bestAffine(x, w, first, high, signed);
    consider(fitted);
    consider(bestAffine(x, w, fitted, high, signed));
  }
  return best;
}

export const affineCode = (x: number, { scale, minimum }: Affine, high: number): number =>
  scale === 0 ? 0 : clamp(round((x + minimum) / scale), 0, high);

/** Σ w (x - s q + m)² for the best codes. */
export function affineError(x: Float32Array, w: Float64Array, fit: Affine, high: number): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) {
    const v = x[i] as number;
    const e = v - (fit.scale * affineCode(v, fit, high) - fit.minimum);
    sum += (w[i] as number) * e * e;
  }
  return sum;
}

/** The least-squares scale and minimum for the codes of `from`. */
function bestAffine(x: Float32Array, w: Float64Array, from: Affine, high: number, signed: boolean): Affine {
  let [sw, sq, sqq, sx, sxq] = [0, 0, 0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const [v, weight] = [x[i] as number, w[i] as number];
    const q = affineCode(v, from, high);
    sw += weight;
    sq += weight * q;
    sqq += weight * q * q;
    sx += weight * v;
    sxq += weight * v * q;
  }
  const determinant = sw * sqq - sq * sq;
  if (determinant <= 0) return from;
  const scale = (sw * sxq - sq * sx) / determinant;
  const minimum = (sq * sxq - sqq * sx) / determinant;
  if (signed || minimum >= 0) return { scale, minimum };
  return { scale: sqq > 0 ? sxq / sqq : from.scale, minimum: 0 };
}
