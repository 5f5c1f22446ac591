import { describe, expect, it } from 'vitest';
import { Random } from '../util/random.ts';
import { type Attempt, allAttempts, exactStep, randomAttempt } from './attempts.ts';
import { convertDigits, numberTokens } from './digits.ts';
import { countSteps, formatAttempt, searchTranscript, writeTranscript } from './transcript.ts';

const attempt = (...steps: readonly (readonly [number, '+' | '-' | '*', number])[]): Attempt => {
  const exact = steps.map(([a, o, b]) => exactStep(a, o, b)!);
  return { steps: exact, value: exact.at(-1)!.result, expression: '…' };
};

describe('formatAttempt', () => {
  it('chains a step that goes on from the last result, and no other', () => {
    const onwards = attempt([3, '+', 5], [8, '*', 4]);
    expect(formatAttempt(onwards)).toBe('3+5=8*4=32');
    expect(formatAttempt(onwards, false)).toBe('3+5=8,8*4=32');
    expect(formatAttempt(attempt([4, '-', 3], [5, '+', 1]))).toBe('4-3=1,5+1=6');
  });

  it('changes alphabet by conversion and comes back', () => {
    const text = formatAttempt(randomAttempt(new Random(4), [3, 4, 50]));
    expect(convertDigits(text, 'chinese')).not.toMatch(/[0-9]/);
    expect(convertDigits(convertDigits(text, 'chinese'), 'arabic')).toBe(text);
  });
});

describe('searchTranscript', () => {
  const problem = { numbers: [3, 5, 4], target: 35 };

  it('stops at the first hit', () => {
    const random = new Random(5);
    for (let i = 0; i < 200; i++) {
      const { pieces, solved, attempts } = searchTranscript(random, problem, { maxAttempts: 6 });
      expect(attempts.slice(0, -1).every(a => a.value !== 35)).toBe(true);
      expect(attempts.at(-1)!.value === 35).toBe(solved);
      expect(solved || pieces.length === 6).toBe(true);
    }
  });

  it('goes on past hits when told to, marking each attempt rightly', () => {
    const random = new Random(6);
    const easy = { numbers: [2, 3], target: 5 };
    let hits = 0;
    for (let i = 0; i < 100; i++) {
      const { think, pieces, attempts } = searchTranscript(random, easy, {
        maxAttempts: 5,
        stopOnHit: false,
      });
      expect(pieces).toHaveLength(5);
      expect(pieces.join('')).toBe(think);
      attempts.forEach((a, k) => void expect(pieces[k]!.at(-1)).toBe(a.value === 5 ? '✓' : '✗'));
      hits += attempts.slice(0, -1).filter(a => a.value === 5).length;
    }
    expect(hits).toBeGreaterThan(50);
  });

  it('stops with the probability it is told', () => {
    const random = new Random(6);
    const options = { maxAttempts: 1000, stopProbability: 0.25 };
    const lengths = Array.from(
      { length: 3000 },
      () => searchTranscript(random, { numbers: [1, 1], target: 77 }, options).attempts.length,
    );
    // Geometric: mean 4, standard deviation sqrt(12).
    const mean = lengths.reduce((a, b) => a + b, 0) / 3000;
    expect(Math.abs(mean - 4)).toBeLessThan(4 * Math.sqrt(12 / 3000));
  });

  it('writes no attempt twice when told to, and ends when none is left', () => {
    const { attempts } = searchTranscript(new Random(1), problem, {
      stopOnHit: false,
      distinct: true,
      maxAttempts: 1000,
    });
    const unordered = (a: Attempt) =>
      a.steps.map(
        s => ('+*'.includes(s.operator) ? [s.left, s.right].sort() : [s.left, s.right]) + s.operator,
      );
    const keys = attempts.map(a => unordered(a).join(';'));
    expect(new Set(keys).size).toBe(keys.length);
    const all = new Set(Array.from(allAttempts([3, 5, 4], { maxResult: 99 }), a => unordered(a).join(';')));
    expect(keys.length).toBeGreaterThan(0.9 * all.size);
    expect(keys.length).toBeLessThanOrEqual(all.size);
  });

  it('writes the marks it is given', () => {
    const transcript = writeTranscript([attempt([1, '+', 1]), attempt([1, '*', 1])], 2, {
      marks: { hit: '!', miss: ';' },
    });
    expect(transcript).toMatchObject({ think: '1+1=2!1*1=1;', solved: false, answer: '…' });
  });
});

describe('countSteps', () => {
  it('counts written steps and true ones, chained ones and both alphabets included', () => {
    expect(countSteps('3+4=7*5=35✓八-三=五✗9/2=4,2+2=5')).toEqual({ steps: 5, right: 3 });
    expect(countSteps('no steps 3+4= =7')).toEqual({ steps: 0, right: 0 });
  });

  it('finds every step of a transcript true', () => {
    const random = new Random(8);
    for (let i = 0; i < 50; i++) {
      const { think, attempts } = searchTranscript(random, { numbers: [7, 3, 12, 2], target: 1 });
      expect(countSteps(convertDigits(think, 'chinese'))).toEqual({
        steps: 3 * attempts.length,
        right: 3 * attempts.length,
      });
    }
  });
});

it('numberTokens lists the numbers of several digits in both alphabets', () => {
  expect(numberTokens(12)).toEqual(['10', '11', '12', '一〇', '一一', '一二']);
  expect(numberTokens()).toHaveLength(180);
  expect(numberTokens(9)).toEqual([]);
});
