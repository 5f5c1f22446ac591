/**
 * Training byte-level BPE: the most frequent pair of neighbours becomes a token, again and again.
 *
 * 1. Ties go to the pair with the smaller left id, then the smaller right one, as in Hugging Face's BpeTrainer, so equal
 *    text gives equal merges there.
 * 2. Counts are kept up to date: a merge touches only the words that have its pair, and a heap knows the most frequent.
 *    O(words + merges · touched words · log pairs).
 * 3. Ids: special tokens, the 256 bytes in the order of their spelling, then the merges. Special tokens in the text stand
 *    apart and are no part of words.
 */
import { GaslawError } from '../util/errors.ts';
import { toFiles } from './hugging-face.ts';
import { byteLevelSplit, KNOWN_SPLITS, type KnownSplit, type KnownSplitName } from './known-splits.ts';
import { loadTokenizer } from './load.ts';
import { BYTE_SPELLING, spellBytes } from './pipeline/byte-spelling.ts';
import { preTokenizerOf } from './pipeline/pre-tokenizers.ts';
import {
  createSplitter,
  DEFAULT_ROLES,
  type SpecialRoles,
  specialTokens,
  type Tokenizer,
} from './tokenizer.ts';

export interface BpeTrainingOptions {
  /** Special tokens, bytes and merges together; fewer when no pair is frequent enough any more. */
  readonly vocabSize: number;
  /** Pairs that are rarer are not merged. Default 2. */
  readonly minFrequency?: number;
  /** Tokens of several characters that are text, such as `<think>`. */
  readonly tags?: readonly string[];
  readonly roles?: SpecialRoles;
  /**
   * How text is cut into words, which tokens never cross: as one of the published families does, which llama.cpp then knows
   * too, or at expressions of your own in Oniguruma's syntax. Default `qwen2`: GPT-4's words with single digits.
   */
  readonly split?: KnownSplitName | KnownSplit;
}

/** Trains a tokenizer on texts. Same texts and options, same tokenizer. */
export function trainBpe(texts: Iterable<string>, options: BpeTrainingOptions): Tokenizer {
  const { roles = DEFAULT_ROLES, tags = [], split: named = 'qwen2', minFrequency = 2 } = options;
  const split: KnownSplit = typeof named === 'string' ? KNOWN_SPLITS[named] : named;
  const specials = specialTokens(roles, tags);
  const alphabet = [...BYTE_SPELLING].sort();
  const vocabulary = [...specials.map(token => token.text), ...alphabet];
  if (options.vocabSize < vocabulary.length)
    throw new GaslawError(
      `vocabSize ${options.vocabSize} is below the ${vocabulary.length} special tokens and bytes; make it larger`,
    );
  const words = countWords(
    texts,
    split,
    specials.map(token => token.text),
  );
  const first = new Map(alphabet.map((character, i) => [character, specials.length + i]));
  const merges = learnMerges(words, first, vocabulary, options.vocabSize, minFrequency);
  const files = toFiles({
    vocabulary,
    specials,
    roles,
    level: 'byte',
    merges,
    preTokenizer: byteLevelSplit(split.patterns),
  });
  return loadTokenizer(files['tokenizer.json'], files['tokenizer_config.json']);
}

/** How often each word occurs, as it is spelled. */
function countWords(
  texts: Iterable<string>,
  split: KnownSplit,
  specials: readonly string[],
): Map<string, number> {
  const preTokenizer = preTokenizerOf(byteLevelSplit(split.patterns));
  const splitter = createSplitter(specials);
  const counts = new Map<string, number>();
  for (const text of texts)
    for (const piece of splitter(text.toWellFormed())) {
      if (piece.special) continue;
      for (const word of preTokenizer.words(piece.text, true)) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  return new Map([...counts].map(([word, count]) => [spellBytes(word), count]));
}

/** A pair of ids as one number. */
const PAIR = 2 ** 24;
const pairOf = (left: number, right: number): number => left * PAIR + right;

interface Candidate {
  readonly pair: number;
  count: number;
  /** Words that have the pair, as far as they are not in another candidate. */
  readonly words: readonly number[];
}

/** Learns merges until `vocabulary`, which grows by their tokens, has `size`. */
function learnMerges(
  wordCounts: ReadonlyMap<string, number>,
  first: ReadonlyMap<string, number>,
  vocabulary: string[],
  size: number,
  minFrequency: number,
): (readonly [string, string])[] {
  const words = [...wordCounts.keys()].map(word => Array.from(word, character => first.get(character)!));
  const counts = [...wordCounts.values()];
  const ids = new Map(vocabulary.map((text, id) => [text, id]));
  const pairs = new PairCounts();
  words.forEach((word, i) => {
    for (let at = 0; at + 1 < word.length; at++) pairs.add(pairOf(word[at]!, word[at + 1]!), counts[i]!, i);
  });
  pairs.queueNew();
  const merges: (readonly [string, string])[] = [];
  while (vocabulary.length < size) {
    const top = pairs.mostFrequent();
    if (!top || top.count < Math.max(1, minFrequency)) break;
    const [left, right] = [Math.floor(top.pair / PAIR), top.pair % PAIR];
    const text = vocabulary[left]! + vocabulary[right]!;
    const made = ids.get(text) ?? vocabulary.push(text) - 1;
    ids.set(text, made);
    merges.push([vocabulary[left]!, vocabulary[right]!]);
    for (const i of top.words)
      mergeIn(words[i]!, left, right, made, (pair, by) => pairs.add(pair, by * counts[i]!, i));
    pairs.queueNew();
  }
  return merges;
}

/** Merges a pair wherever a word has it, and tells which pairs that made (+1) and unmade (−1). */
function mergeIn(
  word: number[],
  left: number,
  right: number,
  made: number,
  change: (pair: number, by: number) => void,
): void {
  let kept = 0;
  for (let at = 0; at < word.length; at++) {
    if (word[at] !== left || word[at + 1] !== right) {
      word[kept++] = word[at]!;
      continue;
    }
    if (kept > 0) {
      change(pairOf(word[kept - 1]!, left), -1);
      change(pairOf(word[kept - 1]!, made), 1);
    }
    const after = word[at + 2];
    if (after !== undefined) {
      change(pairOf(right, after), -1);
      change(pairOf(made, after), 1);
    }
    word[kept++] = made;
    at++;
  }
  word.length = kept;
}

/** How often pairs occur, and which is the most frequent. */
class PairCounts {
  readonly #counts = new Map<number, number>();
  /** Words in which pairs appeared since the last `queueNew`. */
  #appeared = new Map<number, Set<number>>();
  readonly #heap: Candidate[] = [];

  add(pair: number, by: number, word: number): void {
    this.#counts.set(pair, (this.#counts.get(pair) ?? 0) + by);
    if (by <= 0) return;
    const words = this.#appeared.get(pair);
    if (words) words.add(word);
    else this.#appeared.set(pair, new Set([word]));
  }

  /** Makes candidates of the pairs that appeared. */
  queueNew(): void {
    for (const [pair, words] of this.#appeared) {
      const count = this.#counts.get(pair)!;
      if (count > 0) this.#push({ pair, count, words: [...words] });
    }
    this.#appeared = new Map();
  }

  /** Takes the most frequent candidate off the queue, its count as it is now. */
  mostFrequent(): Candidate | undefined {
    for (;;) {
      const top = this.#pop();
      const now = top && this.#counts.get(top.pair)!;
      if (!top || top.count === now) return top;
      top.count = now!;
      this.#push(top);
    }
  }

  #push(candidate: Candidate): void {
    const heap = this.#heap;
    let at = heap.push(candidate) - 1;
    while (at > 0 && before(candidate, heap[(at - 1) >> 1]!)) {
      heap[at] = heap[(at - 1) >> 1]!;
      at = (at - 1) >> 1;
    }
    heap[at] = candidate;
  }

  #pop(): Candidate | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!last || heap.length === 0) return top;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

/** More frequent first; of equally frequent ones the smaller pair. */
const before = (a: Candidate, b: Candidate): boolean =>
  a.count !== b.count ? a.count > b.count : a.pair < b.pair;
