/**
 * Scales (and minima) of a sub-block, fitted to its values.
 *
 *   symmetric    x ≈ s q,       -low ≤ q < low        s = Σ w x q / Σ w q²
 *   affine       x ≈ s q - m,   0 ≤ q ≤ high          s and m from the 2 x 2 normal equations; m ≥ 0 where it has no sign
 *
 * 1. Codes are rounded for a number of ranges around the one that spans the values; for the codes of each, the best scale
 *    and its error have closed forms. What has the least weighted square error is refined by its own codes.
 * 2. Codes are halves rounded up; quantizing takes its time here, so loops are plain.
 */

export interface Affine {
  readonly scale: number;
  readonly minimum: number;
}

/** The code of a value over its scale, -low to low - 1. */
const signedCode = (ratio: number, low: number): number => {
  const q = Math.floor(ratio + 0.5);
  return q < -low ? -low : q >= low ? low - 1 : q;
};

/** The code of -low to low - 1 that is nearest to x / scale. */
export const code = (x: number, scale: number, low: number): number =>
  scale === 0 ? 0 : signedCode(x / scale, low);

/** Candidate ranges, in codes around the one that spans the values. */
const SYMMETRIC_STEPS = [0, -0.9, -0.7, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7, 0.9];
const AFFINE_STEPS = Array.from({ length: 21 }, (_, i) => -1 + 0.1 * i);
const REFINEMENTS = 3;

interface Fitted<T> {
  readonly fit: T;
  readonly error: number;
}

/** The best of what is found from the starts, refined from its own codes while that lowers the error. */
function searched<T>(starts: readonly T[], from: (fit: T) => Fitted<T>): T {
  let best = from(starts[0] as T);
  for (let i = 1; i < starts.length; i++) {
    const found = from(starts[i] as T);
    if (found.error < best.error) best = found;
  }
  for (let i = 0; i < REFINEMENTS; i++) {
    const found = from(best.fit);
    if (found.error >= best.error) break;
    best = found;
  }
  return best.fit;
}

/** The scale of x ≈ scale · q with codes of -low to low - 1. */
export function fitSymmetric(x: Float32Array, w: Float64Array, low: number): number {
  let extreme = 0;
  for (const v of x) if (Math.abs(v) > Math.abs(extreme)) extreme = v;
  if (extreme === 0) return 0;
  const starts = SYMMETRIC_STEPS.map(step => extreme / -(low + step));
  return searched(starts, scale => bestScale(x, w, scale, low));
}

/** Σ w x q / Σ w q² for the codes of `scale`; the error without what it shares with all others, Σ w x². */
function bestScale(x: Float32Array, w: Float64Array, scale: number, low: number): Fitted<number> {
  let [xq, qq] = [0, 0];
  const inverse = 1 / scale;
  for (let i = 0; i < x.length; i++) {
    const [v, weight] = [x[i] as number, w[i] as number];
    const q = signedCode(v * inverse, low);
    xq += weight * v * q;
    qq += weight * q * q;
  }
  return qq > 0 ? { fit: xq / qq, error: (-xq * xq) / qq } : { fit: scale, error: 0 };
}

/** Σ w (x - s q)² for the best codes. */
export function symmetricError(x: Float32Array, w: Float64Array, scale: number, low: number): number {
  let sum = 0;
  const inverse = scale === 0 ? 0 : 1 / scale;
  for (let i = 0; i < x.length; i++) {
    const v = x[i] as number;
    const e = v - scale * signedCode(v * inverse, low);
    sum += (w[i] as number) * e * e;
  }
  return sum;
}

/** Scale and minimum of x ≈ scale · q - minimum with codes of 0 to high; `signed` where the minimum may be negative. */
export function fitAffine(x: Float32Array, w: Float64Array, high: number, signed = false): Affine {
  let [min, max] = [signed ? (x[0] as number) : 0, x[0] as number];
  for (const v of x) {
    if (v < min) min = v;
    if (v > max) max = v;
  }
  if (max <= min) return { scale: 0, minimum: -min };
  const starts = AFFINE_STEPS.map(step => ({ scale: (max - min) / (high + step), minimum: -min }));
  return searched(starts, fit => bestAffine(x, w, fit, high, signed));
}

/** The code of a shifted value over its scale, 0 to high. */
const unsignedCode = (ratio: number, high: number): number =>
  ratio < 0.5 ? 0 : ratio >= high ? high : Math.floor(ratio + 0.5);

export const affineCode = (x: number, { scale, minimum }: Affine, high: number): number =>
  scale === 0 ? 0 : unsignedCode((x + minimum) / scale, high);

/** Σ w (x - s q + m)² for the best codes. */
export function affineError(
  x: Float32Array,
  w: Float64Array,
  scale: number,
  minimum: number,
  high: number,
): number {
  let sum = 0;
  const inverse = scale === 0 ? 0 : 1 / scale;
  for (let i = 0; i < x.length; i++) {
    const shifted = (x[i] as number) + minimum;
    const e = shifted - scale * unsignedCode(shifted * inverse, high);
    sum += (w[i] as number) * e * e;
  }
  return sum;
}

/** The least-squares scale and minimum for the codes of `from`, and the error without what it shares with all others. */
function bestAffine(
  x: Float32Array,
  w: Float64Array,
  from: Affine,
  high: number,
  signed: boolean,
): Fitted<Affine> {
  let [sw, sq, sqq, sx, sxq] = [0, 0, 0, 0, 0];
  const inverse = 1 / from.scale;
  for (let i = 0; i < x.length; i++) {
    const [v, weight] = [x[i] as number, w[i] as number];
    const q = unsignedCode((v + from.minimum) * inverse, high);
    sw += weight;
    sq += weight * q;
    sqq += weight * q * q;
    sx += weight * v;
    sxq += weight * v * q;
  }
  const errorOf = (s: number, m: number): number =>
    s * (s * sqq - 2 * sxq - 2 * m * sq) + m * (m * sw + 2 * sx);
  const determinant = sw * sqq - sq * sq;
  if (determinant <= 0) return { fit: from, error: errorOf(from.scale, from.minimum) };
  const scale = (sw * sxq - sq * sx) / determinant;
  const minimum = (sq * sxq - sqq * sx) / determinant;
  const fit = signed || minimum >= 0 ? { scale, minimum } : { scale: sxq / sqq, minimum: 0 };
  return { fit, error: errorOf(fit.scale, fit.minimum) };
}
