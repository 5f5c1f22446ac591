/**
 * Addition of two numbers with up to six digits, digit by digit from the right.
 *
 *     prompt    47+85=
 *     response  <think>7+5=12,4+8+1=13</think><answer>132</answer>
 *
 * 1. The reasoning adds columns and carries, as in the detailed scratchpads of "Teaching Arithmetic to Small Transformers"
 *    (2307.03381): the cheapest form that generalises. The carry is written where it is used.
 * 2. Levels are the digits of the longer number; the shorter has any number of digits up to that.
 * 3. a+b and b+a are the same problem.
 */
import { z } from 'zod';
import type { Random } from '../util/random.ts';
import { defineTask, type Task } from './task.ts';

export interface OperandsData {
  readonly a: number;
  readonly b: number;
}

export const operandsSchema = z.object({
  a: z.number().int().nonnegative().max(99_999_999),
  b: z.number().int().nonnegative().max(99_999_999),
});

/** A number with exactly `digits` digits, uniform; 0 counts as one digit. */
export function numberWithDigits(random: Random, digits: number): number {
  return digits === 1 ? random.int(10) : random.between(10 ** (digits - 1), 10 ** digits - 1);
}

export const sortedKey = ({ a, b }: OperandsData): string => `${Math.min(a, b)},${Math.max(a, b)}`;

/** Column sums from the right: `7+5=12,4+8+1=13`. */
function columns({ a, b }: OperandsData): string {
  const steps: string[] = [];
  let carry = 0;
  for (
    let [x, y] = [a, b];
    x > 0 || y > 0 || steps.length === 0;
    x = Math.floor(x / 10), y = Math.floor(y / 10)
  ) {
    const sum = (x % 10) + (y % 10) + carry;
    steps.push(`${x % 10}+${y % 10}${carry > 0 ? `+${carry}` : ''}=${sum}`);
    carry = sum > 9 ? 1 : 0;
  }
  return steps.join(',');
}

export const addition: Task<OperandsData> = defineTask<OperandsData>({
  name: 'addition',
  levels: ['1 digit', '2 digits', '3 digits', '4 digits', '5 digits', '6 digits'],
  alphabet: '0123456789〇一二三四五六七八九+=,',
  schema: operandsSchema,
  generate(random, level) {
    const long = numberWithDigits(random, level + 1);
    const short = numberWithDigits(random, random.between(1, level + 1));
    return random.int(2) === 0 ? { a: long, b: short } : { a: short, b: long };
  },
  key: sortedKey,
  prompt: ({ a, b }) => `${a}+${b}=`,
  question: ({ a, b }) => `What is ${a} + ${b}`,
  check: ({ a, b }, answer) => (answer === String(a + b) ? undefined : `the sum is ${a + b}`),
  truth: data => ({ think: columns(data), answer: String(data.a + data.b) }),
});
