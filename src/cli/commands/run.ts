/** `gaslaw run <recipe>` and `gaslaw recipes`. */
import { Command } from 'commander';
import { recipeNamed, RECIPES } from '../../../recipes/index.ts';
import { parseRecipeOptions, SIZES } from '../../../recipes/recipe.ts';
import { finishRun, openRun } from '../../train/run.ts';
import { writeReport } from '../../report/index.ts';
import { matmulRate } from '../../runtime/native/matmul-rate.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { nodeFiles } from '../node-files.ts';
import { oneOf, whole } from '../options.ts';
import { createOutput } from '../output.ts';
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
    .option('--set <name=value>', "a recipe's own option; may be repeated", (v, all: string[]) => [...all, v], [])
    .option('--json', 'print one JSON object')
    .action(run);

async function run(name: string, o: RunOptions): Promise<void> {
  const recipe = recipeNamed(name);
  const output = createOutput(o.json ?? false);
  const files = nodeFiles();
  const folder = o.out ?? `runs/${name}-${o.size}-${o.seed}`;
  const config = { recipe: name, size: o.size, seed: o.seed, version: VERSION };
  const options = parseRecipeOptions(recipe, o.set);
  await openRun(files, folder, config, o.resume ?? false);
  const runtime = await nativeRuntime({ warn: output.warn });
  const result = await recipe.run({
    ...config,
    files,
    folder,
    runtime,
    options,
    matmulRate: await matmulRate(runtime),
    log: output.log,
    warn: output.warn,
    progress: output.progress,
  });
  await finishRun(files, folder, result);
  const report = await writeReport(files, folder);
  output.result({ ...result, report }, () => [
    ...result.stages.map(s => `${s.name.padEnd(20)} ${stageLine(s)}`),
    `report: ${report}`,
  ]);
}

function stageLine(s: { passAt1: number; passAtK: number; k: number; responseTokens: number; bytes: number }): string {
  const share = (x: number) => `${(100 * x).toFixed(1).padStart(5)} %`;
  return `pass@1 ${share(s.passAt1)}   pass@${s.k} ${share(s.passAtK)}   ${s.responseTokens.toFixed(0)} tokens   ${(s.bytes / 1e6).toFixed(2)} MB`;
}

export const recipesCommand = (): Command =>
  new Command('recipes')
    .description('list the recipes')
    .option('--json', 'print one JSON object')
    .action((o: { json?: boolean }) => {
      const list = Object.values(RECIPES).map(({ name, summary, sizes, options }) => ({ name, summary, sizes, options }));
      createOutput(o.json ?? false).result(list, () =>
        list.flatMap(r => [
          `${r.name}: ${r.summary}`,
          ...Object.entries(r.sizes).map(([size, text]) => `  --size ${size.padEnd(6)} ${text}`),
          ...Object.entries(r.options ?? {}).map(([option, text]) => `  --set ${option}=…  ${text}`),
        ]),
      );
    });
