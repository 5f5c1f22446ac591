/**
 * A hash table from pairs of whole numbers below 2³¹ to one such number, in typed arrays: half a million BPE merges take
 * 12 MB and a look-up makes no object.
 *
 * 1. Open addressing with linear probing, at most half full.
 */
const EMPTY = -1;

export class PairTable {
  #left: Int32Array;
  #right: Int32Array;
  #value: Int32Array;
  #mask: number;
  #size = 0;

  constructor(expected = 8) {
    let capacity = 16;
    while (capacity < expected * 2) capacity *= 2;
    this.#left = new Int32Array(capacity).fill(EMPTY);
    this.#right = new Int32Array(capacity);
    this.#value = new Int32Array(capacity);
    this.#mask = capacity - 1;
  }

  get size(): number {
    return this.#size;
  }

  /** The pair's value, −1 where there is none. */
  get(left: number, right: number): number {
    const at = this.#find(left, right);
    return this.#left[at] === EMPTY ? EMPTY : this.#value[at]!;
  }

  set(left: number, right: number, value: number): void {
    const at = this.#find(left, right);
    const isNew = this.#left[at] === EMPTY;
    this.#left[at] = left;
    this.#right[at] = right;
    this.#value[at] = value;
    if (isNew && ++this.#size * 2 > this.#mask) this.#grow();
  }

  #find(left: number, right: number): number {
    const hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    let at = (hash ^ (hash >>> 15)) & this.#mask;
    while (this.#left[at] !== EMPTY && (this.#left[at] !== left || this.#right[at] !== right))
      at = (at + 1) & this.#mask;
    return at;
  }

  #grow(): void {
    const [left, right, value] = [this.#left, this.#right, this.#value];
    const capacity = left.length * 2;
    this.#left = new Int32Array(capacity).fill(EMPTY);
    this.#right = new Int32Array(capacity);
    this.#value = new Int32Array(capacity);
    this.#mask = capacity - 1;
    this.#size = 0;
    for (let i = 0; i < left.length; i++) if (left[i] !== EMPTY) this.set(left[i]!, right[i]!, value[i]!);
  }
}
