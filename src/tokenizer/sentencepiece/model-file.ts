/**
 * SentencePiece's `tokenizer.model`: pieces with scores, how text is normalized, which way of cutting it belongs to them.
 *
 * Source: sentencepiece_model.proto; defaults are the proto's.
 */
import { decodeMessage, message, type Schema, scalar } from '../../graph/wire.ts';
import { GaslawError } from '../../util/errors.ts';

/** What a piece is, by the proto's numbers. */
const PIECE_TYPES = { 1: 'normal', 2: 'unknown', 3: 'control', 4: 'user', 5: 'unused', 6: 'byte' } as const;
export type PieceType = (typeof PIECE_TYPES)[keyof typeof PIECE_TYPES];

export interface Piece {
  readonly text: string;
  /** Log probability (unigram) or minus the rank of its merge (BPE). */
  readonly score: number;
  readonly type: PieceType;
}

export interface SentencePieceModel {
  readonly algorithm: 'unigram' | 'bpe';
  /** By id. */
  readonly pieces: readonly Piece[];
  readonly byteFallback: boolean;
  /** Put a space in front of a text. */
  readonly addDummyPrefix: boolean;
  /** Drop spaces at both ends and all but one between words. */
  readonly removeExtraWhitespaces: boolean;
  /** Precompiled normalization; absent or empty is none. */
  readonly charsmap?: Uint8Array;
  /** User-defined pieces are found in the text before it is normalized, as llama.cpp does it; default false. */
  readonly userDefinedInText?: boolean;
  /** Ids of the pieces with a role; absent where the model has none. */
  readonly bos?: number;
  readonly eos?: number;
  readonly pad?: number;
}

interface PieceProto {
  piece?: string;
  score?: number;
  type?: number;
}

interface TrainerProto {
  modelType?: number;
  treatWhitespaceAsSuffix?: number;
  byteFallback?: number;
  bosId?: number;
  eosId?: number;
  padId?: number;
}

interface NormalizerProto {
  precompiledCharsmap?: Uint8Array;
  addDummyPrefix?: number;
  removeExtraWhitespaces?: number;
  escapeWhitespaces?: number;
}

interface ModelProto {
  pieces?: PieceProto[];
  trainer?: TrainerProto;
  normalizer?: NormalizerProto;
}

const PIECE: Schema<PieceProto> = {
  name: 'SentencePiece',
  fields: { piece: scalar(1, 'string'), score: scalar(2, 'float'), type: scalar(3, 'int32') },
};

const TRAINER: Schema<TrainerProto> = {
  name: 'TrainerSpec',
  fields: {
    modelType: scalar(3, 'int32'),
    treatWhitespaceAsSuffix: scalar(24, 'int32'),
    byteFallback: scalar(35, 'int32'),
    bosId: scalar(41, 'int32'),
    eosId: scalar(42, 'int32'),
    padId: scalar(43, 'int32'),
  },
};

const NORMALIZER: Schema<NormalizerProto> = {
  name: 'NormalizerSpec',
  fields: {
    precompiledCharsmap: scalar(2, 'bytes'),
    addDummyPrefix: scalar(3, 'int32'),
    removeExtraWhitespaces: scalar(4, 'int32'),
    escapeWhitespaces: scalar(5, 'int32'),
  },
};

const MODEL: Schema<ModelProto> = {
  name: 'SentencePiece ModelProto',
  fields: {
    pieces: message(1, () => PIECE, 'repeated'),
    trainer: message(2, () => TRAINER),
    normalizer: message(3, () => NORMALIZER),
  },
};

/** Reads the bytes of a `tokenizer.model`. Throws a GaslawError that starts with `file` and says what is wrong. */
export function readSentencePiece(bytes: Uint8Array, file = 'tokenizer.model'): SentencePieceModel {
  const proto = decode(bytes, file);
  const { trainer = {}, normalizer = {} } = proto;
  const algorithm = ({ 1: 'unigram', 2: 'bpe' } as const)[trainer.modelType ?? 1];
  if (algorithm === undefined)
    throw new GaslawError(`${file}: model type ${trainer.modelType} is not supported; unigram and BPE are`);
  if (trainer.treatWhitespaceAsSuffix)
    throw new GaslawError(`${file}: white space as suffix is not supported; convert it to tokenizer.json`);
  if (normalizer.escapeWhitespaces === 0)
    throw new GaslawError(`${file}: unescaped white space is not supported; convert it to tokenizer.json`);
  const pieces = (proto.pieces ?? []).map((piece, id) => readPiece(piece, `${file}: piece ${id}`));
  if (pieces.length === 0) throw new GaslawError(`${file}: no pieces; this is not a SentencePiece model`);
  const role = (id: number) => (id >= 0 && id < pieces.length ? id : undefined);
  return {
    algorithm,
    pieces,
    byteFallback: Boolean(trainer.byteFallback),
    addDummyPrefix: Boolean(normalizer.addDummyPrefix ?? 1),
    removeExtraWhitespaces: Boolean(normalizer.removeExtraWhitespaces ?? 1),
    charsmap: normalizer.precompiledCharsmap,
    bos: role(trainer.bosId ?? 1),
    eos: role(trainer.eosId ?? 2),
    pad: role(trainer.padId ?? -1),
  };
}

function decode(bytes: Uint8Array, file: string): ModelProto {
  try {
    return decodeMessage(MODEL, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (error) {
    if (!(error instanceof GaslawError)) throw error;
    throw new GaslawError(`${file}: ${error.message}`);
  }
}

function readPiece({ piece = '', score = 0, type = 1 }: PieceProto, place: string): Piece {
  if (!(type in PIECE_TYPES))
    throw new GaslawError(`${place}: type ${type} is not known; the file is damaged`);
  if (!Number.isFinite(score))
    throw new GaslawError(`${place}: score ${score} is not a number; the file is damaged`);
  return { text: piece, score, type: PIECE_TYPES[type as keyof typeof PIECE_TYPES] };
}
