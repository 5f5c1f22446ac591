/** A graph that is not a language model's, as whoever rewrites or measures it takes it. */
import type { Model } from '../graph/ir.ts';
import { constantInputs } from '../import/constants.ts';
import { assertKnown, type Imported, type ImportOptions, importModel } from '../import/index.ts';
import { UsageError } from '../util/errors.ts';
import type { FileStore } from '../util/files.ts';
import { loadOnnx, locateModel } from './resolve.ts';

export interface OpenGraphOptions extends Omit<ImportOptions, 'constants'> {
  /** Inputs that are constants from now on, by name: filled with that number. */
  readonly numbers?: ReadonlyMap<string, number>;
}

export interface OpenedGraph extends Imported {
  /** The file that was read. */
  readonly path: string;
  /** The model as the file has it. */
  readonly original: Model;
  /** Bytes of the file and of its external data. */
  readonly bytes: number;
}

/**
 * Opens the .onnx or .tflite file at `path` in the form of the op list. Throws a UsageError for anything else, and one sentence
 * that names the node when the model has an op that is not known.
 */
export async function openImported(
  files: FileStore,
  path: string,
  { numbers, ...options }: OpenGraphOptions = {},
): Promise<OpenedGraph> {
  const place = await locateModel(files, path);
  if (place.kind !== 'onnx')
    throw new UsageError(`${path}: give an .onnx or .tflite file, or export the model first`);
  const { model: original, bytes } = await loadOnnx(files, place.path);
  const constants = numbers && constantInputs(original.graph, numbers);
  const imported = importModel(original, { ...options, ...(constants && { constants }) });
  assertKnown(imported.report, place.path);
  return { ...imported, path: place.path, original, bytes };
}
