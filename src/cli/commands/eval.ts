/** `gaslaw eval <model> --task NAME`: pass@1 and pass@k on held-out problems. */
import { Command } from 'commander';
import { taskNamed } from '../../tasks/index.ts';
import { evaluateModel } from '../../train/evaluate-model.ts';
import { openModel } from '../environment.ts';
import { whole, within } from '../options.ts';
import { createOutput, percent } from '../output.ts';

interface EvalOptions {
  task: string;
  samples: number;
  k: number;
  temperature: number;
  seed: number;
  level?: string;
  json?: boolean;
}

export const evalCommand = (): Command =>
  new Command('eval')
    .description('answer held-out problems of a task and verify the answers')
    .argument('<model>', 'run folder, Hugging Face directory or exported .onnx file')
    .requiredOption('--task <name>', 'the task, for example countdown')
    .option('--samples <n>', 'problems', whole('--samples', 1), 256)
    .option('--k <n>', 'answers a problem, for pass@k', whole('--k', 1), 1)
    .option('--temperature <t>', '0 takes the likeliest token', within('--temperature', 0, 100), 1)
    .option('--seed <n>', 'seed of the answers', whole('--seed', 0), 1)
    .option('--level <name>', "one of the task's levels")
    .option('--json', 'print one JSON object')
    .action(run);

async function run(path: string, o: EvalOptions): Promise<void> {
  const output = createOutput(o.json ?? false);
  const task = taskNamed(o.task);
  using opened = await openModel(path, output);
  const sampling = { temperature: o.temperature };
  const e = await evaluateModel(opened.decoder, opened.language.tokenizer, task, { ...o, sampling });
  const { rates: _, answers: __, ...figures } = e;
  output.result(figures, () => [
    `${e.task} ${e.level}: ${e.samples} held-out problems, ${e.k} answers each`,
    `pass@1   ${percent(e.passAt1)}  [${e.passAt1Interval.map(percent).join(', ')}]`,
    `pass@${e.k}${' '.repeat(Math.max(1, 4 - String(e.k).length))}${percent(e.passAtK)}`,
    `${e.responseTokens.toFixed(1)} tokens an answer, ${e.seconds.toFixed(1)} s`,
  ]);
}
