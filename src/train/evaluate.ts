/**
 * Evaluation on held-out problems: pass@1 with its interval, unbiased pass@k, lengths, language, a few answers to show.
 * The same problems and seeds for every model, so models are compared pair by pair.
 */
import type { Engine } from '../generate/engine.ts';
import type { SamplingOptions } from '../generate/sampling.ts';
import { type Interval, passAt1, passAtK, type Tally } from '../tasks/statistics.ts';
import type { Problem, Task } from '../tasks/task.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { Random } from '../util/random.ts';

export interface EvaluationOptions {
  /** Problems. */
  readonly samples: number;
  /** Responses a problem; pass@k is reported at this k. */
  readonly k: number;
  readonly maxTokens: number;
  readonly seed: number;
  /** `EVALUATION_SAMPLING` unless given. */
  readonly sampling?: SamplingOptions;
  readonly difficulty?: number;
  /** Problems to use instead of drawing them. */
  readonly problems?: readonly Problem[];
  /** How a problem becomes a prompt; the task's compact prompt when absent. */
  readonly prompt?: (problem: Problem) => string;
  /** Put before a response when it is judged, for prompts that already open the reasoning. */
  readonly responsePrefix?: string;
}

/**
 * How answers are drawn unless told otherwise: DeepSeek-R1's top-p of 0.95, at temperature 1 and not its 0.6, because the
 * searches of small models live on variety.
 */
export const EVALUATION_SAMPLING = { temperature: 1, topP: 0.95 } as const satisfies SamplingOptions;

export interface Answer {
  readonly problem: Problem;
  readonly prompt: string;
  readonly response: string;
  readonly correct: boolean;
  readonly language: number;
}

export interface Evaluation {
  readonly task: string;
  readonly samples: number;
  readonly k: number;
  readonly passAt1: number;
  readonly passAt1Interval: Interval;
  readonly passAtK: number;
  readonly passAtKInterval: Interval;
  /** Mean tokens of a response. */
  readonly responseTokens: number;
  /** Mean share of digits in the language asked for. */
  readonly language: number;
  readonly seconds: number;
  /** Pass rate of each problem, in order, for paired comparisons. */
  readonly rates: readonly number[];
  /** The first response to each problem. */
  readonly answers: readonly Answer[];
}

/** Held-out problems of a task, the same for the same seed. */
export function heldOutProblems(task: Task, count: number, difficulty: number, seed: number): Problem[] {
  const random = new Random(seed).fork(`held out ${task.name}`);
  return Array.from({ length: count }, (_, i) =>
    task.sample(random.fork(i), difficulty, 'test', i % 2 === 0 ? 'arabic' : 'chinese'),
  );
}

export async function evaluate(
  engine: Engine,
  tokenizer: Tokenizer,
  task: Task,
  options: EvaluationOptions,
): Promise<Evaluation> {
  const { samples, k, maxTokens, seed, difficulty = 1, responsePrefix = '' } = options;
  const { sampling = EVALUATION_SAMPLING } = options;
  const problems = options.problems ?? heldOutProblems(task, samples, difficulty, seed);
  const prompts = problems.map(options.prompt ?? (problem => task.prompt(problem)));
  const random = new Random(seed).fork('evaluation');
  const started = performance.now();
  const completions = await engine.generate(
    prompts.flatMap((prompt, i) => {
      const ids = tokenizer.encode(prompt);
      return Array.from({ length: k }, (_, j) => ({
        ...sampling,
        prompt: ids,
        maxTokens,
        stopIds: [tokenizer.eos],
        seed: random.fork(`${i} ${j}`).bits(),
      }));
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  const answers = completions.map((completion, n): Answer => {
    const problem = problems[Math.floor(n / k)] as Problem;
    const response = tokenizer.decode(completion.ids, { skipControl: true });
    const verdict = task.verify(problem, responsePrefix + response);
    const prompt = prompts[Math.floor(n / k)] as string;
    return { problem, prompt, response, correct: verdict.correct, language: verdict.parts.language ?? 1 };
  });
  const tallies = problems.map(
    (_, i): Tally => ({
      samples: k,
      correct: answers.slice(i * k, (i + 1) * k).filter(a => a.correct).length,
    }),
  );
  const one = passAt1(tallies);
  const many = passAtK(tallies, k);
  return {
    task: task.name,
    samples: problems.length,
    k,
    passAt1: one.value,
    passAt1Interval: one.interval,
    passAtK: many.value,
    passAtKInterval: many.interval,
    responseTokens: mean(completions.map(c => c.ids.length)),
    language: mean(answers.map(a => a.language)),
    seconds,
    rates: tallies.map(t => t.correct / t.samples),
    answers: problems.map((_, i) => answers[i * k] as Answer),
  };
}

const mean = (values: readonly number[]): number =>
  values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
