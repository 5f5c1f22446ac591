/**
 * Decoders of `tokenizer.json`: a list of tokens to a list of texts, which are then joined.
 *
 * 1. Bytes that are not UTF-8 become U+FFFD: with `ByteLevel` one for each maximal beginning of a character, with
 *    `ByteFallback` one for every byte of the stretch.
 */
import { z } from 'zod';
import { concatBytes } from '../../util/files.ts';
import { bytesOf } from './byte-spelling.ts';
import { type Component, type Maker, make, parse, pattern } from './component.ts';
import { replacing } from './normalizers.ts';
import { readMetaspace } from './pre-tokenizers.ts';

export type Decoder = (tokens: readonly string[]) => readonly string[];

/** The decoder that the JSON describes; null joins tokens with spaces. */
export function decoderOf(json: unknown, place = 'tokenizer.json: decoder'): Decoder {
  return json === null || json === undefined ? tokens => [tokens.join(' ')] : make(MAKERS, json, place);
}

const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

const MAKERS: Readonly<Record<string, Maker<Decoder>>> = {
  ByteLevel: () => tokens => [lossy.decode(concatBytes(tokens.map(bytesOf)))],
  ByteFallback: () => byteFallback,
  Fuse: () => tokens => [tokens.join('')],
  Metaspace: (json, place) => {
    const { replacement, prepend_scheme } = readMetaspace(json, place);
    const first = prepend_scheme === 'never' ? ' ' : '';
    return tokens => tokens.map((token, i) => token.replaceAll(replacement, i === 0 ? first : ' '));
  },
  Replace: (json, place) => {
    const replace = replacing(parse(z.object({ pattern, content: z.string() }), json, place));
    return tokens => tokens.map(replace);
  },
  Strip: strip,
  WordPiece: (json, place) => {
    const { prefix, cleanup } = parse(z.object({ prefix: z.string(), cleanup: z.boolean() }), json, place);
    return tokens => tokens.map((token, i) => wordPiece(token, i, prefix, cleanup));
  },
  BPEDecoder: (json, place) => {
    const { suffix } = parse(z.object({ suffix: z.string() }), json, place);
    return tokens => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? '' : ' '));
  },
  CTC: ctc,
  Sequence: (json, place) => {
    const { decoders } = parse(z.object({ decoders: z.array(z.unknown()) }), json, place);
    const steps = decoders.map((step, i) => make(MAKERS, step, `${place}.${i}`));
    return tokens => steps.reduce((t, step) => step(t), tokens);
  },
};

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

function byteFallback(tokens: readonly string[]): string[] {
  const out: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length > 0) out.push(...textOf(bytes));
    bytes = [];
  };
  for (const token of tokens) {
    const byte = BYTE_TOKEN.exec(token);
    if (byte) bytes.push(Number.parseInt(byte[1] as string, 16));
    else {
      flush();
      out.push(token);
    }
  }
  flush();
  return out;
}

function textOf(bytes: readonly number[]): string[] {
  try {
    return [strict.decode(Uint8Array.from(bytes))];
  } catch {
    return bytes.map(() => '\ufffd');
  }
}

function strip(json: Component, place: string): Decoder {
  const count = z.number().int().min(0);
  const { content, start, stop } = parse(
    z.object({ content: z.string(), start: count, stop: count }),
    json,
    place,
  );
  return tokens =>
    tokens.map(token => {
      let [from, to] = [0, token.length];
      for (let i = 0; i < start && from < to && token.startsWith(content, from); i++) from += content.length;
      for (let i = 0; i < stop && to > from && token.slice(from, to).endsWith(content); i++)
        to -= content.length;
      return token.slice(from, to);
    });
}

function wordPiece(token: string, i: number, prefix: string, cleanup: boolean): string {
  const joined = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
  return cleanup ? cleanUp(joined) : joined;
}

const CLEAN_UP: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [' do not', " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

/** Joins punctuation and English contractions to the word before them. */
const cleanUp = (text: string): string => CLEAN_UP.reduce((t, [from, to]) => t.replaceAll(from, to), text);

function ctc(json: Component, place: string): Decoder {
  const { pad_token, word_delimiter_token, cleanup } = parse(
    z.object({ pad_token: z.string(), word_delimiter_token: z.string(), cleanup: z.boolean() }),
    json,
    place,
  );
  return tokens =>
    tokens
      .filter((token, i) => token !== tokens[i - 1])
      .map(token => token.replaceAll(pad_token, ''))
      .map(token => (cleanup ? cleanUp(token).replaceAll(word_delimiter_token, ' ') : token))
      .filter(token => token !== '');
}
