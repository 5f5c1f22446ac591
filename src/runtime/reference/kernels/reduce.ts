/** Reductions, ArgMax and ArgMin, CumSum, CumProd, TopK: everything that walks lanes along axes. */
import { sizeOf, type Tensor } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { axisOf, lanesOf, range } from '../layout.ts';
import {
  doubles,
  emptyExact,
  exact,
  FOLDS,
  type Fold,
  foldFor,
  indices64,
  integers,
  isBig,
  scalar,
  storeExact,
} from '../tensor.ts';

/** start, then fold over the lane, then finish(total, length). BigInt twins serve 64-bit integers. */
interface Reduction {
  readonly start: number;
  readonly fold: Fold;
  readonly finish?: (total: number, count: number) => number;
  readonly finishBig?: (total: bigint, count: bigint) => bigint;
}

/** No axes at all with `noop_with_empty_axes`: every element is a lane of its own. */
function reducedAxes(c: KernelContext, x: Tensor): readonly number[] {
  const rank = x.dims.length;
  const given = c.inputs[1] ? integers(c.inputs[1]) : [];
  if (given.length > 0) return given.map(axis => axisOf(c, axis, rank));
  return c.attributes.int('noop_with_empty_axes', 0) ? [] : range(rank);
}

const reducedDims = (dims: readonly number[], axes: readonly number[], keep: boolean): number[] =>
  keep ? dims.map((n, k) => (axes.includes(k) ? 1 : n)) : dims.filter((_, k) => !axes.includes(k));

const reduce =
  (r: Reduction): Kernel =>
  c => {
    const x = c.input(0);
    const axes = reducedAxes(c, x);
    const dims = reducedDims(x.dims, axes, c.attributes.int('keepdims', 1) !== 0);
    return [storeExact(x.dtype, dims, reduceLanes(x, axes, r))];
  };

function reduceLanes(x: Tensor, axes: readonly number[], r: Reduction): Float64Array {
  const { bases, steps } = lanesOf(x.dims, axes);
  const values = exact(x);
  const f = foldFor(r.fold, x.dtype);
  const finish = finisher(r, x);
  // BigInts travel as numbers in the types only; see `exact`.
  const start = isBig(x.dtype) ? (bigStart(r.start) as unknown as number) : r.start;
  const out = emptyExact(x.dtype, bases.length);
  for (let i = 0; i < bases.length; i++) {
    let total = start;
    for (let j = 0; j < steps.length; j++) total = f(total, values[bases[i] + steps[j]]);
    out[i] = finish(total, steps.length);
  }
  return out;
}

/** ±infinity becomes the end of the int64 range. */
const bigStart = (start: number): bigint =>
  Number.isFinite(start) ? BigInt(start) : start > 0 ? (1n << 63n) - 1n : -(1n << 63n);

function finisher(r: Reduction, x: Tensor): (total: number, count: number) => number {
  if (!isBig(x.dtype)) return r.finish ?? (total => total);
  const { finishBig, finish } = r;
  const big = (total: bigint, count: number): bigint => {
    if (finishBig) return finishBig(total, BigInt(count));
    return finish ? BigInt(Math.trunc(finish(Number(total), count))) : total;
  };
  return big as unknown as (total: number, count: number) => number;
}

const SQUARES: Fold = { number: (s, x) => s + x * x, bigint: (s, x) => s + x * x };

/** log Σ e^x, shifted by the largest element. */
const logSumExp: Kernel = c => {
  const x = c.input(0);
  const axes = reducedAxes(c, x);
  const { bases, steps } = lanesOf(x.dims, axes);
  const values = doubles(x);
  const out = Float64Array.from(bases, base => laneLogSumExp(values, base, steps));
  return [storeExact(x.dtype, reducedDims(x.dims, axes, c.attributes.int('keepdims', 1) !== 0), out)];
};

export function laneLogSumExp(values: Float64Array, base: number, steps: Int32Array): number {
  let top = -Infinity;
  for (let j = 0; j < steps.length; j++) top = Math.max(top, values[base + steps[j]]);
  if (!Number.isFinite(top)) return top;
  let sum = 0;
  for (let j = 0; j < steps.length; j++) sum += Math.exp(values[base + steps[j]] - top);
  return top + Math.log(sum);
}

/** Index of the extreme element along `axis`; the first one, or the last when asked. */
const argExtreme =
  (beats: (a: number, b: number) => boolean): Kernel =>
  c => {
    const x = c.input(0);
    const axis = axisOf(c, c.attributes.int('axis', 0), x.dims.length);
    const last = c.attributes.int('select_last_index', 0) !== 0;
    const { bases, steps } = lanesOf(x.dims, [axis]);
    const values = exact(x);
    const best = Array.from(bases, base => {
      let at = 0;
      for (let j = 1; j < steps.length; j++) {
        const [now, then] = [values[base + steps[j]], values[base + steps[at]]];
        if (beats(now, then) || (last && now === then)) at = j;
      }
      return at;
    });
    return [indices64(reducedDims(x.dims, [axis], c.attributes.int('keepdims', 1) !== 0), best)];
  };

/** Running totals along an axis, from either end, with or without the element itself. */
const scan =
  (fold: Fold, start: number): Kernel =>
  c => {
    const x = c.input(0);
    const axis = axisOf(c, scalar(c.input(1)), x.dims.length);
    const exclusive = c.attributes.int('exclusive', 0) !== 0;
    const { bases, steps } = lanesOf(x.dims, [axis]);
    if (c.attributes.int('reverse', 0)) steps.reverse();
    const values = exact(x);
    const f = foldFor(fold, x.dtype);
    const out = emptyExact(x.dtype, sizeOf(x.dims));
    for (const base of bases) {
      // BigInts travel as numbers in the types only; see `exact`.
      let total = isBig(x.dtype) ? (BigInt(start) as unknown as number) : start;
      for (const step of steps) {
        const next = f(total, values[base + step]);
        out[base + step] = exclusive ? total : next;
        total = next;
      }
    }
    return [storeExact(x.dtype, x.dims, out)];
  };

/** The k largest (or smallest) along `axis`, in order; the lower index first among equals. */
const topK: Kernel = c => {
  const x = c.input(0);
  const axis = axisOf(c, c.attributes.int('axis', -1), x.dims.length);
  const k = scalar(c.input(1));
  if (k > x.dims[axis]) c.fail(`k = ${k} is larger than the dimension ${x.dims[axis]} of axis ${axis}`);
  const sign = c.attributes.int('largest', 1) ? -1 : 1;
  const dims = x.dims.map((n, i) => (i === axis ? k : n));
  const [from, to] = [lanesOf(x.dims, [axis]), lanesOf(dims, [axis])];
  const values = exact(x);
  const top = emptyExact(x.dtype, sizeOf(dims));
  const at = new Float64Array(sizeOf(dims));
  from.bases.forEach((base, lane) => {
    const order = rankedIndices(values, base, from.steps, sign);
    for (let j = 0; j < k; j++) {
      top[to.bases[lane] + to.steps[j]] = values[base + from.steps[order[j]]];
      at[to.bases[lane] + to.steps[j]] = order[j];
    }
  });
  return [storeExact(x.dtype, dims, top), indices64(dims, at)];
};

function rankedIndices(values: Float64Array, base: number, steps: Int32Array, sign: 1 | -1): number[] {
  return range(steps.length).sort((i, j) => {
    const [a, b] = [values[base + steps[i]], values[base + steps[j]]];
    return a === b ? i - j : a < b ? -sign : sign;
  });
}

export const REDUCE = {
  ReduceSum: reduce({ start: 0, fold: FOLDS.add }),
  ReduceMean: reduce({
    start: 0,
    fold: FOLDS.add,
    finish: (total, n) => total / n,
    finishBig: (total, n) => total / n,
  }),
  ReduceMax: reduce({ start: -Infinity, fold: FOLDS.max }),
  ReduceMin: reduce({ start: Infinity, fold: FOLDS.min }),
  ReduceProd: reduce({ start: 1, fold: FOLDS.mul }),
  ReduceL1: reduce({
    start: 0,
    fold: { number: (s, x) => s + Math.abs(x), bigint: (s, x) => s + (x < 0n ? -x : x) },
  }),
  ReduceL2: reduce({ start: 0, fold: SQUARES, finish: Math.sqrt }),
  ReduceSumSquare: reduce({ start: 0, fold: SQUARES }),
  ReduceLogSum: reduce({ start: 0, fold: FOLDS.add, finish: Math.log }),
  ReduceLogSumExp: logSumExp,
  ArgMax: argExtreme((a, b) => a > b),
  ArgMin: argExtreme((a, b) => a < b),
  CumSum: scan(FOLDS.add, 0),
  CumProd: scan(FOLDS.mul, 1),
  TopK: topK,
} as const satisfies KernelFamily;
