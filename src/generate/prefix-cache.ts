/**
 * Beginnings that were read before: keys and values of finished rows, taken over by requests that start with the same ids.
 *
 * 1. The longest common beginning counts, whatever the request was: a system prompt, the turns of a talk so far.
 * 2. Rows are copied, so entries never change; the least recently used ones go when the limit is reached.
 * 3. Valid as long as the weights stay: an engine over weights that change has none.
 */
import type { KeptRow } from './rows.ts';

interface Entry {
  readonly ids: readonly number[];
  readonly kept: KeptRow;
}

export interface PrefixHit {
  readonly kept: KeptRow;
  readonly length: number;
}

export class PrefixCache {
  readonly #limitBytes: number;
  /** Least recently used first. */
  #entries: Entry[] = [];
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get enabled(): boolean {
    return this.#limitBytes > 0;
  }

  /** The entry with the longest common beginning with `prompt`, of `least` ids or more; its use is noted. */
  find(prompt: readonly number[], least: number): PrefixHit | undefined {
    const best = longest(this.#entries, ({ ids }) => commonLength(ids, prompt));
    if (!best || best.length < least) return undefined;
    this.#entries = [...this.#entries.filter(entry => entry !== best.item), best.item];
    return { kept: best.item.kept, length: best.length };
  }

  /** Keeps a row that holds `ids`, unless a longer one does already; `make` copies it. */
  add(ids: readonly number[], bytes: number, make: () => KeptRow): void {
    if (bytes > this.#limitBytes) return;
    if (this.#entries.some(entry => commonLength(entry.ids, ids) === ids.length)) return;
    // what is a beginning of the new entry is of no more use
    this.#remove(this.#entries.filter(entry => commonLength(entry.ids, ids) === entry.ids.length));
    while (this.#bytes + bytes > this.#limitBytes) this.#remove(this.#entries.slice(0, 1));
    this.#entries.push({ ids, kept: make() });
    this.#bytes += bytes;
  }

  clear(): void {
    this.#entries = [];
    this.#bytes = 0;
  }

  #remove(entries: readonly Entry[]): void {
    this.#entries = this.#entries.filter(entry => !entries.includes(entry));
    for (const { kept } of entries) this.#bytes -= kept.bytes;
  }
}

/** How many ids two lists begin with in common. */
export function commonLength(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  let n = 0;
  while (n < most && a[n] === b[n]) n++;
  return n;
}

/** The item of greatest positive length. */
export function longest<T>(
  items: Iterable<T>,
  lengthOf: (item: T) => number,
): { item: T; length: number } | undefined {
  let best: { item: T; length: number } | undefined;
  for (const item of items) {
    const length = lengthOf(item);
    if (length > (best?.length ?? 0)) best = { item, length };
  }
  return best;
}
