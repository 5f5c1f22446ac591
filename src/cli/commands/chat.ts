/** `gaslaw chat <model>`: a line in, an answer out, until the input ends. Models with a chat template see the whole conversation. */
import { createInterface, type Interface } from 'node:readline';
import { Command } from 'commander';
import type { LanguageModel } from '../../export/language-model.ts';
import { type OpenEngine, openEngine } from '../../generate/open.ts';
import { generateText } from '../../generate/text.ts';
import { endIds } from '../../models/files.ts';
import type { CausalModel } from '../../models/model.ts';
import { si } from '../../report/format.ts';
import { type Asked, readAsked } from '../../tasks/ask.ts';
import { taskNamed } from '../../tasks/index.ts';
import type { Verdict } from '../../tasks/task.ts';
import type { ChatMessage } from '../../tokenizer/chat-template.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { heldOutQuestions, levelNamed } from '../../train/evaluate-model.ts';
import { GaslawError, UsageError } from '../../util/errors.ts';
import { openModel } from '../environment.ts';
import { LANGUAGE_MODEL } from '../options.ts';
import { createOutput, type Output, stderrColors, stdoutColors } from '../output.ts';
import { type SamplingFlags, withSampling } from './generate.ts';

interface ChatOptions extends SamplingFlags {
  task?: string;
  level?: string;
}

export const chatCommand = (): Command =>
  withSampling(
    new Command('chat')
      .description('talk with a model; the answer to "3 5 4 > 35" is checked')
      .argument('<model>', LANGUAGE_MODEL)
      .option('--task <name>', 'an empty line asks a held-out problem of this task')
      .option('--level <name>', "one of that task's levels"),
  ).action(run);

/** What a talk goes on with. */
interface Talk {
  readonly open: OpenEngine;
  readonly tokenizer: Tokenizer;
  readonly model: CausalModel;
  readonly options: Omit<ChatOptions, 'task' | 'level' | 'dtype' | 'draft' | 'kvCache' | 'tokenizer'>;
  readonly output: Output;
  /** Problems that empty lines ask. */
  readonly problems?: Iterator<Asked, never>;
  /** Turns so far, where the model was trained on conversations. */
  readonly turns: ChatMessage[];
}

async function run(
  path: string,
  {
    task: taskName,
    level: levelName,
    dtype,
    draft,
    kvCache,
    tokenizer: tokenizerPath,
    ...options
  }: ChatOptions,
): Promise<void> {
  const output = createOutput(false);
  if (levelName !== undefined && taskName === undefined)
    throw new UsageError('--level belongs to a task; add --task');
  const task = taskName === undefined ? undefined : taskNamed(taskName);
  const level = task && levelNamed(task, levelName);
  using opened = await openModel(path, output, {
    dtype,
    kvCache,
    tokenizer: tokenizerPath,
    ahead: draft?.by === 'mtp',
    background: true, // so that Ctrl-C is heard
  });
  using open = openEngine(opened.decoder, { draft });
  const { tokenizer, model } = opened.language;
  const problems = task && level !== undefined ? heldOutQuestions(tokenizer, task, level) : undefined;
  await talk({ open, tokenizer, model, options, output, problems, turns: [] }, opened.language);
}

async function talk(t: Talk, language: LanguageModel): Promise<void> {
  const interactive = process.stdin.isTTY === true;
  const lines = createInterface({
    input: process.stdin,
    ...(interactive && { output: process.stderr, prompt: '> ' }),
  });
  const stop = stopOnCtrlC(lines);
  if (interactive) greet(language, t.problems !== undefined);
  if (interactive) lines.prompt();
  let turn = 0;
  for await (const line of lines) {
    const asked = line.trim() === '' ? t.problems?.next().value : readAsked(line);
    if (asked) await answer(t, asked, turn++, line.trim() === '', stop.start());
    stop.end();
    if (interactive) lines.prompt();
  }
  if (interactive) process.stderr.write('\n');
}

/** On a terminal Ctrl-C ends the answer that is being given, or the talk between answers. */
function stopOnCtrlC(lines: Interface): { start(): AbortSignal; end(): void } {
  let current: AbortController | undefined;
  lines.on('SIGINT', () => (current ? current.abort() : lines.close()));
  return {
    start: () => (current = new AbortController()).signal,
    end() {
      current = undefined;
    },
  };
}

function greet({ origin, parameters }: LanguageModel, makesProblems: boolean): void {
  const { dim, bold } = stderrColors();
  const hint = makesProblems ? 'Enter asks a problem' : 'try 3 5 4 > 35';
  process.stderr.write(`${bold(origin)}  ${dim(`${si(parameters)} parameters; ${hint}; Ctrl-D leaves`)}\n`);
}

/** Streams one answer and says whether it is right; a line that cannot be answered is told and the talk goes on. */
async function answer(
  t: Talk,
  asked: Asked,
  turn: number,
  show: boolean,
  signal: AbortSignal,
): Promise<void> {
  if (show) process.stdout.write(`${stdoutColors().bold(asked.prompt)}\n`);
  try {
    const asks = { role: 'user', content: asked.prompt };
    const prompt = t.tokenizer.chat ? [...t.turns, asks] : asked.prompt;
    const { text } = await generateText(t.open.engine, t.tokenizer, prompt, {
      ...t.options,
      stopIds: endIds(t.model, t.tokenizer),
      seed: t.options.seed + turn,
      maxTokens: t.options.maxTokens ?? Number.MAX_SAFE_INTEGER,
      onText: piece => process.stdout.write(piece),
      signal,
    });
    t.turns.push(asks, { role: 'assistant', content: text });
    process.stdout.write(`${mark(asked.checked?.task.verify(asked.checked.problem, text))}\n`);
  } catch (error) {
    if (!(error instanceof GaslawError)) throw error;
    t.output.warn(error.message);
  }
}

function mark(verdict: Verdict | undefined): string {
  if (!verdict) return '';
  const { green, red } = stdoutColors();
  return verdict.correct ? green('  right') : red(`  wrong: ${verdict.reason}`);
}
