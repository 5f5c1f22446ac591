/**
 * Codes that leave a layer's output as it was, rather than its weights.
 *
 *   Σ over output channels of  s² rᵀ G r − 2 s r·c,   r = code − zero point
 *
 * 1. G and c come from what the quantized network feeds the layer and what the float layer gives, so a layer makes up for
 *    those before it. With a bias both are centred: the bias takes what is left of the mean.
 * 2. Codes start at the nearest and are changed one at a time, each to the best code given all others, until none changes
 *    (coordinate descent; Behdin et al. 2023, arXiv:2309.01885). Then two at a time: inputs that go together leave one
 *    code stuck that two could leave. Rows are independent. No gradient, no learning rate.
 * 3. The scale that is best for the codes has a closed form, s = r·c / rᵀ G r; in 4 bits several scales are tried.
 * 4. λ I is added to G, with λ w to c, so that few samples do not decide alone. How much of it: refine.ts.
 */
import { type Affine, codesOf, encode, type Range } from './affine.ts';
import type { Moments } from './moments.ts';
import { channelsOf, dequantized, type QuantizedTensor } from './weights.ts';

const SWEEPS = 30;
const PAIR_SWEEPS = 6;
const COARSE = [0.7, 0.76, 0.82, 0.88, 0.94, 1, 1.06] as const;

export interface RefineOptions {
  /** Whether a bias takes what is left of the mean. */
  readonly centred: boolean;
  /** λ as a share of G's mean diagonal. */
  readonly damping: number;
  /** One code at a time and from one scale, for a quick comparison. Default false. */
  readonly quick?: boolean;
}

/** The error of an output with `q`, but for what does not depend on it. */
export function outputError(
  q: QuantizedTensor,
  moments: Moments,
  channelAxis: number,
  centred: boolean,
): number {
  const values = dequantized(q);
  const grams = gramsOf(moments, { centred, damping: 0 });
  return channelsOf(q.dims, channelAxis).reduce((sum, at, channel) => {
    const w = Float64Array.from(at, i => values[i]);
    const row = rowOf(moments, grams[Math.floor(channel / moments.rows)], channel, w, centred);
    return sum + dot(w, product(row.gram, w)) - 2 * dot(w, row.cross);
  }, 0);
}

/** `q` with other codes, and other scales where they are free. `weights` are the floats. */
export function refined(
  q: QuantizedTensor,
  weights: Float32Array,
  moments: Moments,
  channelAxis: number,
  { centred, damping, quick = false }: RefineOptions,
): QuantizedTensor {
  const codes = q.codes.slice();
  const affine = [...q.affine];
  const bounds = codesOf(q.scheme);
  // scales that several rows share, or that are powers of two, stay
  const free = q.axis === channelAxis && !q.scheme.powerOfTwo;
  const coarse = bounds.high - bounds.low < 16 && !quick;
  const grams = gramsOf(moments, { centred, damping });
  channelsOf(q.dims, channelAxis).forEach((at, channel) => {
    const w = Float64Array.from(at, i => weights[i]);
    const row = rowOf(moments, grams[Math.floor(channel / moments.rows)], channel, w, centred);
    const start = affine[q.axis === undefined ? 0 : channel];
    const tried = (free && coarse ? COARSE : [1]).map(share =>
      descended(row, w, { ...start, scale: Math.fround(start.scale * share) }, bounds, free),
    );
    const best = tried.reduce((a, b) => (b.error < a.error ? b : a));
    const range = rangeOf(bounds, best.affine);
    // with more codes one at a time comes near enough
    if (coarse) descendPairs(row, best.r, best.affine.scale, range);
    at.forEach((i, k) => {
      codes[i] = best.r[k] + best.affine.zeroPoint;
    });
    if (q.axis !== undefined) affine[channel] = best.affine;
  });
  return { ...q, codes, affine };
}

/** What is left of the mean: E[y] − W E[x̂], for each output channel. */
export function correctedBias(
  weights: Float32Array,
  dims: readonly number[],
  channelAxis: number,
  { rows, columns, meanX, meanY }: Moments,
): Float32Array {
  const channels = channelsOf(dims, channelAxis);
  return Float32Array.from(channels, (at, channel) => {
    const group = Math.floor(channel / rows);
    let bias = meanY[channel];
    at.forEach((i, k) => {
      bias -= weights[i] * meanX[group * columns + k];
    });
    return bias;
  });
}

/** Of a group: [columns, columns], and λ, which is in it. */
interface Gram {
  readonly gram: Float64Array;
  readonly diagonal: Float64Array;
  readonly damping: number;
}

/** Centred where there is a bias, damped. */
function gramsOf(
  { groups, columns, gram, meanX }: Moments,
  { centred, damping: share }: Pick<RefineOptions, 'centred' | 'damping'>,
): Gram[] {
  return Array.from({ length: groups }, (_, group) => {
    const g = gram.slice(group * columns * columns, (group + 1) * columns * columns);
    const mean = meanX.subarray(group * columns, (group + 1) * columns);
    if (centred) g.forEach((_, at) => void (g[at] -= mean[Math.floor(at / columns)] * mean[at % columns]));
    let trace = 0;
    for (let i = 0; i < columns; i++) trace += g[i * columns + i];
    const damping = share === 0 ? 0 : (share * trace) / columns || 1;
    for (let i = 0; i < columns; i++) g[i * columns + i] += damping;
    return {
      gram: g,
      damping,
      diagonal: Float64Array.from({ length: columns }, (_, i) => g[i * columns + i]),
    };
  });
}

interface Row {
  /** [columns, columns] */
  readonly gram: Float64Array;
  readonly cross: Float64Array;
  /** Of `gram`. */
  readonly diagonal: Float64Array;
}

/** What one output channel wants. */
function rowOf(
  { rows, columns, cross, meanX, meanY }: Moments,
  { gram, diagonal, damping }: Gram,
  channel: number,
  w: Float64Array,
  centred: boolean,
): Row {
  const from = Math.floor(channel / rows) * columns;
  const c = cross.slice(channel * columns, (channel + 1) * columns);
  for (let i = 0; i < columns; i++) c[i] += damping * w[i] - (centred ? meanY[channel] * meanX[from + i] : 0);
  return { gram, cross: c, diagonal };
}

interface Descent {
  readonly r: Float64Array;
  readonly affine: Affine;
  readonly error: number;
}

/** Of codes without zero point. */
const rangeOf = ({ low, high }: Range, { zeroPoint }: Affine): Range => ({
  low: low - zeroPoint,
  high: high - zeroPoint,
});

/** Codes without zero point, from the nearest on. */
function descended(row: Row, w: Float64Array, start: Affine, bounds: Range, free: boolean): Descent {
  const range = rangeOf(bounds, start);
  const r = w.map(x => encode(x, start, bounds) - start.zeroPoint);
  let { scale } = start;
  const gr = product(row.gram, r);
  for (let round = 0; round < (free ? 3 : 1); round++) {
    descend(row, r, gr, scale, range);
    const size = dot(r, gr);
    const best = dot(r, row.cross) / size;
    if (!free || !(size > 0) || !(best > 0)) break;
    scale = Math.fround(best);
  }
  descend(row, r, gr, scale, range);
  return {
    r,
    affine: { ...start, scale },
    error: scale * scale * dot(r, gr) - 2 * scale * dot(r, row.cross),
  };
}

/** Changes `r`, and `gr` = G r with it. */
function descend(row: Row, r: Float64Array, gr: Float64Array, scale: number, range: Range): void {
  const { cross, diagonal } = row;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let changed = false;
    for (let k = 0; k < r.length; k++) {
      const exact = r[k] + (cross[k] / scale - gr[k]) / diagonal[k];
      const code = Math.min(range.high, Math.max(range.low, Math.round(exact)));
      const step = code - r[k];
      // a tie would go back and forth for ever
      if (step === 0 || Math.abs(exact - r[k]) <= 0.5 + 1e-9) continue;
      move(row, r, gr, k, step);
      changed = true;
    }
    if (!changed) return;
  }
}

/** Moves one code by 1 and another by what then is best, wherever both together make the error smaller. */
function descendPairs(row: Row, r: Float64Array, scale: number, range: Range): void {
  // (G r − c / s), which moves as G r does
  const slopes = product(row.gram, r);
  for (let j = 0; j < slopes.length; j++) slopes[j] -= row.cross[j] / scale;
  const halves = row.diagonal.map(d => d / 2);
  for (let sweep = 0; sweep < PAIR_SWEEPS; sweep++) {
    let changed = false;
    for (let k = 0; k < r.length; k++)
      for (const a of [-1, 1]) {
        if (r[k] + a < range.low || r[k] + a > range.high) continue;
        const pair = partnerOf(row, r, slopes, halves, range, k, a);
        if (!pair) continue;
        move(row, r, slopes, k, a);
        move(row, r, slopes, pair.j, pair.step);
        changed = true;
      }
    if (!changed) return;
  }
}

/**
 * The code j ≠ k whose step helps most when r_k moves by a; none when the error would not shrink. Errors are over s². Most of all
 * time goes by in this loop, and for most j the first line ends it.
 */
function partnerOf(
  { gram, diagonal }: Row,
  r: Float64Array,
  slopes: Float64Array,
  halves: Float64Array,
  range: Range,
  k: number,
  a: number,
): { j: number; step: number } | undefined {
  const n = r.length;
  const alone = diagonal[k] + 2 * a * slopes[k];
  let [best, bestStep, least] = [-1, 0, -1e-9 * diagonal[k]];
  for (let j = 0; j < n; j++) {
    const slope = slopes[j] + a * gram[k * n + j];
    // the best step of j alone is none
    if ((slope < halves[j] && slope > -halves[j]) || j === k) continue;
    const exact = -slope / diagonal[j];
    const step = Math.min(range.high - r[j], Math.max(range.low - r[j], Math.round(exact)));
    const change = alone + step * (step * diagonal[j] + 2 * slope);
    if (change < least) [best, bestStep, least] = [j, step, change];
  }
  return best < 0 ? undefined : { j: best, step: bestStep };
}

/** r_k ← r_k + step, and gr = G r with it. */
function move({ gram }: Row, r: Float64Array, gr: Float64Array, k: number, step: number): void {
  const n = r.length;
  r[k] += step;
  for (let j = 0; j < n; j++) gr[j] += step * gram[k * n + j];
}

function product(gram: Float64Array, r: Float64Array): Float64Array {
  const n = r.length;
  return r.map((_, i) => dot(gram.subarray(i * n, (i + 1) * n), r));
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
