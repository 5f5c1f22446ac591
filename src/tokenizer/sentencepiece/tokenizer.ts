/**
 * Tokenizers from SentencePiece models: what `SentencePieceProcessor.encode` gives, and special tokens beside it.
 *
 * 1. Control pieces such as `<s>` are found in text, as Hugging Face and llama.cpp do it; SentencePiece itself never gives them.
 *    What stands between two of them is a text of its own and gets its own space in front.
 * 2. Decoding follows Hugging Face: unknown pieces show as they are written, and one space that `addDummyPrefix` put in
 *    front of a text goes.
 * 3. `save` writes `tokenizer.json` with the same pieces. There a merge has a rank for each way to make a piece, and the
 *    precompiled normalization goes by grapheme clusters: rare texts may be cut differently.
 */
import { GaslawError } from '../../util/errors.ts';
import { loadTokenizer } from '../load.ts';
import { Charsmap } from '../pipeline/charsmap.ts';
import type { WordModel } from '../pipeline/model.ts';
import type { ModelKind } from '../pipeline/models.ts';
import { preTokenizerOf } from '../pipeline/pre-tokenizers.ts';
import { UnigramModel } from '../pipeline/unigram.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { mergesOf, SentencePieceBpe } from './bpe.ts';
import type { Piece, SentencePieceModel } from './model-file.ts';

/** A tokenizer of the model; `config` is parsed `tokenizer_config.json`, which names the roles and what goes around a text. */
export function sentencePieceTokenizer(model: SentencePieceModel, config?: unknown): Tokenizer {
  const settings = (config as Record<string, unknown> | undefined) ?? configFrom(model);
  const kind: ModelKind = model.algorithm;
  return loadTokenizer(fileOf(model), settings, {
    model: { kind, model: model.algorithm === 'bpe' ? new SentencePieceBpe(model) : unigramOf(model) },
    normalizer: normalizerOf(model),
    preTokenizer: preTokenizerOf(null),
  });
}

function configFrom({ pieces, bos, eos, pad }: SentencePieceModel): Record<string, unknown> {
  const text = (id: number | undefined) => (id === undefined ? undefined : pieces[id]?.text);
  if (text(eos) === undefined)
    throw new GaslawError(
      'SentencePiece model: no end-of-sequence piece; name eos_token in tokenizer_config.json',
    );
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    eos_token: text(eos),
    ...(text(pad) !== undefined && { pad_token: text(pad) }),
    ...(text(bos) !== undefined && { bos_token: text(bos), add_bos_token: true }),
    add_eos_token: false,
  };
}

/** Scores of user-defined pieces: 0.1 below what sentencepiece takes for the largest score, which is never below 0. */
const USER_SCORE = -0.1;

const scoreOf = ({ type, score }: Piece): number => (type === 'user' ? Math.fround(USER_SCORE) : score);

function unigramOf({ pieces, byteFallback }: SentencePieceModel): WordModel {
  const unknown = pieces.findIndex(piece => piece.type === 'unknown');
  return new UnigramModel(
    pieces.map(piece => [piece.text, scoreOf(piece)] as const),
    {
      unknown: unknown < 0 ? undefined : unknown,
      byteFallback,
      round: Math.fround,
      excluded: id => pieces[id]!.type !== 'normal' && pieces[id]!.type !== 'user',
    },
  );
}

/** Text as SentencePiece's normalizer makes it. */
function normalizerOf(model: SentencePieceModel): (text: string) => string {
  const map = model.charsmap?.length ? new Charsmap(model.charsmap, 'precompiled_charsmap') : undefined;
  return raw => {
    let text = map ? map.normalizeLongest(raw) : raw;
    if (model.removeExtraWhitespaces) text = text.replace(/^ +| +$/g, '').replace(/ {2,}/g, ' ');
    if (text === '') return '';
    const marked = (model.addDummyPrefix ? '▁' : '') + text.replaceAll(' ', '▁');
    return model.removeExtraWhitespaces ? marked.replace(/▁+$/, '') : marked;
  };
}

/** The model as `tokenizer.json`. */
function fileOf(model: SentencePieceModel): Record<string, unknown> {
  const found = new Set(['control', 'unknown', ...(model.userDefinedInText ? ['user'] : [])]);
  const added = [...model.pieces.entries()].filter(([, piece]) => found.has(piece.type));
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map(([id, { text, type }]) => ({
      id,
      content: text,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: type !== 'user',
    })),
    normalizer: { type: 'Sequence', normalizers: normalizersOf(model) },
    pre_tokenizer: splitOf(model),
    post_processor: null,
    decoder: decoderOf(model),
    model: model.algorithm === 'bpe' ? bpeOf(model) : unigramFileOf(model),
  };
}

const replace = (pattern: object, content: string) => ({ type: 'Replace', pattern, content });

function normalizersOf({ charsmap, removeExtraWhitespaces, addDummyPrefix }: SentencePieceModel): object[] {
  return [
    ...(charsmap?.length ? [{ type: 'Precompiled', precompiled_charsmap: base64(charsmap) }] : []),
    ...(removeExtraWhitespaces
      ? [replace({ Regex: '\\A +| +\\z' }, ''), replace({ Regex: ' {2,}' }, ' ')]
      : []),
    ...(addDummyPrefix ? [{ type: 'Prepend', prepend: '▁' }] : []),
    replace({ String: ' ' }, '▁'),
  ];
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** In BPE, user-defined pieces stand apart whatever is around them; in unigram models their score sees to it. */
function splitOf({ algorithm, pieces, userDefinedInText }: SentencePieceModel): object | null {
  if (userDefinedInText || algorithm === 'unigram') return null;
  const user = pieces.filter(piece => piece.type === 'user').map(piece => piece.text);
  if (user.length === 0) return null;
  const longest = user.sort((a, b) => b.length - a.length);
  const escaped = longest.map(text => text.replace(/[\\^$.*+?()[\]{}|#&~\s-]/g, '\\$&'));
  return { type: 'Split', pattern: { Regex: escaped.join('|') }, behavior: 'Isolated', invert: false };
}

function decoderOf({ byteFallback, addDummyPrefix }: SentencePieceModel): object {
  return {
    type: 'Sequence',
    decoders: [
      replace({ String: '▁' }, ' '),
      ...(byteFallback ? [{ type: 'ByteFallback' }] : []),
      { type: 'Fuse' },
      ...(addDummyPrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
    ],
  };
}

function bpeOf({ pieces, byteFallback }: SentencePieceModel): object {
  const text = (id: number) => pieces[id]!.text;
  return {
    type: 'BPE',
    dropout: null,
    unk_token: pieces.find(piece => piece.type === 'unknown')?.text ?? null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: true,
    byte_fallback: byteFallback,
    ignore_merges: pieces.some(piece => piece.type === 'user'),
    vocab: Object.fromEntries(pieces.map((piece, id) => [piece.text, id])),
    merges: mergesOf(pieces).map(({ left, right }) => [text(left), text(right)]),
  };
}

function unigramFileOf({ pieces, byteFallback }: SentencePieceModel): object {
  const unknown = pieces.findIndex(piece => piece.type === 'unknown');
  return {
    type: 'Unigram',
    unk_id: unknown < 0 ? null : unknown,
    byte_fallback: byteFallback,
    vocab: pieces.map(piece => [piece.text, scoreOf(piece)]),
  };
}
