/**
 * A language model by its name on the command line, whatever form it is stored in, ready to decode.
 *
 * 1. Weights stay on disk until a decoder is asked for, unless they are opened as f32: a packed model never has its floats in
 *    memory.
 */
import { type FloatSource, PACK_FORMATS, type PackDType } from '../compress/quantize/pack-inputs.ts';
import { Decoder } from '../generate/decoder.ts';
import { sizeOf } from '../graph/ir.ts';
import { loadModel, openModelFiles } from '../models/files.ts';
import type { CausalModel } from '../models/model.ts';
import { locateModel } from '../models/resolve.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import type { CompileOptions, Runtime } from '../runtime/runtime.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { UsageError } from '../util/errors.ts';
import { type FileStore, folderOf, joinPath } from '../util/files.ts';
import { loadOnnxModel, onnxDecoder } from './load.ts';
import { packedDecoder } from './packed-decoder.ts';

/** Formats that weights can be opened in. */
export const OPEN_DTYPES = ['f32', 'q8', 'q4'] as const satisfies readonly ('f32' | PackDType)[];
export type OpenDType = (typeof OPEN_DTYPES)[number];

export interface OpenModelOptions {
  /** f32 when absent. Exported files have the format that they were written in. */
  readonly dtype?: OpenDType;
}

export interface LanguageModel {
  readonly model: CausalModel;
  readonly tokenizer: Tokenizer;
  /** The directory or file that was read. */
  readonly origin: string;
  readonly parameters: number;
  /** Bytes of the weights as stored. */
  readonly bytes: number;
  /** Present when the weights were opened as f32. */
  readonly store?: ParameterStore;
  /** Present when they are packed: reads their values. */
  readonly source?: FloatSource;
  readonly dtype?: OpenDType;
  /** Compiles the inference program, with the weights as constants, which runtimes prepack. */
  decoder(runtime: Runtime, options?: CompileOptions): Promise<Decoder>;
}

/** Opens a run folder, a Hugging Face directory or an exported .onnx file. Throws one sentence naming what is wrong. */
export async function openLanguageModel(
  files: FileStore,
  path: string,
  { dtype }: OpenModelOptions = {},
): Promise<LanguageModel> {
  const place = await locateModel(files, path);
  if (place.kind === 'directory')
    return dtype && dtype !== 'f32'
      ? openPacked(files, place.folder, dtype)
      : openFloats(files, place.folder);
  if (dtype)
    throw new UsageError(
      `--dtype ${dtype}: ${place.path} has the format that it was exported in; leave the option out or give a directory with weights`,
    );
  return openExported(files, place.path);
}

async function openFloats(files: FileStore, folder: string): Promise<LanguageModel> {
  const { model, tokenizer, store, bytes } = await loadModel(files, folder);
  const decoder = (runtime: Runtime, options?: CompileOptions) =>
    Decoder.create(runtime, model, store.tensors(), options);
  return { model, tokenizer, store, parameters: store.count, bytes, origin: folder, decoder, dtype: 'f32' };
}

async function openPacked(files: FileStore, folder: string, dtype: PackDType): Promise<LanguageModel> {
  const { model, tokenizer, weights: source } = await openModelFiles(files, folder);
  const decoder = (runtime: Runtime, options?: CompileOptions) =>
    packedDecoder(runtime, model, source, PACK_FORMATS[dtype], options);
  const { bytes } = source;
  return { model, tokenizer, source, parameters: countOf(model), bytes, origin: folder, decoder, dtype };
}

async function openExported(files: FileStore, path: string): Promise<LanguageModel> {
  if (!(await isLanguageModelFile(files, path))) {
    throw new UsageError(
      `${path}: no config.json and tokenizer.json beside it or one folder above; this command needs a language model`,
    );
  }
  const loaded = await loadOnnxModel(files, path);
  const { model, tokenizer, bytes } = loaded;
  const decoder = (runtime: Runtime, options?: CompileOptions) => onnxDecoder(runtime, loaded, options);
  return { model, tokenizer, parameters: countOf(model), bytes, origin: path, decoder };
}

const countOf = ({ parameters }: CausalModel): number =>
  parameters.reduce((sum, spec) => sum + sizeOf(spec.dims), 0);

/** Whether an .onnx file lies in the directory of an exported language model. */
export async function isLanguageModelFile(files: FileStore, path: string): Promise<boolean> {
  for (const folder of [folderOf(path), joinPath(folderOf(path), '..')]) {
    if (await files.exists(`${folder}/config.json`)) return files.exists(`${folder}/tokenizer.json`);
  }
  return false;
}
