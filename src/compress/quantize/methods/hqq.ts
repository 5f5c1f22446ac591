/**
 * HQQ: blocks fitted so that few weights are far off, without data. The error is split into a sparse part that the grid
 * need not follow and a rest that it should (half-quadratic splitting):
 *
 *   E ← shrink(W − Ŵ, β),   shrink(x) = sgn(x) max(|x| − |x|^(p−1) / β, 0)
 *   (scale, zero) ← least squares of W − E ≈ (code − zero) · scale,   β ← κ β
 *
 * 1. p = 0.7, κ = 1.01 and 20 rounds as published; β starts at 10 over the block's step, since weights here are not scaled
 *    beforehand and shrinkage should not depend on their unit.
 * 2. The paper keeps zero points in float and the scale as it was. Files hold zero points as codes, so the scale is fitted
 *    as well and the zero point rounded.
 * 3. Of all rounds the fit with the least Σ |w − ŵ|^p is kept: never worse than rounding to nearest in that measure.
 * Source: Badri and Shaji 2023 (Half-Quadratic Quantization of Large Machine Learning Models).
 */
import { type BlockFit, type BlockFormat, encode, roundScale } from '../blocks.ts';
import { type Block, type Fit, rangeFit } from './fit.ts';

const P = 0.7;
const GROWTH = 1.01;
const ROUNDS = 20;
const START = 10;

export const hqqFit: Fit = (block, format) => {
  let fit = rangeFit(block, format);
  let best = fit;
  let least = distance(block, fit, format.bits);
  let beta = START / Math.abs(fit.scale);
  for (let round = 0; round < ROUNDS; round++) {
    fit = refitted(block, fit, format, beta);
    const found = distance(block, fit, format.bits);
    if (found < least) [best, least] = [fit, found];
    beta *= GROWTH;
  }
  return best;
};

/** Σ |w − ŵ|^p. */
function distance({ values }: Block, fit: BlockFit, bits: number): number {
  let sum = 0;
  for (const w of values) sum += Math.abs(w - (encode(w, fit, bits) - fit.zero) * fit.scale) ** P;
  return sum;
}

function shrink(x: number, beta: number): number {
  const size = Math.abs(x);
  return size === 0 ? 0 : Math.sign(x) * Math.max(0, size - size ** (P - 1) / beta);
}

/** Least squares of W − E over the codes of `fit`, as files hold it. */
function refitted({ values }: Block, fit: BlockFit, format: BlockFormat, beta: number): BlockFit {
  const { bits, symmetric } = format;
  let [n, sc, scc, st, sct] = [0, 0, 0, 0, 0];
  for (const w of values) {
    const code = encode(w, fit, bits);
    const target = w - shrink(w - (code - fit.zero) * fit.scale, beta);
    n++;
    sc += code;
    scc += code * code;
    st += target;
    sct += code * target;
  }
  const { scale, zero } = symmetric
    ? { scale: (sct - fit.zero * st) / (scc - 2 * fit.zero * sc + n * fit.zero ** 2), zero: fit.zero }
    : affine({ n, sc, scc, st, sct });
  const stored = roundScale(scale, format);
  if (!Number.isFinite(stored) || stored === 0 || !Number.isFinite(zero)) return fit;
  return { scale: stored, zero: Math.max(0, Math.min(2 ** bits - 1, Math.round(zero))) };
}

/** scale · (code − zero) from the sums of codes c and targets t. */
function affine({ n, sc, scc, st, sct }: Record<'n' | 'sc' | 'scc' | 'st' | 'sct', number>): BlockFit {
  const scale = (n * sct - sc * st) / (n * scc - sc * sc);
  return { scale, zero: sc / n - st / n / scale };
}
