/**
 * Opens what a person names as data: a folder of pictures, `.npz`, `.npy`, `.jsonl`, a module, or a spec (`.json`) that says
 * what a file or folder holds and how its values are prepared.
 */
import { z } from 'zod';
import type { ValueInfo } from '../../graph/ir.ts';
import { GaslawError, UsageError } from '../../util/errors.ts';
import { type FileStore, folderOf, joinPath, nameOf, readJson, readText } from '../../util/files.ts';
import type { Examples } from './examples.ts';
import { fitExamples, type Preprocess } from './fit.ts';
import { isFolder, readImageFolder } from './image-folder.ts';
import { readJsonLines } from './jsonl.ts';
import { type ModuleLoader, moduleExamples } from './module.ts';
import { decodeNpy, decodeNpz, samplesOfArrays } from './npy.ts';
import { readRecords } from './records.ts';
import type { Samples } from './samples.ts';

const KINDS =
  'a folder of pictures, an .npz, .npy, .jsonl or .mjs file, or a .json that describes records or how values are prepared';

const preprocess = z.object({
  layout: z.enum(['NCHW', 'NHWC']).optional(),
  range: z.tuple([z.number(), z.number()]).optional(),
  mean: z.array(z.number()).min(1).optional(),
  std: z.array(z.number().positive()).min(1).optional(),
  scale: z.number().positive().optional(),
  zeroPoint: z.int().optional(),
});

const specSchema = z.strictObject({
  /** Relative to the spec. */
  path: z.string(),
  name: z.string().optional(),
  records: z
    .strictObject({
      shape: z.array(z.int().positive()).min(1),
      dtype: z.enum(['uint8', 'int8', 'int16', 'uint16', 'int32', 'float32']),
      label: z.enum(['uint8', 'uint16', 'int32', 'none']).default('uint8'),
      layout: z.enum(['CHW', 'HWC']).optional(),
    })
    .optional(),
  images: z
    .strictObject({
      size: z.tuple([z.int().positive(), z.int().positive()]).optional(),
      resize: z.enum(['crop', 'stretch']).optional(),
    })
    .optional(),
  classes: z.array(z.string()).min(1).optional(),
  preprocess: preprocess.strict().optional(),
});

export type DataSpec = z.input<typeof specSchema>;

export interface OpenExamplesOptions {
  readonly preprocess?: Preprocess;
  /** For data that are a module; without it modules are refused. */
  readonly loadModule?: ModuleLoader;
}

/** Examples of `path` for a model with `inputs`. Throws one sentence when they cannot be read or do not fit. */
export async function openExamples(
  files: FileStore,
  path: string,
  inputs: readonly ValueInfo[],
  { preprocess: given, loadModule }: OpenExamplesOptions = {},
): Promise<Examples> {
  if (!(await files.exists(path))) throw new GaslawError(`${path}: no such file or folder; give ${KINDS}`);
  if (/\.m?js$/.test(path) && loadModule) return moduleExamples(loadModule, path, inputs);
  const { samples, preprocess } = await openSamples(files, path, inputs, given);
  return fitExamples(samples, inputs, preprocess);
}

/** What `path` holds, as it is stored, and how its values are prepared; folders of pictures take the size of `inputs`. */
async function openSamples(
  files: FileStore,
  path: string,
  inputs: readonly ValueInfo[],
  given?: Preprocess,
): Promise<{ samples: Samples; preprocess?: Preprocess }> {
  if (!path.endsWith('.json')) {
    const plain = { path, ...(given && { preprocess: given }) };
    return { samples: await samplesOf(files, plain, path, inputs), preprocess: given };
  }
  const spec = await readSpec(files, path);
  const all = { ...spec, preprocess: { ...spec.preprocess, ...given } };
  const samples = await samplesOf(files, all, joinPath(folderOf(path), spec.path), inputs);
  const named = {
    ...samples,
    name: spec.name ?? samples.name,
    ...(spec.classes && { classes: spec.classes }),
  };
  return { samples: named, preprocess: all.preprocess };
}

/**
 * Dims [channels, height, width] of the images in `path`; those of a folder of pictures, which are read in any size, are
 * [3, side, side]. Throws a GaslawError when there are none.
 */
export async function imageDims(
  files: FileStore,
  path: string,
  side: number,
): Promise<readonly [channels: number, height: number, width: number]> {
  if (!(await files.exists(path))) throw new GaslawError(`${path}: no such file or folder; give ${KINDS}`);
  const asked = { name: 'image', dtype: 'float32', shape: ['batch', 3, side, side] } as const;
  const { samples } = await openSamples(files, path, [asked]);
  const [field, ...others] = Object.values(samples.fields).filter(f => f.dims.length === 3);
  if (!field || others.length > 0)
    throw new GaslawError(
      `${path}: has ${others.length + (field ? 1 : 0)} arrays of images [channels, height, width]; one is needed`,
    );
  const [a, b, c] = field.dims;
  const pixels = field.layout ? field.layout === 'HWC' : c === 1 || c === 3;
  return pixels ? [c, a, b] : [a, b, c];
}

type Spec = Omit<z.output<typeof specSchema>, 'preprocess'> & { readonly preprocess?: Preprocess };

async function readSpec(files: FileStore, path: string): Promise<Spec> {
  const parsed = specSchema.safeParse(await readJson(files, path));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new GaslawError(`${path}: ${issue.path.join('.') || 'the spec'}: ${issue.message}`);
}

async function samplesOf(
  files: FileStore,
  { records, images, classes, preprocess: p }: Spec,
  path: string,
  inputs: readonly ValueInfo[],
): Promise<Samples> {
  const named = classes && { classes };
  if (records) return readRecords(await files.read(path), { ...records, ...named }, nameOf(path));
  if (path.endsWith('.npz')) return samplesOfArrays(decodeNpz(await files.read(path), path), path);
  if (path.endsWith('.npy')) return samplesOfArrays({ data: decodeNpy(await files.read(path), path) }, path);
  if (path.endsWith('.jsonl')) return readJsonLines(await readText(files, path), path, classes);
  if (await isFolder(files, path))
    return readImageFolder(files, path, inputs, { ...images, ...named, layout: p?.layout });
  throw new UsageError(`${path}: not data that gaslaw reads; give ${KINDS}`);
}
