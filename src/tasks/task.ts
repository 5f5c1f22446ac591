/**
 * What every task is: a seeded maker of problems, a prompt, a verifier with reward parts, a held-out split.
 * The same object serves data, evaluation and reinforcement learning.
 *
 * 1. Difficulty is a number in [0, 1] that selects one of the task's named `levels`, easiest first.
 * 2. Problems are held out by a hash of their canonical key: the same problem in another order or another digit
 *    alphabet is on the same side, and the split does not depend on how problems were drawn.
 * 3. Reward parts stay apart (accuracy, format, language, arithmetic) and are summed with weights only at the end
 *    (GDPO-style per-part normalisation needs them apart).
 * 4. A verifier never throws and never evaluates code: `check` gets the last complete answer, in Arabic digits,
 *    and says what is wrong with it.
 */
import type { ZodType } from 'zod';
import { GaslawError, UsageError } from '../util/errors.ts';
import { hash32, type Random } from '../util/random.ts';
import { convertDigits, LANGUAGES, type Language, languageShare } from './digits.ts';
import { formatResponse, type ParsedResponse, parseResponse } from './response.ts';

export type Split = 'train' | 'test';

export interface ProblemBase {
  readonly task: string;
  /** Index into the task's `levels`. */
  readonly level: number;
  /** The digit alphabet of the prompt, and the one that the response is asked to keep to. */
  readonly language: Language;
}

/** A problem is plain JSON data: `JSON.stringify` writes it, `task.parse` reads it back. */
export type Problem<Data extends object = object> = ProblemBase & Data;

export interface RewardParts {
  /** 1 when the last answer is right, else 0. */
  readonly accuracy: number;
  /** Graded response form, 0 to 1. */
  readonly format: number;
  /** Share of digits in the problem's alphabet, 0 to 1. */
  readonly language?: number;
  /** Share of the stated calculations `a+b=c` that are true, 0 to 1; absent without any, and for tasks that do not look. */
  readonly arithmetic?: number;
}

export interface Verdict {
  readonly correct: boolean;
  readonly parts: RewardParts;
  /** The answer that was judged, as written. */
  readonly answer?: string;
  /** Why the answer is wrong; absent when it is right. */
  readonly reason?: string;
}

export interface Task<Data extends object = object> {
  readonly name: string;
  /** Names of the difficulty levels, easiest first. */
  readonly levels: readonly string[];
  /** Every character that compact prompts and true responses use, both alphabets, tags apart. */
  readonly alphabet: string;
  /** One problem of `split`. Throws a GaslawError when the level has none. */
  sample(random: Random, difficulty: number, split: Split, language?: Language): Problem<Data>;
  /** The compact prompt, for small models trained here. */
  prompt(problem: Problem<Data>, language?: Language): string;
  /** The same problem in words, for models that follow instructions (see `r1Template`). */
  question(problem: Problem<Data>, language?: Language): string;
  /** Never throws. */
  verify(problem: Problem<Data>, response: string): Verdict;
  /** One right response in the problem's language. */
  truth(problem: Problem<Data>): string;
  heldOut(problem: Problem<Data>): boolean;
  /** A problem from JSON data; throws a GaslawError naming what is malformed. */
  parse(value: unknown): Problem<Data>;
}

export interface TaskSpec<Data extends object> {
  readonly name: string;
  readonly levels: readonly string[];
  readonly alphabet: string;
  readonly schema: ZodType<Data>;
  /** Share of problems held out, 0.1 when absent. */
  readonly heldOutShare?: number;
  /** Replaces the split by hash, for data that come with a split of their own. */
  heldOut?(data: Data): boolean;
  /** Where the answer is; the last complete answer when absent. */
  extract?(response: ParsedResponse): string | undefined;
  generate(random: Random, level: number): Data;
  /** Equal for problems that are the same problem. */
  key(data: Data): string;
  prompt(data: Data): string;
  question(data: Data): string;
  /** What is wrong with `answer` (trimmed, Arabic digits), or undefined when it is right. Must not throw. */
  check(data: Data, answer: string): string | undefined;
  truth(data: Data): { readonly think: string; readonly answer: string };
  /** Share of a response's calculations that are true, or undefined without any; must not throw. */
  arithmetic?(response: string): number | undefined;
}

const MAX_DRAWS = 20_000;

/** A whole task from its particular parts. */
export function defineTask<Data extends object>(spec: TaskSpec<Data>): Task<Data> {
  const heldOut = (data: Data): boolean =>
    spec.heldOut?.(data) ?? isHeldOut(`${spec.name}:${spec.key(data)}`, spec.heldOutShare);
  return {
    name: spec.name,
    levels: spec.levels,
    alphabet: spec.alphabet,
    heldOut,
    parse: value => parseProblem(spec, value),
    prompt: (problem, language = problem.language) => convertDigits(spec.prompt(problem), language),
    question: (problem, language = problem.language) => convertDigits(spec.question(problem), language),
    truth: problem => {
      const { think, answer } = spec.truth(problem);
      return convertDigits(formatResponse(think, answer), problem.language);
    },
    verify(problem, response) {
      const verdict = judge(problem, response, answer => spec.check(problem, answer), spec.extract);
      const arithmetic = spec.arithmetic?.(response);
      return arithmetic === undefined ? verdict : { ...verdict, parts: { ...verdict.parts, arithmetic } };
    },
    sample(random, difficulty, split, language = 'arabic') {
      const level = levelAt(difficulty, spec.levels.length);
      for (let i = 0; i < MAX_DRAWS; i++) {
        const data = spec.generate(random, level);
        if (heldOut(data) === (split === 'test')) return { task: spec.name, level, language, ...data };
      }
      throw new GaslawError(
        `task ${spec.name}: no ${split} problem at level "${spec.levels[level]}" in ${MAX_DRAWS} draws; use a harder level`,
      );
    },
  };
}

/** Whether the problem with this canonical key belongs to the held-out share. */
export function isHeldOut(key: string, share = 0.1): boolean {
  return hash32(key) < share * 0x100000000;
}

/** Judges the last answer of a response; `check` sees it in Arabic digits. */
export function judge(
  problem: ProblemBase,
  response: string,
  check: (answer: string) => string | undefined,
  extract: (response: ParsedResponse) => string | undefined = parsed => parsed.answer,
): Verdict {
  const parsed = parseResponse(response);
  const answer = extract(parsed);
  const reason = answer === undefined ? 'no complete answer' : check(convertDigits(answer, 'arabic'));
  const correct = reason === undefined;
  const language = languageShare(response, problem.language);
  return { correct, parts: { accuracy: correct ? 1 : 0, format: parsed.format, language }, answer, reason };
}

/** The level index that a difficulty in [0, 1] selects among `count`. */
export function levelAt(difficulty: number, count: number): number {
  return Math.round(Math.min(1, Math.max(0, difficulty)) * (count - 1));
}

/** The difficulty that selects level `index` among `count`: the inverse of `levelAt`. */
export function difficultyAt(index: number, count: number): number {
  return count <= 1 ? 0 : index / (count - 1);
}

/** The difficulty of a named level, for recipes: `difficultyNamed(countdown, '3x12')`. */
export function difficultyNamed(task: Pick<Task, 'name' | 'levels'>, level: string): number {
  const index = task.levels.indexOf(level);
  if (index < 0)
    throw new UsageError(`task ${task.name} has no level "${level}"; it has ${task.levels.join(', ')}`);
  return difficultyAt(index, task.levels.length);
}

function parseProblem<Data extends object>(spec: TaskSpec<Data>, value: unknown): Problem<Data> {
  const base = parseBase(spec, value);
  const data = spec.schema.safeParse(value);
  if (data.success) return { ...base, ...data.data };
  const issue = data.error.issues[0]!;
  throw new GaslawError(`task ${spec.name}: malformed problem: ${issue.path.join('.')}: ${issue.message}`);
}

function parseBase(spec: { name: string; levels: readonly string[] }, value: unknown): ProblemBase {
  const { task, level, language } = (value ?? {}) as Partial<ProblemBase>; // each field is checked below
  if (task !== spec.name)
    throw new GaslawError(`task ${spec.name}: malformed problem: its task is ${String(task)}`);
  if (level === undefined || spec.levels[level] === undefined)
    throw new GaslawError(`task ${spec.name}: malformed problem: no level ${String(level)}`);
  if (language === undefined || !LANGUAGES.includes(language))
    throw new GaslawError(`task ${spec.name}: malformed problem: language must be ${LANGUAGES.join(' or ')}`);
  return { task, level, language };
}
