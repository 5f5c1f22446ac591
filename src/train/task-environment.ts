/**
 * Tasks as an environment for reinforcement learning: prompts in token ids, rewards from verifiers, a curriculum.
 */
import { Curriculum, type CurriculumConfig, type CurriculumState } from '../tasks/curriculum.ts';
import type { Language } from '../tasks/digits.ts';
import type { Problem, RewardParts, Task } from '../tasks/task.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { Random } from '../util/random.ts';
import type { Json } from './checkpoint.ts';
import type { Environment, Episode } from './grpo.ts';

export interface TaskShare {
  readonly task: Task;
  /** Relative weight among the tasks. */
  readonly weight: number;
  /** Fixed difficulty in [0, 1], or a curriculum over the task's levels. */
  readonly difficulty: number | CurriculumConfig;
}

export interface TaskEnvironmentOptions {
  readonly tokenizer: Tokenizer;
  readonly tasks: readonly TaskShare[];
  readonly language: (random: Random) => Language;
  /** Which reward parts count; GRPO weighs them. */
  readonly parts: readonly (keyof RewardParts)[];
}

interface Drawn extends TaskShare {
  readonly curriculum: Curriculum | undefined;
}

export function taskEnvironment(options: TaskEnvironmentOptions): Environment {
  const curriculumOf = (share: TaskShare, state?: CurriculumState) =>
    typeof share.difficulty === 'number' ? undefined : new Curriculum(share.difficulty, state);
  let drawn: Drawn[] = options.tasks.map(share => ({ ...share, curriculum: curriculumOf(share) }));
  return {
    episode: random => episode(options, pick(random, drawn), random),
    metrics: () =>
      Object.fromEntries(
        drawn.flatMap(({ task, curriculum }) =>
          curriculum ? [[`curriculum/${task.name}`, curriculum.level]] : [],
        ),
      ),
    state: () => drawn.map(({ curriculum }) => (curriculum?.state() ?? null) as unknown as Json),
    restore(state) {
      const states = state as unknown as readonly (CurriculumState | null)[];
      drawn = options.tasks.map((share, i) => ({
        ...share,
        curriculum: curriculumOf(share, states[i] ?? undefined),
      }));
    },
  };
}

function pick(random: Random, drawn: readonly Drawn[]): Drawn {
  let left = random.uniform() * drawn.reduce((sum, d) => sum + d.weight, 0);
  return drawn.find(d => (left -= d.weight) < 0) ?? (drawn[drawn.length - 1] as Drawn);
}

function episode(options: TaskEnvironmentOptions, drawn: Drawn, random: Random): Episode {
  const { tokenizer, parts: names } = options;
  const difficulty = drawn.curriculum ? drawn.curriculum.draw(random) : (drawn.difficulty as number);
  const problem: Problem = drawn.task.sample(random, difficulty, 'train', options.language(random));
  return {
    prompt: tokenizer.encode(drawn.task.prompt(problem)),
    reward(ids) {
      const { parts } = drawn.task.verify(problem, tokenizer.decode(ids, { skipControl: true }));
      return Object.fromEntries(names.map(name => [name, parts[name] ?? 0]));
    },
    passed: rate => void drawn.curriculum?.record(difficulty, rate),
  };
}
