/**
 * A model on disk as a Hugging Face directory: config.json, model.safetensors, tokenizer.json, tokenizer_config.json.
 */
import { decodeSafetensors, encodeSafetensors } from '../formats/safetensors.ts';
import { ParameterStore } from '../nn/parameters.ts';
import { loadTokenizer } from '../tokenizer/load.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { GaslawError } from '../util/errors.ts';
import { type FileStore, readJson } from '../util/files.ts';
import type { CausalModel } from './model.ts';
import { modelFromConfig } from './index.ts';

export interface LoadedModel {
  readonly model: CausalModel;
  readonly store: ParameterStore;
  readonly tokenizer: Tokenizer;
  /** Bytes of the weights file. */
  readonly bytes: number;
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
  await files.write(`${folder}/model.safetensors`, encodeSafetensors(store.tensors(), { format: 'pt' }));
  for (const [name, value] of Object.entries(tokenizer.save())) await files.write(`${folder}/${name}`, json(value));
  const config = { ...model.toHuggingFace(), eos_token_id: tokenizer.eos, pad_token_id: tokenizer.pad };
  await files.write(`${folder}/config.json`, json(config));
}

/** Reads a directory that `saveModel` or Hugging Face wrote. Throws one sentence naming what is missing or damaged. */
export async function loadModel(files: FileStore, folder: string): Promise<LoadedModel> {
  if (!(await files.exists(`${folder}/config.json`))) {
    throw new GaslawError(`${folder}: no config.json; give a run folder or a Hugging Face directory`);
  }
  const config = (await readJson(files, `${folder}/config.json`)) as Record<string, unknown>;
  const model = modelFromConfig(config, `${folder}/config.json`);
  const weights = `${folder}/model.safetensors`;
  const bytes = await files.read(weights);
  const store = new ParameterStore(model.parameters).load(decodeSafetensors(bytes, weights).tensors, weights);
  const tokenizer = loadTokenizer(
    await readJson(files, `${folder}/tokenizer.json`),
    await readJson(files, `${folder}/tokenizer_config.json`),
  );
  return { model, store, tokenizer, bytes: bytes.byteLength };
}
