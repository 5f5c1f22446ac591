/**
 * A run folder: what a recipe leaves behind, and how a killed run goes on.
 *
 *   config.json     recipe, size, seed, package version (written first; a resumed run must match it)
 *   metrics.jsonl   one line a step; the same for TensorBoard in tensorboard/STAGE/
 *   samples.jsonl   answers of each finished stage to the same held-out problems
 *   checkpoints/    the unfinished stage's state
 *   models/NAME/    each finished stage's model, a Hugging Face directory
 *   stages/NAME.json   each finished stage's result; its presence means the stage is done
 *   result.json, report.html   at the end
 *
 * 1. A stage is done when its result file exists; it is written after the model, in one piece.
 */

import type { Interval } from '../tasks/statistics.ts';
import { GaslawError, UsageError } from '../util/errors.ts';
import { type FileStore, readJson } from '../util/files.ts';

/** What every stage of every recipe reports. */
export interface StageBase {
  readonly name: string;
  /** What a person reads: "R1-Zero". */
  readonly title: string;
  /** One sentence on what this stage does. */
  readonly summary: string;
  /** Stages whose models or data it starts from. */
  readonly from: readonly string[];
  /** Path of the model, relative to the run folder. */
  readonly model: string;
  readonly parameters: number;
  readonly activeParameters: number;
  readonly bytes: number;
  /** Seconds spent in the stage: training, sampling, evaluation. */
  readonly seconds: number;
  /** Model FLOPs of training and of sampling. */
  readonly trainingFlops: number;
  readonly samplingFlops: number;
  readonly notes?: readonly string[];
}

/** A stage judged by verified answers: the fields that `gaslaw run` prints, and what the report draws. */
export interface StageResult extends StageBase {
  readonly passAt1: number;
  readonly passAt1Interval: Interval;
  readonly passAtK: number;
  readonly passAtKInterval?: Interval;
  readonly k: number;
  /** Held-out problems. */
  readonly samples: number;
  readonly responseTokens: number;
  /** Share of digits in the language asked for. */
  readonly language: number;
  /** Accuracy on the other tasks, by name. */
  readonly other: Readonly<Record<string, number>>;
  /** Mean milliseconds of one answer, decoded one at a time. */
  readonly answerMs?: number;
}

/** A stage judged by how well it predicts text. */
export interface TextStageResult extends StageBase {
  /** Held-out tokens. */
  readonly validationTokens: number;
  readonly natsPerToken: number;
  readonly bitsPerByte: number;
  readonly passages?: readonly Passage[];
}

/** Held-out text that a model went on with. */
export interface Passage {
  /** What it was given. */
  readonly begun: string;
  readonly written: string;
  /** What stands there. */
  readonly actual: string;
}

/** A stage judged by the classes that it finds in pictures. */
export interface ClassifierStageResult extends StageBase {
  readonly accuracy: number;
  readonly accuracyInterval: Interval;
  /** Held-out pictures. */
  readonly heldOut: number;
  /** Multiply-adds of one picture. */
  readonly macs: number;
  readonly classes?: readonly string[];
  /** Held-out pictures of class [row] by the class [column] that was found. */
  readonly confusion?: readonly (readonly number[])[];
  readonly pictures?: readonly ShownPicture[];
  /** What it was made for, with what it costs there. */
  readonly device?: string;
  readonly latencyMs?: number;
  readonly memoryBytes?: number;
  /** Path of the page that says how it was chosen, relative to the run folder. */
  readonly page?: string;
}

/** A held-out picture with what a model took it for. */
export interface ShownPicture {
  /** A data URL. */
  readonly image: string;
  readonly label: string;
  readonly found: string;
}

export type AnyStageResult = StageResult | TextStageResult | ClassifierStageResult;

/** Whether a stage was judged by answers. */
export const isReasoning = (stage: AnyStageResult): stage is StageResult => 'passAt1' in stage;

/** Whether a stage was judged by classes. */
export const isClassifier = (stage: AnyStageResult): stage is ClassifierStageResult => 'accuracy' in stage;

export interface RunConfig {
  readonly recipe: string;
  readonly size: string;
  readonly seed: number;
  readonly version: string;
  /** The recipe's own options, by name. */
  readonly options?: Readonly<Record<string, string>>;
  /** Facts about the machine and its software, by name: processor, threads, runtime. */
  readonly machine?: Readonly<Record<string, string | number>>;
}

export interface RunResult extends RunConfig {
  readonly seconds: number;
  readonly report: string;
  readonly stages: readonly AnyStageResult[];
}

/** One answer to a held-out problem, a line of samples.jsonl. */
export interface SampleLine {
  readonly stage: string;
  readonly task: string;
  readonly problem: number;
  readonly prompt: string;
  readonly response: string;
  readonly correct: boolean;
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Starts a run in `folder`, or goes on with the one that is there. */
export async function openRun(
  files: FileStore,
  folder: string,
  config: RunConfig,
  resume: boolean,
): Promise<void> {
  const path = `${folder}/config.json`;
  if (!(await files.exists(path))) {
    await files.write(path, json(config));
    return;
  }
  const found = (await readJson(files, path)) as RunConfig;
  if (found.recipe === undefined)
    throw new GaslawError(`${folder}: its config.json is not a run's; choose another folder`, 'folder');
  if (!resume) {
    throw new UsageError(`${folder}: there is a run already; resume it, or choose another folder`, 'resume');
  }
  checkSame(folder, found, config);
  await tidyRun(files, folder);
}

function checkSame(folder: string, found: RunConfig, config: RunConfig): void {
  for (const key of ['recipe', 'size', 'seed', 'options'] as const) {
    const [there, here] = [found, config].map(c => JSON.stringify(c[key] ?? {}));
    if (there !== here) {
      throw new UsageError(
        `${folder}: the run there has ${key} ${there}, not ${here}; resume it with the same options or choose another folder`,
        'folder',
      );
    }
  }
}

/** Removes what writes that were killed left behind. */
async function tidyRun(files: FileStore, folder: string): Promise<void> {
  const models = (await files.list(`${folder}/models`)).map(name => `models/${name}`);
  const exported = models.map(model => `${model}/onnx`);
  for (const part of ['.', 'checkpoints', 'stages', 'data', ...models, ...exported]) {
    await files.tidy(`${folder}/${part}`);
  }
}

/** The stage's result when it is done. */
export async function finishedStage(
  files: FileStore,
  folder: string,
  name: string,
): Promise<AnyStageResult | undefined> {
  const path = `${folder}/stages/${name}.json`;
  return (await files.exists(path)) ? ((await readJson(files, path)) as AnyStageResult) : undefined;
}

/** Records the stage as done and drops its checkpoints: stages run one after another, so there are no others. */
export async function finishStage(files: FileStore, folder: string, result: AnyStageResult): Promise<void> {
  await files.write(`${folder}/stages/${result.name}.json`, json(result));
  await files.remove(`${folder}/checkpoints`);
}

export async function finishRun(files: FileStore, folder: string, result: RunResult): Promise<void> {
  await files.write(`${folder}/result.json`, json(result));
}

/** Replaces a stage's lines in samples.jsonl. */
export async function writeSamples(
  files: FileStore,
  folder: string,
  lines: readonly SampleLine[],
): Promise<void> {
  const path = `${folder}/samples.jsonl`;
  const stage = lines[0]?.stage;
  const text = (await files.exists(path)) ? new TextDecoder().decode(await files.read(path)) : '';
  const kept = text
    .split('\n')
    .filter(line => line !== '' && (JSON.parse(line) as SampleLine).stage !== stage);
  const all = [...kept, ...lines.map(line => JSON.stringify(line))];
  await files.write(path, all.map(line => `${line}\n`).join(''));
}
