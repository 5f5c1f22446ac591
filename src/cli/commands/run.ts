/** `gaslaw run <recipe>` and `gaslaw recipes`. */
import { availableParallelism, cpus } from 'node:os';
import { Command } from 'commander';
import { RECIPES, recipeNamed } from '../../../recipes/index.ts';
import { parseRecipeOptions, SIZES } from '../../../recipes/recipe.ts';
import { defaultFolder, runRecipe } from '../../../recipes/run.ts';
import { matmulRate } from '../../runtime/native/matmul-rate.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { type AnyStageResult, isReasoning } from '../../train/run.ts';
import { nodeFiles } from '../node-files.ts';
import { oneOf, whole, within } from '../options.ts';
import { createOutput, percent } from '../output.ts';
import { VERSION } from '../version.ts';

interface RunOptions {
  size: (typeof SIZES)[number];
  seed: number;
  out?: string;
  resume?: boolean;
  json?: boolean;
  set: string[];
}

export const runCommand = (): Command =>
  new Command('run')
    .description('run a recipe from beginning to end; progress goes to stderr')
    .argument('<recipe>', `one of ${Object.keys(RECIPES).join(', ')}`)
    .option('--size <size>', SIZES.join(', '), oneOf('--size', SIZES), 'small')
    .option('--seed <n>', 'makes a run reproducible to the bit on one machine', whole('--seed', 0), 1)
    .option('--out <dir>', 'run folder (default: runs/<recipe>-<size>-<seed>)')
    .option('--resume', 'go on with the run in that folder')
    .option(
      '--set <name=value>',
      "a recipe's own option; may be repeated",
      (v, all: string[]) => [...all, v],
      [],
    )
    .option('--json', 'print one JSON object')
    .action(run);

async function run(name: string, o: RunOptions): Promise<void> {
  const recipe = recipeNamed(name);
  const options = parseRecipeOptions(recipe, o.set);
  const output = createOutput(o.json ?? false);
  const runtime = await nativeRuntime({ warn: output.warn });
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  const result = await runRecipe(recipe, {
    files: nodeFiles(),
    folder: o.out ?? defaultFolder(name, o.size, o.seed),
    runtime,
    size: o.size,
    seed: o.seed,
    version: VERSION,
    options,
    resume: o.resume ?? false,
    machine: machine(),
    matmulRate: await matmulRate(runtime),
    checkpointSeconds: checkpointSeconds(),
    signal: stop.signal,
    log: output.log,
    warn: output.warn,
    progress: output.progress,
  });
  output.result(result, () => [...result.stages.map(stageLine), `report: ${result.report}`]);
}

/** Seconds between checkpoints: tests that kill runs set 0. */
const checkpointSeconds = (): number | undefined =>
  process.env.GASLAW_CHECKPOINT_SECONDS === undefined
    ? undefined
    : within('GASLAW_CHECKPOINT_SECONDS', 0, 1e6)(process.env.GASLAW_CHECKPOINT_SECONDS);

const machine = (): Record<string, string | number> => ({
  processor: cpus()[0]?.model ?? 'unknown',
  threads: availableParallelism(),
  node: process.version,
});

function stageLine(s: AnyStageResult): string {
  const size = `${(s.bytes / 1e6).toFixed(2)} MB`;
  const figures = isReasoning(s)
    ? `pass@1 ${percent(s.passAt1)}   pass@${s.k} ${percent(s.passAtK)}   ${s.responseTokens.toFixed(0).padStart(4)} tokens`
    : `${s.natsPerToken.toFixed(4)} nats a token   ${s.bitsPerByte.toFixed(3)} bits per byte`;
  return `${s.name.padEnd(20)} ${figures}   ${size}`;
}

export const recipesCommand = (): Command =>
  new Command('recipes')
    .description('list the recipes')
    .option('--json', 'print one JSON object')
    .action((o: { json?: boolean }) => {
      const list = Object.values(RECIPES).map(({ name, summary, sizes, options }) => ({
        name,
        summary,
        sizes,
        options,
      }));
      createOutput(o.json ?? false).result(list, () =>
        list.flatMap(r => [
          `${r.name}: ${r.summary}`,
          ...Object.entries(r.sizes).map(([size, text]) => `  --size ${size.padEnd(6)} ${text}`),
          ...Object.entries(r.options ?? {}).map(([option, text]) => `  --set ${option}=…  ${text}`),
        ]),
      );
    });
