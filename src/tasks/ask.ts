/**
 * What a person types to a small reasoning model: `3 5 4 > 35`, however spaced, becomes the compact prompt of Countdown,
 * and the answer can be checked.
 */

import { countdown } from './countdown.ts';
import { convertDigits, type Language } from './digits.ts';
import { sorting } from './sorting.ts';
import type { Problem, Task } from './task.ts';

export interface Asked {
  readonly prompt: string;
  /** Present when the line is a problem whose answer can be checked. */
  readonly checked?: { readonly task: Task; readonly problem: Problem };
}

const COUNTDOWN = /^\s*(\d{1,4}(?:[\s,]+\d{1,4}){0,5})\s*(?:>|->|=)\s*(\d{1,4})\s*:?\s*$/;
const SORTING = /^\s*sort\s+(\d{1,4}(?:[\s,]+\d{1,4}){0,63})\s*:?\s*$/;

/** The prompt that a line stands for; a line of no known form is its own prompt. */
export function readAsked(line: string): Asked {
  const arabic = convertDigits(line, 'arabic');
  const language: Language = arabic === line ? 'arabic' : 'chinese';
  const reach = COUNTDOWN.exec(arabic);
  if (reach) return ask(countdown, { numbers: numbersOf(reach[1]), target: Number(reach[2]) }, language);
  const sort = SORTING.exec(arabic);
  if (sort) return ask(sorting, { numbers: numbersOf(sort[1]) }, language);
  return { prompt: line };
}

const numbersOf = (text: string | undefined): number[] => (text ?? '').split(/[\s,]+/).map(Number);

function ask<Data extends object>(task: Task<Data>, data: Data, language: Language): Asked {
  const problem: Problem<Data> = { task: task.name, level: 0, language, ...data };
  // a task's functions take only its own problems, and this one is
  return { prompt: task.prompt(problem), checked: { task: task as unknown as Task, problem } };
}
