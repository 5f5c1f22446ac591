/**
 * Normalizers of `tokenizer.json`: text to text, before it is cut.
 *
 * 1. Lower case is taken character by character, as Rust does it: a sigma at the end of a word stays σ.
 * 2. Text is well-formed UTF-16 here; the pipeline sees to that.
 */
import { z } from 'zod';
import { spellBytes } from './byte-spelling.ts';
import { Charsmap } from './charsmap.ts';
import { type Component, type Maker, make, parse, pattern } from './component.ts';
import { expressionOf } from './delimiters.ts';

export type Normalizer = (text: string) => string;

/** The normalizer that the JSON describes; null is none. */
export function normalizerOf(json: unknown, place = 'tokenizer.json: normalizer'): Normalizer | undefined {
  return json === null || json === undefined ? undefined : make(MAKERS, json, place);
}

const lowercase: Normalizer = text => {
  let out = '';
  for (const character of text) out += character.toLowerCase();
  return out;
};

/** What Rust's `trim` takes away. */
const [START, END] = [/^\p{White_Space}+/u, /\p{White_Space}+$/u];

/** Controls that neural translation drops, and what it takes for a space. */
const NMT_DROPPED = /(?![\0\t\n\f\r\u0080-\u008e\u0090-\u009e])\p{Cc}/gu;
const NMT_SPACE = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/gu;

const BERT_DROPPED = /(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\ufffd]/gu;
const CHINESE =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

const MAKERS: Readonly<Record<string, Maker<Normalizer>>> = {
  NFC: () => text => text.normalize('NFC'),
  NFD: () => text => text.normalize('NFD'),
  NFKC: () => text => text.normalize('NFKC'),
  NFKD: () => text => text.normalize('NFKD'),
  Lowercase: () => lowercase,
  StripAccents: () => text => text.replace(/\p{M}/gu, ''),
  Nmt: () => text => text.replace(NMT_DROPPED, '').replace(NMT_SPACE, ' '),
  ByteLevel: () => spellBytes,
  Strip: strip,
  Prepend: (json, place) => {
    const { prepend } = parse(z.object({ prepend: z.string() }), json, place);
    return text => (text === '' ? text : prepend + text);
  },
  Replace: (json, place) => {
    const parsed = parse(z.object({ pattern, content: z.string() }), json, place);
    return replacing(parsed);
  },
  Precompiled: (json, place) => {
    const parsed = parse(z.object({ precompiled_charsmap: z.string() }), json, place);
    const map = Charsmap.fromBase64(parsed.precompiled_charsmap, place);
    return text => map.normalize(text);
  },
  BertNormalizer: bert,
  Sequence: (json, place) => {
    const { normalizers } = parse(z.object({ normalizers: z.array(z.unknown()) }), json, place);
    const steps = normalizers.map((step, i) => make(MAKERS, step, `${place}.${i}`));
    return text => steps.reduce((t, step) => step(t), text);
  },
};

/** Puts `content`, taken literally, for every match. */
export function replacing({
  pattern: p,
  content,
}: {
  pattern: z.infer<typeof pattern>;
  content: string;
}): Normalizer {
  if ('String' in p) return text => text.replaceAll(p.String, () => content);
  const expression = expressionOf(p);
  return text => text.replace(expression, () => content);
}

function strip(json: Component, place: string): Normalizer {
  const { strip_left: left, strip_right: right } = parse(
    z.object({ strip_left: z.boolean(), strip_right: z.boolean() }),
    json,
    place,
  );
  return text => {
    const start = left ? text.replace(START, '') : text;
    return right ? start.replace(END, '') : start;
  };
}

function bert(json: Component, place: string): Normalizer {
  const options = parse(
    z.object({
      clean_text: z.boolean(),
      handle_chinese_chars: z.boolean(),
      strip_accents: z.boolean().nullish(),
      lowercase: z.boolean(),
    }),
    json,
    place,
  );
  const steps: Normalizer[] = [];
  if (options.clean_text)
    steps.push(text => text.replace(BERT_DROPPED, '').replace(/\p{White_Space}/gu, ' '));
  if (options.handle_chinese_chars) steps.push(text => text.replace(CHINESE, ' $& '));
  if (options.strip_accents ?? options.lowercase)
    steps.push(text => text.normalize('NFD').replace(/\p{Mn}/gu, ''));
  if (options.lowercase) steps.push(lowercase);
  return text => steps.reduce((t, step) => step(t), text);
}
