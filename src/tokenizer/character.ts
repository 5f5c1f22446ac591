/**
 * Character level: one token for each code point, and one for each special token.
 *
 * 1. Ids: control tokens, tags, then the characters in code point order, so equal alphabets give equal ids.
 * 2. An unknown character is an error, never a silent substitute: a model trained on less than it was given
 *    would look right and be wrong.
 */
import { GaslawError } from '../util/errors.ts';
import { toFiles } from './hugging-face.ts';
import {
  createSplitter,
  DEFAULT_ROLES,
  type DecodeOptions,
  type EncodeOptions,
  type Piece,
  type SpecialRoles,
  type SpecialToken,
  specialTokens,
  type Tokenizer,
  type TokenizerFiles,
  tokenAt,
} from './tokenizer.ts';

export interface CharacterOptions {
  /** Tokens of several characters that are text, such as `<think>` or `42`. */
  readonly tags?: readonly string[];
  readonly roles?: SpecialRoles;
}

/** What a character tokenizer is made of; `vocabulary[id]` is the token's text. */
export interface CharacterParts {
  readonly vocabulary: readonly string[];
  readonly specials: readonly SpecialToken[];
  readonly roles: SpecialRoles;
}

export class CharacterTokenizer implements Tokenizer {
  readonly kind = 'character';
  readonly special: Readonly<Record<string, number>>;
  readonly eos: number;
  readonly pad: number;
  readonly bos?: number;
  readonly #parts: CharacterParts;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #control: ReadonlySet<number>;
  readonly #split: (text: string) => Piece[];

  constructor(parts: CharacterParts) {
    this.#parts = parts;
    this.#ids = new Map(parts.vocabulary.map((text, id) => [text, id]));
    this.special = Object.fromEntries(parts.specials.map(({ text }) => [text, this.#id(text)]));
    this.#split = createSplitter(parts.specials.map(token => token.text));
    this.eos = this.#id(parts.roles.eos);
    this.pad = this.#id(parts.roles.pad);
    if (parts.roles.bos !== undefined) this.bos = this.#id(parts.roles.bos);
    this.#control = new Set(parts.specials.filter(s => s.control).map(s => this.#id(s.text)));
  }

  /** A tokenizer for exactly the characters of `alphabet`, each once however often it is repeated. */
  static fromAlphabet(alphabet: string, options: CharacterOptions = {}): CharacterTokenizer {
    const roles = options.roles ?? DEFAULT_ROLES;
    const specials = specialTokens(roles, options.tags ?? []);
    const taken = new Set(specials.map(token => token.text));
    const characters = [...new Set(alphabet)].filter(c => !taken.has(c));
    characters.sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
    return new CharacterTokenizer({ vocabulary: [...taken, ...characters], specials, roles });
  }

  /** A tokenizer for every character that `corpus` has outside its tags. */
  static fromText(corpus: string, options: CharacterOptions = {}): CharacterTokenizer {
    const texts = specialTokens(options.roles ?? DEFAULT_ROLES, options.tags ?? []).map(token => token.text);
    const seen = new Set<string>();
    for (const piece of createSplitter(texts)(corpus))
      if (!piece.special) for (const character of piece.text) seen.add(character);
    return CharacterTokenizer.fromAlphabet([...seen].join(''), options);
  }

  get vocabSize(): number {
    return this.#parts.vocabulary.length;
  }

  encode(text: string, { addSpecial = false }: EncodeOptions = {}): number[] {
    const ids: number[] = addSpecial && this.bos !== undefined ? [this.bos] : [];
    for (const piece of this.#split(text)) {
      if (piece.special) ids.push(this.special[piece.text]!);
      else this.#encodeCharacters(piece, ids);
    }
    return ids;
  }

  decode(ids: Iterable<number>, { skipControl = false }: DecodeOptions = {}): string {
    let text = '';
    for (const id of ids) if (!skipControl || !this.#control.has(id)) text += this.tokenOf(id);
    return text;
  }

  tokenOf(id: number): string {
    return tokenAt(this.#parts.vocabulary, id);
  }

  save(): TokenizerFiles {
    return toFiles({ ...this.#parts, level: 'character' });
  }

  #encodeCharacters(piece: Piece, ids: number[]): void {
    let at = piece.at;
    for (const character of piece.text) {
      const id = this.#ids.get(character);
      if (id === undefined) throw unknownCharacter(character, at);
      ids.push(id);
      at += character.length;
    }
  }

  #id(text: string): number {
    const id = this.#ids.get(text);
    if (id === undefined)
      throw new GaslawError(`tokenizer: special token "${text}" is not in the vocabulary`);
    return id;
  }
}

function unknownCharacter(character: string, at: number): GaslawError {
  const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
  return new GaslawError(
    `tokenizer: character ${JSON.stringify(character)} (U+${code}) at position ${at} is not in the vocabulary; ` +
      'leave it out or build the tokenizer from text that has it',
  );
}
