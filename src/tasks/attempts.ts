/**
 * Random and systematic well-formed attempts at Countdown: the raw material of the R1 recipe's base corpus.
 *
 * 1. A step takes two values of the pool and puts their result back. Every step is exact over non-negative integers: no
 *    difference below zero, division only without remainder, results bounded (0 to 99 by default, which can be one token each).
 * 2. A step is drawn among all legal moves with the operators' weights, so drawing always ends.
 * 3. Nothing here looks at a target: attempts are true arithmetic, not strategy.
 * 4. Expressions put every inner operation in parentheses by default, the form that is easiest to copy from the steps.
 */
import { GaslawError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';
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
  /** The steps as one expression: `(3+4)*5`. */
  readonly expression: string;
}

export interface AttemptOptions {
  /** Relative weight of each operator; absent or 0 leaves it out. Default: all four equally. */
  readonly operators?: Partial<Readonly<Record<Operator, number>>>;
  /** Largest result of a step. Default 99. */
  readonly maxResult?: number;
  /** Largest result of the last step. Default `maxResult`. */
  readonly maxValue?: number;
  /** Around every inner operation, or only where the value needs them. Default always. */
  readonly parentheses?: 'always' | 'needed';
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
  const { operators = ALL_OPERATORS, maxResult = 99 } = options;
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

function play(pool: readonly Item[], { i, j, step }: Move, options: AttemptOptions): Item[] {
  const rest = pool.filter((_, k) => k !== i && k !== j);
  const joined = join(pool[i]!, step.operator, pool[j]!, options.parentheses !== 'needed');
  return [...rest, { value: step.result, ...joined }];
}

/** `left operator right` as text; the right side of - and / needs parentheses at equal precedence too. */
function join(
  left: Item,
  operator: Operator,
  right: Item,
  always: boolean,
): Pick<Item, 'text' | 'precedence'> {
  const precedence = operator === '+' || operator === '-' ? 1 : 2;
  const strict = operator === '-' || operator === '/' ? precedence + 1 : precedence;
  const wrap = (item: Item, least: number) =>
    item.precedence < (always ? 3 : least) ? `(${item.text})` : item.text;
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

/** One random attempt, or undefined when it ran into the bounds. */
export function tryAttempt(
  random: Random,
  numbers: readonly number[],
  options: AttemptOptions = {},
): Attempt | undefined {
  const steps: Step[] = [];
  let pool = startPool(numbers);
  while (pool.length > 1) {
    const moves = legalMoves(pool, options);
    if (moves.length === 0) return undefined;
    const move = pickWeighted(random, moves);
    steps.push(move.step);
    pool = play(pool, move, options);
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
      if (!commutes || move.i < move.j)
        yield* extend(play(pool, move, options), [...steps, move.step], options);
    }
}
