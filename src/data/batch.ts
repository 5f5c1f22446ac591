/**
 * A batch of rows [B, T] in typed arrays, as training graphs take them.
 *
 * 1. `targets[i]` is the token after `ids[i]` in the same document, and `weights[i]` its weight in the loss. A document of n tokens
 *    takes n - 1 places: its last token is only a target.
 * 2. Segments number the documents of a row from 1; padding is segment 0. Attention is allowed within a segment
 *    and causally. Positions count from 0 in each segment.
 * 3. Padding has id `pad` (0 unless told), target 0, weight 0, so a mask by weight is enough for the loss.
 */
import type { TokenDocument } from './document.ts';

export interface Batch {
  /** B */
  readonly rows: number;
  /** T */
  readonly length: number;
  readonly ids: Int32Array;
  readonly targets: Int32Array;
  readonly positions: Int32Array;
  readonly segments: Int32Array;
  readonly weights: Float32Array;
  /** Further per-target numbers, by the names the documents gave them; 0 where a document has none. */
  readonly columns: Readonly<Record<string, Float32Array>>;
  /** Places that hold a document's token. */
  readonly tokens: number;
}

export interface Shape {
  readonly rows: number;
  readonly length: number;
  /** Id written in padding. Default 0. */
  readonly pad?: number;
}

/** Places `count` consecutive predictions of a document, from its token `start`. */
export interface Span {
  readonly document: TokenDocument;
  readonly start: number;
  /** Predictions: token start + i predicts start + i + 1 for i < count. */
  readonly count: number;
}

/** Fills rows from left to right. */
export class BatchBuilder {
  readonly #length: number;
  readonly #fill: Int32Array;
  readonly #segment: Int32Array;
  readonly #columns: Record<string, Float32Array> = {};
  readonly #batch: Omit<Batch, 'tokens' | 'columns'>;

  constructor({ rows, length, pad = 0 }: Shape) {
    const size = rows * length;
    this.#length = length;
    this.#fill = new Int32Array(rows);
    this.#segment = new Int32Array(rows);
    this.#batch = {
      rows,
      length,
      ids: new Int32Array(size).fill(pad),
      targets: new Int32Array(size),
      positions: new Int32Array(size),
      segments: new Int32Array(size),
      weights: new Float32Array(size),
    };
  }

  /** The first row with room for `count` places, or -1. */
  firstFit(count: number): number {
    return this.#fill.findIndex(used => used + count <= this.#length);
  }

  /** Appends a span to a row as a segment of its own. */
  place(row: number, { document, start, count }: Span): void {
    const at = row * this.#length + this.#fill[row]!;
    const { ids, targets, positions, segments, weights } = this.#batch;
    const segment = (this.#segment[row] = this.#segment[row]! + 1);
    for (let i = 0; i < count; i++) {
      ids[at + i] = document.ids[start + i]!;
      targets[at + i] = document.ids[start + i + 1]!;
      positions[at + i] = i;
      segments[at + i] = segment;
      weights[at + i] = document.weights?.[start + i + 1] ?? 1;
    }
    this.#placeColumns(at, { document, start, count });
    this.#fill[row] = this.#fill[row]! + count;
  }

  finish(): Batch {
    return { ...this.#batch, columns: this.#columns, tokens: this.#fill.reduce((a, b) => a + b, 0) };
  }

  #placeColumns(at: number, { document, start, count }: Span): void {
    for (const [name, values] of Object.entries(document.columns ?? {})) {
      const column = (this.#columns[name] ??= new Float32Array(this.#batch.ids.length));
      for (let i = 0; i < count; i++) column[at + i] = values[start + i + 1]!;
    }
  }
}
