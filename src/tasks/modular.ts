/**
 * A chain of modular arithmetic: every step depends on the one before, so the length of the reasoning is the difficulty.
 *
 *     prompt    mod7 3+5*4-6=
 *     response  <think>3+5=1,1*4=4,4-6=5</think><answer>5</answer>
 *
 * 1. Operators are applied strictly from left to right and every result is reduced to 0..modulus-1.
 * 2. Levels are the number of steps; moduli are 5 to 10 and operands below the modulus, so all numbers but the
 *    modulus 10 are one digit.
 */
import { z } from 'zod';
import type { Random } from '../util/random.ts';
import { defineTask, type Task } from './task.ts';

type ModularOperator = '+' | '-' | '*';

export interface ModularData {
  readonly modulus: number;
  readonly start: number;
  readonly steps: readonly { readonly operator: ModularOperator; readonly operand: number }[];
}

const STEPS = [1, 2, 3, 4, 6, 8] as const;
const OPERATORS = ['+', '-', '*'] as const satisfies readonly ModularOperator[];

function applyModular(value: number, operator: ModularOperator, operand: number, modulus: number): number {
  const raw = operator === '+' ? value + operand : operator === '-' ? value - operand : value * operand;
  return ((raw % modulus) + modulus) % modulus;
}

/** Each step written out, and the last value. */
function follow({ modulus, start, steps }: ModularData): { trace: string[]; value: number } {
  let value = start;
  const trace = steps.map(({ operator, operand }) => {
    const result = applyModular(value, operator, operand, modulus);
    const line = `${value}${operator}${operand}=${result}`;
    value = result;
    return line;
  });
  return { trace, value };
}

function generate(random: Random, level: number): ModularData {
  const modulus = random.between(5, 10);
  const steps = Array.from({ length: STEPS[level]! }, () => ({
    operator: random.pick(OPERATORS),
    operand: random.int(modulus),
  }));
  return { modulus, start: random.int(modulus), steps };
}

const chain = ({ start, steps }: ModularData): string =>
  start + steps.map(({ operator, operand }) => operator + operand).join('');

const integer = z.number().int().nonnegative().max(1000);

export const modular: Task<ModularData> = defineTask<ModularData>({
  name: 'modular',
  levels: STEPS.map(count => (count === 1 ? '1 step' : `${count} steps`)),
  alphabet: '0123456789〇一二三四五六七八九mod +-*=,',
  schema: z.object({
    modulus: integer.min(1),
    start: integer,
    steps: z.array(z.object({ operator: z.enum(OPERATORS), operand: integer })).max(64),
  }),
  generate,
  key: data => `${data.modulus}:${chain(data)}`,
  prompt: data => `mod${data.modulus} ${chain(data)}=`,
  question: data =>
    `Start with ${data.start} and apply these operations strictly from left to right, each modulo ${data.modulus}: ` +
    `${data.steps.map(({ operator, operand }) => `${operator} ${operand}`).join(', ')}. What is the result`,
  check(data, answer) {
    const { value } = follow(data);
    return answer === String(value) ? undefined : `the result is ${value}`;
  },
  truth(data) {
    const { trace, value } = follow(data);
    return { think: trace.join(','), answer: String(value) };
  },
});
