import { describe, expect, it } from 'vitest';
import { Random } from '../util/random.ts';
import { addition } from './addition.ts';
import { createCountdown } from './countdown.ts';
import { TASKS, taskNamed } from './index.ts';
import { sorting } from './sorting.ts';
import { difficultyAt, difficultyNamed, isHeldOut, levelAt } from './task.ts';

describe('held-out split', () => {
  it('holds out about a tenth of the problems', () => {
    const held = Array.from({ length: 20_000 }, (_, i) => isHeldOut(`countdown:${i}`)).filter(Boolean).length;
    expect(Math.abs(held - 2000)).toBeLessThan(4 * Math.sqrt(20_000 * 0.09));
  });

  it('puts every order of the same problem on one side', () => {
    const base = { task: 'x', level: 0, language: 'arabic' } as const;
    for (let a = 1; a < 30; a++)
      for (let b = 1; b < a; b++) {
        expect(addition.heldOut({ ...base, a, b })).toBe(addition.heldOut({ ...base, a: b, b: a }));
        expect(sorting.heldOut({ ...base, numbers: [a, b, 7] })).toBe(
          sorting.heldOut({ ...base, language: 'chinese', numbers: [7, a, b] }),
        );
        const numbers = TASKS.countdown.heldOut({ ...base, numbers: [a, b, 2], target: 9 });
        expect(TASKS.countdown.heldOut({ ...base, numbers: [2, b, a], target: 9 })).toBe(numbers);
      }
  });

  it('says so when a level has no problem in a split', () => {
    const tiny = createCountdown({ levels: [{ count: 1, max: 1 }], minTarget: 1, heldOutShare: 0 });
    expect(() => tiny.sample(new Random(1), 0, 'test')).toThrow(/no test problem at level "1x1"/);
  });
});

describe('difficulty', () => {
  it('selects levels evenly and inverts', () => {
    expect([0, 0.24, 0.26, 0.5, 1, -3, 7].map(d => levelAt(d, 3))).toEqual([0, 0, 1, 1, 2, 0, 2]);
    for (const count of [1, 2, 7])
      for (let i = 0; i < count; i++) expect(levelAt(difficultyAt(i, count), count)).toBe(i);
  });

  it('finds a named level, or lists the names', () => {
    expect(levelAt(difficultyNamed(TASKS.countdown, '3x12'), TASKS.countdown.levels.length)).toBe(1);
    expect(() => difficultyNamed(TASKS.countdown, '9x9')).toThrow(/it has 2x12, 3x12/);
  });
});

describe('reward parts', () => {
  it('arithmetic is the share of true calculations, in either alphabet', () => {
    const problem = TASKS.countdown.parse({
      task: 'countdown',
      level: 1,
      language: 'arabic',
      numbers: [3, 4, 5],
      target: 35,
    });
    const arithmetic = (think: string) =>
      TASKS.countdown.verify(problem, `<think>${think}</think><answer>1+1</answer>`).parts.arithmetic;
    expect(arithmetic('3+5=8*4=32✗三+四=八✗4-3=1✗')).toBe(3 / 4);
    expect(arithmetic('no numbers')).toBeUndefined();
  });
});

describe('registry', () => {
  it('finds tasks and lists the names when there is none', () => {
    expect(taskNamed('sorting')).toBe(sorting);
    expect(() => taskNamed('chess')).toThrow('unknown task "chess"; tasks are countdown, addition');
    expect(() => taskNamed('toString')).toThrow(/unknown task/);
    expect(() => taskNamed('gsm8k')).toThrow('task gsm8k reads a JSONL file of problems; give one');
  });

  it('has each task under its own name', () => {
    for (const [name, task] of Object.entries(TASKS)) expect(task.name).toBe(name);
  });
});
