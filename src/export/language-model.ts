/** A language model by its name on the command line, whatever form it is stored in, ready to decode. */
import { Decoder } from '../generate/decoder.ts';
import { sizeOf } from '../graph/ir.ts';
import { loadModel } from '../models/files.ts';
import type { CausalModel } from '../models/model.ts';
import { locateModel } from '../models/resolve.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import type { CompileOptions, Runtime } from '../runtime/runtime.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { UsageError } from '../util/errors.ts';
import { type FileStore, folderOf, joinPath } from '../util/files.ts';
import { loadOnnxModel, onnxDecoder } from './load.ts';

export interface LanguageModel {
  readonly model: CausalModel;
  readonly tokenizer: Tokenizer;
  /** The directory or file that was read. */
  readonly origin: string;
  readonly parameters: number;
  /** Bytes of the weights as stored. */
  readonly bytes: number;
  /** Absent for an exported file. */
  readonly store?: ParameterStore;
  /** Compiles the inference program, with the weights as constants, which runtimes prepack. */
  decoder(runtime: Runtime, options?: CompileOptions): Promise<Decoder>;
}

/** Opens a run folder, a Hugging Face directory or an exported .onnx file. Throws one sentence naming what is wrong. */
export async function openLanguageModel(files: FileStore, path: string): Promise<LanguageModel> {
  const place = await locateModel(files, path);
  if (place.kind === 'directory') {
    const { model, tokenizer, store, bytes } = await loadModel(files, place.folder);
    const decoder = (runtime: Runtime, options?: CompileOptions) =>
      Decoder.create(runtime, model, store.tensors(), options);
    return { model, tokenizer, store, parameters: store.count, bytes, origin: place.folder, decoder };
  }
  if (!(await isLanguageModelFile(files, place.path))) {
    throw new UsageError(
      `${place.path}: no config.json and tokenizer.json beside it or one folder above; this command needs a language model`,
    );
  }
  const loaded = await loadOnnxModel(files, place.path);
  const { model, tokenizer, bytes } = loaded;
  const parameters = model.parameters.reduce((sum, spec) => sum + sizeOf(spec.dims), 0);
  const decoder = (runtime: Runtime, options?: CompileOptions) => onnxDecoder(runtime, loaded, options);
  return { model, tokenizer, parameters, bytes, origin: place.path, decoder };
}

/** Whether an .onnx file lies in the directory of an exported language model. */
export async function isLanguageModelFile(files: FileStore, path: string): Promise<boolean> {
  for (const folder of [folderOf(path), joinPath(folderOf(path), '..')]) {
    if (await files.exists(`${folder}/config.json`)) return files.exists(`${folder}/tokenizer.json`);
  }
  return false;
}
