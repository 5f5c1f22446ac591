import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../util/random.ts';
import { allAttempts, exactStep, randomAttempt } from './attempts.ts';
import { equalsInteger, evaluateExpression } from './expression.ts';
import { formatAttempt } from './transcript.ts';

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
        expect(follow(formatAttempt(attempt, false), numbers)).toBe(attempt.value);
        const value = evaluateExpression(attempt.expression, numbers);
        expect(typeof value !== 'string' && equalsInteger(value, attempt.value)).toBe(true);
        for (const step of attempt.steps) expect(step.result >= 0 && step.result <= 99).toBe(true);
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

  it('put every inner operation in parentheses unless told otherwise', () => {
    const expressions = [...allAttempts([2, 3, 4])].map(a => a.expression);
    expect(expressions).toContain('4+(2*3)');
    expect(expressions.every(e => /^(\d[-+*/]\(\d[-+*/]\d\)|\(\d[-+*/]\d\)[-+*/]\d)$/.test(e))).toBe(true);
  });

  it('write only the parentheses that are needed', () => {
    const expressions = new Set(
      [...allAttempts([2, 3, 4], { parentheses: 'needed' })].map(a => a.expression),
    );
    expect(expressions).toContain('4*(2+3)');
    expect(expressions).toContain('4-(3-2)');
    expect([...expressions].some(e => /^\(.*\)$/.test(e) && !e.slice(1, -1).includes('('))).toBe(false);
  });
});
