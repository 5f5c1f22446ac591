/** `gaslaw bench <model>`: how fast a language model reads and writes, or how long one run of any other graph takes. */
import { Command } from 'commander';
import { isLanguageModelFile, type OpenDType } from '../../export/language-model.ts';
import { benchGeneration } from '../../generate/bench.ts';
import type { CacheDType } from '../../generate/cache-format.ts';
import type { Drafting } from '../../generate/open.ts';
import { loadOnnx, locateModel } from '../../models/resolve.ts';
import { bytes, duration, milliseconds, si } from '../../report/format.ts';
import { benchGraph } from '../../runtime/bench.ts';
import { openModel, openRuntime, peakRssBytes } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import {
  CACHE_OPTION,
  type Dims,
  DRAFT_OPTION,
  DTYPE_OPTION,
  dimOption,
  draftCells,
  GRAPH_FILE,
  JSON_OPTION,
  LANGUAGE_MODEL,
  refuse,
  TOKENIZER_OPTION,
  whole,
} from '../options.ts';
import { createOutput, type Output } from '../output.ts';
import { table } from '../table.ts';

interface BenchOptions {
  runs?: number;
  promptTokens?: number;
  newTokens?: number;
  seed: number;
  dtype?: OpenDType;
  kvCache?: CacheDType;
  draft?: Drafting;
  tokenizer?: string;
  dim?: Dims;
  json?: boolean;
}

export const benchCommand = (): Command =>
  new Command('bench')
    .description('speed of a language model, or of one run of any other graph')
    .argument('<model>', `${LANGUAGE_MODEL}, or any other ${GRAPH_FILE}`)
    .option('--runs <n>', 'measured runs (default: 5; of other graphs 50)', whole('--runs', 1))
    .option(
      '--prompt-tokens <n>',
      'length of the prompt (default: half the context, at most 512)',
      whole('--prompt-tokens', 1),
    )
    .option(
      '--new-tokens <n>',
      'length of the answer (default: a quarter, at most 128)',
      whole('--new-tokens', 2),
    )
    .option(...dimOption('1'))
    .option(...DTYPE_OPTION)
    .option(...CACHE_OPTION)
    .option(...DRAFT_OPTION)
    .option(...TOKENIZER_OPTION)
    .option('--seed <n>', 'seed of the inputs', whole('--seed', 0), 1)
    .option(...JSON_OPTION)
    .action(run);

const OF_LANGUAGE_MODELS = ['dtype', 'kv-cache', 'draft', 'tokenizer', 'prompt-tokens', 'new-tokens'];

async function run(path: string, o: BenchOptions, command: Command): Promise<void> {
  const output = createOutput(o.json ?? false);
  const files = nodeFiles();
  const place = await locateModel(files, path);
  const isGraph = place.kind === 'onnx' && !(await isLanguageModelFile(files, place.path));
  if (isGraph) {
    refuse(command, OF_LANGUAGE_MODELS, `${path} is no language model; it runs as the file has it`);
    return benchOther(place.path, o, output);
  }
  refuse(command, ['dim'], `${path} is a language model; use --prompt-tokens and --new-tokens`);
  await benchLanguage(path, o, output);
}

async function benchLanguage(path: string, o: BenchOptions, output: Output): Promise<void> {
  using opened = await openModel(path, output, {
    dtype: o.dtype,
    kvCache: o.kvCache,
    tokenizer: o.tokenizer,
    ahead: o.draft?.by === 'mtp',
  });
  const speed = await benchGeneration(opened.decoder, { ...o, runs: o.runs ?? 5 });
  const result = { ...speed, loadSeconds: opened.loadSeconds, peakRssBytes: peakRssBytes() };
  output.result(result, () =>
    table(
      [
        [
          'prefill',
          si(result.prefillTokensPerSecond),
          `tokens/s over ${result.promptTokens} (${result.prefillRange.map(x => si(x)).join(' to ')})`,
        ],
        [
          'decode',
          si(result.decodeTokensPerSecond),
          `tokens/s over ${result.newTokens} (${result.decodeRange.map(x => si(x)).join(' to ')})`,
        ],
        ...(result.drafts ? [['drafts', ...draftCells(result.drafts)]] : []),
        ['first token', milliseconds(result.timeToFirstTokenMs)],
        ['loading', duration(result.loadSeconds)],
        ['peak memory', bytes(result.peakRssBytes)],
      ],
      ['left', 'right', 'left'],
    ),
  );
}

async function benchOther(path: string, o: BenchOptions, output: Output): Promise<void> {
  const { model } = await loadOnnx(nodeFiles(), path);
  const speed = await benchGraph(await openRuntime(output), model, {
    runs: o.runs ?? 50,
    seed: o.seed,
    dims: o.dim,
  });
  const result = { ...speed, peakRssBytes: peakRssBytes() };
  const shown = Object.entries(result.dims).map(([name, value]) => `${name} ${value}`);
  output.result(result, () =>
    table(
      [
        ['median', milliseconds(result.medianMs), `of ${result.runs} runs`],
        ['95th percentile', milliseconds(result.p95Ms)],
        ...(shown.length > 0 ? [['dimensions', '', shown.join(', ')]] : []),
        ['loading', duration(result.loadSeconds)],
        ['peak memory', bytes(result.peakRssBytes)],
      ],
      ['left', 'right', 'left'],
    ),
  );
}
