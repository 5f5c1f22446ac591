/** Models that look words up: WordPiece takes the longest known beginning again and again, WordLevel the whole word. */
import { GaslawError } from '../../util/errors.ts';
import type { WordModel } from './model.ts';

function unknownId(vocabulary: ReadonlyMap<string, number>, unknown: string, word: string): number {
  const id = vocabulary.get(unknown);
  if (id !== undefined) return id;
  throw new GaslawError(
    `tokenizer: the word ${JSON.stringify(word)} has no token, nor is the unknown token "${unknown}" in the vocabulary`,
  );
}

export class WordLevelModel implements WordModel {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly #unknown: string;

  constructor(vocabulary: ReadonlyMap<string, number>, unknown: string) {
    this.vocabulary = vocabulary;
    this.#unknown = unknown;
  }

  tokenize(word: string, ids: number[]): void {
    ids.push(this.vocabulary.get(word) ?? unknownId(this.vocabulary, this.#unknown, word));
  }
}

export interface WordPieceOptions {
  readonly unknown: string;
  /** What begins every token but a word's first. */
  readonly prefix: string;
  /** Longer words are unknown. */
  readonly maxCharacters: number;
}

export class WordPieceModel implements WordModel {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly #options: WordPieceOptions;

  constructor(vocabulary: ReadonlyMap<string, number>, options: WordPieceOptions) {
    this.vocabulary = vocabulary;
    this.#options = options;
  }

  tokenize(word: string, ids: number[]): void {
    const pieces = this.#pieces(word);
    if (pieces) ids.push(...pieces);
    else ids.push(unknownId(this.vocabulary, this.#options.unknown, word));
  }

  #pieces(word: string): number[] | undefined {
    const characters = [...word];
    if (characters.length > this.#options.maxCharacters) return undefined;
    const ids: number[] = [];
    for (let start = 0; start < characters.length; ) {
      let end = characters.length;
      let id: number | undefined;
      for (; end > start && id === undefined; end--) {
        const part = characters.slice(start, end).join('');
        id = this.vocabulary.get(start > 0 ? this.#options.prefix + part : part);
      }
      if (id === undefined) return undefined;
      ids.push(id);
      start = end + 1;
    }
    return ids;
  }
}
