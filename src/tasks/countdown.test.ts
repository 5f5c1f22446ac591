import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../util/random.ts';
import { countdown, createCountdown, solveCountdown } from './countdown.ts';
import { evaluateExpression, type Fraction } from './expression.ts';

const problem = (numbers: number[], target: number) =>
  ({ task: 'countdown', level: 0, language: 'arabic', numbers, target }) as const;

const accepts = (numbers: number[], target: number, answer: string): boolean =>
  countdown.verify(problem(numbers, target), `<answer>${answer}</answer>`).correct;

const toNumber = (value: Fraction | string): number =>
  typeof value === 'string' ? Number.NaN : Number(value.top) / Number(value.bottom);

describe('countdown verifier', () => {
  it.each([
    [[3, 5, 4], 35, '(3+4)*5'],
    [[3, 5, 4], 35, ' ( 3 + 4 ) * 5 '],
    [[3, 5, 4], 35, '((((3)+(4))))*(5)'],
    [[3, 3, 8, 8], 24, '8/(3-8/3)'],
    [[1, 5, 5, 5], 24, '5*(5-1/5)'],
    [[2, 9, 4], 1, '9-4*2'],
    [[8, 4, 2], 1, '8/4/2'],
    [[1, 2, 3], 2, '1-2+3'],
    [[7], 7, '7'],
    [[1, 5], 4, '五-一'],
  ])('accepts %j → %d: %s', (numbers, target, answer) => {
    expect(accepts(numbers, target, answer)).toBe(true);
  });

  it.each([
    ['a number twice', [3, 5, 4], 20, '5*4*3/3'],
    ['a number left out', [3, 5, 4], 20, '5*4'],
    ['a foreign number', [3, 5, 4], 35, '7*5'],
    ['numbers concatenated', [3, 5, 4], 54, '54'],
    ['numbers concatenated beside another', [3, 5, 4], 57, '54+3'],
    ['juxtaposition', [3, 5, 4], 35, '(3+4)5'],
    ['two expressions', [3, 5], 8, '3+5 3+5'],
    ['unary minus', [3, 5], 2, '-3+5'],
    ['unary plus', [3, 5], 8, '+3+5'],
    ['an exponent', [2, 3], 8, '2**3'],
    ['floor division', [7, 2], 3, '7//2'],
    ['a decimal point', [3, 5], 8, '3.0+5'],
    ['a leading zero', [3, 5], 8, '03+5'],
    ['an equation', [3, 5], 8, '3+5=8'],
    ['a comma', [3, 5], 8, '3+5,0'],
    ['a division by zero', [3, 3, 5], 0, '5/(3-3)'],
    ['an approximate quotient', [1, 3], 0, '1/3'],
    ['an unbalanced opening', [3, 5], 8, '(3+5'],
    ['an unbalanced closing', [3, 5], 8, '3+5)'],
    ['empty parentheses', [3, 5], 8, '()3+5'],
    ['reversed parentheses', [3, 5], 8, ')3+5('],
    ['a call', [3, 5], 8, 'eval(3+5)'],
    ['a comment', [3, 5], 8, '3+5 # yes'],
    ['other minus signs', [5, 3], 2, '5−3'],
  ])('refuses %s', (_, numbers, target, answer) => {
    expect(accepts(numbers, target, answer)).toBe(false);
  });

  it('judges the problem it is given, not the one in the text', () => {
    expect(accepts([3, 5, 4], 36, '(3+4)*5')).toBe(false);
  });

  it('says what is wrong', () => {
    const reason = (answer: string) =>
      countdown.verify(problem([3, 5], 8), `<answer>${answer}</answer>`).reason;
    expect(reason('3')).toBe('number 5 is not used');
    expect(reason('3*5')).toBe('its value is not 8');
    expect(reason('9')).toBe('number 9 is not among those left');
    expect(reason('3/(5')).toBe('a parenthesis was never closed');
  });
});

interface Tree {
  readonly text: string;
  readonly value: number;
  readonly leaves: number[];
}

/** Random fully parenthesised expressions with their value in floating point: an evaluator of another kind. */
const tree: fc.Memo<Tree> = fc.memo(depth => {
  const leaf = fc.integer({ min: 1, max: 12 }).map(n => ({ text: String(n), value: n, leaves: [n] }));
  if (depth <= 1) return leaf;
  const node = fc.tuple(tree(depth - 1), fc.constantFrom('+', '-', '*', '/'), tree(depth - 1));
  return fc.oneof(
    leaf,
    node.map(([a, op, b]) => ({
      text: `(${a.text}${op}${b.text})`,
      value:
        op === '+'
          ? a.value + b.value
          : op === '-'
            ? a.value - b.value
            : op === '*'
              ? a.value * b.value
              : a.value / b.value,
      leaves: [...a.leaves, ...b.leaves],
    })),
  );
});

describe('evaluateExpression', () => {
  it('agrees with a tree evaluation', () => {
    fc.assert(
      fc.property(tree(4), ({ text, value, leaves }) => {
        const exact = toNumber(evaluateExpression(text, leaves));
        if (Number.isFinite(value) && Math.abs(value) < 1e6 && Number.isFinite(exact))
          expect(exact).toBeCloseTo(value, 6);
      }),
      { numRuns: 500 },
    );
  });

  it('binds * and / tighter and groups to the left', () => {
    expect(toNumber(evaluateExpression('9-4-3', [9, 4, 3]))).toBe(2);
    expect(toNumber(evaluateExpression('12/3*2', [12, 3, 2]))).toBe(8);
    expect(toNumber(evaluateExpression('2+3*4-6/2', [2, 3, 4, 6, 2]))).toBe(11);
  });

  it('is exact where floating point is not', () => {
    const value = evaluateExpression('1/10+2/10', [1, 10, 2, 10]);
    expect(value).toEqual({ top: 30n, bottom: 100n });
  });
});

describe('countdown problems', () => {
  it('have the numbers and range of their level and a target in 10..99', () => {
    const random = new Random(1);
    countdown.levels.forEach((name, level) => {
      const [count, max] = name.split('x').map(Number) as [number, number];
      for (let i = 0; i < 50; i++) {
        const { numbers, target } = countdown.sample(random, level / (countdown.levels.length - 1), 'train');
        expect(numbers).toHaveLength(count);
        expect(Math.min(...numbers)).toBeGreaterThanOrEqual(1);
        expect(Math.max(...numbers)).toBeLessThanOrEqual(max);
        expect(target >= 10 && target <= 99).toBe(true);
      }
    });
  });

  it('have targets where they are told, or say that none are there', () => {
    const task = createCountdown({ levels: [{ count: 2, max: 3 }], minTarget: 5, maxTarget: 6 });
    const targets = Array.from({ length: 50 }, (_, i) => task.sample(new Random(i), 0, 'train').target);
    expect(targets.every(target => target === 5 || target === 6)).toBe(true);
    const none = createCountdown({ levels: [{ count: 2, max: 3 }], minTarget: 10 });
    expect(() => none.sample(new Random(1), 0, 'train')).toThrow(
      /2 numbers to 3 do not reach targets of 10 to 99/,
    );
  });

  it('are solved by search, where integers suffice', () => {
    expect(solveCountdown({ numbers: [4, 7, 8, 8], target: 24 })?.value).toBe(24);
    expect(solveCountdown({ numbers: [1, 5, 5, 5], target: 24 })).toBeUndefined();
    expect(solveCountdown({ numbers: [1, 1, 1], target: 24 })).toBeUndefined();
  });
});
