/**
 * Opens what a person names as data: `.npz`, `.npy`, or a spec (`.json`) that says what a file holds and how its values
 * are prepared.
 */
import { z } from 'zod';
import type { ValueInfo } from '../../graph/ir.ts';
import { GaslawError, UsageError } from '../../util/errors.ts';
import { type FileStore, folderOf, joinPath, nameOf, readJson } from '../../util/files.ts';
import type { Examples } from './examples.ts';
import { fitExamples, type Preprocess } from './fit.ts';
import { decodeNpy, decodeNpz, samplesOfArrays } from './npy.ts';
import { readRecords } from './records.ts';
import type { Samples } from './samples.ts';

const KINDS = 'an .npz, an .npy, or a .json that describes raw records';

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
  classes: z.array(z.string()).min(1).optional(),
  preprocess: preprocess.strict().optional(),
});

export type DataSpec = z.input<typeof specSchema>;

export interface OpenExamplesOptions {
  readonly preprocess?: Preprocess;
}

/** Examples of `path` for a model with `inputs`. Throws one sentence when they cannot be read or do not fit. */
export async function openExamples(
  files: FileStore,
  path: string,
  inputs: readonly ValueInfo[],
  options: OpenExamplesOptions = {},
): Promise<Examples> {
  if (!(await files.exists(path))) throw new GaslawError(`${path}: no such file or folder; give ${KINDS}`);
  if (!path.endsWith('.json')) return fitExamples(await samplesOf(files, path), inputs, options.preprocess);
  const spec = await readSpec(files, path);
  const samples = await specSamples(files, spec, joinPath(folderOf(path), spec.path));
  const named = {
    ...samples,
    name: spec.name ?? samples.name,
    ...(spec.classes && { classes: spec.classes }),
  };
  return fitExamples(named, inputs, { ...spec.preprocess, ...options.preprocess });
}

type Spec = z.output<typeof specSchema>;

async function readSpec(files: FileStore, path: string): Promise<Spec> {
  const parsed = specSchema.safeParse(await readJson(files, path));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new GaslawError(`${path}: ${issue.path.join('.') || 'the spec'}: ${issue.message}`);
}

async function specSamples(files: FileStore, { records, classes }: Spec, path: string): Promise<Samples> {
  if (!records) return samplesOf(files, path);
  return readRecords(await files.read(path), { ...records, ...(classes && { classes }) }, nameOf(path));
}

async function samplesOf(files: FileStore, path: string): Promise<Samples> {
  if (path.endsWith('.npz')) return samplesOfArrays(decodeNpz(await files.read(path), path), path);
  if (path.endsWith('.npy')) return samplesOfArrays({ data: decodeNpy(await files.read(path), path) }, path);
  throw new UsageError(`${path}: not data that gaslaw reads; give ${KINDS}`);
}
