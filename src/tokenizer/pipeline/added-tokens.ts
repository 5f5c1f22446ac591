/**
 * Added tokens: found in the text before anything else is done to it.
 *
 * 1. Tokens that are not `normalized` are found in the text as it came; the others, in their normalized form, in what the
 *    normalizer made of the rest. In both, leftmost first and the longest of those that start there.
 * 2. `single_word` wants no word character beside the token; `lstrip` and `rstrip` take the white space beside it.
 */
import { z } from 'zod';
import type { Normalizer } from './normalizers.ts';
import { TextMatcher } from './trie.ts';

export const addedTokenSchema = z.object({
  id: z.number().int().min(0),
  content: z.string(),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().default(true),
  special: z.boolean().default(false),
});

export type AddedToken = z.infer<typeof addedTokenSchema>;

/** A stretch of text: an added token, or normalized text without one. */
export type Segment = { readonly id: number } | { readonly text: string; readonly atStart: boolean };

/** From `start` to `end` of a text; `token` is undefined between tokens. */
interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly token?: AddedToken;
}

export class AddedTokens {
  readonly #plain: Finder;
  readonly #normalized: Finder;
  readonly #normalize: Normalizer;

  constructor(tokens: readonly AddedToken[], normalize: Normalizer = text => text) {
    this.#normalize = normalize;
    this.#plain = new Finder(
      tokens.filter(token => !token.normalized),
      token => token.content,
    );
    this.#normalized = new Finder(
      tokens.filter(token => token.normalized),
      token => normalize(token.content),
    );
  }

  /** Cuts a text at its added tokens and normalizes what is between them. */
  *segments(text: string): Generator<Segment> {
    for (const outer of this.#plain.stretches(text)) {
      if (outer.token) yield { id: outer.token.id };
      else yield* this.#inside(text.slice(outer.start, outer.end), outer.start === 0);
    }
  }

  *#inside(raw: string, atStart: boolean): Generator<Segment> {
    const text = this.#normalize(raw);
    for (const { token, start, end } of this.#normalized.stretches(text)) {
      if (token) yield { id: token.id };
      else if (end > start) yield { text: text.slice(start, end), atStart: atStart && start === 0 };
    }
  }
}

const [ENDS_WITH_WORD, STARTS_WITH_WORD] = [
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u,
  /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u,
];
const SPACE = /\p{White_Space}/u;

class Finder {
  readonly #tokens: readonly AddedToken[];
  readonly #matcher: TextMatcher;

  constructor(tokens: readonly AddedToken[], spell: (token: AddedToken) => string) {
    this.#tokens = tokens;
    this.#matcher = new TextMatcher(tokens.map(spell));
  }

  /** The whole text in order, tokens and what is between them. */
  *stretches(text: string): Generator<Stretch> {
    let last = 0;
    for (const match of this.#matcher.find(text)) {
      const token = this.#tokens[match.value]!;
      if (token.single_word && !standsAlone(text, match.start, match.end)) continue;
      const start = token.lstrip ? Math.max(last, spaceBefore(text, match.start)) : match.start;
      const end = token.rstrip ? spaceAfter(text, match.end) : match.end;
      if (last < start) yield { start: last, end: start };
      yield { start, end, token };
      last = end;
    }
    if (last !== text.length) yield { start: last, end: text.length };
  }
}

const standsAlone = (text: string, start: number, end: number): boolean =>
  !ENDS_WITH_WORD.test(text.slice(Math.max(0, start - 2), start)) &&
  !STARTS_WITH_WORD.test(text.slice(end, end + 2));

/** Where the white space that ends at `at` begins. */
function spaceBefore(text: string, at: number): number {
  while (at > 0 && SPACE.test(text[at - 1]!)) at--;
  return at;
}

function spaceAfter(text: string, at: number): number {
  while (at < text.length && SPACE.test(text[at]!)) at++;
  return at;
}
