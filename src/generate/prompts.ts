/**
 * Reading prompts into the rows after the active ones.
 *
 * 1. Short prompts are read side by side; a long one, or one whose beginning is known, by itself in pieces.
 * 2. A beginning is known that an active row holds or a finished one held. With a module that predicts further it has to know
 *    the token after each position too.
 */
import type { Ahead, Following } from './ahead.ts';
import type { Decoder } from './decoder.ts';
import { commonLength, longest, PrefixCache } from './prefix-cache.ts';
import { heldIds, type Job } from './request.ts';
import { keptBytes, type Rows } from './rows.ts';

export interface PromptsFrom {
  readonly decoder: Decoder;
  readonly rows: Rows;
  /** The jobs of the first rows, as they change. */
  readonly active: readonly Job[];
  readonly ahead?: Ahead;
  readonly prefillPiece: number;
  readonly prefixCacheBytes: number;
}

export interface ReadPrompts {
  /** Positions that were taken over. */
  readonly taken: number;
  /** Where the module that predicts further is in each row. */
  readonly followings: readonly Following[];
}

interface Known {
  readonly length: number;
  readonly copyTo: (row: number) => void;
}

export const NOT_FOLLOWED: Following = { held: 0, pending: new Float32Array(0) };

/** A shorter common beginning is read again. */
const LEAST_TAKEN_OVER = 8;

export class Prompts {
  readonly #from: PromptsFrom;
  readonly #prefixes: PrefixCache;

  constructor(from: PromptsFrom) {
    this.#from = from;
    this.#prefixes = new PrefixCache(from.prefixCacheBytes);
  }

  /** Bytes of the beginnings that are kept. */
  get keptBytes(): number {
    return this.#prefixes.bytes;
  }

  forget(): void {
    this.#prefixes.clear();
  }

  isReadAlone(prompt: readonly number[]): boolean {
    return prompt.length > this.#from.prefillPiece || this.#known(prompt) !== undefined;
  }

  /** Reads prompts, a row each after the active ones; `logits` [prompts, V] are those of their last tokens. */
  read(prompts: readonly (readonly number[])[], logits: Float32Array): Promise<ReadPrompts> {
    const [only] = prompts;
    return prompts.length === 1 && only ? this.#readAlone(only, logits) : this.#readTogether(prompts, logits);
  }

  /** Reads short prompts side by side, padded on the right. */
  async #readTogether(prompts: readonly (readonly number[])[], logits: Float32Array): Promise<ReadPrompts> {
    const length = Math.max(...prompts.map(p => p.length));
    const row = this.#from.active.length;
    using lane = this.#from.rows.prompt(row, prompts.length, length, logits);
    prompts.forEach((prompt, r) => {
      lane.ids.set(prompt, r * length);
      lane.lastPosition[r] = prompt.length - 1;
    });
    await lane.run();
    const followings = await this.#from.ahead?.readTogether(row, prompts, lane);
    return { taken: 0, followings: followings ?? prompts.map(() => NOT_FOLLOWED) };
  }

  /** Takes over what is known of a prompt and reads the rest in pieces. Returns how much was known. */
  async #readAlone(prompt: readonly number[], logits: Float32Array): Promise<ReadPrompts> {
    const row = this.#from.active.length;
    const known = this.#known(prompt);
    known?.copyTo(row);
    let following: Following = { ...NOT_FOLLOWED, held: known?.length ?? 0 };
    for (let at = known?.length ?? 0; at < prompt.length; ) {
      const piece = prompt.slice(at, at + this.#from.prefillPiece);
      at += piece.length;
      using lane = this.#from.rows.prompt(row, 1, piece.length, logits);
      lane.ids.set(piece);
      lane.lastPosition[0] = at - 1;
      lane.total = at;
      await lane.run();
      following = (await this.#from.ahead?.readPiece(row, prompt, at, lane, following)) ?? following;
    }
    return { taken: known?.length ?? 0, followings: [following] };
  }

  /** The longest beginning of a prompt, its last token excepted, that an active or a kept row holds. */
  #known(prompt: readonly number[]): Known | undefined {
    if (!this.#prefixes.enabled) return undefined;
    const before = prompt.slice(0, -1);
    const active = longest(this.#from.active.keys(), row => {
      const job = this.#from.active[row] as Job;
      return this.#usable(commonLength(heldIds(job), before), job.following.held);
    });
    const hit = this.#prefixes.find(before, LEAST_TAKEN_OVER);
    const kept = hit ? this.#usable(hit.length, hit.kept.ahead?.length) : 0;
    const length = Math.max(active?.length ?? 0, kept);
    if (length < LEAST_TAKEN_OVER) return undefined;
    const copyTo = (row: number) =>
      hit && kept === length
        ? this.#from.rows.restore(hit.kept, row, length)
        : this.#from.rows.copy(active?.item as number, row, length);
    return { length, copyTo };
  }

  /** Of positions that begin alike, those that the module can go on from as well: it has seen the token after each. */
  #usable(common: number, held = 0): number {
    return this.#from.ahead ? Math.min(common - 1, held) : common;
  }

  /** Keeps what a finished row holds for requests that begin like it. */
  keep(row: number): void {
    if (!this.#prefixes.enabled) return;
    const job = this.#from.active[row] as Job;
    const ids = heldIds(job);
    const { held } = job.following;
    const bytes = keptBytes(this.#from.decoder, ids.length, held);
    this.#prefixes.add(ids, bytes, () => this.#from.rows.keep(row, ids.length, held));
  }
}
