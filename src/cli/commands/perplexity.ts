/** `gaslaw perplexity <model> --text FILE`: how well a model predicts a text. */
import { Command } from 'commander';
import { si } from '../../report/format.ts';
import { scoreFile } from '../../train/score-file.ts';
import { openRuntime } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import { JSON_OPTION } from '../options.ts';
import { createOutput } from '../output.ts';
import { table } from '../table.ts';

export const perplexityCommand = (): Command =>
  new Command('perplexity')
    .description('how well a model predicts a text')
    .argument('<model>', 'run folder or Hugging Face directory')
    .requiredOption('--text <file>', 'the text, UTF-8')
    .option(...JSON_OPTION)
    .action(run);

async function run(path: string, o: { text: string; json?: boolean }): Promise<void> {
  const output = createOutput(o.json ?? false);
  const score = await scoreFile(nodeFiles(), () => openRuntime(output), path, o.text);
  output.result(score, () =>
    table(
      [
        [score.perplexity.toFixed(3), 'perplexity'],
        [score.natsPerToken.toFixed(4), 'nats a token'],
        [score.bitsPerByte.toFixed(4), 'bits per byte'],
        [si(score.tokens), 'tokens'],
      ],
      ['right', 'left'],
    ),
  );
}
