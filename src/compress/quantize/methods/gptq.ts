/**
 * GPTQ: columns are rounded one after another, and what each rounding changes in the product is made up for by the
 * columns that follow.
 *
 *   δ = (w_j − ŵ_j) / U_jj,   w_k ← w_k − δ U_jk for k > j,   with H⁻¹ = Uᵀ U, H = E[x xᵀ] + λ I
 *
 * 1. The scale of a block is fitted (by the clipping search) when its first column is reached, on the values as they
 *    are by then. An error in column j costs δ² = e² / U_jj², so 1 / U_jj² weighs it.
 * 2. `actOrder` takes columns by how strongly they are driven (the diagonal of H), the strongest first, while there are
 *    most others to make up for them. Each block keeps its columns: its scale is fitted before the sweep, weighted by the
 *    diagonal ("static groups"), so that files need no index of columns.
 * 3. Columns are swept in panels; what a panel changes in those behind it is applied at once, while its part of U is at
 *    hand (the paper's lazy batches). The result is the same.
 * 4. Columns that are never active are rounded without one, thanks to λ (see hessian.ts).
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

/** Columns swept before those behind them are touched. */
const PANEL = 128;

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
  const sweep = new Sweep(matrix, q, factor, order);
  const panel = Math.max(PANEL, format.blockSize);
  for (let start = 0; start < matrix.columns; start += panel)
    sweep.panel(start, Math.min(matrix.columns, start + panel));
  return q;
}

/** Column numbers by falling E[x²]. */
function strongestFirst({ columns: n, gram }: InputStatistics): Int32Array {
  const drive = (i: number): number => gram[i * n + i] as number;
  return Int32Array.from({ length: n }, (_, i) => i).sort((a, b) => drive(b) - drive(a) || a - b);
}

function permuted({ columns: n, gram }: InputStatistics, order: Int32Array): InputStatistics {
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

class Sweep {
  readonly #q: BlockQuantized;
  readonly #factor: Float64Array;
  /** The original number of each column in the order of the sweep; absent when that is their own order. */
  readonly #order?: Int32Array;
  /** What is still to be rounded, in the order of the sweep. */
  readonly #w: Float32Array;
  /** 1 / U_jj². */
  readonly #cost: Float32Array;
  readonly #delta: Float64Array;

  constructor({ rows, columns, data }: Matrix, q: BlockQuantized, factor: Float64Array, order?: Int32Array) {
    this.#q = q;
    this.#factor = factor;
    this.#order = order;
    this.#w = Float32Array.from(data);
    for (let row = 0; order && row < rows; row++)
      for (let j = 0; j < columns; j++)
        this.#w[row * columns + j] = data[row * columns + (order[j] as number)] as number;
    this.#cost = Float32Array.from({ length: columns }, (_, j) => (factor[j * columns + j] as number) ** -2);
    this.#delta = new Float64Array(columns);
  }

  panel(start: number, end: number): void {
    for (let row = 0; row < this.#q.rows; row++) {
      for (let j = start; j < end; j++) {
        this.#delta[j] = this.#roundOne(row, j, end);
        this.#spread(row, j, j + 1, end);
      }
      for (let j = start; j < end; j++) this.#spread(row, j, end, this.#q.columns);
    }
  }

  /** Chooses the code of a place; its error over U_jj. */
  #roundOne(row: number, j: number, end: number): number {
    const { columns, blocks, codes, format, scales, zeros } = this.#q;
    const column = this.#order?.[j] ?? j;
    const block = Math.floor(column / format.blockSize);
    if (!this.#order && column % format.blockSize === 0)
      this.#fit(row, j, Math.min(end, j + format.blockSize));
    const at = row * blocks + block;
    const fit: BlockFit = { scale: scales[at] as number, zero: zeros[at] as number };
    const w = this.#w[row * columns + j] as number;
    const code = encode(w, fit, format.bits);
    codes[row * blocks * format.blockSize + column] = code;
    return (w - (code - fit.zero) * fit.scale) / (this.#factor[j * columns + j] as number);
  }

  #fit(row: number, from: number, to: number): void {
    const { columns, format } = this.#q;
    const values = this.#w.subarray(row * columns + from, row * columns + to);
    const weights = this.#cost.subarray(from, to);
    setFit(this.#q, row, from / format.blockSize, searchFit({ values, weights }, format));
  }

  /** w_k ← w_k − δ_j U_jk for `from` ≤ k < `to`. */
  #spread(row: number, j: number, from: number, to: number): void {
    const n = this.#q.columns;
    const delta = this.#delta[j] as number;
    for (let k = from; k < to; k++)
      this.#w[row * n + k] = (this.#w[row * n + k] as number) - delta * (this.#factor[j * n + k] as number);
  }
}
