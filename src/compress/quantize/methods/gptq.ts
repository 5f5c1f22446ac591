/**
 * GPTQ into blocks: the sweep over columns of sweep.ts with H⁻¹ = Uᵀ U, H = E[x xᵀ] + λ I.
 *
 * 1. The scale of a block is fitted (by the clipping search) when its first column is reached, on the values as they
 *    are by then. An error in column j costs δ² = e² / U_jj², so 1 / U_jj² weighs it.
 * 2. `actOrder` takes columns by how strongly they are driven (the diagonal of H), the strongest first, while there are
 *    most others to make up for them. Each block keeps its columns: its scale is fitted before the sweep, weighted by the
 *    diagonal ("static groups"), so that files need no index of columns.
 * 3. Columns that are never active are rounded without one, thanks to λ (see hessian.ts).
 * Source: Frantar et al. 2023 (arXiv:2210.17323), algorithm 1; order and static groups as in the authors' code.
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
import type { InputStatistics, MethodOptions } from './index.ts';
import { type Rounding, sweepColumns } from './sweep.ts';

export const PANEL = 128;

export function gptq(
  matrix: Matrix,
  format: BlockFormat,
  inputs?: InputStatistics,
  { actOrder = false, damping }: MethodOptions = {},
): BlockQuantized {
  assert(inputs, 'method gptq needs calibration data: give prompts or texts to run the model on');
  assert(
    inputs.columns === matrix.columns,
    `the statistics are of ${inputs.columns} inputs, but the matrix has ${matrix.columns} columns`,
  );
  const order = actOrder ? strongestFirst(inputs) : undefined;
  const factor = inverseFactor(order ? permuted(inputs, order) : inputs, damping);
  const q = emptyBlocks(matrix, format);
  if (order) fitAll(matrix, inputs, q);
  const rounding = roundingOf(q, factor, order !== undefined);
  sweepColumns(matrix, factor, rounding, { panel: Math.max(PANEL, format.blockSize), order });
  return q;
}

/** Column numbers by falling E[x²]. */
export function strongestFirst({ columns: n, gram }: InputStatistics): Int32Array {
  const drive = (i: number): number => gram[i * n + i] as number;
  return Int32Array.from({ length: n }, (_, i) => i).sort((a, b) => drive(b) - drive(a) || a - b);
}

export function permuted({ columns: n, gram }: InputStatistics, order: Int32Array): InputStatistics {
  const turned = new Float64Array(n * n);
  order.forEach((from, i) => {
    order.forEach((other, j) => void (turned[i * n + j] = gram[from * n + other] as number));
  });
  return { columns: n, gram: turned };
}

/** The fit of every block before anything is rounded. */
function fitAll(matrix: Matrix, { gram }: InputStatistics, q: BlockQuantized): void {
  const { rows, columns: n, data } = matrix;
  const weights = Float32Array.from({ length: n }, (_, i) => gram[i * n + i] as number);
  const { blockSize } = q.format;
  for (let row = 0; row < rows; row++)
    for (let from = 0; from < n; from += blockSize) {
      const to = Math.min(n, from + blockSize);
      const values = data.subarray(row * n + from, row * n + to);
      setFit(q, row, from / blockSize, searchFit({ values, weights: weights.subarray(from, to) }, q.format));
    }
}

/** Codes of blocks whose fits are there, or are found when their first column is reached. */
function roundingOf(q: BlockQuantized, factor: Float64Array, fitted: boolean): Rounding {
  const { columns, blocks, codes, format, scales, zeros } = q;
  const { blockSize, bits } = format;
  const cost = Float32Array.from({ length: columns }, (_, j) => (factor[j * columns + j] as number) ** -2);
  const fit = (row: number, column: number, rest: Float32Array): void => {
    if (column % blockSize !== 0) return;
    const values = rest.subarray(0, blockSize);
    const weights = cost.subarray(column, column + values.length);
    setFit(q, row, column / blockSize, searchFit({ values, weights }, format));
  };
  return {
    ...(!fitted && { reach: fit }),
    round(row, column, w) {
      const at = row * blocks + Math.floor(column / blockSize);
      const found: BlockFit = { scale: scales[at] as number, zero: zeros[at] as number };
      const code = encode(w, found, bits);
      codes[row * blocks * blockSize + column] = code;
      return (code - found.zero) * found.scale;
    },
  };
}
