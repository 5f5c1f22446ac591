/**
 * Multiplication of two numbers with up to three digits, by partial products.
 *
 *     prompt    37*48=
 *     response  <think>37*8=296,37*40=1480,296+1480=1776</think><answer>1776</answer>
 *
 * 1. One partial product for each digit of the second number, then a running sum.
 * 2. Levels are DIGITSxDIGITS.
 * 3. a*b and b*a are the same problem.
 */
import { numberWithDigits, type OperandsData, operandsSchema, sortedKey } from './addition.ts';
import { defineTask, type Task } from './task.ts';

const LEVELS = [
  [1, 1],
  [2, 1],
  [2, 2],
  [3, 1],
  [3, 2],
  [3, 3],
] as const;

/** `37*8=296,37*40=1480,296+1480=1776` */
function partialProducts({ a, b }: OperandsData): string {
  const factors = [...String(b)].reverse().map((digit, place) => Number(digit) * 10 ** place);
  const products = factors.map(factor => `${a}*${factor}=${a * factor}`);
  const sums: string[] = [];
  let total = a * factors[0]!;
  for (const factor of factors.slice(1)) {
    sums.push(`${total}+${a * factor}=${total + a * factor}`);
    total += a * factor;
  }
  return [...products, ...sums].join(',');
}

export const multiplication: Task<OperandsData> = defineTask<OperandsData>({
  name: 'multiplication',
  levels: LEVELS.map(([a, b]) => `${a}x${b}`),
  alphabet: '0123456789〇一二三四五六七八九+*=,',
  schema: operandsSchema,
  generate(random, level) {
    const [long, short] = LEVELS[level]!;
    return { a: numberWithDigits(random, long), b: numberWithDigits(random, short) };
  },
  key: sortedKey,
  prompt: ({ a, b }) => `${a}*${b}=`,
  question: ({ a, b }) => `What is ${a} * ${b}`,
  check: ({ a, b }, answer) => (answer === String(a * b) ? undefined : `the product is ${a * b}`),
  truth: data => ({ think: partialProducts(data), answer: String(data.a * data.b) }),
});
