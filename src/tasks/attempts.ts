/**
 * Random and systematic well-formed attempts at Countdown: the raw material of the R1 recipe's base corpus.
 *
 * 1. A step takes two values of the pool and puts their result back: `3+4=7,7*5=35`. Every step is exact over
 *    non-negative integers: no difference below zero, division only without remainder, results bounded.
 * 2. A step is drawn among all legal moves with the operators' weights, so drawing always ends.
 * 3. Nothing here looks at the target except `searchTranscript`, which only stops when it is hit: the corpus
 *    shows the form and true arithmetic, never a strategy.
 */
import { GaslawError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';
import { convertDigits } from './digits.ts';
import { OPERATORS, type Operator } from './expression.ts';

export interface Step {
  readonly left: number;
  readonly operator: Operator;
  readonly right: number;
  readonly result: number;
}

export interface Attempt {
  readonly steps: readonly Step[];
  readonly value: number;
  /** The steps as one expression with the parentheses that it needs: `(3+4)*5`. */
  readonly expression: string;
}

export interface AttemptOptions {
  /** Relative weight of each operator; absent or 0 leaves it out. Default: all four equally. */
  readonly operators?: Partial<Readonly<Record<Operator, number>>>;
  /** Largest result of a step. Default 999. */
  readonly maxResult?: number;
  /** Largest result of the last step. Default `maxResult`. */
  readonly maxValue?: number;
}

const ALL_OPERATORS = { '+': 1, '-': 1, '*': 1, '/': 1 } as const;

/** A value in the pool with the expression it came from; `precedence` 3 for a plain number. */
interface Item {
  readonly value: number;
  readonly text: string;
  readonly precedence: 1 | 2 | 3;
}

interface Move {
  readonly i: number;
  readonly j: number;
  readonly step: Step;
  readonly weight: number;
}

/** The result of `left operator right` when it is a non-negative integer, else undefined. */
export function exactStep(left: number, operator: Operator, right: number): Step | undefined {
  const result = compute(left, operator, right);
  return Number.isInteger(result) && result >= 0 ? { left, operator, right, result } : undefined;
}

function compute(left: number, operator: Operator, right: number): number {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return right === 0 ? Number.NaN : left / right;
  }
}

const startPool = (numbers: readonly number[]): Item[] =>
  numbers.map(value => ({ value, text: String(value), precedence: 3 }));

/** Every legal step from this pool, over ordered pairs. */
function legalMoves(pool: readonly Item[], options: AttemptOptions): Move[] {
  const { operators = ALL_OPERATORS, maxResult = 999 } = options;
  const limit = pool.length === 2 ? (options.maxValue ?? maxResult) : maxResult;
  const moves: Move[] = [];
  for (const [i, left] of pool.entries())
    for (const [j, right] of pool.entries())
      for (const operator of i === j ? [] : OPERATORS) {
        const weight = operators[operator] ?? 0;
        const step = weight > 0 ? exactStep(left.value, operator, right.value) : undefined;
        if (step !== undefined && step.result <= limit) moves.push({ i, j, step, weight });
      }
  return moves;
}

function play(pool: readonly Item[], { i, j, step }: Move): Item[] {
  const rest = pool.filter((_, k) => k !== i && k !== j);
  return [...rest, { value: step.result, ...join(pool[i]!, step.operator, pool[j]!) }];
}

/** `left operator right` as text; the right side of - and / needs parentheses at equal precedence too. */
function join(left: Item, operator: Operator, right: Item): Pick<Item, 'text' | 'precedence'> {
  const precedence = operator === '+' || operator === '-' ? 1 : 2;
  const strict = operator === '-' || operator === '/' ? precedence + 1 : precedence;
  const wrap = (item: Item, least: number) => (item.precedence < least ? `(${item.text})` : item.text);
  return { text: wrap(left, precedence) + operator + wrap(right, strict), precedence };
}

function pickWeighted(random: Random, moves: readonly Move[]): Move {
  let at = random.uniform() * moves.reduce((sum, move) => sum + move.weight, 0);
  return moves.find(move => (at -= move.weight) < 0) ?? moves.at(-1)!;
}

const MAX_RESTARTS = 1000;

/** One random attempt that uses each number once. Throws when the bounds leave no attempt. */
export function randomAttempt(
  random: Random,
  numbers: readonly number[],
  options: AttemptOptions = {},
): Attempt {
  for (let i = 0; i < MAX_RESTARTS; i++) {
    const attempt = tryAttempt(random, numbers, options);
    if (attempt !== undefined) return attempt;
  }
  throw new GaslawError(
    `no attempt over ${numbers.join(' ')} keeps within the bounds; raise maxResult or maxValue`,
  );
}

function tryAttempt(
  random: Random,
  numbers: readonly number[],
  options: AttemptOptions,
): Attempt | undefined {
  const steps: Step[] = [];
  let pool = startPool(numbers);
  while (pool.length > 1) {
    const moves = legalMoves(pool, options);
    if (moves.length === 0) return undefined;
    const move = pickWeighted(random, moves);
    steps.push(move.step);
    pool = play(pool, move);
  }
  return { steps, value: pool[0]!.value, expression: pool[0]!.text };
}

/** Every attempt over `numbers`, depth first, `a+b` and `b+a` once. For four numbers a few thousand. */
export function* allAttempts(numbers: readonly number[], options: AttemptOptions = {}): Generator<Attempt> {
  yield* extend(startPool(numbers), [], options);
}

function* extend(pool: readonly Item[], steps: readonly Step[], options: AttemptOptions): Generator<Attempt> {
  if (pool.length === 1) yield { steps, value: pool[0]!.value, expression: pool[0]!.text };
  else
    for (const move of legalMoves(pool, options)) {
      const commutes = move.step.operator === '+' || move.step.operator === '*';
      if (!commutes || move.i < move.j) yield* extend(play(pool, move), [...steps, move.step], options);
    }
}

/** `3+4=7,7*5=35`. Use `convertDigits` for the other alphabet. */
export function formatAttempt(attempt: Attempt, separator = ','): string {
  return attempt.steps.map(s => `${s.left}${s.operator}${s.right}=${s.result}`).join(separator);
}

export interface SearchOptions extends AttemptOptions {
  /** Attempts at most. Default 8. */
  readonly maxAttempts?: number;
  /** Probability of giving up after a miss. Default 0. */
  readonly stopProbability?: number;
  /** Written between the steps of an attempt. Default `,`. */
  readonly stepMark?: string;
  /** Written after an attempt that hits the target. Default `!`. */
  readonly hitMark?: string;
  /** Written after each miss that is followed by another attempt. Default `;`. */
  readonly missMark?: string;
  /** Written after the last miss when the search gives up. Default `?`. */
  readonly giveUpMark?: string;
}

export interface Transcript {
  /** The reasoning text, in Arabic digits. */
  readonly think: string;
  readonly solved: boolean;
  /** All attempts in order; the last one is the answer. */
  readonly attempts: readonly Attempt[];
}

/** Random attempts one after another until one hits the target or the search gives up. */
export function searchTranscript(
  random: Random,
  problem: { readonly numbers: readonly number[]; readonly target: number },
  options: SearchOptions = {},
): Transcript {
  const { maxAttempts = 8, stopProbability = 0 } = options;
  const { stepMark = ',', hitMark = '!', missMark = ';', giveUpMark = '?' } = options;
  const attempts: Attempt[] = [];
  for (;;) {
    const attempt = randomAttempt(random, problem.numbers, options);
    attempts.push(attempt);
    const solved = attempt.value === problem.target;
    if (solved || attempts.length >= maxAttempts || random.uniform() < stopProbability) {
      const text = attempts.map(a => formatAttempt(a, stepMark)).join(missMark);
      return { think: text + (solved ? hitMark : giveUpMark), solved, attempts };
    }
  }
}

const WRITTEN_STEP = /(?<!\d)(\d{1,9})([-+*/])(\d{1,9})=(\d{1,15})(?!\d)/g;

/** How many steps `a+b=c` a text has, and how many of them are true: a measure of reasoning for logs and filters. */
export function countSteps(text: string): { readonly steps: number; readonly right: number } {
  const written = [...convertDigits(text, 'arabic').matchAll(WRITTEN_STEP)];
  const right = written.filter(
    ([, left, operator, other, result]) =>
      compute(Number(left), operator as Operator, Number(other)) === Number(result), // the pattern has the four
  );
  return { steps: written.length, right: right.length };
}
