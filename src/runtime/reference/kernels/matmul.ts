/** Matrix products: MatMul, Gemm, FusedMatMul and their integer form. */
import type { Tensor } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { broadcastDims, broadcastOffsets, range, transposed } from '../layout.ts';
import { doubles, store } from '../tensor.ts';

/** Where the three matrices of one product start in their buffers. */
interface Starts {
  readonly a: number;
  readonly b: number;
  readonly out: number;
}

/** out[m, n] += a[m, k] · b[k, n], rows innermost so that b and out are read in order. */
export function multiplyInto(
  out: Float64Array,
  a: Float64Array,
  b: Float64Array,
  [m, k, n]: readonly [number, number, number],
  at: Starts = { a: 0, b: 0, out: 0 },
): void {
  for (let i = 0; i < m; i++) {
    const row = at.out + i * n;
    for (let p = 0; p < k; p++) {
      const x = a[at.a + i * k + p];
      const from = at.b + p * n;
      for (let j = 0; j < n; j++) out[row + j] += x * b[from + j];
    }
  }
}

/** Dims and values of a batched product of doubles; a vector operand stands for a row or a column. */
export function product(
  c: KernelContext,
  a: readonly number[],
  x: Float64Array,
  b: readonly number[],
  y: Float64Array,
): { dims: number[]; values: Float64Array } {
  if (a.length === 0 || b.length === 0) c.fail('a scalar cannot be multiplied as a matrix');
  const [rows, columns] = [a.length === 1 ? [1, ...a] : a, b.length === 1 ? [...b, 1] : b];
  const [m, k] = rows.slice(-2);
  const [inner, n] = columns.slice(-2);
  if (k !== inner) c.fail(`inner dimensions differ: [${a.join(', ')}] times [${b.join(', ')}]`);
  const batch = broadcastDims(c, rows.slice(0, -2), columns.slice(0, -2));
  const values = batched(batch, [rows, x], [columns, y], [m, k, n]);
  return { dims: [...batch, ...(a.length === 1 ? [] : [m]), ...(b.length === 1 ? [] : [n])], values };
}

function batched(
  batch: readonly number[],
  [a, x]: readonly [readonly number[], Float64Array],
  [b, y]: readonly [readonly number[], Float64Array],
  [m, k, n]: readonly [number, number, number],
): Float64Array {
  const atA = broadcastOffsets(a.slice(0, -2), batch);
  const atB = broadcastOffsets(b.slice(0, -2), batch);
  const out = new Float64Array(atA.length * m * n);
  for (let i = 0; i < atA.length; i++) {
    multiplyInto(out, x, y, [m, k, n], { a: atA[i] * m * k, b: atB[i] * k * n, out: i * m * n });
  }
  return out;
}

const matmul: Kernel = c => {
  const [a, b] = [c.input(0), c.input(1)];
  if (a.dtype !== b.dtype) c.fail(`inputs have dtypes ${a.dtype} and ${b.dtype}`);
  const { dims, values } = product(c, a.dims, doubles(a), b.dims, doubles(b));
  return [store(a.dtype, dims, values)];
};

/** The last two axes swapped. */
export const flipped = (t: Tensor): Tensor => {
  const axes = range(t.dims.length);
  return transposed(t, [...axes.slice(0, -2), ...axes.slice(-2).reverse()]);
};

/** alpha · op(A) · op(B) + beta · C. */
const gemm: Kernel = c => {
  const turn = (t: Tensor, name: string) => (c.attributes.int(name, 0) ? flipped(t) : t);
  const [a, b] = [turn(c.input(0), 'transA'), turn(c.input(1), 'transB')];
  const { dims, values } = product(c, a.dims, doubles(a), b.dims, doubles(b));
  const alpha = c.attributes.float('alpha', 1);
  const scaled = values.map(v => alpha * v);
  const bias = c.inputs[2];
  if (bias)
    addScaled(scaled, doubles(bias), broadcastOffsets(bias.dims, dims), c.attributes.float('beta', 1));
  return [store(a.dtype, dims, scaled)];
};

function addScaled(out: Float64Array, x: Float64Array, at: Int32Array, scale: number): void {
  for (let i = 0; i < out.length; i++) out[i] += scale * x[at[i]];
}

/**
 * alpha · op(A) · op(B). `trans` swaps the last two axes; `transBatch` says that the batch axes are stored after the row
 * axis: [M, batch…, K] stands for [batch…, M, K].
 */
const fusedMatMul: Kernel = c => {
  const operand = (i: number, side: 'A' | 'B') => {
    const t = c.input(i);
    const batchLast = c.attributes.int(`transBatch${side}`, 0) !== 0 && t.dims.length > 2;
    const axes = range(t.dims.length);
    const ordered = batchLast ? transposed(t, [...axes.slice(1, -1), 0, axes.length - 1]) : t;
    return c.attributes.int(`trans${side}`, 0) && t.dims.length > 1 ? flipped(ordered) : ordered;
  };
  const [a, b] = [operand(0, 'A'), operand(1, 'B')];
  const { dims, values } = product(c, a.dims, doubles(a), b.dims, doubles(b));
  const alpha = c.attributes.float('alpha', 1);
  return [
    store(
      a.dtype,
      dims,
      values.map(v => alpha * v),
    ),
  ];
};

/** (A − a0) · (B − b0) in int32; zero points are scalars, per row of A, per column of B, or absent. */
const matmulInteger: Kernel = c => {
  const [a, b] = [c.input(0), c.input(1)];
  const x = shifted(c, a, c.inputs[2], -2);
  const y = shifted(c, b, c.inputs[3], -1);
  const { dims, values } = product(c, a.dims, x, b.dims, y);
  return [store('int32', dims, values)];
};

/** t − zero, where a vector of zeros runs along `axis`. */
export function shifted(c: KernelContext, t: Tensor, zero: Tensor | undefined, axis: -1 | -2): Float64Array {
  const values = doubles(t);
  if (!zero) return values;
  const dims = zero.dims.length === 1 && axis === -2 && zero.dims[0] > 1 ? [...zero.dims, 1] : zero.dims;
  const at = broadcastOffsets(dims, broadcastDims(c, t.dims, dims));
  const z = doubles(zero);
  return values.map((v, i) => v - z[at[i]]);
}

/** Product of the pivots of Gaussian elimination, the sign turned at each exchange of rows. */
function determinantOf(m: Float64Array, n: number): number {
  const rows = range(n).map(i => m.slice(i * n, (i + 1) * n));
  let result = 1;
  for (let k = 0; k < n; k++) {
    const pivot = range(n - k).reduce(
      (best, i) => (Math.abs(rows[k + i][k]) > Math.abs(rows[best][k]) ? k + i : best),
      k,
    );
    if (pivot !== k) result = -result;
    [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
    result *= rows[k][k];
    if (result === 0) return 0;
    for (const row of rows.slice(k + 1)) {
      const factor = row[k] / rows[k][k];
      for (let j = k; j < n; j++) row[j] -= factor * rows[k][j];
    }
  }
  return result;
}

/** Determinants of the matrices in the last two axes. */
const determinant: Kernel = c => {
  const x = c.input(0);
  const n = x.dims[x.dims.length - 1];
  const dims = x.dims.slice(0, -2);
  const values = doubles(x);
  const of = (i: number) => determinantOf(values.subarray(i * n * n, (i + 1) * n * n), n);
  return [store(x.dtype, dims, Float64Array.from(range(dims.reduce((a, b) => a * b, 1)), of))];
};

export const MATMUL = {
  MatMul: matmul,
  Gemm: gemm,
  'com.microsoft.FusedMatMul': fusedMatMul,
  MatMulInteger: matmulInteger,
  Det: determinant,
} as const satisfies KernelFamily;
