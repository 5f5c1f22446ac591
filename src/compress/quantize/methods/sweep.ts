/**
 * The sweep of GPTQ: columns are rounded one after another, and what each rounding changes in the product is made up for by
 * the columns that follow.
 *
 *   δ = (w_j − ŵ_j) / U_jj,   w_k ← w_k − δ U_jk for k > j
 *
 * 1. Columns are swept in panels; what a panel changes in those behind it is applied at once, while its part of U is at
 *    hand (the paper's lazy batches). The result is the same.
 */
import type { Matrix } from '../blocks.ts';

export interface Rounding {
  /** Called when a column is reached, with the row from it on as it is by then; only for a sweep in the matrix's order. */
  reach?(row: number, column: number, rest: Float32Array): void;
  /** Chooses a code for `w` and returns what it stands for. */
  round(row: number, column: number, w: number): number;
}

export interface SweepOptions {
  /** Columns swept before those behind them are touched. */
  readonly panel: number;
  /** The column numbers in the order of the sweep and of U; absent when that is their own order. */
  readonly order?: Int32Array;
}

/** Rounds every weight; U [columns, columns] is hessian.ts's, upper triangular. */
export function sweepColumns(
  matrix: Matrix,
  factor: Float64Array,
  rounding: Rounding,
  { panel, order }: SweepOptions,
): void {
  const sweep = new Sweep(matrix, factor, rounding, order);
  for (let start = 0; start < matrix.columns; start += panel)
    sweep.panel(start, Math.min(matrix.columns, start + panel));
}

class Sweep {
  readonly #rows: number;
  readonly #columns: number;
  readonly #factor: Float64Array;
  readonly #rounding: Rounding;
  readonly #order?: Int32Array;
  /** What is still to be rounded, in the order of the sweep. */
  readonly #w: Float32Array;
  readonly #delta: Float64Array;

  constructor(
    { rows, columns, data }: Matrix,
    factor: Float64Array,
    rounding: Rounding,
    order: Int32Array | undefined,
  ) {
    this.#rows = rows;
    this.#columns = columns;
    this.#factor = factor;
    this.#rounding = rounding;
    this.#order = order;
    this.#w = Float32Array.from(data);
    for (let row = 0; order && row < rows; row++)
      for (let j = 0; j < columns; j++)
        this.#w[row * columns + j] = data[row * columns + (order[j] as number)] as number;
    this.#delta = new Float64Array(columns);
  }

  panel(start: number, end: number): void {
    for (let row = 0; row < this.#rows; row++) {
      for (let j = start; j < end; j++) {
        this.#delta[j] = this.#roundOne(row, j);
        this.#spread(row, j, j + 1, end);
      }
      for (let j = start; j < end; j++) this.#spread(row, j, end, this.#columns);
    }
  }

  /** The error of a place over U_jj. */
  #roundOne(row: number, j: number): number {
    const at = row * this.#columns + j;
    const column = this.#order?.[j] ?? j;
    this.#rounding.reach?.(row, column, this.#w.subarray(at, (row + 1) * this.#columns));
    const w = this.#w[at] as number;
    return (w - this.#rounding.round(row, column, w)) / (this.#factor[j * this.#columns + j] as number);
  }

  /** w_k ← w_k − δ_j U_jk for `from` ≤ k < `to`. */
  #spread(row: number, j: number, from: number, to: number): void {
    const n = this.#columns;
    const delta = this.#delta[j] as number;
    for (let k = from; k < to; k++)
      this.#w[row * n + k] = (this.#w[row * n + k] as number) - delta * (this.#factor[j * n + k] as number);
  }
}
