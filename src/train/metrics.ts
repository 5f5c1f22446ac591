/**
 * Metrics of a run: `metrics.jsonl` is the truth, TensorBoard events and the report are made from it.
 *
 * 1. One JSON object a line: stage, step, wall-clock seconds and flat slash names (`grpo/reward`).
 * 2. A killed process may leave a torn last line, or lines after the last checkpoint. Resuming drops both, so the
 *    file of a resumed run has the lines of an unbroken one.
 */
import type { FileStore } from '../util/files.ts';
import { readText } from '../util/files.ts';

export interface MetricsLine {
  readonly stage: string;
  readonly step: number;
  readonly [name: string]: number | string;
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

export async function appendMetrics(
  files: FileStore,
  folder: string,
  lines: readonly MetricsLine[],
): Promise<void> {
  await files.append(`${folder}/${FILE}`, lines.map(line => `${JSON.stringify(line)}\n`).join(''));
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
  await files.write(`${folder}/${FILE}`, kept.map(line => `${JSON.stringify(line)}\n`).join(''));
}
