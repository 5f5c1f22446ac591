/**
 * llama2.c's `tokenizer.bin`: for each token a float32 score, its length in bytes and its UTF-8 text, after the length of
 * the longest. SentencePiece BPE with byte fallback.
 *
 * 1. The file spells spaces as spaces and the begin and end tokens (ids 1 and 2) as `\n<s>\n` and `\n</s>\n`.
 * Source: llama2.c, tokenizer.py and run.c.
 */
import { GaslawError } from '../../util/errors.ts';
import { byteToken } from '../pipeline/model.ts';
import type { Tokenizer } from '../tokenizer.ts';
import type { Piece } from './model-file.ts';
import { sentencePieceTokenizer } from './tokenizer.ts';

const CONTROLS: Readonly<Record<number, string>> = { 1: '<s>', 2: '</s>' };
const FIRST_BYTE = 3;

/** Reads the bytes of such a file. Throws a GaslawError that starts with `file` and says where it stops making sense. */
export function llama2cTokenizer(bytes: Uint8Array, file = 'tokenizer.bin'): Tokenizer {
  const pieces = readPieces(bytes, file);
  if (pieces.length < FIRST_BYTE + 256 || pieces[FIRST_BYTE]!.text !== byteToken(0))
    throw new GaslawError(
      `${file}: ${pieces.length} tokens without those of the bytes at id 3; not llama2.c's tokenizer`,
    );
  return sentencePieceTokenizer({
    algorithm: 'bpe',
    pieces,
    byteFallback: true,
    addDummyPrefix: true,
    removeExtraWhitespaces: false,
    bos: 1,
    eos: 2,
  });
}

function readPieces(bytes: Uint8Array, file: string): Piece[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pieces: Piece[] = [];
  for (let at = 4; at < bytes.length; ) {
    const length = at + 8 <= bytes.length ? view.getInt32(at + 4, true) : -1;
    if (length < 0 || at + 8 + length > bytes.length)
      throw new GaslawError(
        `${file}: token ${pieces.length} at byte ${at} runs past the end; the file is damaged`,
      );
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(
      bytes.subarray(at + 8, at + 8 + length),
    );
    pieces.push(pieceOf(pieces.length, text, view.getFloat32(at, true)));
    at += 8 + length;
  }
  return pieces;
}

function pieceOf(id: number, text: string, score: number): Piece {
  if (id === 0) return { text: '<unk>', score, type: 'unknown' };
  const control = CONTROLS[id];
  if (control !== undefined) return { text: control, score, type: 'control' };
  if (id < FIRST_BYTE + 256) return { text, score, type: 'byte' };
  return { text: text.replaceAll(' ', '▁'), score, type: 'normal' };
}
