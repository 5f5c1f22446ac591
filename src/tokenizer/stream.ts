/**
 * Ids one by one to text piece by piece, in constant time a token.
 *
 * 1. What a token adds is what decoding gains by it beside the tokens just before it, whose text the decoder may need (the
 *    bytes of a character, the space that the first word of a text loses).
 * 2. While the text ends inside a character it ends in U+FFFD, and waits. A character that never comes whole shows when the
 *    next whole one does, or at the end.
 */
import type { DecodeOptions, Tokenizer } from './tokenizer.ts';

export class DecodeStream {
  readonly #decode: (ids: readonly number[]) => string;
  /** Ids whose text has been told, as far as the next ones may need them, then those whose text waits. */
  #window: number[] = [];
  #told = 0;

  constructor(tokenizer: Pick<Tokenizer, 'decode'>, options: DecodeOptions = {}) {
    this.#decode = ids => tokenizer.decode(ids, options);
  }

  /** The text that became certain with this id, often ''. */
  push(id: number): string {
    this.#window.push(id);
    const before = this.#decode(this.#window.slice(0, this.#told));
    const now = this.#decode(this.#window);
    if (now.length <= before.length || now.endsWith('\ufffd')) return '';
    this.#window = this.#window.slice(this.#told);
    this.#told = this.#window.length;
    return now.slice(before.length);
  }

  /** What still waited; the stream then begins anew. */
  finish(): string {
    const rest = this.#decode(this.#window).slice(this.#decode(this.#window.slice(0, this.#told)).length);
    this.#window = [];
    this.#told = 0;
    return rest;
  }
}
