/**
 * Windows over one long text: random ones to train on, consecutive ones to measure with.
 *
 * 1. The validation part is the end of the text (as in nanoGPT), never seen by training windows.
 * 2. Training windows start anywhere, uniformly; window k is a pure function of (seed, k).
 * 3. Validation windows follow one another and cover every prediction once, so that bits per byte are exact.
 */
import { GaslawError } from '../util/errors.ts';
import { type Batch, BatchBuilder, type Shape } from './batch.ts';
import { generated, type Source } from './stream.ts';

/** The first part and the last `validationShare` of the ids; both are views. */
export function splitText(
  ids: Int32Array,
  validationShare = 0.1,
): { readonly train: Int32Array; readonly validation: Int32Array } {
  const cut = Math.floor(ids.length * (1 - validationShare));
  return { train: ids.subarray(0, cut), validation: ids.subarray(cut) };
}

/** Batches of random windows of `length` predictions. */
export function randomWindows(ids: Int32Array, shape: Shape, seed: number): Source<Batch> {
  const starts = ids.length - shape.length;
  if (starts < 1)
    throw new GaslawError(
      `data: the text has ${ids.length} tokens, fewer than one window of ${shape.length + 1}; use a longer text or a shorter context`,
    );
  return generated(seed, random => {
    const builder = new BatchBuilder(shape);
    for (let row = 0; row < shape.rows; row++)
      builder.place(row, { document: { ids }, start: random.int(starts), count: shape.length });
    return builder.finish();
  });
}

/**
 * Batches of at most `rows` windows that cover every prediction of the texts once, none of which sees another. The longest come
 * first, and a batch is as long as its longest: short texts are not filled up to `length`.
 */
export function windowsOfTexts(texts: readonly Int32Array[], { rows, length }: Shape): Batch[] {
  const windows = texts
    .flatMap(ids =>
      Array.from({ length: Math.ceil(Math.max(0, ids.length - 1) / length) }, (_, i) => {
        const start = i * length;
        return { document: { ids }, start, count: Math.min(length, ids.length - 1 - start) };
      }),
    )
    .sort((a, b) => b.count - a.count);
  return Array.from({ length: Math.ceil(windows.length / rows) }, (_, b) => {
    const own = windows.slice(b * rows, (b + 1) * rows);
    const builder = new BatchBuilder({ rows: own.length, length: own[0].count });
    own.forEach((window, row) => void builder.place(row, window));
    return builder.finish();
  });
}
