/**
 * Sparsity: single weights of products and convolutions become 0; the shapes stay.
 *
 *   magnitude    |w|                        of a matrix, or of each run of M (Han et al. 2015)
 *   wanda        |w| ‖x_j‖                  compared within each output row (Sun et al. 2023, arXiv:2306.11695)
 *   sparsegpt    w² / U_jj²                 and what is left makes up for it (Frantar & Alistarh 2023, arXiv:2301.00774)
 *
 * 1. A pattern is a share of zeros anywhere, or N kept of every M along the summed axis, which hardware can skip (2:4).
 * 2. SparseGPT chooses the zeros of 128 columns at once (its B_s), over all rows, on the values as they are by then.
 */
import { type Graph, sizeOf } from '../../graph/ir.ts';
import { assert, GaslawError } from '../../util/errors.ts';
import type { Matrix } from '../quantize/blocks.ts';
import { inverseFactor } from '../quantize/methods/hessian.ts';
import type { InputStatistics } from '../quantize/methods/index.ts';
import { matricesOf, type WeightMatrices } from './matrices.ts';

export const SPARSITY_METHODS = ['magnitude', 'wanda', 'sparsegpt'] as const;
export type SparsityMethod = (typeof SPARSITY_METHODS)[number];

/** A share of zeros in (0, 1), or `keep` of every `of` along the summed axis. */
export type SparsityPattern = { readonly share: number } | { readonly keep: number; readonly of: number };

export interface SparsityOptions {
  readonly pattern: SparsityPattern;
  readonly method: SparsityMethod;
  /** Second moments of what each weight sums over by its name, one a group; wanda and sparsegpt need them. */
  readonly inputs?: ReadonlyMap<string, readonly InputStatistics[]>;
  /** Weights with fewer elements stay dense. Default 1024. */
  readonly minElements?: number;
}

export interface SparseWeight {
  readonly name: string;
  readonly zeros: number;
  readonly elements: number;
}

/** Sets weights of the graph's products and convolutions to 0, in place of the initializers. Tables and what makes an output stay dense. */
export function sparsifyWeights(graph: Graph, options: SparsityOptions): SparseWeight[] {
  const report: SparseWeight[] = [];
  for (const name of sparsifiable(graph, options)) {
    const weight = matricesOf(graph, name) as WeightMatrices; // those that have none are none of these
    const inputs = options.inputs?.get(name);
    const dense = options.method === 'magnitude' ? [joined(weight.matrices)] : weight.matrices;
    const sparse = dense.map((matrix, g) => sparsify(matrix, options, inputs?.[g]));
    graph.initializers.set(name, weight.weight(sparse));
    report.push({
      name,
      zeros: sparse.reduce((n, { data }) => n + data.reduce((m, w) => m + (w === 0 ? 1 : 0), 0), 0),
      elements: dense.reduce((n, { data }) => n + data.length, 0),
    });
  }
  return report;
}

/** The weights that can become sparse by `pattern`: kernels with other than a multiple of M channels stay dense. */
export function sparsifiable(
  graph: Graph,
  { pattern, minElements = 1024 }: Pick<SparsityOptions, 'pattern' | 'minElements'>,
): string[] {
  return [...graph.initializers].flatMap(([name, { dims }]) => {
    const weight = sizeOf(dims) < minElements ? undefined : matricesOf(graph, name);
    const whole = !('of' in pattern) || dims.length === 2 || (weight?.run ?? 0) % pattern.of === 0;
    return weight && whole ? [name] : [];
  });
}

/** The rows of all under one another. */
const joined = (matrices: readonly Matrix[]): Matrix => {
  const [{ rows, columns }] = matrices as [Matrix];
  const data = new Float32Array(matrices.length * rows * columns);
  matrices.forEach((matrix, g) => void data.set(matrix.data, g * rows * columns));
  return { rows: matrices.length * rows, columns, data };
};

/** One matrix [rows, columns] that sums over columns. */
export function sparsify(
  matrix: Matrix,
  { pattern, method }: Pick<SparsityOptions, 'pattern' | 'method'>,
  inputs?: InputStatistics,
): Matrix {
  checkPattern(matrix, pattern);
  if (method !== 'magnitude')
    assert(inputs, `sparsity method ${method} needs calibration data: give texts to run the model on`);
  if (method === 'sparsegpt') return swept(matrix, pattern, inputs as InputStatistics);
  const norms = inputs && method === 'wanda' ? norm(inputs) : undefined;
  const scores = Float64Array.from(
    matrix.data,
    (w, i) => Math.abs(w) * (norms ? (norms[i % matrix.columns] as number) : 1),
  );
  const gone = chosen(scores, matrix.rows, matrix.columns, pattern, method === 'wanda');
  return { ...matrix, data: matrix.data.map((w, i) => (gone[i] ? 0 : w)) };
}

function checkPattern({ columns }: Matrix, pattern: SparsityPattern): void {
  if ('share' in pattern) {
    assert(pattern.share > 0 && pattern.share < 1, `share of zeros ${pattern.share} is not between 0 and 1`);
    return;
  }
  const { keep, of } = pattern;
  assert(
    Number.isInteger(keep) && Number.isInteger(of) && keep > 0 && keep < of,
    `pattern ${keep}:${of} must keep at least one and less than all of ${of}`,
  );
  if (columns % of !== 0)
    throw new GaslawError(
      `pattern ${keep}:${of} needs rows of a multiple of ${of}; a weight has ${columns} columns`,
    );
}

/** √E[x²] of each column. */
const norm = ({ columns, gram }: InputStatistics): Float64Array =>
  Float64Array.from({ length: columns }, (_, i) => Math.sqrt(gram[i * columns + i] as number));

/** Which elements go: the lowest scores of the whole, of each row, or of each run of M. */
function chosen(
  scores: Float64Array,
  rows: number,
  columns: number,
  pattern: SparsityPattern,
  byRow: boolean,
): Uint8Array {
  const gone = new Uint8Array(scores.length);
  const [length, count] =
    'of' in pattern
      ? [pattern.of, pattern.of - pattern.keep]
      : byRow
        ? [columns, Math.round(pattern.share * columns)]
        : [rows * columns, Math.round(pattern.share * rows * columns)];
  for (let start = 0; start < scores.length; start += length) {
    const order = Uint32Array.from({ length }, (_, i) => start + i).sort(
      (a, b) => (scores[a] as number) - (scores[b] as number) || a - b,
    );
    for (let i = 0; i < count; i++) gone[order[i] as number] = 1;
  }
  return gone;
}

const LAZY_COLUMNS = 128;

/** SparseGPT: columns left to right; what a zero takes away is made up for by the columns after it. */
function swept(matrix: Matrix, pattern: SparsityPattern, inputs: InputStatistics): Matrix {
  const { rows, columns } = matrix;
  const factor = inverseFactor(inputs);
  const w = Float64Array.from(matrix.data);
  const step = 'of' in pattern ? pattern.of : LAZY_COLUMNS;
  for (let start = 0; start < columns; start += step) {
    const end = Math.min(columns, start + step);
    const gone = chosenBlock(w, rows, columns, start, end, factor, pattern);
    for (let row = 0; row < rows; row++) {
      for (let j = start; j < end; j++)
        if (gone[row * (end - start) + j - start]) compensate(w, row, j, columns, factor);
    }
  }
  return { ...matrix, data: Float32Array.from(w) };
}

function chosenBlock(
  w: Float64Array,
  rows: number,
  columns: number,
  start: number,
  end: number,
  factor: Float64Array,
  pattern: SparsityPattern,
): Uint8Array {
  const width = end - start;
  const scores = new Float64Array(rows * width);
  for (let row = 0; row < rows; row++) {
    for (let j = start; j < end; j++) {
      const ratio = (w[row * columns + j] as number) / (factor[j * columns + j] as number);
      scores[row * width + j - start] = ratio * ratio;
    }
  }
  return chosen(scores, rows, width, pattern, false);
}

/** Sets w_j of a row to 0 and moves the row along column j of the inverse factor. */
function compensate(w: Float64Array, row: number, j: number, columns: number, factor: Float64Array): void {
  const delta = (w[row * columns + j] as number) / (factor[j * columns + j] as number);
  for (let k = j + 1; k < columns; k++) {
    w[row * columns + k] = (w[row * columns + k] as number) - delta * (factor[j * columns + k] as number);
  }
  w[row * columns + j] = 0;
}

/** √(tr Δ H Δᵀ / tr W H Wᵀ), with H the identity where there are no statistics. */
export function outputError(matrix: Matrix, sparse: Matrix, inputs?: InputStatistics): number {
  const difference = matrix.data.map((w, i) => w - (sparse.data[i] as number));
  const before = energy(matrix, matrix.data, inputs);
  return before === 0 ? 0 : Math.sqrt(energy(matrix, difference, inputs) / before);
}

function energy({ rows, columns }: Matrix, w: Float32Array, inputs?: InputStatistics): number {
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < columns; i++) {
      const wi = w[row * columns + i] as number;
      if (wi === 0) continue;
      if (!inputs) sum += wi * wi;
      else
        for (let j = 0; j < columns; j++)
          sum += wi * (inputs.gram[i * columns + j] as number) * (w[row * columns + j] as number);
    }
  }
  return Math.max(0, sum);
}
