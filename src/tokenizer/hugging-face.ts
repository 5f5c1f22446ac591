/**
 * The Hugging Face files of tokenizers that are made here, read by `tokenizers`, transformers and transformers.js.
 *
 * 1. Model BPE. Without merges a word falls apart into its characters, each of which is one vocabulary entry.
 *    WordLevel with a Split pre-tokenizer would do the same but is unknown to transformers.js.
 * 2. Character level has no pre-tokenizer and decodes by concatenation (`Fuse`); byte level is the usual
 *    `ByteLevel` pair without prefix space or pattern.
 * 3. Tags are added tokens that are not "special", so that decoding with skip_special_tokens keeps them, as
 *    DeepSeek-R1 and Qwen3 do with `<think>`.
 */
import type { SpecialRoles, SpecialToken, TokenizerFiles } from './tokenizer.ts';

export interface FileContent {
  /** Vocabulary texts as the file spells them, by id. */
  readonly vocabulary: readonly string[];
  readonly specials: readonly SpecialToken[];
  readonly roles: SpecialRoles;
  readonly level: 'character' | 'byte';
  /** Default none. */
  readonly merges?: readonly (readonly [string, string])[];
  /** Default: byte level without a pattern, or none. */
  readonly preTokenizer?: object;
}

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

const addedToken = (token: SpecialToken, id: number) => ({
  id,
  content: token.text,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: token.control,
});

/** Both files for a vocabulary whose special tokens come with their ids. */
export function toFiles(content: FileContent): TokenizerFiles {
  const ids = new Map(content.vocabulary.map((text, id) => [text, id]));
  const added = content.specials
    .map(token => addedToken(token, ids.get(token.text)!))
    .sort((a, b) => a.id - b.id);
  return {
    'tokenizer.json': tokenizerJson(content, added),
    'tokenizer_config.json': configJson(content.roles, added),
  };
}

function tokenizerJson(content: FileContent, added: readonly AddedToken[]) {
  const { vocabulary, level, roles, merges = [] } = content;
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: content.preTokenizer ?? (level === 'byte' ? BYTE_LEVEL : null),
    post_processor: roles.bos === undefined ? null : beginTemplate(roles.bos, added),
    decoder: level === 'byte' ? BYTE_LEVEL : { type: 'Fuse' },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.map((text, id) => [text, id])),
      merges,
    },
  };
}

/** The begin token in front of every text. */
function beginTemplate(bos: string, added: readonly AddedToken[]) {
  const begin = { SpecialToken: { id: bos, type_id: 0 } };
  const ids = added.filter(token => token.content === bos).map(token => token.id);
  return {
    type: 'TemplateProcessing',
    single: [begin, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [begin, { Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { [bos]: { id: bos, ids, tokens: [bos] } },
  };
}

/** `tokenizer_config.json` for tokens with these roles. */
export function configJson(roles: SpecialRoles, added: readonly AddedToken[]) {
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    added_tokens_decoder: Object.fromEntries(added.map(({ id, ...rest }) => [String(id), rest])),
    clean_up_tokenization_spaces: false,
    eos_token: roles.eos,
    pad_token: roles.pad,
    ...(roles.bos === undefined ? {} : { bos_token: roles.bos }),
  };
}
