/**
 * GPTQ: columns are rounded one after another, and what each rounding changes in the product is made up for by the
 * columns that follow.
 *
 *   δ = (w_j − ŵ_j) / U_jj,   w_k ← w_k − δ U_jk for k > j,   with H⁻¹ = Uᵀ U, H = E[x xᵀ] + λ I
 *
 * 1. The scale of a block is fitted (by the clipping search) when its first column is reached, on the values as they
 *    are by then.
 * 2. λ is a hundredth of the mean diagonal, as in the paper; columns that are never active are rounded to zero error by it.
 * Source: Frantar et al. 2023 (arXiv:2210.17323), algorithm 1, without lazy batches.
 */
import { assert } from '../../../util/errors.ts';
import {
  type BlockFit,
  type BlockFormat,
  type BlockQuantized,
  emptyBlocks,
  encode,
  type Matrix,
  setFit,
} from '../blocks.ts';
import { searchFit } from './fit.ts';
import type { InputStatistics } from './index.ts';

const DAMPING = 0.01;

export function gptq(matrix: Matrix, format: BlockFormat, inputs?: InputStatistics): BlockQuantized {
  assert(inputs, 'method gptq needs calibration data: give prompts or texts to run the model on');
  assert(
    inputs.columns === matrix.columns,
    `the statistics are of ${inputs.columns} inputs, but the matrix has ${matrix.columns} columns`,
  );
  const factor = inverseFactor(inputs);
  const q = emptyBlocks(matrix, format);
  for (let row = 0; row < matrix.rows; row++) roundRow(matrix, row, factor, q);
  return q;
}

function roundRow(matrix: Matrix, row: number, factor: Float64Array, q: BlockQuantized): void {
  const { columns, data } = matrix;
  const { bits, blockSize } = q.format;
  const w = Float32Array.from(data.subarray(row * columns, (row + 1) * columns));
  let fit: BlockFit = { scale: 1, zero: 0 };
  for (let j = 0; j < columns; j++) {
    if (j % blockSize === 0) {
      fit = searchFit({ values: w.subarray(j, Math.min(columns, j + blockSize)) }, q.format);
      setFit(q, row, j / blockSize, fit);
    }
    const code = encode(w[j] as number, fit, bits);
    q.codes[row * q.blocks * blockSize + j] = code;
    const error = (w[j] as number) - (code - fit.zero) * fit.scale;
    const delta = error / (factor[j * columns + j] as number);
    for (let k = j + 1; k < columns; k++)
      w[k] = (w[k] as number) - delta * (factor[j * columns + k] as number);
  }
}

/** Upper triangular U with (E[x xᵀ] + λ I)⁻¹ = Uᵀ U. */
function inverseFactor({ columns: n, gram }: InputStatistics): Float64Array {
  const h = Float64Array.from(gram);
  let trace = 0;
  for (let i = 0; i < n; i++) trace += gram[i * n + i] as number;
  const lambda = trace === 0 ? 1 : (DAMPING * trace) / n;
  for (let i = 0; i < n; i++) h[i * n + i] = (h[i * n + i] as number) + lambda;
  return transposed(cholesky(inverse(cholesky(h, n), n), n), n);
}

/** Lower triangular L with A = L Lᵀ. A must be positive definite. */
function cholesky(a: Float64Array, n: number): Float64Array {
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j] as number;
      for (let k = 0; k < j; k++) sum -= (l[i * n + k] as number) * (l[j * n + k] as number);
      l[i * n + j] = i === j ? Math.sqrt(Math.max(sum, 1e-30)) : sum / (l[j * n + j] as number);
    }
  }
  return l;
}

/** (L Lᵀ)⁻¹ = L⁻ᵀ L⁻¹. */
function inverse(l: Float64Array, n: number): Float64Array {
  const inv = new Float64Array(n * n);
  for (let column = 0; column < n; column++) {
    for (let i = column; i < n; i++) {
      let sum = i === column ? 1 : 0;
      for (let k = column; k < i; k++) sum -= (l[i * n + k] as number) * (inv[k * n + column] as number);
      inv[i * n + column] = sum / (l[i * n + i] as number);
    }
  }
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = i; k < n; k++) sum += (inv[k * n + i] as number) * (inv[k * n + j] as number);
      out[i * n + j] = sum;
      out[j * n + i] = sum;
    }
  }
  return out;
}

function transposed(a: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) out[j * n + i] = a[i * n + j] as number;
  return out;
}
