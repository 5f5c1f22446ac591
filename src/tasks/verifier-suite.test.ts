/** What holds for every task: the truth scores 1, a perturbed truth 0, junk never throws and never scores. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../util/random.ts';
import { convertDigits, LANGUAGES } from './digits.ts';
import { createGsm8k } from './gsm8k.ts';
import { TASKS } from './index.ts';
import { difficultyAt, type Problem, type Task } from './task.ts';

const GSM8K_LINES = Array.from({ length: 60 }, (_, i) =>
  JSON.stringify({
    question: `A crate holds ${i + 3} jars. How many jars are in ${i * 7 + 11} crates?`,
    answer: `One crate holds ${i + 3}.\nSo <<${i + 3}*${i * 7 + 11}=${(i + 3) * (i * 7 + 11)}>>${(i + 3) * (i * 7 + 11)}.\n#### ${((i + 3) * (i * 7 + 11)).toLocaleString('en-US')}`,
  }),
).join('\n');

const TASK_LIST: readonly Task[] = [...Object.values(TASKS), createGsm8k({ train: GSM8K_LINES })];

function problemsOf(task: Task, perLevel = 12): Problem[] {
  const random = new Random(11);
  return task.levels.flatMap((_, level) =>
    Array.from({ length: perLevel }, (_, i) =>
      task.sample(
        random,
        difficultyAt(level, task.levels.length),
        i % 4 === 0 ? 'test' : 'train',
        LANGUAGES[i % 2],
      ),
    ),
  );
}

const answerOf = (response: string): string =>
  response.slice(response.indexOf('<answer>') + 8, -'</answer>'.length);

/** Another digit in place of the one at a random place of the answer. */
function perturbed(response: string, random: Random): string {
  const start = response.indexOf('<answer>');
  const places = [...response.matchAll(/[0-9〇一二三四五六七八九]/g)]
    .map(m => m.index)
    .filter(at => at > start);
  const at = random.pick(places);
  const digit = Number(convertDigits(response[at]!, 'arabic'));
  return response.slice(0, at) + ((digit + random.between(1, 9)) % 10) + response.slice(at + 1);
}

/** Responses that no problem's verifier may accept, whatever the problem. */
function junkFor(truth: string): string[] {
  const answer = answerOf(truth);
  const deep = 100_000;
  return [
    '',
    answer,
    `<answer>${answer}`,
    `${answer}</answer>`,
    `<think><answer>${answer}</answer></think>`,
    `<think><answer>${answer}</answer>`,
    `<answer>${answer}</answer></think>`,
    `<answer>${answer}</answer><answer>oops</answer>`,
    `<answer></answer>`,
    `<answer>${answer}</think></answer>`,
    `<answer>${answer}<think></answer>`,
    `<answer>${answer} ${answer}</answer>`,
    `<answer>${answer}+</answer>`,
    `<answer>${answer}/0</answer>`,
    `<answer>${answer}**1</answer>`,
    `<answer>-(-(${answer}))</answer>`,
    `<answer>x = ${answer}</answer>`,
    `<answer>"${answer}"</answer>`,
    `<answer>process.exit()</answer>`,
    `<answer>require('fs')</answer>`,
    `<answer>${'constructor'}</answer>`,
    `<answer>__proto__</answer>`,
    `<answer>NaN</answer>`,
    `<answer>Infinity</answer>`,
    `<answer>1e3</answer>`,
    `<answer>0x10</answer>`,
    `<answer>${'9'.repeat(deep)}</answer>`,
    `<answer>${'('.repeat(deep)}${answer}</answer>`,
    `<answer>${'('.repeat(deep)}1${')'.repeat(deep)}</answer>`,
    `<answer>${' '.repeat(deep)}x</answer>`,
    `<answer>0.${'0'.repeat(deep)}x</answer>`,
    `<answer>${convertDigits(answer, 'arabic').replace(/[0-9]/g, d => String.fromCodePoint(0x0660 + Number(d)))}</answer>`,
    `<answer>${convertDigits(answer, 'arabic').replace(/[0-9]/g, d => String.fromCodePoint(0xff10 + Number(d)))}</answer>`,
    '<answer>'.repeat(deep),
    '<think>'.repeat(deep) + truth.replaceAll('</think>', ''),
    '\ud800',
  ];
}

describe.each(TASK_LIST.map(task => [task.name, task] as const))('%s', (_, task) => {
  it('scores the truth 1 in every part, at every level, in both alphabets', () => {
    for (const problem of problemsOf(task)) {
      const verdict = task.verify(problem, task.truth(problem));
      expect(verdict, task.prompt(problem)).toMatchObject({
        correct: true,
        parts: { accuracy: 1, format: 1, language: 1 },
      });
      expect(verdict.reason).toBeUndefined();
      expect(verdict.parts.arithmetic ?? 1).toBe(1);
    }
  });

  it('accepts the truth in the other alphabet, with language 0', () => {
    for (const problem of problemsOf(task)) {
      const other = problem.language === 'arabic' ? 'chinese' : 'arabic';
      const { parts } = task.verify(problem, convertDigits(task.truth(problem), other));
      expect(parts).toMatchObject({ accuracy: 1, format: 1, language: 0 });
    }
  });

  it('scores a truth with one other digit 0', () => {
    const random = new Random(5);
    for (const problem of problemsOf(task)) {
      const response = perturbed(task.truth(problem), random);
      const verdict = task.verify(problem, response);
      expect(verdict.parts.accuracy, `${task.prompt(problem)} ${response}`).toBe(0);
      expect(verdict.reason).toBeTypeOf('string');
    }
  });

  it('scores no part of the truth that lacks its end', () => {
    for (const problem of problemsOf(task, 2)) {
      const truth = task.truth(problem);
      for (let end = 0; end < truth.length; end++)
        expect(task.verify(problem, truth.slice(0, end)).correct).toBe(false);
    }
  });

  it('counts the last complete answer only', () => {
    for (const problem of problemsOf(task, 2)) {
      const truth = task.truth(problem);
      expect(task.verify(problem, `<answer>7?</answer>${truth}<answer>unfinished`).correct).toBe(true);
      expect(task.verify(problem, `${truth}<answer>7?</answer>`).correct).toBe(false);
    }
  });

  it('scores no junk and survives it, huge junk included', () => {
    for (const problem of problemsOf(task, 1).slice(-2))
      for (const junk of junkFor(task.truth(problem)))
        expect(task.verify(problem, junk).parts.accuracy, junk.slice(0, 80)).toBe(0);
  });

  it('never throws on arbitrary text, and gives text without tags no accuracy', () => {
    const [problem] = problemsOf(task, 1) as [Problem];
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '<think>',
        '</think>',
        '<answer>',
        '</answer>',
        '####',
        '(',
        ')',
        '+',
        '-',
        '*',
        '/',
        ' ',
      ),
      fc.integer().map(String),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
        const { parts } = task.verify(problem, pieces.join(''));
        expect(parts.format).toBeGreaterThanOrEqual(0);
        expect(parts.format).toBeLessThanOrEqual(1);
        expect(task.verify(problem, pieces.join('').replace(/<\/?(think|answer)>|####/g, '')).correct).toBe(
          false,
        );
        task.verify(problem, `<answer>${pieces.join('')}</answer>`);
      }),
      { numRuns: 100 },
    );
  });

  it('draws the same problems from the same seed, and reads them back from JSON', () => {
    expect(problemsOf(task)).toEqual(problemsOf(task));
    for (const problem of problemsOf(task, 3)) {
      const read = task.parse(JSON.parse(JSON.stringify(problem)));
      expect(read).toEqual(problem);
      expect(task.prompt(read)).toBe(task.prompt(problem));
    }
  });

  it('keeps the splits apart: no prompt of one is in the other', () => {
    const random = new Random(3);
    const draw = (split: 'train' | 'test') =>
      new Set(Array.from({ length: 150 }, (_, i) => task.prompt(task.sample(random, (i % 10) / 9, split))));
    const test = draw('test');
    for (const prompt of draw('train')) expect(test.has(prompt)).toBe(false);
  });

  it('writes prompts and truths in its alphabet', () => {
    const alphabet = new Set(task.alphabet);
    for (const problem of problemsOf(task)) {
      const text = task.prompt(problem) + task.truth(problem).replace(/<\/?(think|answer)>/g, '');
      const missing = [...text].filter(c => !alphabet.has(c) && task.name !== 'gsm8k');
      expect(missing).toEqual([]);
    }
  });

  it('names what is malformed in a problem', () => {
    const [problem] = problemsOf(task, 1) as [Problem];
    expect(() => task.parse(null)).toThrow(/malformed problem/);
    expect(() => task.parse({ ...problem, level: 99 })).toThrow(/no level 99/);
    expect(() => task.parse({ ...problem, language: 'klingon' })).toThrow(
      /language must be arabic or chinese/,
    );
    expect(() => task.parse({ task: task.name, level: 0, language: 'arabic' })).toThrow(/malformed problem/);
  });
});
