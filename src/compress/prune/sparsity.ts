/**
 * Sparsity: single weights of products become 0; the shapes stay.
 *
 *   magnitude    |w|                        of a matrix, or of each run of M (Han et al. 2015)
 *   wanda        |w| ‖x_j‖                  compared within each output row (Sun et al. 2023, arXiv:2306.11695)
 *   sparsegpt    w² / U_jj²                 and what is left makes up for it (Frantar & Alistarh 2023, arXiv:2301.00774)
 *
 * 1. A pattern is a share of zeros anywhere, or N kept of every M along the summed axis, which hardware can skip (2:4).
 * 2. SparseGPT chooses the zeros of 128 columns at once (its B_s), over all rows, on the values as they are by then.
 */
import { float32, type Graph, opKey, sizeOf, type Tensor } from '../../graph/ir.ts';
import { assert, GaslawError } from '../../util/errors.ts';
import type { Matrix } from '../quantize/blocks.ts';
import { inverseFactor } from '../quantize/methods/hessian.ts';
import type { InputStatistics } from '../quantize/methods/index.ts';
import { matrixOf, placeOf, weightOf } from '../quantize/places.ts';

export const SPARSITY_METHODS = ['magnitude', 'wanda', 'sparsegpt'] as const;
export type SparsityMethod = (typeof SPARSITY_METHODS)[number];

/** A share of zeros in (0, 1), or `keep` of every `of` along the summed axis. */
export type SparsityPattern = { readonly share: number } | { readonly keep: number; readonly of: number };

export interface SparsityOptions {
  readonly pattern: SparsityPattern;
  readonly method: SparsityMethod;
  /** Second moments of each product's input by weight name; wanda and sparsegpt need them. */
  readonly inputs?: ReadonlyMap<string, InputStatistics>;
  /** Weights with fewer elements stay dense. Default 1024. */
  readonly minElements?: number;
  /** Kernels of convolutions too, by magnitude, a share of zeros anywhere. */
  readonly kernels?: boolean;
}

export interface SparseWeight {
  readonly name: string;
  readonly zeros: number;
  readonly elements: number;
  /** ‖(W − Ŵ) x‖ / ‖W x‖ over the calibration data, or of the weights alone without it. */
  readonly relativeError: number;
}

/** Sets weights of the graph's products to 0, in place of the initializers. Tables and output products stay dense. */
export function sparsifyWeights(graph: Graph, options: SparsityOptions): SparseWeight[] {
  const report: SparseWeight[] = [];
  const kernels = new Set(graph.nodes.filter(n => opKey(n) === 'Conv').map(n => n.inputs[1] as string));
  for (const [name, tensor] of [...graph.initializers]) {
    if (tensor.dtype !== 'float32' || sizeOf(tensor.dims) < (options.minElements ?? 1024)) continue;
    if (options.kernels && kernels.has(name)) report.push(sparseKernel(graph, name, tensor, options));
    if (tensor.dims.length !== 2) continue;
    const place = placeOf(graph, name);
    if (place?.role !== 'product') continue;
    const transposed = place.uses[0]?.transposed ?? false;
    const matrix = matrixOf(tensor, transposed);
    const inputs = options.inputs?.get(name);
    const sparse = sparsify(matrix, options, inputs);
    graph.initializers.set(name, weightOf(sparse, transposed));
    const zeros = sparse.data.reduce((n, w) => n + (w === 0 ? 1 : 0), 0);
    report.push({
      name,
      zeros,
      elements: sparse.data.length,
      relativeError: outputError(matrix, sparse, inputs),
    });
  }
  return report;
}

/** A kernel [O, C, …] as a matrix of O rows. */
function sparseKernel(
  graph: Graph,
  name: string,
  { dims, data }: Tensor,
  options: SparsityOptions,
): SparseWeight {
  const [rows] = dims as [number];
  const matrix = { rows, columns: data.length / rows, data: data as Float32Array };
  const sparse = sparsify(matrix, { pattern: options.pattern, method: 'magnitude' });
  graph.initializers.set(name, float32(dims, Float32Array.from(sparse.data)));
  const zeros = sparse.data.reduce((n, w) => n + (w === 0 ? 1 : 0), 0);
  return { name, zeros, elements: data.length, relativeError: outputError(matrix, sparse, undefined) };
}

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
