/**
 * Sorting numbers in rising order, by taking the smallest of what is left.
 *
 *     prompt    sort 7 2 5:
 *     response  <think>7 2 5>2;7 5>5;7>7</think><answer>2 5 7</answer>
 *
 * 1. Each step writes the numbers that are left and the smallest of them: selection sort with its state in the open.
 * 2. Levels are COUNTxMAX: COUNT numbers in 0..MAX; numbers may repeat.
 * 3. The same numbers in another order are the same problem.
 */
import { z } from 'zod';
import { defineTask, type Task } from './task.ts';

export interface SortingData {
  readonly numbers: readonly number[];
}

const LEVELS = [
  { count: 3, max: 9 },
  { count: 4, max: 9 },
  { count: 4, max: 99 },
  { count: 6, max: 99 },
  { count: 8, max: 99 },
] as const;

const sorted = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);

/** `7 2 5>2;7 5>5;7>7` */
function selections(numbers: readonly number[]): string {
  let left = [...numbers];
  return sorted(numbers)
    .map(smallest => {
      const step = `${left.join(' ')}>${smallest}`;
      const at = left.indexOf(smallest);
      left = left.filter((_, i) => i !== at);
      return step;
    })
    .join(';');
}

export const sorting: Task<SortingData> = defineTask<SortingData>({
  name: 'sorting',
  levels: LEVELS.map(({ count, max }) => `${count}x${max}`),
  alphabet: '0123456789〇一二三四五六七八九sort >:;',
  schema: z.object({ numbers: z.array(z.number().int().nonnegative()).min(1).max(64) }),
  generate(random, level) {
    const { count, max } = LEVELS[level]!;
    return { numbers: Array.from({ length: count }, () => random.between(0, max)) };
  },
  key: ({ numbers }) => sorted(numbers).join(','),
  prompt: ({ numbers }) => `sort ${numbers.join(' ')}:`,
  question: ({ numbers }) =>
    `Sort these numbers in rising order and separate them by spaces: ${numbers.join(' ')}`,
  check({ numbers }, answer) {
    const wanted = sorted(numbers).join(' ');
    return answer.split(/\s+/).join(' ') === wanted ? undefined : `the order is ${wanted}`;
  },
  truth: ({ numbers }) => ({ think: selections(numbers), answer: sorted(numbers).join(' ') }),
});
