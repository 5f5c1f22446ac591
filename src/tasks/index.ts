/** The tasks by name. To add one: a file here, a line in the table; the verifier suite then runs over it. */
import { UsageError } from '../util/errors.ts';
import { addition } from './addition.ts';
import { countdown } from './countdown.ts';
import { createGsm8k, type Gsm8kFiles } from './gsm8k.ts';
import { modular } from './modular.ts';
import { multiplication } from './multiplication.ts';
import { sorting } from './sorting.ts';
import { strings } from './strings.ts';
import type { Task } from './task.ts';

/** Tasks that make their own problems. */
export const TASKS = { countdown, addition, multiplication, sorting, strings, modular } as const;

export type TaskName = keyof typeof TASKS | 'gsm8k';

export const TASK_NAMES = [...Object.keys(TASKS), 'gsm8k'] as TaskName[];

/** A task by its name. `files` is the content of the data files, for those that read some. Throws a UsageError. */
export function taskNamed(name: string, files?: Gsm8kFiles): Task {
  if (name === 'gsm8k') return createGsm8k(needFiles(files));
  if (Object.hasOwn(TASKS, name)) return TASKS[name as keyof typeof TASKS];
  throw new UsageError(`unknown task "${name}"; tasks are ${TASK_NAMES.join(', ')}`);
}

function needFiles(files: Gsm8kFiles | undefined): Gsm8kFiles {
  if (files === undefined)
    throw new UsageError('task gsm8k reads a JSONL file of problems; give one', 'data');
  return files;
}
