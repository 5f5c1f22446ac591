/**
 * A recipe from the opening of its run folder to the report.
 */
import { writeReport } from '../src/report/index.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { finishRun, openRun, type RunConfig, type RunResult } from '../src/train/run.ts';
import { Interrupted } from '../src/util/errors.ts';
import type { Recipe, RecipeContext } from './recipe.ts';

/** What `runRecipe` needs besides the recipe. */
export interface RunRequest extends Omit<RecipeContext, 'runtime' | 'matmulRate'> {
  /** Opens the runtime; asked after the folder has been opened. */
  readonly runtime: () => Promise<Runtime>;
  /** Measures the runtime's matrix-product rate in FLOP/s, to relate speed to. */
  readonly matmulRate?: (runtime: Runtime) => Promise<number>;
  /** Go on with the run that is in the folder. */
  readonly resume: boolean;
  readonly machine: NonNullable<RunConfig['machine']>;
}

/**
 * Runs (or resumes) a recipe in `request.folder`, writes result.json and report.html. Returns the result with the
 * report's path. Throws `Interrupted` with the command that resumes when the signal aborted it.
 */
export async function runRecipe(recipe: Recipe, request: RunRequest): Promise<RunResult> {
  const { files, folder, resume, machine } = request;
  const config: RunConfig = {
    recipe: recipe.name,
    size: request.size,
    seed: request.seed,
    version: request.version,
    ...(Object.keys(request.options).length > 0 && { options: request.options }),
    machine,
  };
  if (resume && !(await files.exists(`${folder}/config.json`)))
    request.log(`${folder}: there is no run yet; this starts one`);
  await openRun(files, folder, config, resume);
  const result = await resumable(recipe, request);
  const spent = result.stages.reduce((sum, stage) => sum + stage.seconds, 0);
  const whole = { ...result, seconds: Math.max(result.seconds, spent), machine };
  await finishRun(files, folder, whole);
  return { ...whole, report: await writeReport(files, folder) };
}

async function resumable(recipe: Recipe, request: RunRequest): Promise<RunResult> {
  try {
    const runtime = await request.runtime();
    const matmulRate = await request.matmulRate?.(runtime);
    return await recipe.run({ ...request, runtime, matmulRate });
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    throw new Interrupted(`stopped, nothing is lost; go on with: ${resumeCommand(recipe.name, request)}`);
  }
}

type Place = Pick<RunRequest, 'size' | 'seed' | 'folder' | 'options'>;

/** Where a run goes when nobody says: `runs/r1-small-1`. */
export const defaultFolder = (recipe: string, size: string, seed: number): string =>
  `runs/${recipe}-${size}-${seed}`;

/** The command that goes on with a run. */
function resumeCommand(recipe: string, { size, seed, folder, options }: Place): string {
  const own = Object.entries(options).map(([name, value]) => `--set ${name}=${value}`);
  const seedOption = seed === 1 ? [] : [`--seed ${seed}`];
  const out = folder === defaultFolder(recipe, size, seed) ? [] : [`--out ${folder}`];
  return ['gaslaw run', recipe, `--size ${size}`, ...seedOption, ...out, ...own, '--resume'].join(' ');
}
