/**
 * Metrics of a run: `metrics.jsonl` is the truth; TensorBoard events and the report are made from it.
 *
 * 1. One JSON object a line: stage, step, wall-clock time and flat slash names (`reward/accuracy`).
 * 2. Each stage has an event file of its own, tensorboard/STAGE/events.out.tfevents.gaslaw: a run to TensorBoard.
 * 3. A killed process may leave torn records, or lines after the last checkpoint. Resuming drops both and writes the event
 *    files again, so the files of a resumed run have the lines of an unbroken one.
 */
import type { FileStore } from '../util/files.ts';
import { readText } from '../util/files.ts';
import { appendEvents, type TensorboardEvent } from '../util/tfevents.ts';

export interface MetricsLine {
  readonly stage: string;
  readonly step: number;
  /** Wall-clock seconds since 1970. */
  readonly time?: number;
  /** null stands for NaN and infinities, which JSON lacks. */
  readonly [name: string]: number | string | null | undefined;
}

const FILE = 'metrics.jsonl';

/** Whole lines of a run's metrics; a torn last line is left out. */
export async function readMetrics(files: FileStore, folder: string): Promise<MetricsLine[]> {
  const path = `${folder}/${FILE}`;
  if (!(await files.exists(path))) return [];
  const text = await readText(files, path);
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as MetricsLine);
}

const jsonLines = (lines: readonly MetricsLine[]): string =>
  lines.map(line => `${JSON.stringify(line)}\n`).join('');

export async function appendMetrics(
  files: FileStore,
  folder: string,
  lines: readonly MetricsLine[],
): Promise<void> {
  await files.append(`${folder}/${FILE}`, jsonLines(lines));
  await appendTensorboard(files, folder, lines);
}

/** Drops what was written for `stage` at or after `step`, and everything after that. */
export async function rewindMetrics(
  files: FileStore,
  folder: string,
  stage: string,
  step: number,
): Promise<void> {
  const lines = await readMetrics(files, folder);
  const cut = lines.findIndex(line => line.stage === stage && line.step >= step);
  const kept = cut < 0 ? lines : lines.slice(0, cut);
  await files.write(`${folder}/${FILE}`, jsonLines(kept));
  await files.remove(`${folder}/tensorboard`);
  await appendTensorboard(files, folder, kept);
}

async function appendTensorboard(
  files: FileStore,
  folder: string,
  lines: readonly MetricsLine[],
): Promise<void> {
  for (const stage of new Set(lines.map(line => line.stage))) {
    const events = lines.filter(line => line.stage === stage).map(eventOf);
    await appendEvents(files, `${folder}/tensorboard/${stage}/events.out.tfevents.gaslaw`, events);
  }
}

function eventOf({ stage: _, step, time = 0, ...metrics }: MetricsLine): TensorboardEvent {
  const scalars = Object.entries(metrics).flatMap(([name, value]) =>
    typeof value === 'number' || value === null ? [[name, value ?? Number.NaN] as const] : [],
  );
  return { wallTimeSeconds: time, step, scalars: Object.fromEntries(scalars) };
}
