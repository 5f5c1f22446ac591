/** `gaslaw chat <model>`: a line in, an answer out, until the input ends. */
import { createInterface } from 'node:readline';
import { Command } from 'commander';
import pc from 'picocolors';
import { openEngine } from '../../generate/open.ts';
import { generateText } from '../../generate/text.ts';
import { readAsked } from '../../tasks/ask.ts';
import { GaslawError } from '../../util/errors.ts';
import { openModel } from '../environment.ts';
import { createOutput } from '../output.ts';
import { type SamplingFlags, withSampling } from './generate.ts';

export const chatCommand = (): Command =>
  withSampling(
    new Command('chat')
      .description(
        'talk with a model; a line like "3 5 4 > 35" is put as a Countdown problem and its answer checked',
      )
      .argument('<model>', 'run folder, Hugging Face directory or exported .onnx file'),
  ).action(run);

async function run(path: string, o: SamplingFlags): Promise<void> {
  const output = createOutput(false);
  using opened = await openModel(path, output);
  using open = openEngine(opened.decoder);
  const { tokenizer } = opened.language;
  const maxTokens = o.maxTokens ?? opened.decoder.model.maxPositions;
  const interactive = process.stdin.isTTY === true;
  const lines = createInterface({
    input: process.stdin,
    ...(interactive && { output: process.stderr, prompt: '> ' }),
  });
  if (interactive) lines.prompt();
  for await (const line of lines) {
    if (line.trim() === '') continue;
    const asked = readAsked(line);
    try {
      const onText = (piece: string) => process.stdout.write(piece);
      const { text } = await generateText(open.engine, tokenizer, asked.prompt, { ...o, maxTokens, onText });
      const verdict = asked.checked?.task.verify(asked.checked.problem, text);
      const mark = verdict
        ? verdict.correct
          ? pc.green('  right')
          : pc.red(`  wrong: ${verdict.reason}`)
        : '';
      process.stdout.write(`${mark}\n`);
    } catch (error) {
      // a line that cannot be answered is told and the talk goes on
      if (!(error instanceof GaslawError)) throw error;
      output.warn(error.message);
    }
    if (interactive) lines.prompt();
  }
}
