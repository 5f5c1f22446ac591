/**
 * Byte level: 256 tokens for the bytes of UTF-8, then the special tokens; byte-level BPE without merges. Encodes any text.
 *
 * 1. Token id = byte value; specials follow from 256.
 * 2. Malformed sequences decode to U+FFFD, as a sampled sequence may well be malformed.
 */
import { toFiles } from './hugging-face.ts';
import { loadTokenizer } from './load.ts';
import { BYTE_SPELLING } from './pipeline/byte-spelling.ts';
import { DEFAULT_ROLES, type SpecialRoles, specialTokens, type Tokenizer } from './tokenizer.ts';

export interface ByteOptions {
  /** Tokens of several characters that are text, such as `<think>`. */
  readonly tags?: readonly string[];
  readonly roles?: SpecialRoles;
}

export function byteTokenizer({ tags = [], roles = DEFAULT_ROLES }: ByteOptions = {}): Tokenizer {
  const specials = specialTokens(roles, tags);
  const vocabulary = [...BYTE_SPELLING, ...specials.map(token => token.text)];
  const files = toFiles({ vocabulary, specials, roles, level: 'byte' });
  return loadTokenizer(files['tokenizer.json'], files['tokenizer_config.json']);
}
