/**
 * Byte-pair encoding of one word (Sennrich et al. 2016, arXiv:1508.07909), with the options of Hugging Face's model `BPE`.
 *
 * 1. Characters without a token become their bytes' tokens (`byte_fallback`), else the unknown token (one for each stretch
 *    of them with `fuse_unk`), else nothing, as there.
 * 2. `dropout` belongs to training and is not applied.
 */
import { GaslawError } from '../../util/errors.ts';
import { Merger, MergeTable } from './merging.ts';
import { byteTokens, type WordModel } from './model.ts';

export interface BpeOptions {
  readonly unknown?: string;
  readonly fuseUnknown?: boolean;
  readonly byteFallback?: boolean;
  /** A word that is a token is that token, whatever its merges give. */
  readonly ignoreMerges?: boolean;
  readonly continuingSubwordPrefix?: string;
  readonly endOfWordSuffix?: string;
}

export class BpeModel implements WordModel {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly #options: BpeOptions;
  readonly #merger: Merger;
  readonly #unknown: number | undefined;

  constructor(vocabulary: ReadonlyMap<string, number>, merges: MergeTable, options: BpeOptions = {}) {
    this.vocabulary = vocabulary;
    this.#options = options;
    this.#merger = new Merger(merges);
    this.#unknown = options.unknown === undefined ? undefined : vocabulary.get(options.unknown);
    if (options.unknown !== undefined && this.#unknown === undefined)
      throw new GaslawError(`tokenizer: the unknown token "${options.unknown}" is not in the vocabulary`);
  }

  tokenize(word: string, ids: number[]): void {
    const whole = this.#options.ignoreMerges ? this.vocabulary.get(word) : undefined;
    if (whole !== undefined) ids.push(whole);
    else this.#merger.merge(this.#symbols(word), ids);
  }

  #symbols(word: string): number[] {
    const symbols: number[] = [];
    let pending = false; // an unknown token not yet written
    for (let at = 0; at < word.length; ) {
      const code = word.codePointAt(at)!;
      const end = at + (code > 0xffff ? 2 : 1);
      const symbol = this.#spelled(word.slice(at, end), at === 0, end === word.length);
      const id = this.vocabulary.get(symbol);
      const bytes =
        id === undefined && this.#options.byteFallback ? byteTokens(this.vocabulary, symbol) : undefined;
      if (id !== undefined) {
        if (pending) symbols.push(this.#unknown!);
        pending = false;
        symbols.push(id);
      } else if (bytes) symbols.push(...bytes);
      else if (this.#unknown !== undefined) {
        if (pending && !this.#options.fuseUnknown) symbols.push(this.#unknown);
        pending = true;
      }
      at = end;
    }
    if (pending) symbols.push(this.#unknown!);
    return symbols;
  }

  #spelled(character: string, first: boolean, last: boolean): string {
    const { continuingSubwordPrefix: prefix = '', endOfWordSuffix: suffix = '' } = this.#options;
    return (first ? '' : prefix) + character + (last ? suffix : '');
  }
}

/** The table of merges in the order of their ranks. Throws a GaslawError naming one whose parts or product have no token. */
export function mergesFrom(
  vocabulary: ReadonlyMap<string, number>,
  merges: Iterable<readonly [string, string]>,
  continuingSubwordPrefix = '',
): MergeTable {
  const table = new MergeTable(vocabulary.size);
  let rank = 0;
  for (const [left, right] of merges) {
    const made =
      left + right.slice(right.startsWith(continuingSubwordPrefix) ? continuingSubwordPrefix.length : 0);
    const [leftId, rightId, madeId] = [vocabulary.get(left), vocabulary.get(right), vocabulary.get(made)];
    if (leftId === undefined || rightId === undefined || madeId === undefined) {
      const missing = leftId === undefined ? left : rightId === undefined ? right : made;
      throw new GaslawError(
        `tokenizer: merge ${rank} "${left} ${right}": "${missing}" is not in the vocabulary`,
      );
    }
    table.add(leftId, rightId, rank, madeId);
    rank++;
  }
  return table;
}
