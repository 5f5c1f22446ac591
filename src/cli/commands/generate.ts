/** `gaslaw generate <model> --prompt TEXT`: continues a prompt, as it goes. */
import { Command } from 'commander';
import type { OpenDType } from '../../export/language-model.ts';
import type { CacheDType } from '../../generate/cache-format.ts';
import { type Drafting, draftFigures, openEngine } from '../../generate/open.ts';
import { generateText } from '../../generate/text.ts';
import { endIds } from '../../models/files.ts';
import { plain } from '../../report/format.ts';
import { openModel } from '../environment.ts';
import {
  CACHE_OPTION,
  DRAFT_OPTION,
  DTYPE_OPTION,
  draftCells,
  JSON_OPTION,
  LANGUAGE_MODEL,
  repeated,
  TOKENIZER_OPTION,
  whole,
  within,
} from '../options.ts';
import { createOutput, stderrColors } from '../output.ts';

export interface SamplingFlags {
  maxTokens?: number;
  temperature: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repetitionPenalty?: number;
  stop?: string[];
  seed: number;
  dtype?: OpenDType;
  draft?: Drafting;
  kvCache?: CacheDType;
  tokenizer?: string;
}

/** The options of everything that generates. */
export function withSampling(command: Command): Command {
  const more = command
    .option('--max-tokens <n>', 'longest answer (default: the rest of the context)', whole('--max-tokens', 1))
    .option('--temperature <t>', '0 takes the likeliest token', within('--temperature', 0, 100), 1)
    .option('--top-k <n>', 'sample among the n likeliest', whole('--top-k', 1))
    .option('--top-p <p>', 'sample within this much probability', within('--top-p', 0, 1))
    .option('--min-p <p>', 'leave out tokens below this share of the likeliest', within('--min-p', 0, 1))
    .option(
      '--repetition-penalty <x>',
      'above 1 discourages repeats',
      within('--repetition-penalty', 0.01, 100),
    );
  return repeated(more, '--stop <text>', 'ends the answer and is left out of it')
    .option('--seed <n>', 'same seed, same answer', whole('--seed', 0), 1)
    .option(...DRAFT_OPTION)
    .option(...DTYPE_OPTION)
    .option(...CACHE_OPTION)
    .option(...TOKENIZER_OPTION);
}

export const generateCommand = (): Command =>
  withSampling(
    new Command('generate')
      .description('continue a prompt')
      .argument('<model>', LANGUAGE_MODEL)
      .requiredOption('--prompt <text>', 'what to continue'),
  )
    .option(...JSON_OPTION)
    .action(run);

async function run(path: string, o: SamplingFlags & { prompt: string; json?: boolean }): Promise<void> {
  const output = createOutput(o.json ?? false);
  const { prompt, json, dtype, draft, kvCache, tokenizer, ...options } = o;
  using opened = await openModel(path, output, { dtype, kvCache, tokenizer, ahead: draft?.by === 'mtp' });
  using open = openEngine(opened.decoder, { draft });
  const maxTokens = o.maxTokens ?? opened.decoder.model.maxPositions;
  const onText = json ? undefined : (piece: string) => process.stdout.write(piece);
  const result = await generateText(open.engine, opened.language.tokenizer, prompt, {
    ...options,
    stopIds: endIds(opened.decoder.model, opened.language.tokenizer),
    maxTokens,
    onText,
  });
  const drafts = draft && draftFigures(open.engine);
  output.result({ ...result, ...drafts }, () => ['']);
  if (json) return;
  if (drafts) output.log(`drafts: ${draftCells(drafts).join(' ')}`);
  if (process.stderr.isTTY !== true) return;
  output.log(stderrColors().dim(`${result.ids.length} tokens, ${plain(result.tokensPerSecond)} a second`));
}
