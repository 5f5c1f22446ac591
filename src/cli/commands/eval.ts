/** `gaslaw eval <model> --task NAME`: pass@1 and pass@k on held-out problems. */
import { Command } from 'commander';
import { duration, percent, percentInterval } from '../../report/format.ts';
import { TASK_NAMES, taskNamed } from '../../tasks/index.ts';
import { EVALUATION_SAMPLING } from '../../train/evaluate.ts';
import { evaluateModel, levelNamed, type ModelEvaluation } from '../../train/evaluate-model.ts';
import { readText } from '../../util/files.ts';
import { openModel } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import { JSON_OPTION, LANGUAGE_MODEL, refuse, TOKENIZER_OPTION, whole, within } from '../options.ts';
import { createOutput, stdoutColors } from '../output.ts';
import { table } from '../table.ts';

interface EvalOptions {
  task: string;
  samples: number;
  k: number;
  temperature: number;
  topP: number;
  seed: number;
  level?: string;
  maxTokens?: number;
  data?: string;
  tokenizer?: string;
  json?: boolean;
}

export const evalCommand = (): Command =>
  new Command('eval')
    .description('answer held-out problems of a task and verify the answers')
    .argument('<model>', LANGUAGE_MODEL)
    .requiredOption('--task <name>', TASK_NAMES.join(', '))
    .option('--level <name>', 'difficulty, for example 3x12 of countdown (a wrong one lists them)')
    .option('--samples <n>', 'problems', whole('--samples', 1), 256)
    .option('--k <n>', 'answers to each problem, for pass@k', whole('--k', 1), 1)
    .option('--temperature <t>', '0 takes the likeliest token', within('--temperature', 0, 100), 1)
    .option(
      '--top-p <p>',
      'draw from the likeliest tokens of this much probability',
      within('--top-p', 0, 1),
      EVALUATION_SAMPLING.topP,
    )
    .option('--max-tokens <n>', 'longest answer (default: the rest of the context)', whole('--max-tokens', 1))
    .option('--seed <n>', 'seed of the answers; the problems are always the same', whole('--seed', 0), 1)
    .option(...TOKENIZER_OPTION)
    .option('--data <file>', 'JSONL file of problems, for gsm8k')
    .option(...JSON_OPTION)
    .action(run);

async function run(path: string, o: EvalOptions, command: Command): Promise<void> {
  if (o.task !== 'gsm8k') refuse(command, ['data'], `${o.task} makes its problems; this is for gsm8k`);
  const output = createOutput(o.json ?? false);
  const task = taskNamed(
    o.task,
    o.data === undefined ? undefined : { train: await readText(nodeFiles(), o.data) },
  );
  const level = levelNamed(task, o.level);
  using opened = await openModel(path, output, { tokenizer: o.tokenizer });
  const sampling = { temperature: o.temperature, topP: o.topP };
  const evaluation = await evaluateModel(opened.decoder, opened.language.tokenizer, task, {
    ...o,
    level,
    sampling,
  });
  const { rates: _, answers: __, ...figures } = evaluation;
  output.result(figures, () => lines(evaluation));
}

function lines(e: ModelEvaluation): string[] {
  const { dim } = stdoutColors();
  const answers = e.k === 1 ? 'one answer each' : `${e.k} answers each`;
  const rows = [
    ['pass@1', percent(e.passAt1), percentInterval(e.passAt1Interval)],
    ...(e.k > 1 ? [[`pass@${e.k}`, percent(e.passAtK), percentInterval(e.passAtKInterval)]] : []),
    ['tokens', e.responseTokens.toFixed(1), 'an answer'],
    ['language', percent(e.language), 'of digits as asked'],
  ];
  return [
    dim(`${e.task} ${e.level}: ${e.samples} held-out problems, ${answers}, ${duration(e.seconds)}`),
    ...table(rows, ['left', 'right', 'left']),
  ];
}
