/**
 * Copying and reversing strings: a general task that needs no reasoning, for the R1 recipe's mixed stages.
 *
 *     prompt    reverse b3a1:
 *     response  <think></think><answer>1a3b</answer>
 *
 * 1. Strings mix the letters a to j with digits and have at least one digit, so the digit alphabet shows here too.
 * 2. Levels are the length of the string.
 * 3. A string and its reverse are the same problem under either operation, so that no held-out answer is
 *    another problem's prompt.
 */
import { z } from 'zod';
import type { Random } from '../util/random.ts';
import { defineTask, type Task } from './task.ts';

export interface StringsData {
  readonly operation: 'copy' | 'reverse';
  readonly text: string;
}

const LENGTHS = [3, 4, 6, 8, 10, 12] as const;
const SYMBOLS = 'abcdefghij0123456789';

const reversed = (text: string): string => [...text].reverse().join('');

const resultOf = ({ operation, text }: StringsData): string => (operation === 'copy' ? text : reversed(text));

function randomText(random: Random, length: number): string {
  const symbols = Array.from({ length }, () => SYMBOLS[random.int(SYMBOLS.length)]!);
  symbols[random.int(length)] = String(random.int(10));
  return symbols.join('');
}

export const strings: Task<StringsData> = defineTask<StringsData>({
  name: 'strings',
  levels: LENGTHS.map(length => `${length} symbols`),
  alphabet: '0123456789〇一二三四五六七八九abcdefghij copyrevs:',
  schema: z.object({
    operation: z.enum(['copy', 'reverse']),
    text: z.string().regex(/^[a-j0-9]{1,64}$/),
  }),
  generate: (random, level) => ({
    operation: random.pick(['copy', 'reverse'] as const),
    text: randomText(random, LENGTHS[level]!),
  }),
  key: ({ text }) => [text, reversed(text)].sort()[0]!,
  prompt: ({ operation, text }) => `${operation} ${text}:`,
  question: ({ operation, text }) =>
    operation === 'copy' ? `Repeat this text exactly: ${text}` : `Write this text backwards: ${text}`,
  check: (data, answer) => (answer === resultOf(data) ? undefined : `the result is ${resultOf(data)}`),
  truth: data => ({ think: '', answer: resultOf(data) }),
});
