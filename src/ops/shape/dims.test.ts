/** Symbolic arithmetic must agree with arithmetic on whatever numbers the symbols stand for. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Dim, Shape } from '../../graph/ir.ts';
import type { RuleContext } from '../rule.ts';
import { broadcast } from './common.ts';
import {
  addDims,
  canonical,
  divDims,
  divideExactly,
  maxDims,
  minDims,
  moreTelling,
  mulDims,
  productOf,
  sameDim,
  subDims,
} from './dims.ts';
import { sliceLength } from './slicing.ts';

const NUMBERS = { B: 3, T: 7, d: 4 } as const;

/** The number that a dim of sums and products of B, T and d stands for. */
function numberOf(dim: Dim): number {
  const text = String(dim).replaceAll(/[BTd]/g, s => String(NUMBERS[s as keyof typeof NUMBERS]));
  if (!/^[\d+\-*]+$/.test(text)) throw new Error(`no polynomial: ${dim}`);
  return text
    .replaceAll('-', '+-')
    .split('+')
    .filter(term => term !== '')
    .reduce(
      (sum, term) =>
        sum + term.split('*').reduce((p, x) => p * (x.startsWith('-') ? -Number(x.slice(1)) : Number(x)), 1),
      0,
    );
}

const atom: fc.Arbitrary<Dim> = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom('B', 'T', 'd'));
const dim: fc.Arbitrary<Dim> = fc
  .array(fc.tuple(fc.constantFrom(addDims, subDims, mulDims), atom), { maxLength: 4 })
  .chain(steps => atom.map(start => steps.reduce((x, [f, y]) => f(x, y), start)));

describe('polynomials', () => {
  test('sum, difference and product are those of the numbers', () => {
    fc.assert(
      fc.property(dim, dim, (a, b) => {
        expect(numberOf(addDims(a, b)) + 0).toBe(numberOf(a) + numberOf(b) + 0);
        expect(numberOf(subDims(a, b)) + 0).toBe(numberOf(a) - numberOf(b) + 0);
        expect(numberOf(mulDims(a, b)) + 0).toBe(numberOf(a) * numberOf(b) + 0);
      }),
    );
  });

  test('equal polynomials are equal strings, however they were made', () => {
    fc.assert(
      fc.property(dim, dim, dim, (a, b, c) => {
        expect(mulDims(a, addDims(b, c))).toBe(addDims(mulDims(c, a), mulDims(b, a)));
      }),
    );
  });

  test('a product divides by its factors', () => {
    fc.assert(
      fc.property(dim, dim, (a, b) => {
        fc.pre(b !== 0);
        expect(divideExactly(mulDims(a, b), b)).toBe(a);
      }),
    );
  });

  test.each([
    [['T', 'B'], 'B*T'],
    [[4, 'T', 2], '8*T'],
    [['T', 0], 0],
    [[], 1],
  ] as const)('the product of %j is %s', (dims, product) => {
    expect(productOf(dims)).toBe(product);
  });

  test('spellings of other programs are read', () => {
    expect(canonical('past_sequence_length + 1')).toBe('past_sequence_length+1');
    expect(sameDim('sequence_length*batch_size', 'batch_size * sequence_length')).toBe(true);
    expect(subDims('past + new', 'past')).toBe('new');
  });

  test('what does not divide is rounded down by name, and cancels', () => {
    expect(divDims('T', 2)).toBe('floor(T/2)');
    expect(subDims(addDims(divDims('T', 2), 3), divDims('T', 2))).toBe(3);
    expect(divDims(addDims('T', 'B'), subDims('T', 1))).toBe('floor(B+T/(T-1))');
  });

  test('minimum and maximum are decided where the signs decide them', () => {
    expect(minDims('T', addDims('T', 3))).toBe('T');
    expect(maxDims('T', addDims('T', 3))).toBe('T+3');
    expect(maxDims(0, 'T')).toBe('T');
    expect(minDims('T', 5)).toBe('min(5,T)');
  });
});

describe('broadcasting', () => {
  const context = { fail: (m: string) => expect.fail(m) } as unknown as RuleContext;
  // One length, number or symbol, for each axis: shapes made of it and of ones always fit.
  const LENGTHS = ['B', 5, 'T', 4] as const;
  const shape: fc.Arbitrary<Shape> = fc
    .array(fc.boolean(), { maxLength: LENGTHS.length })
    .map(ones => ones.map((one, i) => (one ? 1 : (LENGTHS[LENGTHS.length - ones.length + i] as Dim))));

  test('is commutative and associative', () => {
    fc.assert(
      fc.property(shape, shape, shape, (a, b, c) => {
        const join = (...shapes: Shape[]) => broadcast(context, shapes) as Shape;
        expect(join(a, b)).toEqual(join(b, a));
        expect(join(join(a, b), c)).toEqual(join(a, join(b, c)));
      }),
    );
  });

  test('a number wins over a symbol; of two symbols the shorter, then the first of the alphabet', () => {
    expect(broadcast(context, [['B'], [8]])).toEqual([8]);
    expect(broadcast(context, [['sequence'], ['T']])).toEqual(['T']);
    expect(moreTelling('S', 'T')).toBe('S');
  });
});

describe('slices', () => {
  const bound = fc.integer({ min: -12, max: 12 });

  test('of known length have as many elements as walking them gives', () => {
    fc.assert(
      fc.property(
        bound,
        bound,
        fc.integer({ min: -4, max: 4 }),
        fc.integer({ min: 0, max: 8 }),
        (start, end, step, size) => {
          fc.pre(step !== 0);
          expect(sliceLength({ start, end, step }, size)).toBe(walked(start, end, step, size));
        },
      ),
    );
  });

  test.each([
    [0, -1, 1, 'T-1'],
    [1, 2 ** 53, 1, 'T-1'],
    [-1, 2 ** 53, 1, 1],
    [-3, -1, 1, 2],
    [0, 'S', 1, 'S'],
    ['P', 'P+S', 1, 'S'],
    [0, 4, 1, 'min(4,T)'],
    [-1, -(2 ** 53), -1, 'T'],
    [0, 2 ** 53, 2, 'floor(T+1/2)'],
  ] as const)('%s:%s:%s of T has length %s', (start, end, step, length) => {
    expect(sliceLength({ start, end, step }, 'T')).toBe(length);
  });
});

/** ONNX's definition: clamp both ends, then step from start while end is not reached. */
function walked(start: number, end: number, step: number, size: number): number {
  const from = start < 0 ? start + size : start;
  const to = end < 0 ? end + size : end;
  const clamp = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high);
  let count = 0;
  if (step > 0) for (let i = clamp(from, 0, size); i < clamp(to, 0, size); i += step) count++;
  else for (let i = clamp(from, 0, size - 1); i > clamp(to, -1, size - 1); i += step) count++;
  return count;
}
