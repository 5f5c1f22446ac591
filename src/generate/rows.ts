/**
 * The rows of a cache that requests are decoded in, and the lanes bound to them.
 *
 * 1. Rows have as many positions as the longest one needs and grow by half as much again, so that a model with a context of
 *    131,072 positions does not take gigabytes for a short answer. Growing copies what is there and binds anew.
 * 2. Batch sizes are rounded up to a few sizes, each bound once.
 * 3. A module that predicts one token further has rows of its own beside these, which grow and are copied with them.
 */
import { byteLength } from '../graph/dtype.ts';
import type { Tensor } from '../graph/ir.ts';
import type { CausalModel } from '../models/model.ts';
import { copyRow, type Decoder, type Lane } from './decoder.ts';
import type { Distributions } from './distributions.ts';

/** Positions of a row at the start. */
const FIRST_POSITIONS = 256;

/** Some first positions of one row, kept apart. */
export interface KeptRow {
  readonly cache: readonly Tensor[];
  readonly length: number;
  readonly bytes: number;
  /** The same of the module's row. */
  readonly ahead?: KeptRow;
}

export class Rows implements Disposable {
  readonly #decoder: Decoder;
  readonly #slots: number;
  readonly #capacity: number;
  readonly #lanes = new Map<string, Lane>();
  readonly #distributions = new Map<number, Distributions>();
  #cache: Tensor[];
  #positions: number;
  /** Those of the module that predicts one token further. */
  readonly ahead: Rows | undefined;

  constructor(decoder: Decoder, slots: number, capacity: number) {
    this.#decoder = decoder;
    this.#slots = slots;
    this.#capacity = capacity;
    this.#positions = Math.min(capacity, FIRST_POSITIONS);
    this.#cache = decoder.allocateCache(slots, this.#positions);
    this.ahead = decoder.ahead && new Rows(decoder.ahead, slots, capacity);
  }

  /** Positions that rows have now. */
  get positions(): number {
    return this.#positions;
  }

  /** Makes room for `needed` positions a row; the first `rows` rows keep what they hold. */
  reserve(needed: number, rows: number): void {
    this.ahead?.reserve(needed, rows);
    if (needed <= this.#positions) return;
    const positions = Math.min(this.#capacity, Math.max(needed, Math.ceil((this.#positions * 3) / 2)));
    const grown = this.#decoder.allocateCache(this.#slots, positions);
    for (let row = 0; row < rows; row++) copyRow(this.#cache, row, grown, row, this.#positions);
    this.#dropOwnLanes();
    this.#cache = grown;
    this.#positions = positions;
  }

  copy(from: number, to: number, length: number): void {
    copyRow(this.#cache, from, this.#cache, to, length);
    this.ahead?.copy(from, to, length);
  }

  /** A copy of the first positions of a row, and of those `held` by the module. */
  keep(row: number, length: number, held = 0): KeptRow {
    const cache = this.#decoder.allocateCache(1, length);
    copyRow(this.#cache, row, cache, 0, length);
    const ahead = this.ahead?.keep(row, held);
    return { cache, length, bytes: bytesOf(cache) + (ahead?.bytes ?? 0), ahead };
  }

  /** Puts the first `length` positions of a kept row into a row. */
  restore({ cache, ahead }: KeptRow, row: number, length: number): void {
    copyRow(cache, 0, this.#cache, row, length);
    if (ahead) this.ahead?.restore(ahead, row, length);
  }

  /** The smallest bound batch that decodes the first `count` rows; its logits are those of `distributionsFor(count)`. */
  step(count: number): Lane {
    const { rows, logits } = this.distributionsFor(count);
    return this.#lane(`step ${rows}`, () => this.#decoder.lane(this.#cache, { rows, length: 1 }, logits));
  }

  /** One row's next `length` positions with logits for each; they are those of `exactly(length)`. */
  check(length: number): Lane {
    const { logits } = this.exactly(length);
    return this.#lane(`check ${length}`, () =>
      this.#decoder.lane(this.#cache, { rows: 1, length, everyPosition: true }, logits),
    );
  }

  /** The next `length` positions of the first `count` rows with logits for each; they are those of `exactly(rows · length)`. */
  several(count: number, length: number): Lane {
    const { rows } = this.distributionsFor(count);
    const { logits } = this.exactly(rows * length);
    return this.#lane(`several ${rows} ${length}`, () =>
      this.#decoder.lane(this.#cache, { rows, length, everyPosition: true }, logits),
    );
  }

  /** One row's next `length` positions with logits for the last; they are those of `exactly(1)`. */
  further(row: number, length: number): Lane {
    const { logits } = this.exactly(1);
    return this.#lane(`further ${row} ${length}`, () =>
      this.#decoder.lane(this.#cache, { rows: 1, length, firstRow: row }, logits),
    );
  }

  /** Rows from `firstRow` on for `length` prompt positions each; dispose it. */
  prompt(firstRow: number, rows: number, length: number, logits: Float32Array): Lane {
    return this.#decoder.lane(this.#cache, { rows, length, firstRow }, logits);
  }

  distributionsFor(count: number): Distributions {
    return this.exactly(Math.min(this.#slots, roundUp(count)));
  }

  exactly(rows: number): Distributions {
    const known = this.#distributions.get(rows);
    if (known) return known;
    const distributions = this.#decoder.distributions(rows);
    this.#distributions.set(rows, distributions);
    return distributions;
  }

  #lane(key: string, make: () => Lane): Lane {
    const lane = this.#lanes.get(key) ?? make();
    this.#lanes.set(key, lane);
    return lane;
  }

  dropLanes(): void {
    this.ahead?.dropLanes();
    this.#dropOwnLanes();
  }

  #dropOwnLanes(): void {
    for (const lane of this.#lanes.values()) lane[Symbol.dispose]();
    this.#lanes.clear();
  }

  [Symbol.dispose](): void {
    this.ahead?.[Symbol.dispose]();
    this.#dropOwnLanes();
    for (const bound of this.#distributions.values()) bound[Symbol.dispose]();
    this.#distributions.clear();
  }
}

const bytesOf = (cache: readonly Tensor[]): number =>
  [...new Set(cache)].reduce((sum, { data }) => sum + (data as Float32Array).byteLength, 0);

/** Bytes that one position of one row takes, the module's included. */
export const positionBytes = (decoder: Decoder): number => keptBytes(decoder, 1, 1);

/** Bytes of a kept row. */
export const keptBytes = ({ model, ahead }: Decoder, length: number, held: number): number =>
  length * bytesPerPosition(model) + (ahead ? held * bytesPerPosition(ahead.model) : 0);

const bytesPerPosition = ({ cacheSlots }: CausalModel): number =>
  cacheSlots
    .filter(({ sameAs }) => sameAs === undefined)
    .reduce((sum, { dtype, heads, width }) => sum + byteLength(dtype, heads * width), 0);

/** 1, 2, 4, 8, then multiples of an eighth of the next power of two: at most 8 sizes a doubling. */
function roundUp(count: number): number {
  if (count <= 8) return 2 ** Math.ceil(Math.log2(count));
  const step = 2 ** Math.max(0, Math.ceil(Math.log2(count)) - 3);
  return Math.ceil(count / step) * step;
}
