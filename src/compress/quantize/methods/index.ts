/**
 * Ways to choose the codes of a matrix. To add one, write a `QuantizeMethod` and name it here.
 *
 * 1. `rtn` spans each block and rounds to nearest; `mse` searches each block's range for the least square error.
 * 2. `gptq` (see gptq.ts) makes up for each column's rounding error in the columns that follow.
 * 3. `hqq` (see hqq.ts) needs no data and lets few weights be far off for the sake of the others.
 * 4. A method that looks at activations gets their statistics and says so in `needs`.
 */
import {
  type BlockFormat,
  type BlockQuantized,
  blocksOf,
  emptyBlocks,
  encode,
  type Matrix,
  setFit,
} from '../blocks.ts';
import { type Fit, rangeFit, searchFit } from './fit.ts';
import { gptq } from './gptq.ts';
import { hqqFit } from './hqq.ts';

/** Second moments of the inputs x of a product: Σ x xᵀ / count, [columns, columns] row-major. */
export interface InputStatistics {
  readonly columns: number;
  readonly gram: Float64Array;
}

export interface MethodOptions {
  /** gptq: columns in order of how strongly they are driven, with scales fitted beforehand. Default false. */
  readonly actOrder?: boolean;
  /** gptq: λ as a share of the mean diagonal of the Hessian. Default 0.01. */
  readonly damping?: number;
}

export interface QuantizeMethod {
  readonly needs: 'weights' | 'inputs';
  quantize(
    matrix: Matrix,
    format: BlockFormat,
    inputs?: InputStatistics,
    options?: MethodOptions,
  ): BlockQuantized;
}

export type MethodName = 'rtn' | 'mse' | 'gptq' | 'hqq';

export const METHODS: Readonly<Record<MethodName, QuantizeMethod>> = {
  rtn: { needs: 'weights', quantize: (matrix, format) => roundBlocks(matrix, format, rangeFit) },
  mse: {
    needs: 'weights',
    quantize: (matrix, format, inputs) => roundBlocks(matrix, format, searchFit, inputs),
  },
  gptq: { needs: 'inputs', quantize: gptq },
  hqq: { needs: 'weights', quantize: (matrix, format) => roundBlocks(matrix, format, hqqFit) },
};

/** Fits every block and rounds its values to the nearest codes. Inputs' statistics weigh the columns' errors. */
function roundBlocks(
  matrix: Matrix,
  format: BlockFormat,
  fitBlock: Fit,
  inputs?: InputStatistics,
): BlockQuantized {
  const { rows, columns, data } = matrix;
  const { bits, blockSize } = format;
  const q = emptyBlocks(matrix, format);
  const weights = inputs && meanSquares(inputs);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocksOf(columns, blockSize); block++) {
      const [start, end] = [block * blockSize, Math.min(columns, (block + 1) * blockSize)];
      const values = data.subarray(row * columns + start, row * columns + end);
      const found = fitBlock({ values, weights: weights?.subarray(start, end) }, format);
      setFit(q, row, block, found);
      const at = (row * q.blocks + block) * blockSize;
      values.forEach((w, i) => void (q.codes[at + i] = encode(w, found, bits)));
    }
  }
  return q;
}

/** E[x²] of each column. */
const meanSquares = ({ columns, gram }: InputStatistics): Float32Array =>
  Float32Array.from({ length: columns }, (_, i) => gram[i * columns + i] as number);
