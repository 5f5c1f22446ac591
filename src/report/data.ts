/**
 * What a report is made from: everything a run folder says about its run, finished or not.
 *
 * 1. Stages of an unfinished run come from their own files, in the order in which they were trained.
 * 2. A resumed run's clock started late, so its seconds are at least the sum of its stages.
 */

import { type MetricsLine, readMetrics } from '../train/metrics.ts';
import type {
  AnyStageResult,
  ClassifierStageResult,
  RunConfig,
  RunResult,
  SampleLine,
  StageBase,
  StageResult,
  TextStageResult,
} from '../train/run.ts';
import { UsageError } from '../util/errors.ts';
import { type FileStore, readJson, readText } from '../util/files.ts';

/** A stage as the page reads it, whatever it was judged by: figures that it does not have are absent. */
export type Stage = StageBase &
  Partial<Omit<StageResult, keyof StageBase>> &
  Partial<Omit<TextStageResult, keyof StageBase>> &
  Partial<Omit<ClassifierStageResult, keyof StageBase>>;

export interface ReportData extends RunConfig {
  readonly finished: boolean;
  readonly seconds: number;
  readonly stages: readonly Stage[];
  readonly metrics: readonly MetricsLine[];
  readonly samples: readonly SampleLine[];
  /** Facts about the machine and its software, by name: "processor", "threads", "runtime". */
  readonly machine: NonNullable<RunConfig['machine']>;
}

/** Reads a run folder. Throws a UsageError when there is no run. */
export async function collectReport(files: FileStore, folder: string): Promise<ReportData> {
  const config = (await optionalJson(files, `${folder}/config.json`)) as RunConfig | undefined;
  const result = (await optionalJson(files, `${folder}/result.json`)) as RunResult | undefined;
  const run = result ?? config;
  if (!run)
    throw new UsageError(`${folder}: there is no run here (no config.json); give the folder of a run`);
  const metrics = await readMetrics(files, folder);
  const stages = result?.stages ?? (await finishedStages(files, folder, metrics));
  const { recipe, size, seed, version, options } = run;
  return {
    recipe,
    size,
    seed,
    version,
    options,
    finished: result !== undefined,
    seconds: Math.max(result?.seconds ?? 0, sum(stages.map(stage => stage.seconds ?? 0))),
    stages,
    metrics,
    samples: await readSamples(files, `${folder}/samples.jsonl`),
    machine: { ...config?.machine, ...result?.machine },
  };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const optionalJson = async (files: FileStore, path: string): Promise<unknown> =>
  (await files.exists(path)) ? readJson(files, path) : undefined;

async function finishedStages(
  files: FileStore,
  folder: string,
  metrics: readonly MetricsLine[],
): Promise<Stage[]> {
  const names = (await files.list(`${folder}/stages`)).filter(name => name.endsWith('.json'));
  const stages: Stage[] = [];
  for (const name of names)
    stages.push((await readJson(files, `${folder}/stages/${name}`)) as AnyStageResult);
  return inOrder(stages, metrics);
}

/** Stages as their first metrics line comes; those without any after what they start from, larger files first. */
export function inOrder(stages: readonly Stage[], metrics: readonly MetricsLine[]): Stage[] {
  const seen = [...new Set(metrics.map(line => line.stage))];
  const ranks = new Map<string, number>();
  const rank = (stage: Stage): number => {
    const known = ranks.get(stage.name);
    if (known !== undefined) return known;
    ranks.set(stage.name, -1); // a stage that starts from itself ends here
    const parents = stages.filter(other => stage.from.includes(other.name));
    const at = seen.findIndex(name => name === stage.name || name.startsWith(`${stage.name}-`));
    const value = at >= 0 ? at : Math.max(-1, ...parents.map(rank)) + 0.5;
    ranks.set(stage.name, value);
    return value;
  };
  return stages.toSorted((a, b) => rank(a) - rank(b) || b.bytes - a.bytes);
}

async function readSamples(files: FileStore, path: string): Promise<SampleLine[]> {
  if (!(await files.exists(path))) return [];
  const text = await readText(files, path);
  const whole = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return whole.filter(line => line !== '').map(line => JSON.parse(line) as SampleLine);
}
