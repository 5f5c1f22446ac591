/**
 * Unigram language model (Kudo 2018, arXiv:1804.10959): of all ways to cut a word into tokens, the one with the largest sum
 * of log probabilities, found by dynamic programming in O(n · longest token).
 *
 * 1. A character without a token counts as the unknown one, 10 below the smallest score. Neighbouring unknown characters
 *    are one token (`fuse_unk`), or their bytes' tokens where there are such (`byte_fallback`).
 * 2. Hugging Face keeps sums of scores as doubles, SentencePiece as floats; `round` chooses.
 */
import { GaslawError } from '../../util/errors.ts';
import { byteTokens, type WordModel } from './model.ts';
import { Trie } from './trie.ts';

const UNKNOWN_PENALTY = 10;

export interface UnigramOptions {
  readonly unknown?: number;
  readonly byteFallback?: boolean;
  readonly round?: (score: number) => number;
  /** Tokens that no text becomes: controls, bytes, unused ones. */
  readonly excluded?: (id: number) => boolean;
}

export class UnigramModel implements WordModel {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly #scores: readonly number[];
  readonly #options: UnigramOptions;
  readonly #trie = new Trie();
  readonly #unknownScore: number;

  /** `tokens[id]` is the token and its log probability. */
  constructor(tokens: readonly (readonly [string, number])[], options: UnigramOptions = {}) {
    const excluded = options.excluded ?? (() => false);
    this.#options = options;
    this.#scores = tokens.map(([, score]) => score);
    this.vocabulary = new Map(tokens.map(([text], id) => [text, id]));
    tokens.forEach(([text], id) => {
      if (!excluded(id)) this.#trie.add(text, id);
    });
    let least = 0;
    for (const [id, score] of this.#scores.entries()) if (!excluded(id) && score < least) least = score;
    this.#unknownScore = least - UNKNOWN_PENALTY;
  }

  tokenize(word: string, ids: number[]): void {
    const { unknown, byteFallback } = this.#options;
    for (const piece of this.#pieces(word)) {
      const bytes =
        piece.id === unknown && byteFallback
          ? byteTokens(this.vocabulary, word.slice(piece.start, piece.end))
          : undefined;
      if (bytes) ids.push(...bytes);
      else ids.push(piece.id);
    }
  }

  /** The best path in order, neighbouring unknown pieces joined. */
  #pieces(word: string): { start: number; end: number; id: number }[] {
    const { starts, tokens } = this.#bestPath(word);
    const pieces: { start: number; end: number; id: number }[] = [];
    for (let end = word.length; end > 0; end = starts[end]!) {
      const last = pieces.at(-1);
      const id = tokens[end]!;
      if (last && id === this.#options.unknown && last.id === id) last.start = starts[end]!;
      else pieces.push({ start: starts[end]!, end, id });
    }
    return pieces.reverse();
  }

  /** For each place, where the last token of the best path to it begins, and which it is. */
  #bestPath(word: string): { starts: Int32Array; tokens: Int32Array } {
    const round = this.#options.round ?? (score => score);
    const starts = new Int32Array(word.length + 1).fill(-1);
    const tokens = new Int32Array(word.length + 1);
    const best = new Float64Array(word.length + 1);
    const reach = (start: number, end: number, id: number, score: number) => {
      const sum = round(score + best[start]!);
      if (starts[end]! >= 0 && sum <= best[end]!) return;
      starts[end] = start;
      tokens[end] = id;
      best[end] = sum;
    };
    for (let at = 0; at < word.length; ) {
      const next = at + (word.codePointAt(at)! > 0xffff ? 2 : 1);
      let single = false;
      this.#trie.prefixes(word, at, (end, id) => {
        single ||= end === next;
        reach(at, end, id, this.#scores[id]!);
      });
      if (!single) reach(at, next, this.#unknownId(word, at), this.#unknownScore);
      at = next;
    }
    return { starts, tokens };
  }

  #unknownId(word: string, at: number): number {
    const { unknown } = this.#options;
    if (unknown !== undefined) return unknown;
    const character = String.fromCodePoint(word.codePointAt(at)!);
    throw new GaslawError(
      `tokenizer: character ${JSON.stringify(character)} has no token and there is no unknown token; leave it out`,
    );
  }
}
