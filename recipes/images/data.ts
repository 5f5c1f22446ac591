/** What recipe images learns from, what it holds out, and pictures to show. */
import { encode } from 'fast-png';
import { type Examples, labelsOf, splitExamples } from '../../src/data/examples/examples.ts';
import { imageDims, openExamples } from '../../src/data/examples/open.ts';
import { UsageError } from '../../src/util/errors.ts';
import type { RecipeContext } from '../recipe.ts';
import { writeDigits } from './mnist.ts';

export interface Pictures {
  /** Channels, height, width. */
  readonly dims: readonly [number, number, number];
  readonly classes: readonly string[];
  readonly train: Examples;
  readonly heldOut: Examples;
}

/** Share of the pictures that nothing learns from. */
const HELD_OUT = 0.2;
/** Rows and columns of pictures from a folder. */
const SIDE = 32;

/** Labelled pictures as the options name them, split by the seed. Throws one sentence when they are none. */
export async function openPictures({ files, folder, options, seed }: RecipeContext): Promise<Pictures> {
  if (options.data !== undefined && options.package !== undefined)
    throw new UsageError('recipe images: give --set data=PATH or --set package=mnist, not both');
  if ((options.package ?? 'mnist') !== 'mnist')
    throw new UsageError(
      `--set package=${options.package}: pictures are read from package mnist alone; name others with --set data=PATH`,
    );
  const named = options.data;
  const { train: path, heldOut: apart } = named
    ? { train: named, heldOut: undefined }
    : await writeDigits(files, `${folder}/data`, HELD_OUT, seed);
  const dims = await imageDims(files, path, sideOf(options.side));
  const open = (from: string) =>
    openExamples(files, from, [{ name: 'image', dtype: 'float32', shape: ['batch', ...dims] }]);
  const first = await open(path);
  const [heldOut, train] = apart
    ? [await open(apart), first]
    : splitExamples(first, Math.round(HELD_OUT * first.count), seed);
  return { dims, classes: classesOf(path, first), train, heldOut };
}

function classesOf(path: string, examples: Examples): string[] {
  const count = labelsOf(examples).reduce((most, label) => Math.max(most, label + 1), 0);
  if (count < 2) throw new UsageError(`${path}: all pictures are of one class; a classifier needs two`);
  return Array.from({ length: count }, (_, i) => examples.classes?.[i] ?? String(i));
}

function sideOf(text: string | undefined): number {
  const side = Number(text ?? SIDE);
  if (Number.isInteger(side) && side >= 8 && side <= 512) return side;
  throw new UsageError(`--set side=${text}: pictures are made 8 to 512 pixels wide and high`);
}

/** Example `at` as a PNG in a data URL; values from its smallest to its largest. */
export function pictureUrl(examples: Examples, at: number, [c, height, width]: Pictures['dims']): string {
  const values = Object.values(examples.batch([at]))[0].data as Float32Array;
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const channels = c === 3 ? 3 : 1;
  const data = new Uint8Array(height * width * channels);
  for (let p = 0; p < height * width; p++)
    for (let k = 0; k < channels; k++) {
      const share = (values[k * height * width + p] - low) / (high - low || 1);
      data[p * channels + k] = Math.round(255 * share);
    }
  const png = encode({ width, height, data, channels, depth: 8 });
  return `data:image/png;base64,${btoa(String.fromCharCode(...png))}`;
}
