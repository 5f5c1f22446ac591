/** `gaslaw perplexity <model> --text FILE`: how well a model predicts a text. */
import { Command } from 'commander';
import { packChoice, packInputs } from '../../compress/quantize/pack-inputs.ts';
import { type LanguageModel, type OpenDType, openLanguageModel } from '../../export/language-model.ts';
import { exportedScorer } from '../../export/score.ts';
import { si } from '../../report/format.ts';
import { type ScoredWeights, type TextScorer, weightsScorer } from '../../train/perplexity.ts';
import { scoreFile } from '../../train/score-file.ts';
import { openRuntime } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import { DTYPE_OPTION, JSON_OPTION, LANGUAGE_MODEL, TOKENIZER_OPTION, whole } from '../options.ts';
import { createOutput } from '../output.ts';
import { table } from '../table.ts';

export const perplexityCommand = (): Command =>
  new Command('perplexity')
    .description('how well a model predicts a text')
    .argument('<model>', LANGUAGE_MODEL)
    .requiredOption('--text <file>', 'the text, UTF-8')
    .option('--documents', 'blank lines part documents: each is scored by itself, from its begin token on')
    .option('--length <n>', 'most tokens of context; documents are cut there', whole('--length', 2))
    .option(...DTYPE_OPTION)
    .option(...TOKENIZER_OPTION)
    .option(...JSON_OPTION)
    .action(run);

interface PerplexityOptions {
  text: string;
  documents?: boolean;
  length?: number;
  json?: boolean;
  dtype?: OpenDType;
  tokenizer?: string;
}

async function run(
  path: string,
  { text, json, dtype, tokenizer, ...options }: PerplexityOptions,
): Promise<void> {
  const output = createOutput(json ?? false);
  const language = await openLanguageModel(nodeFiles(), path, { dtype, tokenizer });
  const scored = { ...language, scorer: scorerOf(language) };
  const score = await scoreFile(nodeFiles(), () => openRuntime(output), scored, text, options);
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

function scorerOf(language: LanguageModel): TextScorer {
  const { model, exported } = language;
  return exported ? exportedScorer(exported, model) : weightsScorer(model, weightsOf(language));
}

function weightsOf({ store, source, dtype, origin }: LanguageModel): ScoredWeights {
  if (source && dtype && dtype !== 'f32')
    return (graph, weights) => packInputs(graph, weights, source, packChoice(dtype));
  if (store) return store;
  throw new Error(`${origin}: opened without weights`);
}
