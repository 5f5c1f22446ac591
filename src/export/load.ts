/**
 * Exported files read back and decoded by the engine.
 *
 * 1. A file needs the config.json and tokenizer files of its directory, beside it or one folder above.
 * 2. A directory stands for its smallest .onnx file when it holds several and none is named.
 */

import { Decoder } from '../generate/decoder.ts';
import type { Model } from '../graph/ir.ts';
import { modelFromConfig } from '../models/index.ts';
import type { CausalModel } from '../models/model.ts';
import { onnxBytes, readOnnx } from '../models/onnx-files.ts';
import type { CompileOptions, Runtime } from '../runtime/runtime.ts';
import { readTokenizer } from '../tokenizer/directory.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { GaslawError } from '../util/errors.ts';
import { type FileStore, folderOf, readJson } from '../util/files.ts';
import { decodeForm } from './decode-form.ts';

export interface LoadedOnnx {
  readonly model: CausalModel;
  /** The graph as it is in the file. */
  readonly onnx: Model;
  readonly tokenizer: Tokenizer;
  /** Path of the .onnx file. */
  readonly path: string;
  /** Its bytes and those of its external data. */
  readonly bytes: number;
}

/** Reads an exported .onnx file, or the one in an exported directory. Throws one sentence naming what is missing. */
export async function loadOnnxModel(files: FileStore, path: string): Promise<LoadedOnnx> {
  const file = await onnxFileOf(files, path);
  const folder = await directoryOf(files, file);
  const config = (await readJson(files, `${folder}/config.json`)) as Record<string, unknown>;
  const { model: onnx, bytes } = await readOnnx(files, file);
  return {
    model: modelFromConfig(config, `${folder}/config.json`),
    onnx,
    tokenizer: await readTokenizer(files, folder),
    path: file,
    bytes,
  };
}

/** A decoder over the graph and the weights of an exported file. */
export const onnxDecoder = (
  runtime: Runtime,
  { model, onnx, path }: Pick<LoadedOnnx, 'model' | 'onnx'> & { readonly path?: string },
  options: CompileOptions = {},
): Promise<Decoder> => Decoder.fromGraph(runtime, model, decodeForm(onnx, model, path), options);

const onnxFilesIn = async (files: FileStore, folder: string): Promise<string[]> =>
  (await files.list(folder)).filter(name => name.endsWith('.onnx')).map(name => `${folder}/${name}`);

async function onnxFileOf(files: FileStore, path: string): Promise<string> {
  if (path.endsWith('.onnx')) return path;
  const found = await onnxFilesIn(files, `${path}/onnx`);
  if (found.length === 0)
    throw new GaslawError(`${path}: no onnx/*.onnx file; export a model there or name a file`);
  const sizes = await Promise.all(found.map(file => onnxBytes(files, file)));
  return found[sizes.indexOf(Math.min(...sizes))] as string;
}

async function directoryOf(files: FileStore, file: string): Promise<string> {
  const beside = folderOf(file);
  for (const folder of [beside, beside === '.' ? '..' : folderOf(beside)]) {
    if (await files.exists(`${folder}/config.json`)) return folder;
  }
  throw new GaslawError(
    `${file}: no config.json beside it or one folder above; keep the exported directory together`,
  );
}
