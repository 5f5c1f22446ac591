/**
 * GPTQ: columns are rounded one after another, and what each rounding changes in the product is made up for by the
 * columns that follow.
 *
 *   δ = (w_j − ŵ_j) / U_jj,   w_k ← w_k − δ U_jk for k > j,   with H⁻¹ = Uᵀ U, H = E[x xᵀ] + λ I
 *
 * 1. The scale of a block is fitted (by the clipping search) when its first column is reached, on the values as they
 *    are by then.
 * 2. Columns that are never active are rounded without one, thanks to λ (see hessian.ts).
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
import { inverseFactor } from './hessian.ts';
import type { InputStatistics } from './index.ts';

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
