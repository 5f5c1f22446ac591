/**
 * Vocabularies as GGUF files have them, in the metadata under `tokenizer.`: read into a tokenizer, and written from one.
 *
 * 1. `llama` is SentencePiece BPE (scores), `t5` SentencePiece unigram, `gpt2` byte-level BPE (merges) cut as the name under
 *    `tokenizer.ggml.pre` says. Other models, and names of cuts that are not known here, are refused by name.
 * 2. Control tokens are special; user-defined ones are found in text as they are and stay when special ones are left out.
 * 3. Written scores of `llama` are minus the rank of the merge that first makes a token: the order is all that counts.
 * Source: llama.cpp, `src/llama-vocab.cpp` and `gguf-py/gguf/constants.py`.
 */
import { GaslawError } from '../util/errors.ts';
import { byteLevelSplit, KNOWN_SPLITS, knownSplit, nameOfSplit } from './known-splits.ts';
import { loadTokenizer } from './load.ts';
import { BpeModel, mergesFrom } from './pipeline/bpe.ts';
import type { Piece, PieceType, SentencePieceModel } from './sentencepiece/model-file.ts';
import { sentencePieceTokenizer } from './sentencepiece/tokenizer.ts';
import type { Tokenizer } from './tokenizer.ts';

type Scalar = number | bigint | boolean | string;
type ScalarType = 'uint32' | 'int32' | 'float32' | 'bool' | 'string';

/** A value of GGUF metadata with the type that the file gives it, or a list of them. */
export type GgufEntry<Type extends string = string> =
  | { readonly type: Type; readonly value: Scalar }
  | { readonly type: Type; readonly values: readonly Scalar[] };

export type GgufEntries = ReadonlyMap<string, GgufEntry>;

/** The same with the types that are written here. */
export type WrittenEntry = GgufEntry<ScalarType>;

/** Types of tokens by llama.cpp's numbers; 0 is undefined there. */
const TOKEN_TYPES = ['normal', 'normal', 'unknown', 'control', 'user', 'unused', 'byte'] as const;

const KEY = 'tokenizer.ggml.';

/** Typed access to the metadata under `tokenizer.ggml.`; what is absent is undefined, what has another type refused. */
class Fields {
  readonly #entries: GgufEntries;

  constructor(entries: GgufEntries) {
    this.#entries = entries;
  }

  text(name: string): string | undefined {
    return this.#one(KEY + name, 'string');
  }

  flag(name: string): boolean | undefined {
    return this.#one(KEY + name, 'boolean');
  }

  get chatTemplate(): string | undefined {
    return this.#one('tokenizer.chat_template', 'string');
  }

  /** An id; ids outside the vocabulary, with which files say that there is none, are undefined. */
  id(name: string, count: number): number | undefined {
    const id = this.#one<number>(`${KEY}${name}_token_id`, 'number');
    return id !== undefined && id >= 0 && id < count ? id : undefined;
  }

  texts(name: string): string[] | undefined {
    return this.#list(name, 'string');
  }

  numbers(name: string): number[] | undefined {
    return this.#list(name, 'number');
  }

  #one<T>(key: string, kind: 'string' | 'number' | 'boolean'): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const value = 'value' in entry ? plain(entry.value) : undefined;
    if (typeof value !== kind)
      throw new GaslawError(`GGUF metadata ${key}: not a ${kind}; the file is damaged`);
    return value as T; // its kind was checked
  }

  #list<T>(name: string, kind: 'string' | 'number'): T[] | undefined {
    const entry = this.#entries.get(KEY + name);
    if (entry === undefined) return undefined;
    const values = 'values' in entry ? plainList(entry.values) : undefined;
    if (values === undefined || values.some(value => typeof value !== kind))
      throw new GaslawError(`GGUF metadata ${KEY}${name}: not a list of ${kind}s; the file is damaged`);
    return values as T[]; // their kinds were checked
  }
}

const plainList = (values: readonly Scalar[]): readonly Scalar[] =>
  values.some(value => typeof value === 'bigint') ? values.map(plain) : values;

const plain = (value: Scalar): Scalar => (typeof value === 'bigint' ? Number(value) : value);

/** The tokenizer that a GGUF file's metadata describe. Throws a GaslawError that names the key that is missing or not supported. */
export function ggufTokenizer(entries: GgufEntries): Tokenizer {
  const fields = new Fields(entries);
  const model = fields.text('model');
  if (model === undefined)
    throw new GaslawError(`GGUF metadata: ${KEY}model is missing; the file has no tokenizer`);
  if (model === 'gpt2') return readByteLevel(fields);
  if (model === 'llama' || model === 't5') return readSentencePiece(fields, model);
  throw new GaslawError(`GGUF metadata ${KEY}model: ${model} is not supported; known are llama, t5 and gpt2`);
}

function readTokens(fields: Fields): { tokens: string[]; types: PieceType[] } {
  const tokens = fields.texts('tokens');
  if (!tokens || tokens.length === 0)
    throw new GaslawError(`GGUF metadata: ${KEY}tokens is missing; the file has no vocabulary`);
  const types = fields.numbers('token_type') ?? tokens.map(() => 1);
  if (types.length !== tokens.length)
    throw new GaslawError(
      `GGUF metadata: ${types.length} token types for ${tokens.length} tokens; the file is damaged`,
    );
  return { tokens, types: types.map(type => TOKEN_TYPES[type] ?? 'normal') };
}

interface Defaults {
  readonly bos?: number;
  readonly eos?: number;
  readonly addBos: boolean;
}

/** `tokenizer_config.json` as the metadata have it. */
function configOf(fields: Fields, tokens: readonly string[], defaults: Defaults): Record<string, unknown> {
  const count = tokens.length;
  const [bos, pad] = [fields.id('bos', count) ?? defaults.bos, fields.id('padding', count)];
  const eos = fields.id('eos', count) ?? defaults.eos;
  if (eos === undefined || tokens[eos] === undefined)
    throw new GaslawError(`GGUF metadata: ${KEY}eos_token_id is missing; it says which token ends a text`);
  const template = fields.chatTemplate;
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    eos_token: tokens[eos],
    ...(pad !== undefined && { pad_token: tokens[pad] }),
    ...(bos !== undefined && tokens[bos] !== undefined && { bos_token: tokens[bos] }),
    add_bos_token: fields.flag('add_bos_token') ?? defaults.addBos,
    add_eos_token: fields.flag('add_eos_token') ?? false,
    ...(template !== undefined && { chat_template: template }),
  };
}

function readByteLevel(fields: Fields): Tokenizer {
  const { tokens, types } = readTokens(fields);
  const name = fields.text('pre') ?? 'gpt-2';
  const split = knownSplit(name === 'default' ? 'gpt-2' : name);
  if (!split) {
    const known = Object.keys(KNOWN_SPLITS).join(', ');
    throw new GaslawError(`GGUF metadata ${KEY}pre: ${name} is not supported; known are ${known}`);
  }
  const merges = fields.texts('merges');
  if (!merges) throw new GaslawError(`GGUF metadata: ${KEY}merges is missing; a gpt2 vocabulary needs it`);
  const ignoreMerges = split.ignoreMerges ?? false;
  const file = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(tokens, types),
    normalizer: null,
    pre_tokenizer: byteLevelSplit(split.patterns),
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: ignoreMerges,
    },
  };
  const vocabulary = new Map(tokens.map((text, id) => [text, id]));
  const table = mergesFrom(vocabulary, pairsOf(merges));
  const config = configOf(fields, tokens, { addBos: split.addBos ?? false });
  return loadTokenizer(file, config, {
    model: { kind: 'bpe', model: new BpeModel(vocabulary, table, { ignoreMerges }) },
    complete: () => ({
      ...file,
      model: { ...file.model, vocab: Object.fromEntries(vocabulary), merges: [...pairsOf(merges)] },
    }),
  });
}

function* pairsOf(merges: readonly string[]): Generator<[string, string]> {
  for (const merge of merges) yield splitMerge(merge);
}

/** At the first space that is not its first character. */
function splitMerge(merge: string): [string, string] {
  const at = merge.indexOf(' ', 1);
  if (at < 0)
    throw new GaslawError(`GGUF metadata ${KEY}merges: ${JSON.stringify(merge)} is not a pair of tokens`);
  return [merge.slice(0, at), merge.slice(at + 1)];
}

const addedTokens = (tokens: readonly string[], types: readonly PieceType[]) =>
  tokens.flatMap((content, id) =>
    types[id] === 'control' || types[id] === 'user' || types[id] === 'unknown'
      ? [
          {
            id,
            content,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: types[id] !== 'user',
          },
        ]
      : [],
  );

function readSentencePiece(fields: Fields, kind: 'llama' | 't5'): Tokenizer {
  const { tokens, types } = readTokens(fields);
  const scores = fields.numbers('scores');
  if (!scores || scores.length !== tokens.length)
    throw new GaslawError(
      `GGUF metadata: ${scores?.length ?? 0} scores for ${tokens.length} tokens; the file is damaged`,
    );
  const charsmap = fields.numbers('precompiled_charsmap');
  const model: SentencePieceModel = {
    algorithm: kind === 'llama' ? 'bpe' : 'unigram',
    pieces: tokens.map((text, id) => ({ text, score: scores[id]!, type: types[id]! })),
    byteFallback: types.includes('byte'),
    addDummyPrefix: fields.flag('add_space_prefix') ?? true,
    removeExtraWhitespaces: kind === 't5' && (fields.flag('remove_extra_whitespaces') ?? false),
    charsmap: charsmap && Uint8Array.from(charsmap),
    userDefinedInText: true,
  };
  const defaults = kind === 'llama' ? { bos: 1, eos: 2, addBos: true } : { eos: 1, addBos: false };
  return sentencePieceTokenizer(model, configOf(fields, tokens, defaults));
}

// ---- writing ----

export interface GgufVocabularyOptions {
  /** Entries of the token table; ids that no token has are filled up as unused ones. Default: the tokenizer's size. */
  readonly size?: number;
}

/** What a vocabulary is in a file, before its metadata are spelled out. */
interface Written {
  readonly model: 'llama' | 't5' | 'gpt2';
  readonly pre: string;
  /** By id; free ids are absent. */
  readonly pieces: readonly (Piece | undefined)[];
  readonly merges?: readonly string[];
  readonly spacePrefix: boolean;
}

/**
 * The tokenizer's metadata for a GGUF file, which llama.cpp reads.
 * Throws a GaslawError when it cuts text in a way that llama.cpp has no name for.
 */
export function ggufVocabulary(
  tokenizer: Tokenizer,
  options: GgufVocabularyOptions = {},
): Map<string, WrittenEntry> {
  const files = tokenizer.save();
  const written =
    tokenizer.kind === 'character'
      ? characterVocabulary(tokenizer)
      : fileVocabulary(tokenizer, files['tokenizer.json'] as unknown as TokenizerFile); // loaded or made by this package
  const pieces = Array.from(
    { length: options.size ?? tokenizer.vocabSize },
    (_, id) => written.pieces[id] ?? unusedPiece(id),
  );
  const byScore = written.model !== 'gpt2';
  const template = (files['tokenizer_config.json'] as { chat_template?: unknown }).chat_template;
  const entries: (readonly [string, WrittenEntry])[] = [
    one('model', 'string', written.model),
    one('pre', 'string', written.pre),
    many(
      'tokens',
      'string',
      pieces.map(piece => piece.text),
    ),
    ...(byScore
      ? [
          many(
            'scores',
            'float32',
            pieces.map(piece => piece.score),
          ),
        ]
      : []),
    many(
      'token_type',
      'int32',
      pieces.map(piece => TOKEN_TYPES.lastIndexOf(piece.type)),
    ),
    ...(written.merges ? [many('merges', 'string', written.merges)] : []),
    ...roleEntries(tokenizer),
    ...(byScore ? [one('add_space_prefix', 'bool', written.spacePrefix)] : []),
    ...(typeof template === 'string'
      ? [['tokenizer.chat_template', { type: 'string', value: template }] as const]
      : []),
  ];
  return new Map(entries);
}

const one = (name: string, type: ScalarType, value: Scalar) => [KEY + name, { type, value }] as const;
const many = (name: string, type: ScalarType, values: readonly Scalar[]) =>
  [KEY + name, { type, values }] as const;

const unusedPiece = (id: number): Piece => ({ text: `[PAD${id}]`, score: 0, type: 'unused' });

function roleEntries(tokenizer: Tokenizer): (readonly [string, WrittenEntry])[] {
  const around = tokenizer.encode('', { addSpecial: true });
  return [
    ...(tokenizer.bos === undefined ? [] : [one('bos_token_id', 'uint32', tokenizer.bos)]),
    one('eos_token_id', 'uint32', tokenizer.eos),
    one('padding_token_id', 'uint32', tokenizer.pad),
    one('add_bos_token', 'bool', tokenizer.bos !== undefined && around[0] === tokenizer.bos),
    one(
      'add_eos_token',
      'bool',
      around.at(-1) === tokenizer.eos && around.length > (around[0] === tokenizer.bos ? 1 : 0),
    ),
  ];
}

interface TokenizerFile {
  readonly added_tokens?: readonly {
    readonly id: number;
    readonly content: string;
    readonly special: boolean;
  }[];
  readonly normalizer?: unknown;
  readonly pre_tokenizer?: unknown;
  readonly model: {
    readonly type?: string;
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges?: readonly (string | readonly [string, string])[];
    readonly byte_fallback?: boolean;
    readonly unk_token?: string | null;
  };
}

function fileVocabulary(tokenizer: Tokenizer, file: TokenizerFile): Written {
  if (tokenizer.kind !== 'bpe')
    throw new GaslawError(
      `tokenizer: a ${tokenizer.kind} vocabulary cannot be written to GGUF; BPE and characters can`,
    );
  const merges = (file.model.merges ?? []).map(merge =>
    typeof merge === 'string' ? splitMerge(merge) : merge,
  );
  if (JSON.stringify(file.pre_tokenizer ?? null).includes('"ByteLevel"'))
    return byteLevelVocabulary(file, merges);
  if (file.model.byte_fallback) return scoredVocabulary(file, merges);
  throw new GaslawError(
    'tokenizer: BPE without bytes cannot be written to GGUF; use byte level or byte fallback',
  );
}

function byteLevelVocabulary(file: TokenizerFile, merges: readonly (readonly [string, string])[]): Written {
  // Without merges every cut gives the same tokens.
  const pre = merges.length === 0 ? 'gpt-2' : nameOfSplit(file.pre_tokenizer);
  if (pre === undefined) {
    const known = Object.keys(KNOWN_SPLITS).join(', ');
    throw new GaslawError(
      `tokenizer: llama.cpp has no name for how this one cuts text into words; it knows ${known}`,
    );
  }
  const pieces = piecesOf(
    file,
    () => 0,
    () => 'normal',
  );
  return { model: 'gpt2', pre, pieces, merges: merges.map(pair => pair.join(' ')), spacePrefix: false };
}

function scoredVocabulary(file: TokenizerFile, merges: readonly (readonly [string, string])[]): Written {
  const ranks = new Map<string, number>();
  merges.forEach((pair, rank) => {
    const made = pair.join('');
    if (!ranks.has(made)) ranks.set(made, rank);
  });
  const type = (text: string): PieceType =>
    text === file.model.unk_token ? 'unknown' : /^<0x[0-9A-F]{2}>$/.test(text) ? 'byte' : 'normal';
  const pieces = piecesOf(file, text => -(ranks.get(text) ?? merges.length), type);
  const text = JSON.stringify([file.normalizer ?? null, file.pre_tokenizer ?? null]);
  const spacePrefix = /"Prepend"|"prepend_scheme":"(always|first)"/.test(text);
  return { model: 'llama', pre: 'default', pieces, spacePrefix };
}

/** The vocabulary by id. User-defined tokens are spelled with spaces, as they are found in text. */
function piecesOf(
  { added_tokens = [], model }: TokenizerFile,
  score: (text: string) => number,
  type: (text: string) => PieceType,
): (Piece | undefined)[] {
  const pieces: (Piece | undefined)[] = [];
  for (const [text, id] of Object.entries(model.vocab))
    pieces[id] = { text, score: score(text), type: type(text) };
  for (const { id, content, special } of added_tokens) {
    const known = pieces[id]?.type === 'unknown' ? 'unknown' : special ? 'control' : 'user';
    pieces[id] = { text: content, score: 0, type: known };
  }
  return pieces;
}

/** Characters as SentencePiece pieces that do not merge; a character without a token is an error in llama.cpp too. */
function characterVocabulary(tokenizer: Tokenizer): Written {
  const file = tokenizer.save()['tokenizer.json'] as unknown as TokenizerFile; // made by this package
  const pieces = piecesOf(
    file,
    () => 0,
    () => 'normal',
  ).map(piece => (piece?.type === 'normal' ? { ...piece, text: piece.text.replaceAll(' ', '▁') } : piece));
  return { model: 'llama', pre: 'default', pieces, spacePrefix: false };
}
