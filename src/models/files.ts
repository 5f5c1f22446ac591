/**
 * A model on disk as a Hugging Face directory: config.json, weights (see weight-files.ts), tokenizer.json,
 * tokenizer_config.json.
 *
 * 1. Weights may be stored in any float type of 16 bits or more, or in scaled 8-bit floats (see scaled-weights.ts); they are
 *    computed with as float32.
 */
import { ParameterStore } from '../nn/parameters.ts';
import { readTokenizer } from '../tokenizer/directory.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { GaslawError } from '../util/errors.ts';
import { type FileStore, readJson } from '../util/files.ts';
import { configText } from './config-text.ts';
import { modelFromConfig } from './index.ts';
import type { CausalModel } from './model.ts';
import { scaleBlockOf } from './scaled-weights.ts';
import { type OpenWeights, openWeights, type WriteOptions, writeWeights } from './weight-files.ts';

export { hasWeights } from './weight-files.ts';

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
  options: WriteOptions = {},
): Promise<void> {
  await writeWeights(files, folder, store, options);
  for (const [name, value] of Object.entries(tokenizer.save()))
    await files.write(`${folder}/${name}`, `${JSON.stringify(value, null, 2)}\n`);
  await files.write(`${folder}/config.json`, configText(configOf(model, tokenizer, options)));
}

const configOf = (model: CausalModel, tokenizer: Tokenizer, { dtype = 'float32' }: WriteOptions) => {
  const config = model.toHuggingFace();
  return { ...config, torch_dtype: dtype, ...tokenRoles(config, tokenizer) };
};

/**
 * The ids that begin, end and pad a text, as config.json and generation_config.json have them: the tokenizer's. A list of
 * ids that end a text stays when the tokenizer's is among them.
 */
export function tokenRoles(
  config: Readonly<Record<string, unknown>>,
  { bos, eos, pad }: Pick<Tokenizer, 'bos' | 'eos' | 'pad'>,
): Record<string, unknown> {
  const ends = config.eos_token_id;
  return {
    ...(bos === undefined ? {} : { bos_token_id: bos }),
    eos_token_id: Array.isArray(ends) && ends.includes(eos) ? ends : eos,
    pad_token_id: pad,
  };
}

/** The ids that end a text: the tokenizer's, and others that the model's config names. */
export function endIds(model: CausalModel, { eos }: Pick<Tokenizer, 'eos'>): number[] {
  const ends = [model.toHuggingFace().eos_token_id].flat().filter(id => typeof id === 'number');
  return [...new Set([eos, ...ends])];
}

/** Reads a directory that `saveModel` or Hugging Face wrote. Throws one sentence naming what is missing or damaged. */
export async function loadModel(files: FileStore, folder: string): Promise<LoadedModel> {
  return { ...(await loadWeights(files, folder)), tokenizer: await readTokenizer(files, folder) };
}

/** The same without the tokenizer. */
export async function loadWeights(files: FileStore, folder: string): Promise<LoadedWeights> {
  const { model, weights } = await openModelWeights(files, folder);
  const store = new ParameterStore(model.parameters);
  await weights.readInto(store);
  return { model, store, bytes: weights.bytes };
}

export interface OpenModelFiles {
  readonly model: CausalModel;
  /** Checked against the model, not read. */
  readonly weights: OpenWeights;
  readonly tokenizer: Tokenizer;
}

/**
 * Opens a directory as `loadModel` does, its weights left on disk.
 * @param weights the file that holds them, where it has not the name that it has in a directory
 */
export async function openModelFiles(
  files: FileStore,
  folder: string,
  weights?: string,
): Promise<OpenModelFiles> {
  return {
    ...(await openModelWeights(files, folder, weights)),
    tokenizer: await readTokenizer(files, folder),
  };
}

/** The same without the tokenizer. */
export async function openModelWeights(
  files: FileStore,
  folder: string,
  file?: string,
): Promise<Omit<OpenModelFiles, 'tokenizer'>> {
  const path = `${folder}/config.json`;
  if (!(await files.exists(path))) {
    throw new GaslawError(`${folder}: no config.json; give a run folder or a Hugging Face directory`);
  }
  const config = await readJson(files, path);
  const model = modelFromConfig(config, path);
  const scaleBlock = scaleBlockOf(config, path);
  return openWeights(files, folder, model, { file, scaleBlock });
}
