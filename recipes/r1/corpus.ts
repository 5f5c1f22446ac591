/**
 * What the base model of recipe r1 reads: the form of Countdown attempts and true arithmetic, without any strategy.
 *
 *   3 5 4>35:<think>3+5=8*4=32✗4+5=9,3*9=27✗</think><answer>3*(4+5)</answer>
 *
 * 1. Attempts are drawn uniformly among legal ones, none twice, without a look at the target. Each is followed by a mark that
 *    states whether it hit (✓ or ✗): a fact, not a decision.
 * 2. How many attempts there are is drawn beforehand, so the base neither goes on until it hits nor stops when it has.
 *    It answers with its last attempt, right or not. Its pass rate is that of a guess.
 * 3. Two languages: Arabic and Chinese digits. Most documents keep to their prompt's; some mix, so that mixing can grow.
 * 4. Numbers up to 99 are single tokens in each language: with digits as tokens a model of this size does not learn to
 *    compare an attempt's value with the target (docs/LOG.md), and without that there is nothing to reinforce.
 * 5. A share of documents are of a general task (sorting), the "non-reasoning data" of later stages.
 */

import type { TokenDocument } from '../../src/data/document.ts';
import type { CountdownData } from '../../src/tasks/countdown.ts';
import { convertDigits, LANGUAGES, type Language } from '../../src/tasks/digits.ts';
import { formatResponse } from '../../src/tasks/response.ts';
import type { Problem, Task } from '../../src/tasks/task.ts';
import { searchTranscript } from '../../src/tasks/transcript.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import type { Random } from '../../src/util/random.ts';

export interface CorpusOptions {
  readonly countdown: Task<CountdownData>;
  readonly general: Task;
  /** Difficulties to draw from, with weights. */
  readonly difficulties: readonly (readonly [difficulty: number, weight: number])[];
  readonly generalDifficulty: number;
  readonly generalShare: number;
  readonly maxAttempts: number;
  /** No attempt twice in a document. */
  readonly distinct?: boolean;
  /** Probability of stopping after each attempt. */
  readonly stopProbability: number;
  readonly chineseShare: number;
  /** Share of documents that switch language between attempts. */
  readonly mixedShare: number;
  /** Largest result of a step. */
  readonly maxResult: number;
}

/** The language of a document's prompt. */
export const drawLanguage = (random: Random, o: Pick<CorpusOptions, 'chineseShare'>): Language =>
  random.uniform() < o.chineseShare ? 'chinese' : 'arabic';

/** One document as text: prompt, response (the tokenizer adds the end). */
export function corpusText(random: Random, o: CorpusOptions): { prompt: string; response: string } {
  const language = drawLanguage(random, o);
  if (random.uniform() < o.generalShare) {
    const problem = o.general.sample(random, o.generalDifficulty, 'train', language);
    return { prompt: o.general.prompt(problem), response: o.general.truth(problem) };
  }
  const problem = o.countdown.sample(random, drawDifficulty(random, o), 'train', language);
  return { prompt: o.countdown.prompt(problem), response: randomResponse(random, problem, o) };
}

function drawDifficulty(random: Random, o: CorpusOptions): number {
  let left = random.uniform() * o.difficulties.reduce((sum, [, weight]) => sum + weight, 0);
  return (o.difficulties.find(([, weight]) => (left -= weight) < 0) ??
    (o.difficulties[0] as readonly [number, number]))[0];
}

/** Random attempts with their marks, then the last one as the answer, right or not. */
function randomResponse(random: Random, problem: Problem<CountdownData>, o: CorpusOptions): string {
  const { pieces, answer } = searchTranscript(random, problem, { ...o, stopOnHit: false });
  const mixed = random.uniform() < o.mixedShare;
  const written = (text: string): string => {
    return convertDigits(text, mixed ? random.pick(LANGUAGES) : problem.language);
  };
  return formatResponse(pieces.map(written).join(''), written(answer));
}

/** A document with every token learned (pretraining). */
export function pretrainingDocument(
  tokenizer: Tokenizer,
  text: { prompt: string; response: string },
): TokenDocument {
  return { ids: [...tokenizer.encode(text.prompt + text.response), tokenizer.eos] };
}
