/** `gaslaw prune <model.onnx>`: fewer channels, fewer layers, or fewer weights; what is left may learn from the whole. */
import { Command } from 'commander';
import { IMPORTANCES, type ImportanceName, type PruneTask } from '../../compress/prune/run.ts';
import {
  SPARSITY_METHODS,
  type SparsityMethod,
  type SparsityPattern,
} from '../../compress/prune/sparsity.ts';
import { type AugmentName, augmentNamed } from '../../data/augment.ts';
import { deviceOf } from '../../devices/index.ts';
import { pruneGraphFile } from '../../export/prune-graph.ts';
import { pruneLanguageModel } from '../../export/prune-language-model.ts';
import { locateModel } from '../../models/resolve.ts';
import { bytes, si } from '../../report/format.ts';
import { UsageError } from '../../util/errors.ts';
import type { FileStore } from '../../util/files.ts';
import { loadModule, openRuntime } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import {
  AUGMENT_OPTION,
  GRAPH_FILE,
  JSON_OPTION,
  oneOf,
  refuse,
  TOKENIZER_OPTION,
  whole,
  within,
} from '../options.ts';
import { createOutput, type Output, qualityLines } from '../output.ts';
import { trainingProgress } from '../progress.ts';

interface Options {
  readonly keep?: number;
  readonly of: 'macs' | 'parameters';
  readonly importance: ImportanceName;
  readonly ranking: 'global' | 'uniform';
  readonly align?: number;
  readonly device?: string;
  readonly layers?: number;
  readonly sparsity?: SparsityPattern;
  readonly method: SparsityMethod;
  readonly data?: string;
  readonly eval?: string;
  readonly samples: number;
  readonly recover?: number;
  readonly rounds: number;
  readonly rate?: number;
  readonly augment?: readonly AugmentName[];
  readonly seed: number;
  readonly tokenizer?: string;
  readonly out: string;
  readonly json?: boolean;
}

export const pruneCommand = (): Command =>
  new Command('prune')
    .description('remove channels until a share of the work is left, remove layers, or set weights to 0')
    .argument('<model>', `${GRAPH_FILE}, or a language model (--layers, --keep of its channels and heads)`)
    .option('--keep <share>', 'share of the work that may be left', within('--keep', 0.01, 0.99))
    .option('--of <what>', 'macs or parameters', oneOf('--of', ['macs', 'parameters']), 'macs')
    .option(
      '--importance <name>',
      `of channels: ${IMPORTANCES.join(', ')}; the last two need --data, taylor with labels`,
      oneOf('--importance', IMPORTANCES),
      'magnitude',
    )
    .option('--ranking <name>', 'global or uniform', oneOf('--ranking', ['global', 'uniform']), 'global')
    .option('--align <channels>', 'keep multiples of this many channels', whole('--align', 1))
    .option('--device <id>', 'align channels as this device computes them; see gaslaw devices')
    .option(
      '--layers <n>',
      'instead: how many residual branches (of a language model: layers) go, the least needed first',
      whole('--layers', 1),
    )
    .option('--sparsity <pattern>', 'instead: share of zeros (0.5) or N:M kept (2:4)', patternOf)
    .option(
      '--method <name>',
      `how zeros are chosen: ${SPARSITY_METHODS.join(', ')}; the last two need --data`,
      oneOf('--method', SPARSITY_METHODS),
      'magnitude',
    )
    .option(
      '--data <path>',
      'what importance and recovery learn from: .npz, .npy, .json or a folder; for language models a text',
    )
    .option('--eval <path>', 'what quality is measured on (default: what is left of --data)')
    .option('--samples <n>', 'how many examples importance is measured on', whole('--samples', 1), 1000)
    .option(
      '--recover <epochs>',
      'train what is left on the answers of the whole model',
      whole('--recover', 1),
    )
    .option('--rounds <n>', 'prune and recover in so many rounds', whole('--rounds', 1), 1)
    .option(
      '--rate <r>',
      'learning rate of recovery (default: 0.003 with AdamW; language models: 0.005 with Muon)',
      within('--rate', 0, 10),
    )
    .option('--seed <n>', 'of the choice of samples and of recovery', whole('--seed', 0), 1)
    .requiredOption('--out <path>', 'where the pruned model goes')
    .option(...AUGMENT_OPTION)
    .option(...TOKENIZER_OPTION)
    .option(...JSON_OPTION)
    .action(run);

/** What language models are pruned without. */
const OF_GRAPHS = ['device', 'eval', 'samples', 'rounds', 'importance', 'ranking', 'of', 'method', 'augment'];

/** What only channels are chosen by. */
const OF_CHANNELS = ['of', 'importance', 'ranking', 'align', 'rounds'];

/** `0.5` or `2:4`. */
function patternOf(text: string): SparsityPattern {
  const match = /^(\d+):(\d+)$/.exec(text);
  if (match) return { keep: Number(match[1]), of: Number(match[2]) };
  return { share: within('--sparsity', 0.01, 0.99)(text) };
}

function taskOf(o: Options, output: Output): PruneTask {
  if ([o.keep, o.sparsity, o.layers].filter(v => v !== undefined).length !== 1)
    throw new UsageError(
      'give either --keep SHARE (channels), --layers N (residual branches) or --sparsity PATTERN (weights)',
    );
  if (o.layers !== undefined) return { kind: 'layers', count: o.layers };
  if (o.sparsity !== undefined) {
    warnOfDense(o, output);
    return { kind: 'weights', pattern: o.sparsity, method: o.method };
  }
  const { importance, ranking, rounds } = o;
  const align = o.align ?? (o.device === undefined ? 1 : (deviceOf(o.device).channelAlignment?.value ?? 1));
  const target = { keep: o.keep as number, of: o.of }; // the only one that is left
  return { kind: 'channels', importance, ranking, rounds, align, target };
}

function warnOfDense(o: Options, output: Output): void {
  const sparsity = o.device === undefined ? undefined : deviceOf(o.device).sparsity?.value;
  if (sparsity === 'none')
    output.warn(`${o.device} computes zeros like any number: --keep makes models faster there`);
}

const ABOUT_RECOVERY = 'this is about recovery; give --recover EPOCHS';

async function run(path: string, o: Options, command: Command): Promise<void> {
  const output = createOutput(o.json ?? false);
  const files = nodeFiles();
  const place = await locateModel(files, path);
  if (place.kind !== 'onnx') {
    refuse(command, OF_GRAPHS, `${path} is a language model; this is for other graphs`);
    if (o.keep === undefined) refuse(command, ['align'], 'this is about channels; give --keep SHARE');
    if (o.recover === undefined) refuse(command, ['rate', 'seed'], ABOUT_RECOVERY);
    return pruneLanguage(files, path, o, output);
  }
  const task = taskOf(o, output);
  refuse(command, ['tokenizer'], `${path} is no language model`);
  if (o.recover === undefined) refuse(command, ['rounds', 'rate', 'augment'], ABOUT_RECOVERY);
  if (o.sparsity === undefined) refuse(command, ['method'], 'this chooses zeros; give --sparsity PATTERN');
  if (o.keep === undefined) refuse(command, OF_CHANNELS, 'this is about channels; give --keep SHARE');
  if (o.layers !== undefined) refuse(command, ['device'], 'layers are the same on every device');
  if (o.data === undefined) refuse(command, ['samples', 'seed'], 'this is about examples; give --data');
  const told = trainingProgress('recover', performance.now());
  const { done, ...report } = await pruneGraphFile(files, await openRuntime(output), path, {
    ...o,
    task,
    loadModule,
    ...(o.recover !== undefined && {
      recovery: {
        epochs: o.recover,
        rate: o.rate,
        augment: o.augment && augmentNamed(o.augment),
        onStep: (step, steps, loss) => output.progress(told(step, steps, { loss })),
      },
    }),
  });
  output.result(report, () => [
    ...done,
    ...qualityLines(report),
    `${si(report.macsBefore)} → ${si(report.macsAfter)} multiply-adds, ${bytes(report.bytesBefore)} → ${bytes(report.bytesAfter)}: ${o.out}`,
  ]);
}

/** Layers and widths of a language model; recovery is on its own answers to the text. */
async function pruneLanguage(files: FileStore, path: string, o: Options, output: Output): Promise<void> {
  if (o.sparsity !== undefined) throw new UsageError('--sparsity: language models take --layers and --keep');
  if (o.layers === undefined && o.keep === undefined)
    throw new UsageError('give either --keep SHARE (channels and heads) or --layers N, or both');
  if (o.data === undefined)
    throw new UsageError('give --data TEXT: what goes is chosen by what the model predicts of a text');
  const told = trainingProgress('recover', performance.now());
  const report = await pruneLanguageModel(files, await openRuntime(output), path, {
    layers: o.layers,
    keep: o.keep,
    align: o.align,
    data: o.data,
    tokenizer: o.tokenizer,
    out: o.out,
    recovery:
      o.recover === undefined
        ? undefined
        : {
            epochs: o.recover,
            rate: o.rate,
            seed: o.seed,
            onStep: (step, steps, loss) => output.progress(told(step, steps, { loss })),
          },
  });
  output.result(report, () => [
    `perplexity ${report.qualityBefore.toFixed(3)} → ${report.qualityAfter.toFixed(3)}`,
    `${si(report.parametersBefore)} → ${si(report.parametersAfter)} parameters, ${si(report.macsBefore)} → ${si(report.macsAfter)} multiply-adds a token, ${bytes(report.bytesBefore)} → ${bytes(report.bytesAfter)}: ${report.output}`,
  ]);
}
