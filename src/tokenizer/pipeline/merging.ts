/**
 * Merging neighbours by rank: the heart of BPE, in O(n log n) for n symbols.
 *
 * 1. Symbols form a linked list; a binary heap holds the merges that are possible, lowest rank first, leftmost of equal
 *    ranks. An entry whose pair has changed meanwhile is dropped when it comes up, unless the pair there makes the same token.
 * 2. A heap entry is one double, rank · 2³² + position.
 */
import { PairTable } from './pair-table.ts';

const POSITIONS = 2 ** 32;

/** Which pairs of tokens merge, at which rank, and what they make. */
export class MergeTable {
  readonly #merges: PairTable;
  readonly #ranks: number[] = [];
  readonly #made: number[] = [];
  /** One of the tokens made at a rank; the only one where ranks are distinct. */
  readonly #madeAt: number[] = [];

  constructor(expected: number) {
    this.#merges = new PairTable(expected);
  }

  /** Merges of one rank go leftmost first. */
  add(left: number, right: number, rank: number, made: number): void {
    this.#merges.set(left, right, this.#ranks.length);
    this.#ranks.push(rank);
    this.#made.push(made);
    this.#madeAt[rank] = made;
  }

  /** The merge of a pair, −1 when it does not merge. */
  find(left: number, right: number): number {
    return this.#merges.get(left, right);
  }

  rank(merge: number): number {
    return this.#ranks[merge]!;
  }

  made(merge: number): number {
    return this.#made[merge]!;
  }

  /** Whether a merge may take the place of one that was found at `rank`: it has that rank, or makes the same token. */
  stands(merge: number, rank: number): boolean {
    return this.#ranks[merge] === rank || this.#made[merge] === this.#madeAt[rank];
  }
}

/** Scratch space for merging, reused from word to word. */
export class Merger {
  readonly #table: MergeTable;
  #ids = new Int32Array(64);
  #next = new Int32Array(64);
  #previous = new Int32Array(64);
  readonly #heap = new NumberHeap();

  constructor(table: MergeTable) {
    this.#table = table;
  }

  /** Merges `symbols` as far as they go and appends what is left to `ids`. */
  merge(symbols: readonly number[], ids: number[]): void {
    this.#load(symbols);
    for (let i = 0; i + 1 < symbols.length; i++) this.#offer(i);
    for (let entry = this.#heap.pop(); entry >= 0; entry = this.#heap.pop()) this.#apply(entry);
    for (let i = symbols.length > 0 ? 0 : -1; i >= 0; i = this.#next[i]!) ids.push(this.#ids[i]!);
  }

  #load(symbols: readonly number[]): void {
    if (symbols.length > this.#ids.length) {
      this.#ids = new Int32Array(symbols.length * 2);
      this.#next = new Int32Array(symbols.length * 2);
      this.#previous = new Int32Array(symbols.length * 2);
    }
    for (let i = 0; i < symbols.length; i++) {
      this.#ids[i] = symbols[i]!;
      this.#next[i] = i + 1;
      this.#previous[i] = i - 1;
    }
    if (symbols.length > 0) this.#next[symbols.length - 1] = -1;
  }

  /** Puts the merge of the symbol at `i` with the next one on the heap, if there is such a merge. */
  #offer(i: number): void {
    const merge = this.#table.find(this.#ids[i]!, this.#ids[this.#next[i]!]!);
    if (merge >= 0) this.#heap.push(this.#table.rank(merge) * POSITIONS + i);
  }

  #apply(entry: number): void {
    const rank = Math.floor(entry / POSITIONS);
    const at = entry % POSITIONS;
    const right = this.#next[at]!;
    if (this.#ids[at]! < 0 || right < 0) return;
    const merge = this.#table.find(this.#ids[at]!, this.#ids[right]!);
    if (merge < 0 || !this.#table.stands(merge, rank)) return;
    this.#ids[at] = this.#table.made(merge);
    this.#ids[right] = -1;
    const after = this.#next[right]!;
    this.#next[at] = after;
    if (after >= 0) this.#previous[after] = at;
    if (this.#previous[at]! >= 0) this.#offer(this.#previous[at]!);
    if (after >= 0) this.#offer(at);
  }
}

/** A binary heap of numbers ≥ 0, smallest first. */
class NumberHeap {
  #items = new Float64Array(64);
  #size = 0;

  push(item: number): void {
    if (this.#size === this.#items.length) {
      const larger = new Float64Array(this.#size * 2);
      larger.set(this.#items);
      this.#items = larger;
    }
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#items[parent]! <= item) break;
      this.#items[at] = this.#items[parent]!;
      at = parent;
    }
    this.#items[at] = item;
  }

  /** −1 when it is empty. */
  pop(): number {
    if (this.#size === 0) return -1;
    const top = this.#items[0]!;
    const last = this.#items[--this.#size]!;
    let at = 0;
    for (let child = 1; child < this.#size; child = 2 * at + 1) {
      if (child + 1 < this.#size && this.#items[child + 1]! < this.#items[child]!) child++;
      if (this.#items[child]! >= last) break;
      this.#items[at] = this.#items[child]!;
      at = child;
    }
    this.#items[at] = last;
    return top;
  }
}
