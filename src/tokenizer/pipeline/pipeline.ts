/**
 * A tokenizer as `tokenizer.json` describes it: added tokens, normalizer, pre-tokenizer, model, post-processor, decoder, each
 * doing what Hugging Face tokenizers does.
 *
 * 1. Characters that the model has no token for are left out or become its unknown token, as there.
 * 2. `truncation` and `padding` of the file are not applied: lengths are the business of whoever makes batches. Nor is
 *    `dropout`, or `clean_up_tokenization_spaces` of the config: decoding gives the model's own text.
 * 3. Ids of words are remembered, as most words of a text come again.
 */
import type { ChatTemplate } from '../chat-template.ts';
import {
  type DecodeOptions,
  type EncodeOptions,
  type Tokenizer,
  type TokenizerFiles,
  tokenAt,
} from '../tokenizer.ts';
import type { AddedToken } from './added-tokens.ts';
import { AddedTokens } from './added-tokens.ts';
import type { Decoder } from './decoders.ts';
import type { WordModel } from './model.ts';
import type { ModelKind } from './models.ts';
import type { Normalizer } from './normalizers.ts';
import type { Surround } from './post-processors.ts';
import type { PreTokenizer } from './pre-tokenizers.ts';

export interface PipelineParts {
  readonly kind: ModelKind;
  readonly added: readonly AddedToken[];
  readonly normalizer?: Normalizer;
  readonly preTokenizer: PreTokenizer;
  readonly model: WordModel;
  readonly decoder: Decoder;
  readonly surround: Surround;
  readonly roles: { readonly eos: number; readonly pad: number; readonly bos?: number };
  readonly chat?: ChatTemplate;
  readonly files: TokenizerFiles;
}

/** Words that are remembered at most, and the longest of them in characters. */
const [MAX_WORDS, MAX_WORD_LENGTH] = [65_536, 128];

export class PipelineTokenizer implements Tokenizer {
  readonly kind: ModelKind;
  readonly vocabSize: number;
  readonly special: Readonly<Record<string, number>>;
  readonly eos: number;
  readonly pad: number;
  readonly bos?: number;
  readonly chat?: ChatTemplate;
  readonly #parts: PipelineParts;
  readonly #added: AddedTokens;
  /** Texts by id; ids between them may be free. */
  readonly #tokens: readonly string[];
  /** The same as the decoder wants them: added tokens that were normalized on the way in are so on the way out. */
  readonly #decoded: readonly string[];
  readonly #control: ReadonlySet<number>;
  readonly #words = new Map<string, readonly number[]>();

  constructor(parts: PipelineParts) {
    const { added, normalizer = text => text } = parts;
    this.#parts = parts;
    this.kind = parts.kind;
    this.#added = new AddedTokens(added, normalizer);
    this.#tokens = tokensById(parts);
    this.#decoded = this.#tokens.slice();
    for (const token of added)
      (this.#decoded as string[])[token.id] = token.normalized ? normalizer(token.content) : token.content;
    this.vocabSize = this.#tokens.length;
    this.special = Object.fromEntries(added.map(token => [token.content, token.id]));
    this.#control = new Set(added.filter(token => token.special).map(token => token.id));
    this.eos = parts.roles.eos;
    this.pad = parts.roles.pad;
    if (parts.roles.bos !== undefined) this.bos = parts.roles.bos;
    if (parts.chat) this.chat = parts.chat;
  }

  encode(text: string, { addSpecial = false }: EncodeOptions = {}): number[] {
    const { surround, preTokenizer } = this.#parts;
    const ids = addSpecial ? [...surround.before] : [];
    for (const segment of this.#added.segments(text.toWellFormed())) {
      if ('id' in segment) ids.push(segment.id);
      else for (const word of preTokenizer.words(segment.text, segment.atStart)) this.#encodeWord(word, ids);
    }
    if (addSpecial) for (const id of surround.after) ids.push(id);
    return ids;
  }

  decode(ids: Iterable<number>, { skipControl = false }: DecodeOptions = {}): string {
    const tokens: string[] = [];
    for (const id of ids) {
      const token = tokenAt(this.#decoded, id);
      if (!skipControl || !this.#control.has(id)) tokens.push(token);
    }
    return this.#parts.decoder(tokens).join('');
  }

  tokenOf(id: number): string {
    return tokenAt(this.#tokens, id);
  }

  save(): TokenizerFiles {
    return this.#parts.files;
  }

  #encodeWord(word: string, ids: number[]): void {
    const known = this.#words.get(word);
    if (known) {
      for (const id of known) ids.push(id);
      return;
    }
    const from = ids.length;
    this.#parts.model.tokenize(this.#parts.preTokenizer.spell(word), ids);
    if (word.length > MAX_WORD_LENGTH) return;
    if (this.#words.size >= MAX_WORDS) this.#words.clear();
    this.#words.set(word, ids.slice(from));
  }
}

function tokensById({ model, added }: PipelineParts): string[] {
  const tokens: string[] = [];
  for (const [text, id] of model.vocabulary) tokens[id] = text;
  for (const { content, id } of added) tokens[id] = content;
  return tokens;
}
