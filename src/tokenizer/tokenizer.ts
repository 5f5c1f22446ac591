/**
 * What every tokenizer is. Models, generation and recipes see only this.
 *
 * 1. Ids go from 0 to `vocabSize - 1`; published vocabularies may leave some of them free.
 * 2. Special tokens are matched in text, longest first. `control` ones (end, padding) are dropped by
 *    `decode(ids, { skipControl: true })`; tags such as `<think>` are text and stay.
 * 3. `save` gives the two Hugging Face files as JSON objects; `loadTokenizer` reads them back.
 */
import { GaslawError } from '../util/errors.ts';
import type { ChatTemplate } from './chat-template.ts';
import { TextMatcher } from './pipeline/trie.ts';

export interface SpecialToken {
  readonly text: string;
  /** True for tokens that steer and are not text: end, padding, begin. */
  readonly control: boolean;
}

export interface EncodeOptions {
  /** Put the tokens around the text that the model wants around a text, such as a begin token. Default false. */
  readonly addSpecial?: boolean;
}

export interface DecodeOptions {
  /** Leave out end, padding and begin tokens. Default false. */
  readonly skipControl?: boolean;
}

export interface TokenizerFiles {
  readonly 'tokenizer.json': Readonly<Record<string, unknown>>;
  readonly 'tokenizer_config.json': Readonly<Record<string, unknown>>;
}

export interface Tokenizer {
  readonly kind: 'character' | 'bpe' | 'unigram' | 'wordpiece' | 'wordlevel';
  /** The largest id and one. */
  readonly vocabSize: number;
  /** Ids of the special tokens by their text. */
  readonly special: Readonly<Record<string, number>>;
  readonly eos: number;
  readonly pad: number;
  readonly bos?: number;
  /** How a conversation becomes text; absent for models that were not trained on conversations. */
  readonly chat?: ChatTemplate;
  /**
   * Ids of a text, special tokens in it included. At character level, throws a GaslawError that names the first character
   * without a token, and its position; elsewhere the model's own rule for such characters holds.
   */
  encode(text: string, options?: EncodeOptions): number[];
  /** Throws a GaslawError for an id outside the vocabulary. */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /** The text of one token, for listings. */
  tokenOf(id: number): string;
  save(): TokenizerFiles;
}

/** The roles that some special tokens have. */
export interface SpecialRoles {
  readonly eos: string;
  readonly pad: string;
  readonly bos?: string;
}

export const DEFAULT_ROLES = { eos: '<eos>', pad: '<pad>' } as const satisfies SpecialRoles;

/** Roles first (as control tokens), then tags, each once. */
export function specialTokens(roles: SpecialRoles, tags: readonly string[]): SpecialToken[] {
  const control = [roles.pad, roles.eos, ...(roles.bos === undefined ? [] : [roles.bos])];
  const texts = [...new Set([...control, ...tags])];
  if (texts.includes('')) throw new GaslawError('tokenizer: a special token must not be empty');
  return texts.map(text => ({ text, control: control.includes(text) }));
}

/** One stretch of text: ordinary, or one special token. */
export interface Piece {
  readonly text: string;
  /** UTF-16 offset in the whole text. */
  readonly at: number;
  readonly special: boolean;
}

/** A function that cuts text at special tokens: leftmost first, and the longest of those that start there. */
export function createSplitter(texts: readonly string[]): (text: string) => Piece[] {
  const matcher = new TextMatcher(texts);
  return text => {
    const pieces: Piece[] = [];
    let last = 0;
    for (const { start, end } of matcher.find(text)) {
      pieces.push(...ordinary(text, last, start), { text: text.slice(start, end), at: start, special: true });
      last = end;
    }
    return [...pieces, ...ordinary(text, last, text.length)];
  };
}

const ordinary = (text: string, from: number, to: number): Piece[] =>
  from < to ? [{ text: text.slice(from, to), at: from, special: false }] : [];

/** The token at `id`, or an error naming the id and the size. */
export function tokenAt<T>(tokens: readonly T[], id: number): T {
  const token = tokens[id];
  if (token === undefined)
    throw new GaslawError(`tokenizer: id ${id} is outside the vocabulary of ${tokens.length}`);
  return token;
}
