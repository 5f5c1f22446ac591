/**
 * GSM8K: grade-school word problems with an integer answer, read from the published JSONL files.
 *
 *     prompt    Natalia sold clips to 48 of her friends in April, and then she sold half as many in May. …
 *     response  <think>…</think><answer>72</answer>   or   … #### 72
 *
 * 1. Exact match after normalising: thousands commas, a leading $, a trailing full stop and trailing zeros of a fraction do not
 *    matter, anything else does. The last complete answer counts; without one, the last `#### number` outside the reasoning.
 * 2. With a test file, its problems are the held-out ones. Without, a tenth is held out by hash of the question.
 * 3. The calculator notes `<<48/2=24>>` of the worked answers are left out of `truth`.
 */
import { z } from 'zod';
import { GaslawError } from '../util/errors.ts';
import type { ParsedResponse } from './response.ts';
import { defineTask, isHeldOut, type Problem, type Split, type Task } from './task.ts';

export interface Gsm8kData {
  readonly text: string;
  readonly worked: string;
  /** Normalised. */
  readonly result: string;
  readonly test: boolean;
}

export interface Gsm8kTask extends Task<Gsm8kData> {
  /** Every problem of a split, in file order. */
  problems(split: Split): Problem<Gsm8kData>[];
}

export interface Gsm8kFiles {
  /** Content of the training JSONL. */
  readonly train: string;
  /** Content of the test JSONL. */
  readonly test?: string;
}

const lineSchema = z.object({ question: z.string(), answer: z.string() });

/** The number that `text` is, in one spelling: `$1,234.50.` is `1234.5`. Undefined when it is not one number. */
export function normaliseNumber(text: string): string | undefined {
  const match = /^(-?)\$?(\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d+))?\.?$/.exec(text.trim().replace(/^\$-/, '-$'));
  if (match === null) return undefined;
  const whole = match[2]!.replaceAll(',', '').replace(/^0+(?=\d)/, '');
  const part = withoutTrailingZeros(match[3] ?? '');
  const number = part === '' ? whole : `${whole}.${part}`;
  return number === '0' ? '0' : match[1] + number;
}

/** A loop, because /0+$/ takes quadratic time on zeros that are not last. */
function withoutTrailingZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits[end - 1] === '0') end--;
  return digits.slice(0, end);
}

function readLine(line: string, number: number, test: boolean): Gsm8kData {
  const { question, answer } = parseLine(line, number);
  const at = answer.lastIndexOf('####');
  const result = at < 0 ? undefined : normaliseNumber(answer.slice(at + 4));
  if (result === undefined)
    throw new GaslawError(`gsm8k: line ${number}: the answer does not end in "#### number"`);
  return { text: question, worked: answer.slice(0, at).trim(), result, test };
}

function parseLine(line: string, number: number): z.infer<typeof lineSchema> {
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch {
    throw new GaslawError(`gsm8k: line ${number} is not a JSON object with a question and an answer`);
  }
}

function readLines(content: string, isTest: (question: string) => boolean): Gsm8kData[] {
  const lines = content.split('\n');
  const items = lines.flatMap((line, i) => (line.trim() === '' ? [] : [readLine(line, i + 1, false)]));
  if (items.length === 0) throw new GaslawError('gsm8k: the file has no problems');
  return items.map(item => ({ ...item, test: isTest(item.text) }));
}

/** The last complete answer, or what follows the last `####` outside the reasoning, to the end of its line. */
function extractAnswer({ answer, visible }: ParsedResponse): string | undefined {
  if (answer !== undefined) {
    const at = answer.lastIndexOf('####');
    return at < 0 ? answer : answer.slice(at + 4).trim();
  }
  const at = visible.lastIndexOf('####');
  return at < 0
    ? undefined
    : visible
        .slice(at + 4)
        .trim()
        .split('\n', 1)[0];
}

const hashed = (question: string): boolean => isHeldOut(`gsm8k:${question}`);

/** The task over the content of the published files. Throws a GaslawError naming the first malformed line. */
export function createGsm8k({ train, test }: Gsm8kFiles): Gsm8kTask {
  const items =
    test === undefined
      ? readLines(train, hashed)
      : [...readLines(train, () => false), ...readLines(test, () => true)];
  const bySplit = (split: Split) => items.filter(item => item.test === (split === 'test'));
  const task = defineTask<Gsm8kData>({
    name: 'gsm8k',
    levels: ['all'],
    alphabet: [...new Set(items.map(item => item.text + item.worked + item.result).join(''))].join(''),
    schema: z.object({ text: z.string(), worked: z.string(), result: z.string(), test: z.boolean() }),
    generate: random => random.pick(items),
    key: data => data.text,
    heldOut: data => data.test,
    extract: extractAnswer,
    prompt: data => `${data.text}\n`,
    question: data => data.text,
    check: ({ result }, answer) =>
      normaliseNumber(answer) === result ? undefined : `the answer is ${result}`,
    truth: ({ worked, result }) => ({ think: worked.replace(/<<[^>]*>>/g, ''), answer: result }),
  });
  const problems = (split: Split) =>
    bySplit(split).map(data => ({ task: 'gsm8k', level: 0, language: 'arabic' as const, ...data }));
  return { ...task, problems };
}
