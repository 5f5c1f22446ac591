/**
 * Rejection sampling: many answers from a model, of which verified, clean ones become training data.
 *
 * 1. Problems are taken from the training split, several answers each; at most `perProblem` right ones are kept, so easy
 *    problems do not crowd out hard ones.
 * 2. Clean means what DeepSeek asked of its traces: right, in the exact form, in one language, every stated step true.
 * 3. The kept data are written to data/NAME.jsonl once; a resumed stage reads them back.
 */
import { Decoder } from '../../src/generate/decoder.ts';
import { Engine } from '../../src/generate/engine.ts';
import type { CountdownData } from '../../src/tasks/countdown.ts';
import type { Language } from '../../src/tasks/digits.ts';
import type { Problem, Task } from '../../src/tasks/task.ts';
import { countSteps } from '../../src/tasks/transcript.ts';
import { readText } from '../../src/util/files.ts';
import { Random } from '../../src/util/random.ts';
import type { Pipeline, Trained } from '../pipeline.ts';

export interface Trace {
  readonly prompt: string;
  readonly response: string;
}

export interface TraceOptions {
  readonly name: string;
  readonly task: Task<CountdownData>;
  readonly difficulty: number;
  readonly language: (random: Random) => Language;
  readonly wanted: number;
  readonly answersEach: number;
  readonly perProblem: number;
  readonly maxTokens: number;
  readonly slots: number;
  readonly seed: number;
}

/** Problems tried a wanted trace before giving up. */
const PATIENCE = 4;

export async function collectTraces(pipeline: Pipeline, from: Trained, o: TraceOptions): Promise<Trace[]> {
  const { files, folder, runtime, log } = pipeline.context;
  const path = `${folder}/data/${o.name}.jsonl`;
  if (await files.exists(path)) return parse(await readText(files, path));
  using decoder = await Decoder.create(runtime, from.model, from.store.tensors());
  using engine = new Engine(decoder, { slots: o.slots, capacity: from.model.maxPositions });
  const random = new Random(o.seed).fork(o.name);
  const traces: Trace[] = [];
  const chunk = Math.max(16, Math.ceil(o.wanted / 4));
  let asked = 0;
  while (traces.length < o.wanted && asked < o.wanted * PATIENCE) {
    const problems = Array.from({ length: chunk }, (_, i) => {
      const r = random.fork(`problem ${asked + i}`);
      return o.task.sample(r, o.difficulty, 'train', o.language(r));
    });
    traces.push(...(await answerAll(pipeline, engine, problems, o, random.fork(`answers ${asked}`))));
    asked += chunk;
  }
  const kept = traces.slice(0, o.wanted);
  log(`${o.name}: kept ${kept.length} verified traces of ${asked * o.answersEach} answers`);
  await files.write(path, kept.map(t => `${JSON.stringify(t)}\n`).join(''));
  return kept;
}

const parse = (text: string): Trace[] =>
  text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Trace);

async function answerAll(
  pipeline: Pipeline,
  engine: Engine,
  problems: readonly Problem<CountdownData>[],
  o: TraceOptions,
  random: Random,
): Promise<Trace[]> {
  const { tokenizer } = pipeline;
  const prompts = problems.map(p => o.task.prompt(p));
  const completions = await engine.generate(
    prompts.flatMap((prompt, i) => {
      const ids = tokenizer.encode(prompt);
      return Array.from({ length: o.answersEach }, (_, j) => ({
        prompt: ids,
        maxTokens: o.maxTokens,
        stopIds: [tokenizer.eos],
        seed: random.fork(`${i} ${j}`).bits(),
      }));
    }),
  );
  return problems.flatMap((problem, i) => {
    const own = completions.slice(i * o.answersEach, (i + 1) * o.answersEach);
    const responses = own.map(c => tokenizer.decode(c.ids, { skipControl: true }));
    const clean = [...new Set(responses)].filter(response => isClean(o.task, problem, response));
    return clean.slice(0, o.perProblem).map(response => ({ prompt: prompts[i] as string, response }));
  });
}

/** Right, well-formed, in the prompt's language throughout, and every stated step true. */
function isClean(task: Task<CountdownData>, problem: Problem<CountdownData>, response: string): boolean {
  const { correct, parts } = task.verify(problem, response);
  const { steps, right } = countSteps(response);
  return correct && parts.format === 1 && (parts.language ?? 1) === 1 && steps === right;
}
