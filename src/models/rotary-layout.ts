/**
 * The two layouts of rotated heads. Hugging Face's files rotate dimension i with i + D/2 (halves); llama2.c's and GGUF's
 * `llama` files rotate 2i with 2i + 1 (adjacent pairs). Reordering the rows of the matrices that make queries and keys
 * turns one into the other; scores, being sums over a head's dimensions, stay the same.
 */
import { assert } from '../util/errors.ts';

/**
 * Rows of a query or key matrix [heads · D, columns] (or of its bias, `columns` 1) from adjacent pairs to halves.
 * @returns a new array
 */
export const pairsToHalves = (data: Float32Array, heads: number, columns: number): Float32Array =>
  reordered(data, heads, columns, (i, half) => (i < half ? 2 * i : 2 * (i - half) + 1));

/** Which row of its head, D rows high, a row in adjacent pairs is in halves. */
export const rowInHalves = (row: number, width: number): number =>
  row % 2 === 0 ? row / 2 : (width + row - 1) / 2;

/** The way back, for files that want adjacent pairs. */
export const halvesToPairs = (data: Float32Array, heads: number, columns: number): Float32Array =>
  reordered(data, heads, columns, (i, half) => rowInHalves(i, 2 * half));

/** Row i of each head is taken from row `from(i, D/2)` of it. */
function reordered(
  data: Float32Array,
  heads: number,
  columns: number,
  from: (i: number, half: number) => number,
): Float32Array {
  const width = data.length / (heads * columns);
  assert(
    width % 2 === 0,
    `a matrix of ${data.length} elements does not divide into ${heads} heads of even width over ${columns} columns`,
  );
  const out = new Float32Array(data.length);
  for (let row = 0; row < heads * width; row++) {
    const head = row - (row % width);
    const source = head + from(row % width, width / 2);
    out.set(data.subarray(source * columns, (source + 1) * columns), row * columns);
  }
  return out;
}
