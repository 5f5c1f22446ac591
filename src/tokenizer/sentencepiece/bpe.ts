/**
 * SentencePiece's BPE: the pair whose joined text is the best-scored piece merges first.
 *
 * 1. Every way to split a piece into two pieces merges at the rank of the piece's score, leftmost first (in Hugging Face's
 *    files each way has a rank of its own).
 * 2. User-defined pieces are found first, longest at each place, and neither merge nor are merged into.
 * 3. Pieces marked unused take part in merging but are split again in the result.
 */
import { GaslawError } from '../../util/errors.ts';
import { BpeModel } from '../pipeline/bpe.ts';
import { MergeTable } from '../pipeline/merging.ts';
import type { WordModel } from '../pipeline/model.ts';
import { TextMatcher } from '../pipeline/trie.ts';
import type { Piece, PieceType, SentencePieceModel } from './model-file.ts';

/** Two pieces that join, by the ids of both and of what they make. */
export interface PieceMerge {
  readonly left: number;
  readonly right: number;
  readonly made: number;
}

const JOINED: ReadonlySet<PieceType> = new Set(['normal', 'user', 'unused']);

/** All merges that the pieces allow, best score first; of equal scores, by ids. */
export function mergesOf(pieces: readonly Piece[]): PieceMerge[] {
  const ids = new Map<string, number>();
  for (const [id, piece] of pieces.entries()) if (JOINED.has(piece.type)) ids.set(piece.text, id);
  const order = [...ids.values()].sort((a, b) => pieces[b]!.score - pieces[a]!.score || a - b);
  return order.flatMap(made => splitsOf(pieces[made]!.text, ids).map(parts => ({ ...parts, made })));
}

/** Longer pieces are taken for damage: all their splits are looked up. */
const MAX_PIECE_LENGTH = 4096;

function splitsOf(text: string, ids: ReadonlyMap<string, number>): { left: number; right: number }[] {
  if (text.length > MAX_PIECE_LENGTH)
    throw new GaslawError(`SentencePiece model: a piece of ${text.length} characters; the file is damaged`);
  const splits: { left: number; right: number }[] = [];
  for (let at = 1; at < text.length; at++) {
    const left = ids.get(text.slice(0, at));
    const right = left === undefined ? undefined : ids.get(text.slice(at));
    if (left !== undefined && right !== undefined) splits.push({ left, right });
  }
  return splits.sort((a, b) => a.left - b.left || a.right - b.right);
}

export class SentencePieceBpe implements WordModel {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly #bpe: BpeModel;
  readonly #userIds: readonly number[];
  readonly #user: TextMatcher;
  /** Parts of the unused pieces. */
  readonly #unused: ReadonlyMap<number, readonly number[]>;

  constructor({ pieces, byteFallback, userDefinedInText }: SentencePieceModel) {
    const unknown = pieces.find(piece => piece.type === 'unknown')?.text;
    this.vocabulary = new Map(pieces.map((piece, id) => [piece.text, id]));
    const merges = mergesOf(pieces);
    this.#bpe = new BpeModel(this.vocabulary, ranked(pieces, merges), {
      unknown,
      fuseUnknown: true,
      byteFallback,
    });
    this.#userIds = userDefinedInText ? [] : [...pieces.keys()].filter(id => pieces[id]!.type === 'user');
    this.#user = new TextMatcher(this.#userIds.map(id => pieces[id]!.text));
    this.#unused = partsOfUnused(pieces, merges);
  }

  tokenize(word: string, ids: number[]): void {
    let last = 0;
    for (const { start, end, value } of this.#user.find(word)) {
      this.#merge(word.slice(last, start), ids);
      ids.push(this.#userIds[value]!);
      last = end;
    }
    this.#merge(word.slice(last), ids);
  }

  #merge(text: string, ids: number[]): void {
    if (this.#unused.size === 0) {
      this.#bpe.tokenize(text, ids);
      return;
    }
    const merged: number[] = [];
    this.#bpe.tokenize(text, merged);
    for (const id of merged) this.#expand(id, ids);
  }

  #expand(id: number, ids: number[]): void {
    const parts = this.#unused.get(id);
    if (parts) for (const part of parts) this.#expand(part, ids);
    else ids.push(id);
  }
}

/** Pieces of equal score share a rank. */
function ranked(pieces: readonly Piece[], merges: readonly PieceMerge[]): MergeTable {
  const table = new MergeTable(merges.length);
  let place = -1;
  let last = Number.NaN;
  for (const { left, right, made } of merges) {
    const { score } = pieces[made]!;
    if (score !== last) place++;
    last = score;
    table.add(left, right, place, made);
  }
  return table;
}

/** The parts of each unused piece: those of its merge whose own parts merge first. */
function partsOfUnused(
  pieces: readonly Piece[],
  merges: readonly PieceMerge[],
): Map<number, readonly number[]> {
  const parts = new Map<number, readonly number[]>();
  for (const { left, right, made } of merges)
    if (pieces[made]!.type === 'unused' && !parts.has(made)) parts.set(made, [left, right]);
  return parts;
}
