/**
 * One document a row, longest together: batches whose padding is small and whose shapes repeat.
 */
import { type Batch, BatchBuilder } from './batch.ts';
import type { TokenDocument } from './document.ts';

export interface ByLengthOptions {
  /** Most places (rows × length) of a batch. */
  readonly maxPlaces: number;
  /** Row lengths are rounded up to a multiple of this. */
  readonly lengthMultiple?: number;
  /** Row counts are rounded up to a multiple of this; the added rows are empty. */
  readonly rowMultiple?: number;
  readonly pad?: number;
}

const roundUp = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple;

/** Batches of documents sorted by length (stable), each filled up to `maxPlaces`. */
export function batchesByLength(documents: readonly TokenDocument[], options: ByLengthOptions): Batch[] {
  const { maxPlaces, lengthMultiple = 8, rowMultiple = 8, pad } = options;
  const places = (d: TokenDocument) => roundUp(Math.max(1, d.ids.length - 1), lengthMultiple);
  const sorted = [...documents].sort((a, b) => b.ids.length - a.ids.length);
  const batches: Batch[] = [];
  for (let start = 0; start < sorted.length; ) {
    const length = places(sorted[start] as TokenDocument);
    const most = Math.max(1, Math.floor(maxPlaces / length));
    const members = sorted.slice(start, start + most);
    const rows = Math.min(most, roundUp(members.length, rowMultiple));
    const builder = new BatchBuilder({ rows: Math.max(rows, members.length), length, pad });
    members.forEach((document, row) => {
      builder.place(row, { document, start: 0, count: Math.max(0, document.ids.length - 1) });
    });
    batches.push(builder.finish());
    start += members.length;
  }
  return batches;
}
