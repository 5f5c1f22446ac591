/** From a Hugging Face config.json to a model, by `model_type`. */
import { UsageError } from '../util/errors.ts';
import { denseModel, fromHuggingFace } from './dense/index.ts';
import type { CausalModel } from './model.ts';

const ARCHITECTURES: Readonly<
  Record<string, (json: Record<string, unknown>, origin: string) => CausalModel>
> = {
  llama: (json, origin) => denseModel(fromHuggingFace(json, origin)),
  qwen2: (json, origin) => denseModel(fromHuggingFace(json, origin)),
  qwen3: (json, origin) => denseModel(fromHuggingFace(json, origin)),
};

/** Builds the model that a config.json describes. Throws when its architecture is not known. */
export function modelFromConfig(json: Record<string, unknown>, origin: string): CausalModel {
  const make = ARCHITECTURES[String(json.model_type)];
  if (!make) {
    throw new UsageError(
      `${origin}: model_type "${String(json.model_type)}" is not supported; known are ${Object.keys(ARCHITECTURES).join(', ')}`,
    );
  }
  return make(json, origin);
}

export type { CausalModel } from './model.ts';
