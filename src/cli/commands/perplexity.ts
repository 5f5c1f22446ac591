/** `gaslaw perplexity <model> --text FILE`: how well a model predicts a text. */
import { Command } from 'commander';
import { packChoice, packInputs } from '../../compress/quantize/pack-inputs.ts';
import { type LanguageModel, type OpenDType, openLanguageModel } from '../../export/language-model.ts';
import { si } from '../../report/format.ts';
import type { ScoredWeights } from '../../train/perplexity.ts';
import { scoreFile } from '../../train/score-file.ts';
import { UsageError } from '../../util/errors.ts';
import { openRuntime } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import { DTYPE_OPTION, JSON_OPTION, TOKENIZER_OPTION } from '../options.ts';
import { createOutput } from '../output.ts';
import { table } from '../table.ts';

export const perplexityCommand = (): Command =>
  new Command('perplexity')
    .description('how well a model predicts a text')
    .argument('<model>', 'run folder or Hugging Face directory')
    .requiredOption('--text <file>', 'the text, UTF-8')
    .option(...DTYPE_OPTION)
    .option(...TOKENIZER_OPTION)
    .option(...JSON_OPTION)
    .action(run);

async function run(
  path: string,
  { text, json, ...options }: { text: string; json?: boolean; dtype?: OpenDType; tokenizer?: string },
): Promise<void> {
  const output = createOutput(json ?? false);
  const language = await openLanguageModel(nodeFiles(), path, options);
  const scored = { ...language, weights: weightsOf(language) };
  const score = await scoreFile(nodeFiles(), () => openRuntime(output), scored, text);
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

function weightsOf({ store, source, dtype, origin }: LanguageModel): ScoredWeights {
  if (source && dtype && dtype !== 'f32')
    return (graph, weights) => packInputs(graph, weights, source, packChoice(dtype));
  if (store) return store;
  throw new UsageError(
    `${origin}: an exported file cannot be scored; give the directory that it was exported from`,
  );
}
