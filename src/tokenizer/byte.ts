/**
 * Byte level: 256 tokens for the bytes of UTF-8, then the special tokens. Encodes any text.
 *
 * 1. Token id = byte value; specials follow from 256.
 * 2. `decode` joins bytes before it reads UTF-8, so characters cut between tokens come back whole; malformed
 *    sequences become U+FFFD, as a sampled sequence may well be malformed.
 * 3. The file spells bytes as GPT-2 does: printable ones as themselves, the others as U+0100 onwards.
 */
import { toFiles } from './hugging-face.ts';
import {
  createSplitter,
  DEFAULT_ROLES,
  type DecodeOptions,
  type Piece,
  type SpecialRoles,
  type SpecialToken,
  specialTokens,
  type Tokenizer,
  type TokenizerFiles,
  tokenAt,
} from './tokenizer.ts';

/** GPT-2's spelling of each byte as one printable character. */
export const BYTE_SPELLING: readonly string[] = spellBytes();

function spellBytes(): string[] {
  let next = 256;
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
}

export interface ByteOptions {
  readonly tags?: readonly string[];
  readonly roles?: SpecialRoles;
}

export class ByteTokenizer implements Tokenizer {
  readonly kind = 'byte';
  readonly vocabSize: number;
  readonly special: Readonly<Record<string, number>>;
  readonly eos: number;
  readonly pad: number;
  readonly bos?: number;
  readonly #specials: readonly SpecialToken[];
  /** Texts by id, bytes as the file spells them. */
  readonly #vocabulary: readonly string[];
  readonly #roles: SpecialRoles;
  readonly #split: (text: string) => Piece[];
  readonly #encoder = new TextEncoder();

  constructor({ tags = [], roles = DEFAULT_ROLES }: ByteOptions = {}) {
    this.#roles = roles;
    this.#specials = specialTokens(roles, tags);
    this.special = Object.fromEntries(this.#specials.map(({ text }, i) => [text, 256 + i]));
    this.#vocabulary = [...BYTE_SPELLING, ...this.#specials.map(token => token.text)];
    this.vocabSize = this.#vocabulary.length;
    this.#split = createSplitter(this.#specials.map(token => token.text));
    this.eos = this.special[roles.eos]!;
    this.pad = this.special[roles.pad]!;
    if (roles.bos !== undefined) this.bos = this.special[roles.bos]!;
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    for (const piece of this.#split(text)) {
      if (piece.special) ids.push(this.special[piece.text]!);
      else for (const byte of this.#encoder.encode(piece.text)) ids.push(byte);
    }
    return ids;
  }

  decode(ids: Iterable<number>, { skipControl = false }: DecodeOptions = {}): string {
    let text = '';
    let bytes: number[] = [];
    const flush = () => {
      text += new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes));
      bytes = [];
    };
    for (const id of ids) {
      if (id >= 0 && id < 256) bytes.push(id);
      else {
        const special = tokenAt(this.#vocabulary, id);
        flush();
        if (!skipControl || !this.#specials[id - 256]!.control) text += special;
      }
    }
    flush();
    return text;
  }

  tokenOf(id: number): string {
    return tokenAt(this.#vocabulary, id);
  }

  save(): TokenizerFiles {
    return toFiles({
      vocabulary: this.#vocabulary,
      specials: this.#specials,
      roles: this.#roles,
      level: 'byte',
    });
  }
}
