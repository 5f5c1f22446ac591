/** Adapters on disk as PEFT has them: adapter_config.json and adapter_model.safetensors. */
import { ParameterStore } from '../../nn/parameters.ts';
import { GaslawError } from '../../util/errors.ts';
import { type FileStore, readJson } from '../../util/files.ts';
import type { CausalModel } from '../model.ts';
import { openFiles, tensorsOf, type WeightDType } from '../weight-files.ts';
import { fromPeft, toPeft } from './config.ts';
import { type BaseWeights, type LoraModel, loraModel } from './model.ts';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';

export interface LoadedAdapter {
  readonly model: LoraModel;
  readonly store: ParameterStore;
}

/** A store for a model's adapters, through which the frozen base is bound too. */
export const adapterStore = (model: LoraModel): ParameterStore =>
  new ParameterStore(model.parameters, model.frozen);

/** Writes the directory, adapter_config.json last. */
export async function saveAdapter(
  files: FileStore,
  folder: string,
  model: LoraModel,
  store: ParameterStore,
  dtype: WeightDType = 'float32',
): Promise<void> {
  await files.write(`${folder}/${WEIGHTS}`, tensorsOf(store, model.parameters, dtype));
  await files.write(`${folder}/${CONFIG}`, `${JSON.stringify(toPeft(model.config), null, 2)}\n`);
}

/** Reads a directory that `saveAdapter` or PEFT wrote, over a base model. Throws one sentence naming what does not fit. */
export async function loadAdapter(
  files: FileStore,
  folder: string,
  base: CausalModel,
  weights: BaseWeights,
): Promise<LoadedAdapter> {
  const config = `${folder}/${CONFIG}`;
  if (!(await files.exists(config)))
    throw new GaslawError(`${folder}: no ${CONFIG}; give a folder that PEFT wrote`);
  const model = loraModel(base, weights, fromPeft(await readJson(files, config), config));
  const path = `${folder}/${WEIGHTS}`;
  const expected = {
    parameters: model.parameters,
    what: `adapter of a ${base.architecture} model`,
    config: CONFIG,
  };
  const opened = await openFiles(files, [path], expected, path);
  const store = adapterStore(model);
  await opened.readInto(store);
  return { model, store };
}
