/** Prefix tree over UTF-16 code units: which of many texts begin at a place. */
import { PairTable } from './pair-table.ts';

export class Trie {
  /** (node, code unit) → child; node 0 is the root. */
  readonly #children = new PairTable();
  /** Value by node, −1 where no text ends. */
  readonly #values: number[] = [-1];

  /** Adds a text with a value ≥ 0; a text that is there already gets the new value. */
  add(text: string, value: number): void {
    let node = 0;
    for (let i = 0; i < text.length; i++) node = this.#child(node, text.charCodeAt(i));
    this.#values[node] = value;
  }

  /** Calls `found(end, value)` for every text that begins at `from`, shortest first. */
  prefixes(text: string, from: number, found: (end: number, value: number) => void): void {
    let node = 0;
    for (let i = from; i < text.length; i++) {
      node = this.#children.get(node, text.charCodeAt(i));
      if (node < 0) return;
      const value = this.#values[node]!;
      if (value >= 0) found(i + 1, value);
    }
  }

  #child(node: number, unit: number): number {
    const known = this.#children.get(node, unit);
    if (known >= 0) return known;
    this.#children.set(node, unit, this.#values.length);
    return this.#values.push(-1) - 1;
  }
}

/** One stretch of text: ordinary, or the text with index `match`. */
export interface Match {
  readonly start: number;
  readonly end: number;
  readonly value: number;
}

/** Finds texts in longer text: leftmost first, and the longest of those that start there. */
export class TextMatcher {
  readonly #trie = new Trie();
  /** Jumps to the next place where a text could begin. */
  readonly #first: RegExp | undefined;

  /** `texts[i]` is told as value `i`; empty ones never match. */
  constructor(texts: readonly string[]) {
    const units = new Set<number>();
    texts.forEach((text, i) => {
      if (text === '') return;
      this.#trie.add(text, i);
      units.add(text.charCodeAt(0));
    });
    const spelled = (unit: number) => `\\u${unit.toString(16).padStart(4, '0')}`;
    this.#first = units.size === 0 ? undefined : new RegExp(`[${[...units].map(spelled).join('')}]`, 'g');
  }

  /** The matches in order; each begins where the one before it ended, or later. */
  *find(text: string): Generator<Match> {
    const first = this.#first;
    if (first === undefined) return;
    let at = 0;
    for (;;) {
      first.lastIndex = at;
      const candidate = first.exec(text);
      if (candidate === null) return;
      const match = this.#longest(text, candidate.index);
      if (match) yield match;
      at = match ? match.end : candidate.index + 1;
    }
  }

  #longest(text: string, start: number): Match | undefined {
    let match: Match | undefined;
    this.#trie.prefixes(text, start, (end, value) => {
      match = { start, end, value };
    });
    return match;
  }
}
