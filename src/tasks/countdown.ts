/**
 * Countdown: reach the target with + - * / and parentheses, using each number exactly once (TinyZero's public rules).
 *
 *     prompt    3 5 4>35:
 *     response  <think>3+5=8*4=32✗3+4=7*5=35✓</think><answer>(3+4)*5</answer>
 *
 * 1. Problems are solvable by construction, through a random attempt over non-negative integers. The verifier
 *    accepts any expression whose exact rational value is the target.
 * 2. Levels are COUNTxMAX: 2 to 4 numbers in 1..MAX. Targets lie in 10..99.
 * 3. The same numbers in another order with the same target are the same problem.
 */
import { z } from 'zod';
import { GaslawError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';
import { type Attempt, type AttemptOptions, allAttempts, tryAttempt } from './attempts.ts';
import { equalsInteger, evaluateExpression } from './expression.ts';
import { defineTask, type Problem, type Task } from './task.ts';
import { formatAttempt, MARKS, shareOfTrueSteps } from './transcript.ts';

export interface CountdownData {
  readonly numbers: readonly number[];
  readonly target: number;
}

export type CountdownProblem = Problem<CountdownData>;

export interface CountdownLevel {
  readonly count: number;
  readonly max: number;
}

export interface CountdownOptions {
  /** Easiest first. */
  readonly levels?: readonly CountdownLevel[];
  /** Default 10. */
  readonly minTarget?: number;
  /** Default 99. */
  readonly maxTarget?: number;
  /** Operators and bounds of the attempts that make the problems. */
  readonly attempts?: AttemptOptions;
  readonly heldOutShare?: number;
}

const LEVELS: readonly CountdownLevel[] = [
  { count: 2, max: 12 },
  { count: 3, max: 12 },
  { count: 3, max: 25 },
  { count: 3, max: 99 },
  { count: 4, max: 12 },
  { count: 4, max: 25 },
  { count: 4, max: 99 },
];

const UNBOUNDED: AttemptOptions = { maxResult: Number.MAX_SAFE_INTEGER };

const MAX_TRIES = 100_000;

const schema = z.object({
  numbers: z.array(z.number().int().nonnegative()).min(1).max(6),
  target: z.number().int(),
});

/** Countdown with its own levels, target range and operators. */
export function createCountdown(options: CountdownOptions = {}): Task<CountdownData> {
  const { levels = LEVELS } = options;
  return defineTask<CountdownData>({
    name: 'countdown',
    levels: levels.map(level => `${level.count}x${level.max}`),
    alphabet: '0123456789〇一二三四五六七八九 +-*/()=,>:✓✗',
    schema,
    heldOutShare: options.heldOutShare,
    generate: (random, level) => generate(random, levels[level]!, options),
    key: ({ numbers, target }) => `${[...numbers].sort((a, b) => a - b).join(',')}>${target}`,
    prompt: ({ numbers, target }) => `${numbers.join(' ')}>${target}:`,
    question: ({ numbers, target }) =>
      `Reach ${target} with the numbers ${numbers.join(', ')}: use each of them exactly once, with +, -, *, / and ` +
      'parentheses, and answer with the expression alone',
    check: checkCountdown,
    arithmetic: shareOfTrueSteps,
    truth: problem => {
      const solution = solveCountdown(problem, options.attempts) ?? solveCountdown(problem, UNBOUNDED);
      if (solution === undefined)
        throw new GaslawError(`countdown: ${problem.numbers.join(' ')} does not reach ${problem.target}`);
      return { think: `${formatAttempt(solution)}${MARKS.hit}`, answer: solution.expression };
    },
  });
}

function generate(random: Random, { count, max }: CountdownLevel, options: CountdownOptions): CountdownData {
  const { minTarget = 10, maxTarget = 99 } = options;
  for (let i = 0; i < MAX_TRIES; i++) {
    const numbers = Array.from({ length: count }, () => random.between(1, max));
    const target = tryAttempt(random, numbers, options.attempts)?.value;
    if (target !== undefined && target >= minTarget && target <= maxTarget) return { numbers, target };
  }
  throw new GaslawError(
    `countdown: ${count} numbers to ${max} do not reach targets of ${minTarget} to ${maxTarget}; widen the range`,
  );
}

function checkCountdown({ numbers, target }: CountdownData, answer: string): string | undefined {
  const value = evaluateExpression(answer, numbers);
  if (typeof value === 'string') return value;
  return equalsInteger(value, target) ? undefined : `its value is not ${target}`;
}

/** The first attempt that reaches the target over non-negative integers, or undefined. */
export function solveCountdown(problem: CountdownData, options: AttemptOptions = {}): Attempt | undefined {
  for (const attempt of allAttempts(problem.numbers, options))
    if (attempt.value === problem.target) return attempt;
  return undefined;
}

export const countdown: Task<CountdownData> = createCountdown();
