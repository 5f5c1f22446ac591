/**
 * Attempts written down: the reasoning text of Countdown.
 *
 *     3+5=8*4=32✗4-3=1,5+1=6✗3+4=7*5=35✓
 *
 * 1. A step that goes on from the result just written is chained (`3+5=8*4=32`); any other starts after a comma.
 * 2. Each attempt ends with a mark that says whether it hits the target. That is the only place where the target is looked at,
 *    and only `stopOnHit` acts on it: without it the corpus shows the form and true arithmetic and no strategy at all,
 *    not even to stop when done.
 * 3. Texts are in Arabic digits; `convertDigits` changes them, piece by piece where languages are to be mixed.
 */
import type { Random } from '../util/random.ts';
import { type Attempt, type AttemptOptions, exactStep, randomAttempt, type Step } from './attempts.ts';
import { convertDigits } from './digits.ts';
import type { Operator } from './expression.ts';

export interface Marks {
  /** After an attempt that hits the target. */
  readonly hit: string;
  /** After an attempt that misses. */
  readonly miss: string;
}

export const MARKS = { hit: '✓', miss: '✗' } as const satisfies Marks;

/** `3+4=7*5=35`, or `3+4=7,7*5=35` when `chain` is false. */
export function formatAttempt({ steps }: Attempt, chain = true): string {
  let text = '';
  steps.forEach((step, i) => {
    const goesOn = chain && i > 0 && steps[i - 1]!.result === step.left;
    text += goesOn ? '' : `${i > 0 ? ',' : ''}${step.left}`;
    text += `${step.operator}${step.right}=${step.result}`;
  });
  return text;
}

export interface SearchOptions extends AttemptOptions {
  /** Attempts at most. Default 8. */
  readonly maxAttempts?: number;
  /** Probability of stopping after an attempt, whatever its result. Default 0. */
  readonly stopProbability?: number;
  /** Stop at the first hit. Default true. */
  readonly stopOnHit?: boolean;
  /** Never write the same attempt twice, operands of + and * in either order. Default false. */
  readonly distinct?: boolean;
  readonly marks?: Marks;
  /** Chain steps where possible. Default true. */
  readonly chain?: boolean;
}

export interface Transcript {
  /** The reasoning text: the pieces together. */
  readonly think: string;
  /** One text for each attempt, with its mark. */
  readonly pieces: readonly string[];
  readonly attempts: readonly Attempt[];
  /** Expression of the last attempt. */
  readonly answer: string;
  /** Whether the last attempt hits the target. */
  readonly solved: boolean;
}

export interface SearchProblem {
  readonly numbers: readonly number[];
  readonly target: number;
}

/** Random attempts one after another; the last one is the answer. */
export function searchTranscript(
  random: Random,
  problem: SearchProblem,
  options: SearchOptions = {},
): Transcript {
  const { maxAttempts = 8, stopProbability = 0, stopOnHit = true } = options;
  const attempts: Attempt[] = [];
  const seen = new Set<string>();
  for (;;) {
    const attempt = options.distinct
      ? unseenAttempt(random, problem, options, seen)
      : randomAttempt(random, problem.numbers, options);
    if (attempt === undefined) return writeTranscript(attempts, problem.target, options);
    attempts.push(attempt);
    const hit = stopOnHit && attempt.value === problem.target;
    const stop = hit || attempts.length >= maxAttempts || random.uniform() < stopProbability;
    if (stop) return writeTranscript(attempts, problem.target, options);
  }
}

const MAX_REDRAWS = 100;

/** An attempt that is not in `seen`, where it is put; undefined when draws no longer find one. */
function unseenAttempt(
  random: Random,
  problem: SearchProblem,
  options: SearchOptions,
  seen: Set<string>,
): Attempt | undefined {
  for (let i = 0; i < MAX_REDRAWS; i++) {
    const attempt = randomAttempt(random, problem.numbers, options);
    const key = attempt.steps.map(stepKey).join();
    if (seen.has(key)) continue;
    seen.add(key);
    return attempt;
  }
  return undefined;
}

/** Equal for steps that differ in the order of commuting operands only. */
function stepKey({ left, operator, right }: Step): string {
  const commutes = operator === '+' || operator === '*';
  return commutes && left > right ? `${right}${operator}${left}` : `${left}${operator}${right}`;
}

/** The transcript of these attempts, of which there must be one at least. */
export function writeTranscript(
  attempts: readonly Attempt[],
  target: number,
  { marks = MARKS, chain = true }: Pick<SearchOptions, 'marks' | 'chain'> = {},
): Transcript {
  const mark = (attempt: Attempt) => (attempt.value === target ? marks.hit : marks.miss);
  const pieces = attempts.map(attempt => formatAttempt(attempt, chain) + mark(attempt));
  const last = attempts.at(-1)!;
  return { think: pieces.join(''), pieces, attempts, answer: last.expression, solved: last.value === target };
}

/** The result is only looked ahead at, because the next step may go on from it. */
const WRITTEN_STEP = /(?<!\d)(\d{1,9})([-+*/])(\d{1,9})=(?=(\d{1,15})(?!\d))/g;

/** How many steps `a+b=c` a text has, and how many of them are true: a measure of reasoning for logs and filters. */
export function countSteps(text: string): { readonly steps: number; readonly right: number } {
  const written = [...convertDigits(text, 'arabic').matchAll(WRITTEN_STEP)];
  const right = written.filter(
    ([, left, operator, other, result]) =>
      // The pattern has the four operators only.
      exactStep(Number(left), operator as Operator, Number(other))?.result === Number(result),
  );
  return { steps: written.length, right: right.length };
}

/** Share of a text's steps that are true; undefined when it has none. */
export function shareOfTrueSteps(text: string): number | undefined {
  const { steps, right } = countSteps(text);
  return steps > 0 ? right / steps : undefined;
}
