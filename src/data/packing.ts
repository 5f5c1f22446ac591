/**
 * Documents into rows [B, T], many to a row.
 *
 * 1. First fit: each document goes into the first row with room. Documents that find none wait, and are placed
 *    first in the next batch, so none starves and none is lost.
 * 2. A document longer than a row is cut into chunks that overlap in one token: every prediction is kept, exactly once.
 * 3. A packed loader's state is the next document's index and the places still waiting: a few numbers. The
 *    documents themselves come back from the source.
 */
import { GaslawError } from '../util/errors.ts';
import { type Batch, BatchBuilder, type Shape, type Span } from './batch.ts';
import { checkDocument, type TokenDocument } from './document.ts';
import type { Source } from './stream.ts';

/** The spans of at most `length` predictions that cover a document; none for fewer than two tokens. */
export function spansOf(document: TokenDocument, length: number): Span[] {
  checkDocument(document);
  const predictions = Math.max(0, document.ids.length - 1);
  const chunks = Math.ceil(predictions / length);
  return Array.from({ length: chunks }, (_, c) => ({
    document,
    start: c * length,
    count: Math.min(length, predictions - c * length),
  }));
}

/** Packs all `documents` by first fit into as many batches as they need. */
export function packAll(documents: readonly TokenDocument[], shape: Shape): Batch[] {
  const batches: Batch[] = [];
  for (let left = documents.flatMap(document => spansOf(document, shape.length)); left.length > 0; ) {
    const builder = new BatchBuilder(shape);
    left = left.filter(span => !placed(builder, span));
    batches.push(builder.finish());
  }
  return batches;
}

function placed(builder: BatchBuilder, span: Span): boolean {
  const row = builder.firstFit(span.count);
  if (row >= 0) builder.place(row, span);
  return row >= 0;
}

export interface PackedState {
  /** Index of the next document to read. */
  readonly next: number;
  /** Chunks read but not placed yet: document index, chunk index, in turn. */
  readonly waiting: readonly number[];
}

interface Chunk {
  readonly index: number;
  readonly chunk: number;
  readonly span: Span;
}

/** An endless stream of packed batches over a source of documents. */
export class PackedLoader {
  readonly #source: Source<TokenDocument>;
  readonly #shape: Shape;
  readonly #buffer: number;
  #next: number;
  #waiting: Chunk[];

  /** `buffer`: how many chunks may wait for room before a batch is closed; more of them fill rows better. */
  constructor(source: Source<TokenDocument>, shape: Shape, state?: PackedState, buffer = 32) {
    this.#source = source;
    this.#shape = shape;
    this.#buffer = buffer;
    this.#next = state?.next ?? 0;
    this.#waiting = this.#restore(state?.waiting ?? []);
  }

  next(): Batch {
    const builder = new BatchBuilder(this.#shape);
    this.#waiting = this.#waiting.filter(chunk => !placed(builder, chunk.span));
    for (let empty = 0; this.#waiting.length <= this.#buffer; ) {
      const chunks = this.#read(this.#next++);
      empty = chunks.length === 0 ? empty + 1 : 0;
      if (empty > 10_000) throw new GaslawError('data: 10000 documents in a row have fewer than two tokens');
      this.#waiting.push(...chunks.filter(chunk => !placed(builder, chunk.span)));
    }
    return builder.finish();
  }

  state(): PackedState {
    return { next: this.#next, waiting: this.#waiting.flatMap(({ index, chunk }) => [index, chunk]) };
  }

  #read(index: number): Chunk[] {
    const spans = spansOf(this.#source(index), this.#shape.length);
    return spans.map((span, chunk) => ({ index, chunk, span }));
  }

  #restore(waiting: readonly number[]): Chunk[] {
    const pairs = waiting.length / 2;
    return Array.from({ length: pairs }, (_, i) => this.#read(waiting[2 * i]!)[waiting[2 * i + 1]!]!);
  }
}
