/**
 * A model on disk as a Hugging Face directory: config.json, model.safetensors, tokenizer.json, tokenizer_config.json.
 *
 * 1. Weights may be in several files (model.safetensors.index.json names them) and in any float type; they are computed
 *    with as float32.
 */
import { decodeSafetensors, encodeSafetensors } from '../formats/safetensors.ts';
import { float32, type Tensor } from '../graph/ir.ts';
import { ParameterStore } from '../nn/parameters.ts';
import { loadTokenizer } from '../tokenizer/load.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { GaslawError } from '../util/errors.ts';
import { type FileStore, readJson } from '../util/files.ts';
import { decodeFloats, isSmallFloat } from '../util/float16.ts';
import { modelFromConfig } from './index.ts';
import type { CausalModel } from './model.ts';

export interface LoadedWeights {
  readonly model: CausalModel;
  readonly store: ParameterStore;
  /** Bytes of the weight files. */
  readonly bytes: number;
}

export interface LoadedModel extends LoadedWeights {
  readonly tokenizer: Tokenizer;
}

/** Writes the directory. Existing files are replaced one by one, config.json last, so a half-written one is not taken for a model. */
export async function saveModel(
  files: FileStore,
  folder: string,
  model: CausalModel,
  store: ParameterStore,
  tokenizer: Tokenizer,
): Promise<void> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  await files.write(`${folder}/${WEIGHTS}`, encodeSafetensors(store.tensors(), new Map([['format', 'pt']])));
  for (const [name, value] of Object.entries(tokenizer.save()))
    await files.write(`${folder}/${name}`, json(value));
  const config = { ...model.toHuggingFace(), eos_token_id: tokenizer.eos, pad_token_id: tokenizer.pad };
  await files.write(`${folder}/config.json`, json(config));
}

/** Reads a directory that `saveModel` or Hugging Face wrote. Throws one sentence naming what is missing or damaged. */
export async function loadModel(files: FileStore, folder: string): Promise<LoadedModel> {
  return { ...(await loadWeights(files, folder)), tokenizer: await readTokenizer(files, folder) };
}

/** The same without the tokenizer. */
export async function loadWeights(files: FileStore, folder: string): Promise<LoadedWeights> {
  if (!(await files.exists(`${folder}/config.json`))) {
    throw new GaslawError(`${folder}: no config.json; give a run folder or a Hugging Face directory`);
  }
  const config = await readJson(files, `${folder}/config.json`);
  const model = modelFromConfig(config as Record<string, unknown>, `${folder}/config.json`);
  const store = new ParameterStore(model.parameters);
  const { tensors, bytes } = await readTensors(files, folder);
  store.load(tensors, `${folder}/${WEIGHTS}`);
  return { model, store, bytes };
}

/** Reads tokenizer.json and, where there is one, tokenizer_config.json. */
export async function readTokenizer(files: FileStore, folder: string): Promise<Tokenizer> {
  const config = `${folder}/tokenizer_config.json`;
  return loadTokenizer(
    await readJson(files, `${folder}/tokenizer.json`),
    (await files.exists(config)) ? await readJson(files, config) : undefined,
  );
}

const WEIGHTS = 'model.safetensors';

/** Whether a folder holds weights that `loadWeights` reads. */
export const hasWeights = async (files: FileStore, folder: string): Promise<boolean> =>
  (await files.exists(`${folder}/${WEIGHTS}`)) || (await files.exists(`${folder}/${WEIGHTS}.index.json`));

async function readTensors(
  files: FileStore,
  folder: string,
): Promise<{ tensors: Map<string, Tensor>; bytes: number }> {
  const tensors = new Map<string, Tensor>();
  let bytes = 0;
  for (const name of await weightFiles(files, folder)) {
    const content = await files.read(`${folder}/${name}`);
    bytes += content.byteLength;
    const file = decodeSafetensors(content, `${folder}/${name}`);
    for (const [key, tensor] of file.tensors)
      tensors.set(key, asFloat32(tensor, `${folder}/${name}: "${key}"`));
  }
  return { tensors, bytes };
}

async function weightFiles(files: FileStore, folder: string): Promise<string[]> {
  const index = `${folder}/${WEIGHTS}.index.json`;
  if ((await files.exists(`${folder}/${WEIGHTS}`)) || !(await files.exists(index))) return [WEIGHTS];
  const { weight_map: map } = (await readJson(files, index)) as { weight_map?: Record<string, string> };
  if (!map) throw new GaslawError(`${index}: no weight_map`);
  return [...new Set(Object.values(map))];
}

function asFloat32(tensor: Tensor, what: string): Tensor {
  const { dtype, dims, data } = tensor;
  if (dtype === 'float32') return tensor;
  if (isSmallFloat(dtype)) return float32(dims, Float32Array.from(decodeFloats(data as Uint16Array, dtype)));
  if (dtype === 'float64') return float32(dims, Float32Array.from(data as Float64Array));
  throw new GaslawError(`${what} is ${dtype}; weights must be of a float type`);
}
