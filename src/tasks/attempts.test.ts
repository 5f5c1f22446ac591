import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../util/random.ts';
import {
  allAttempts,
  countSteps,
  exactStep,
  formatAttempt,
  randomAttempt,
  searchTranscript,
} from './attempts.ts';
import { convertDigits } from './digits.ts';
import { equalsInteger, evaluateExpression } from './expression.ts';

const NUMBERS = fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 2, maxLength: 4 });

/** Follows written steps with a pool of numbers; returns the last value. */
function follow(text: string, numbers: readonly number[]): number | undefined {
  const pool = [...numbers];
  for (const step of text.split(',')) {
    const [, left, operator, right, result] = /^(\d+)([-+*/])(\d+)=(\d+)$/.exec(step)!;
    for (const used of [left, right]) {
      const at = pool.indexOf(Number(used));
      if (at < 0) return undefined;
      pool.splice(at, 1);
    }
    if (operator === '*') expect(Number(left) * Number(right)).toBe(Number(result));
    if (operator === '/') expect(Number(result) * Number(right)).toBe(Number(left));
    if (operator === '+') expect(Number(result) - Number(right)).toBe(Number(left));
    if (operator === '-') expect(Number(result) + Number(right)).toBe(Number(left));
    pool.push(Number(result));
  }
  return pool.length === 1 ? pool[0] : undefined;
}

describe('attempts', () => {
  it('use each number once, in exact steps, and mean what their expression means', () => {
    fc.assert(
      fc.property(NUMBERS, fc.integer(), (numbers, seed) => {
        const attempt = randomAttempt(new Random(seed), numbers);
        expect(follow(formatAttempt(attempt), numbers)).toBe(attempt.value);
        const value = evaluateExpression(attempt.expression, numbers);
        expect(typeof value !== 'string' && equalsInteger(value, attempt.value)).toBe(true);
        for (const step of attempt.steps) expect(step.result >= 0 && step.result <= 999).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('divide only without remainder and never by zero or below zero', () => {
    expect(exactStep(7, '/', 2)).toBeUndefined();
    expect(exactStep(0, '/', 0)).toBeUndefined();
    expect(exactStep(3, '-', 4)).toBeUndefined();
    expect(exactStep(8, '/', 2)?.result).toBe(4);
  });

  it('follow the operators that are weighted, in proportion', () => {
    const random = new Random(2);
    const draw = () => randomAttempt(random, [9, 3], { operators: { '+': 3, '-': 2 } }).steps[0]!;
    const steps = Array.from({ length: 4000 }, draw);
    // Legal moves: 9+3 and 3+9 at weight 3 each, 9-3 at weight 2.
    const minus = steps.filter(step => step.operator === '-').length / steps.length;
    expect(Math.abs(minus - 0.25)).toBeLessThan(4 * Math.sqrt((0.25 * 0.75) / 4000));
    expect(steps.some(step => step.operator === '*')).toBe(false);
  });

  it('keep to bounds or say that none can', () => {
    const random = new Random(3);
    for (let i = 0; i < 100; i++)
      expect(randomAttempt(random, [9, 8, 7], { maxResult: 80, maxValue: 10 }).value).toBeLessThanOrEqual(10);
    expect(() => randomAttempt(random, [9, 8], { operators: { '*': 1 }, maxResult: 50 })).toThrow(
      /9 8 keeps within/,
    );
  });

  it('are all found: 9 and 3 give four', () => {
    const values = [...allAttempts([9, 3])].map(a => a.expression).sort();
    expect(values).toEqual(['9*3', '9+3', '9-3', '9/3']);
  });

  it('write only the parentheses that are needed', () => {
    const expressions = new Set([...allAttempts([2, 3, 4])].map(a => a.expression));
    expect(expressions).toContain('4*(2+3)');
    expect(expressions).toContain('4-(3-2)');
    expect([...expressions].some(e => /^\(.*\)$/.test(e) && !e.slice(1, -1).includes('('))).toBe(false);
  });

  it('change alphabet by conversion and come back', () => {
    const text = formatAttempt(randomAttempt(new Random(4), [3, 4, 50]));
    expect(convertDigits(text, 'chinese')).not.toMatch(/[0-9]/);
    expect(convertDigits(convertDigits(text, 'chinese'), 'arabic')).toBe(text);
  });
});

describe('searchTranscript', () => {
  it('stops at the first hit, marks it, and hits nothing earlier', () => {
    const random = new Random(5);
    const problem = { numbers: [3, 5, 4], target: 35 };
    for (let i = 0; i < 200; i++) {
      const { think, solved, attempts } = searchTranscript(random, problem, { maxAttempts: 6 });
      const texts = think.slice(0, -1).split(';');
      expect(texts).toHaveLength(attempts.length);
      expect(think.at(-1)).toBe(solved ? '!' : '?');
      expect(attempts.slice(0, -1).every(a => a.value !== 35)).toBe(true);
      expect(attempts.at(-1)!.value === 35).toBe(solved);
      expect(solved || attempts.length === 6).toBe(true);
    }
  });

  it('gives up with the probability it is told', () => {
    const random = new Random(6);
    const problem = { numbers: [1, 1], target: 77 };
    const lengths = Array.from(
      { length: 3000 },
      () => searchTranscript(random, problem, { maxAttempts: 1000, stopProbability: 0.25 }).attempts.length,
    );
    // Geometric: mean 4, standard deviation sqrt(12).
    expect(Math.abs(lengths.reduce((a, b) => a + b, 0) / 3000 - 4)).toBeLessThan(4 * Math.sqrt(12 / 3000));
  });
});

describe('countSteps', () => {
  it('counts written steps and true ones, in both alphabets', () => {
    expect(countSteps('3+4=7,7*5=35;八-三=五?9/2=4,2+2=5')).toEqual({ steps: 5, right: 3 });
    expect(countSteps('no steps 3+4= =7')).toEqual({ steps: 0, right: 0 });
  });
});
