/** `gaslaw run <recipe>`: a recipe from beginning to end, in a folder that a stopped run goes on from. */
import { availableParallelism, cpus } from 'node:os';
import { Command } from 'commander';
import { RECIPES, recipeNamed } from '../../../recipes/index.ts';
import { parseRecipeOptions, SIZES } from '../../../recipes/recipe.ts';
import { defaultFolder, runRecipe } from '../../../recipes/run.ts';
import { bytes, duration, milliseconds, percent, percentInterval, si } from '../../report/format.ts';
import { matmulRate } from '../../runtime/native/matmul-rate.ts';
import {
  type AnyStageResult,
  type ClassifierStageResult,
  isClassifier,
  isReasoning,
  type RunResult,
  type StageResult,
  type TextStageResult,
} from '../../train/run.ts';
import { checkpointSeconds, openRuntime, stopSignal } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import { JSON_OPTION, oneOf, repeated, whole } from '../options.ts';
import { createOutput, stdoutColors } from '../output.ts';
import { table } from '../table.ts';
import { VERSION } from '../version.ts';

interface RunOptions {
  size: (typeof SIZES)[number];
  seed: number;
  out?: string;
  resume?: boolean;
  json?: boolean;
  set?: string[];
}

export function runCommand(): Command {
  const command = new Command('run')
    .description('run a recipe: train, evaluate, export, report')
    .argument('<recipe>', `one of ${Object.keys(RECIPES).join(', ')}`)
    .option('--size <size>', SIZES.join(', '), oneOf('--size', SIZES), 'small')
    .option('--seed <n>', 'same seed, same model, to the bit on one machine', whole('--seed', 0), 1)
    .option('--out <dir>', 'run folder (default: runs/<recipe>-<size>-<seed>)')
    .option('--resume', 'go on with the run in that folder');
  return repeated(command, '--set <name=value>', "one of the recipe's own options (see gaslaw recipes)")
    .option(...JSON_OPTION)
    .action(run);
}

async function run(name: string, o: RunOptions): Promise<void> {
  const recipe = recipeNamed(name);
  const options = parseRecipeOptions(recipe, o.set ?? []);
  const output = createOutput(o.json ?? false);
  const folder = o.out ?? defaultFolder(name, o.size, o.seed);
  const result = await runRecipe(recipe, {
    files: nodeFiles(),
    folder,
    runtime: () => openRuntime(output),
    matmulRate,
    size: o.size,
    seed: o.seed,
    version: VERSION,
    options,
    resume: o.resume ?? false,
    machine: machine(),
    checkpointSeconds: checkpointSeconds(),
    signal: stopSignal(output),
    log: output.log,
    warn: output.warn,
    progress: output.progress,
  });
  output.result(result, () => summary(result, folder));
}

const machine = (): Record<string, string | number> => ({
  processor: cpus()[0]?.model ?? 'unknown',
  threads: availableParallelism(),
  node: process.version,
});

// ---- the summary ----

function summary(result: RunResult, folder: string): string[] {
  const { bold, dim } = stdoutColors();
  const {
    lines: [head, ...lines],
    next,
  } = endingOf(result.stages, folder);
  return [
    '',
    dim(head ?? ''),
    ...lines,
    '',
    `${bold(result.report)}  after ${duration(result.seconds)}`,
    dim(`next: gaslaw ${next}`),
  ];
}

/** The table of the stages, and a command to go on with. */
function endingOf(stages: readonly AnyStageResult[], folder: string): { lines: string[]; next: string } {
  if (isReasoningRun(stages)) return { lines: reasoningTable(stages), next: `chat ${folder}` };
  const pictures = stages.filter(isClassifier);
  const [network] = pictures;
  if (network) return { lines: picturesTable(pictures, folder), next: `check ${folder} --device ID` };
  return { lines: textTable(stages), next: `generate ${folder} --prompt TEXT` };
}

const isReasoningRun = (stages: readonly AnyStageResult[]): stages is readonly StageResult[] =>
  stages.every(isReasoning);

function reasoningTable(stages: readonly StageResult[]): string[] {
  const head = ['stage', 'pass@1', '95 %', `pass@${stages[0]?.k}`, 'tokens', 'bytes', 'time'];
  const rows = stages.map(s => [
    s.name,
    percent(s.passAt1),
    percentInterval(s.passAt1Interval),
    percent(s.passAtK),
    s.responseTokens.toFixed(0),
    bytes(s.bytes),
    duration(s.seconds),
  ]);
  return table([head, ...rows], ['left', 'right', 'right', 'right', 'right', 'right', 'right']);
}

function picturesTable(stages: readonly ClassifierStageResult[], folder: string): string[] {
  const head = ['stage', 'right', '95 %', 'bytes', 'multiply-adds', 'latency', 'memory', 'time'];
  const rows = stages.map(s => [
    s.name,
    percent(s.accuracy),
    percentInterval(s.accuracyInterval),
    bytes(s.bytes),
    si(s.macs),
    milliseconds(s.latencyMs),
    bytes(s.memoryBytes),
    duration(s.seconds),
  ]);
  const made = stages.flatMap(s => (s.page ? [`${folder}/${s.model}`, `${folder}/${s.page}`] : []));
  return [
    ...table([head, ...rows], ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'right']),
    '',
    ...made,
  ];
}

function textTable(stages: readonly AnyStageResult[]): string[] {
  const head = ['stage', 'nats a token', 'bits per byte', 'bytes', 'time'];
  const rows = (stages as readonly TextStageResult[]).map(s => [
    s.name,
    s.natsPerToken.toFixed(4),
    s.bitsPerByte.toFixed(3),
    bytes(s.bytes),
    duration(s.seconds),
  ]);
  return table([head, ...rows], ['left', 'right', 'right', 'right', 'right']);
}
