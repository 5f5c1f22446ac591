/**
 * Evaluation of any model on any task: which prompt it gets, which level, which problems.
 *
 * 1. A model whose tokenizer knows just the task's characters gets the compact prompt it was trained on; others get the
 *    problem in words in R1's template.
 * 2. Problems are the recipes': held out, the same for every model and every sampling seed.
 */

import type { Decoder } from '../generate/decoder.ts';
import { Engine } from '../generate/engine.ts';
import type { SamplingOptions } from '../generate/sampling.ts';
import type { Asked } from '../tasks/ask.ts';
import { TASKS } from '../tasks/index.ts';
import { r1Template } from '../tasks/response.ts';
import { difficultyNamed, type Problem, type Task } from '../tasks/task.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { UsageError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { type Evaluation, evaluate, heldOutProblems } from './evaluate.ts';

/** Names the held-out problems; recipes draw theirs with it too. */
export const HELD_OUT_SEED = 20250120;

export interface ModelEvaluationOptions {
  /** Problems. */
  readonly samples: number;
  readonly k: number;
  /** Seed of the answers. */
  readonly seed: number;
  readonly sampling?: SamplingOptions;
  /** Name of the task's level; `defaultLevel` when absent. */
  readonly level?: string;
  /** Longest answer; the rest of the context when absent. */
  readonly maxTokens?: number;
  /** Rows decoded together. */
  readonly slots?: number;
}

export interface ModelEvaluation extends Evaluation {
  readonly level: string;
}

/** Evaluates the decoder's model. Throws a UsageError for an unknown level or a task that the tokenizer cannot write. */
export async function evaluateModel(
  decoder: Decoder,
  tokenizer: Tokenizer,
  task: Task,
  options: ModelEvaluationOptions,
): Promise<ModelEvaluation> {
  const { samples, k, seed, sampling, slots = 64 } = options;
  const { maxPositions } = decoder.model;
  const level = levelNamed(task, options.level);
  const prompt = promptForm(tokenizer, task);
  const problems = heldOutProblems(task, samples, difficultyNamed(task, level), HELD_OUT_SEED);
  using engine = new Engine(decoder, { slots: Math.min(slots, samples * k), capacity: maxPositions });
  const maxTokens = options.maxTokens ?? maxPositions;
  const evaluation = await evaluate(engine, tokenizer, task, {
    samples,
    k,
    seed,
    sampling,
    maxTokens,
    problems,
    prompt,
  });
  return { ...evaluation, level };
}

/** The name of a level that the task has; `defaultLevel` when absent. Throws a UsageError that lists them. */
export function levelNamed(task: Task, name = defaultLevel(task)): string {
  difficultyNamed(task, name);
  return name;
}

/** Held-out problems of a level, one after another, as prompts whose answers can be checked. */
export function* heldOutQuestions(tokenizer: Tokenizer, task: Task, level: string): Generator<Asked, never> {
  const prompt = promptForm(tokenizer, task);
  const difficulty = difficultyNamed(task, level);
  const random = new Random(HELD_OUT_SEED).fork('questions');
  for (let i = 0; ; i++) {
    const problem = task.sample(random.fork(i), difficulty, 'test');
    yield { prompt: prompt(problem), checked: { task, problem } };
  }
}

/** What recipes train on where they do, else the middle one. */
function defaultLevel(task: Pick<Task, 'name' | 'levels'>): string {
  const preferred = task.name === 'countdown' ? '3x12' : undefined;
  const middle = task.levels[Math.round((task.levels.length - 1) / 2)] as string;
  return preferred !== undefined && task.levels.includes(preferred) ? preferred : middle;
}

/** How a problem is put to a model with this tokenizer. Throws a UsageError when the tokenizer cannot write it. */
function promptForm(tokenizer: Tokenizer, task: Task): (problem: Problem) => string {
  if (tokenizer.kind !== 'character') return problem => r1Template(task.question(problem));
  const missing = missingCharacters(tokenizer, task.alphabet);
  if (missing.length === 0) return problem => task.prompt(problem);
  const known = Object.values(TASKS).filter(t => missingCharacters(tokenizer, t.alphabet).length === 0);
  throw new UsageError(
    `this model has no token for ${missing
      .slice(0, 4)
      .map(c => JSON.stringify(c))
      .join(', ')}, which task ${task.name} needs; ` +
      (known.length > 0
        ? `it can write ${known.map(t => t.name).join(', ')}`
        : 'it can write none of the tasks'),
  );
}

function missingCharacters(tokenizer: Tokenizer, alphabet: string): string[] {
  return [...new Set(alphabet)].filter(character => {
    try {
      tokenizer.encode(character);
      return false;
    } catch {
      return true;
    }
  });
}
