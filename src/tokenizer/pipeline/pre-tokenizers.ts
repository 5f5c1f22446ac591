/**
 * Pre-tokenizers of `tokenizer.json`: text to words.
 *
 * 1. A chain of cuts, each over the words of the one before it.
 * 2. `ByteLevel` also spells bytes; where it comes last, as it always does, the spelling is left to `spell`, so that the
 *    pipeline does it once for each different word.
 */
import { z } from 'zod';
import { spellBytes } from './byte-spelling.ts';
import { type Component, type Maker, make, parse, pattern } from './component.ts';
import { type Cut, cutAt, delimiterBehavior, expressionOf } from './delimiters.ts';
import { fromOniguruma } from './oniguruma.ts';

/** One step; `atStart` says that the word begins where the whole text does. */
type Step = (word: string, atStart: boolean, out: string[]) => boolean;

export interface PreTokenizer {
  /** The words of one stretch of text, before their spelling. */
  words(text: string, atStart: boolean): string[];
  /** How the model's vocabulary spells a word. */
  spell(word: string): string;
}

/** The pre-tokenizer that the JSON describes; null leaves text whole. */
export function preTokenizerOf(json: unknown, place = 'tokenizer.json: pre_tokenizer'): PreTokenizer {
  const steps = json === null || json === undefined ? [] : make(MAKERS, json, place);
  const spelled = steps.at(-1) === SPELL;
  const cuts = spelled ? steps.slice(0, -1) : steps;
  return { words: (text, atStart) => run(cuts, text, atStart), spell: spelled ? spellBytes : word => word };
}

function run(steps: readonly Step[], text: string, atStart: boolean): string[] {
  let words = [text];
  for (const step of steps) {
    const next: string[] = [];
    words.forEach((word, i) => {
      const began = step(word, atStart && i === 0, next);
      if (i === 0) atStart &&= began;
    });
    words = next;
  }
  return words;
}

const SPELL: Step = (word, _, out) => {
  out.push(spellBytes(word));
  return true;
};

const cutting =
  (cut: Cut): Step =>
  (word, _, out) =>
    cut(word, out);

/** GPT-2's words. */
const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
const SPACE = /\p{White_Space}/gu;
const PUNCTUATION = /[\p{P}$+<=>^`|~]/gu;
const WHITESPACE =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu;

const MAKERS: Readonly<Record<string, Maker<Step[]>>> = {
  ByteLevel: byteLevel,
  Split: (json, place) => {
    const parsed = parse(
      z.object({ pattern, behavior: delimiterBehavior, invert: z.boolean().default(false) }),
      json,
      place,
    );
    return [cutting(cutAt(expressionOf(parsed.pattern), parsed.behavior, parsed.invert))];
  },
  Digits: (json, place) => {
    const { individual_digits } = parse(z.object({ individual_digits: z.boolean() }), json, place);
    return [cutting(cutAt(/\p{N}/gu, individual_digits ? 'Isolated' : 'Contiguous'))];
  },
  Punctuation: (json, place) => {
    const { behavior } = parse(z.object({ behavior: delimiterBehavior.default('Isolated') }), json, place);
    return [cutting(cutAt(PUNCTUATION, behavior))];
  },
  Whitespace: () => [cutting(cutAt(WHITESPACE, 'Removed', true))],
  WhitespaceSplit: () => [cutting(cutAt(SPACE, 'Removed'))],
  BertPreTokenizer: () => [cutting(cutAt(SPACE, 'Removed')), cutting(cutAt(PUNCTUATION, 'Isolated'))],
  CharDelimiterSplit: (json, place) => {
    const { delimiter } = parse(z.object({ delimiter: z.string() }), json, place);
    return [cutting(cutAt(expressionOf({ String: delimiter }), 'Removed'))];
  },
  FixedLength: (json, place) => {
    const { length } = parse(
      z.object({ length: z.number().int().min(1).max(65535).default(5) }),
      json,
      place,
    );
    return [cutting(cutAt(new RegExp(`[\\s\\S]{1,${length}}`, 'gv'), 'Isolated'))];
  },
  Metaspace: metaspace,
  Sequence: (json, place) => {
    const { pretokenizers } = parse(z.object({ pretokenizers: z.array(z.unknown()) }), json, place);
    return pretokenizers.flatMap((step, i) => make(MAKERS, step, `${place}.${i}`));
  },
};

function byteLevel(json: Component, place: string): Step[] {
  const { add_prefix_space, use_regex } = parse(
    z.object({ add_prefix_space: z.boolean(), use_regex: z.boolean().default(true) }),
    json,
    place,
  );
  const prefix: Step = (word, _, out) => out.push(word.startsWith(' ') ? word : ` ${word}`) > 0;
  return [
    ...(add_prefix_space ? [prefix] : []),
    ...(use_regex ? [cutting(cutAt(fromOniguruma(GPT2), 'Isolated'))] : []),
    SPELL,
  ];
}

const metaspaceSchema = z.object({
  replacement: z.string().min(1),
  add_prefix_space: z.boolean().nullish(),
  prepend_scheme: z.enum(['always', 'first', 'never']).default('always'),
  split: z.boolean().default(true),
});

/** The replacement for spaces and when it goes in front of a text. */
export function readMetaspace(json: Component, place: string): z.infer<typeof metaspaceSchema> {
  const parsed = parse(metaspaceSchema, json, place);
  return parsed.add_prefix_space === false ? { ...parsed, prepend_scheme: 'never' } : parsed;
}

function metaspace(json: Component, place: string): Step[] {
  const { replacement, prepend_scheme, split } = readMetaspace(json, place);
  const mark: Step = (word, atStart, out) => {
    const marked = word.replaceAll(' ', replacement);
    const prepend = prepend_scheme === 'always' || (prepend_scheme === 'first' && atStart);
    out.push(prepend && !marked.startsWith(replacement) ? replacement + marked : marked);
    return true;
  };
  const cut = cutting(cutAt(expressionOf({ String: replacement }), 'MergedWithNext'));
  return split ? [mark, cut] : [mark];
}
