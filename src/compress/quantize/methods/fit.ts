/**
 * Scale and zero point of one block.
 *
 * 1. `rangeFit` spans the block's values exactly: asymmetric from its least to its greatest (0 included, so that 0 has a
 *    code), symmetric by giving the extreme of larger magnitude the code without a mirror image, with the scale's sign.
 * 2. `searchFit` shrinks the range, end by end, and refits the scale to the codes by least squares: clipping a rare
 *    extreme costs less than coarse steps for all others. It starts from `rangeFit`, so it is never worse.
 * Source: the clipping search as in Banner et al. 2019 (arXiv:1810.05723), by grid instead of a closed form.
 */
import { type BlockFit, type BlockFormat, encode, middleCode, roundScale } from '../blocks.ts';

/** A slice of a matrix, and how much the square error of each of its columns counts. */
export interface Block {
  readonly values: Float32Array;
  readonly weights?: Float32Array;
}

export type Fit = (block: Block, format: BlockFormat) => BlockFit;

interface Range {
  readonly low: number;
  readonly high: number;
}

function rangeOf(values: Float32Array): Range {
  let low = 0;
  let high = 0;
  for (const w of values) {
    if (w < low) low = w;
    if (w > high) high = w;
  }
  return { low, high };
}

/** The fit with an exact scale; 1 for a block of zeros. */
function spanning({ low, high }: Range, { bits, symmetric }: BlockFormat): BlockFit {
  const middle = middleCode(bits);
  if (symmetric) return { scale: (-low > high ? low : high) / -middle || 1, zero: middle };
  const top = 2 ** bits - 1;
  const scale = (high - low) / top || 1;
  return { scale, zero: Math.min(top, Math.max(0, Math.round(-low / scale))) };
}

/** The fit with its scale as files hold it. */
const storable = ({ scale, zero }: BlockFit, format: BlockFormat): BlockFit => ({
  scale: roundScale(scale, format) || 1,
  zero,
});

export const rangeFit: Fit = ({ values }, format) => storable(spanning(rangeOf(values), format), format);

/** Shares of an end of the range that are tried: the fewer the codes, the deeper a cut pays. */
const SHARES = [1, 0.94, 0.88, 0.82, 0.76, 0.7, 0.62, 0.54, 0.46] as const;
const sharesFor = (bits: number): readonly number[] =>
  SHARES.slice(0, bits >= 6 ? 2 : bits >= 4 ? 6 : undefined);

/** Candidates whose error is within this factor of the least so far are refitted. */
const PROMISING = 1.3;

export const searchFit: Fit = (block, format) => {
  const range = rangeOf(block.values);
  const start = storable(spanning(range, format), format);
  let best = start;
  let least = squareError(block, start, format.bits);
  const consider = (fit: BlockFit): number => {
    const error = squareError(block, fit, format.bits);
    if (error < least) [best, least] = [fit, error];
    return error;
  };
  for (const candidate of candidates(range, format)) {
    const fit = spanning(candidate, format);
    if (consider(fit) < PROMISING * least) consider(refitted(block, fit, format.bits));
  }
  const stored = storable(best, format);
  return squareError(block, stored, format.bits) <= squareError(block, start, format.bits) ? stored : start;
};

function* candidates({ low, high }: Range, { bits, symmetric }: BlockFormat): Generator<Range> {
  const shares = sharesFor(bits);
  for (const share of shares) {
    // symmetric: either sign may get the extra code
    if (symmetric) {
      const extreme = Math.max(-low, high) * share;
      yield { low: -extreme, high: 0 };
      yield { low: 0, high: extreme };
    } else for (const other of shares) yield { low: low * share, high: high * other };
  }
}

/** Σ v (w − ŵ)². */
function squareError({ values, weights }: Block, fit: BlockFit, bits: number): number {
  const { scale, zero } = fit;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const w = values[i] as number;
    const e = w - (encode(w, fit, bits) - zero) * scale;
    sum += weights ? (weights[i] as number) * e * e : e * e;
  }
  return sum;
}

/** The scale that fits the block's codes best: Σ v w c / Σ v c² with c = code − zero. */
function refitted({ values, weights }: Block, fit: BlockFit, bits: number): BlockFit {
  let above = 0;
  let below = 0;
  for (let i = 0; i < values.length; i++) {
    const w = values[i] as number;
    const c = encode(w, fit, bits) - fit.zero;
    const v = weights ? (weights[i] as number) : 1;
    above += v * w * c;
    below += v * c * c;
  }
  return below === 0 || above === 0 ? fit : { scale: above / below, zero: fit.zero };
}
