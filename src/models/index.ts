/** From a Hugging Face config.json to a model, by `model_type`. */
import { UsageError } from '../util/errors.ts';
import * as deepseek from './deepseek/index.ts';
import * as dense from './dense/index.ts';
import { Fields } from './fields.ts';
import * as gemma3 from './gemma3/index.ts';
import type { CausalModel } from './model.ts';
import * as qwen3Moe from './qwen3-moe/index.ts';

type FromConfig = (json: Record<string, unknown>, origin: string) => CausalModel;

const denseFrom: FromConfig = (json, origin) => dense.denseModel(dense.fromHuggingFace(json, origin));
const deepseekFrom: FromConfig = (json, origin) =>
  deepseek.deepseekModel(deepseek.fromHuggingFace(json, origin));
const gemma3From: FromConfig = (json, origin) => gemma3.gemma3Model(gemma3.fromHuggingFace(json, origin));
const qwen3MoeFrom: FromConfig = (json, origin) =>
  qwen3Moe.qwen3MoeModel(qwen3Moe.fromHuggingFace(json, origin));

const ARCHITECTURES: Readonly<Record<string, FromConfig>> = {
  llama: denseFrom,
  qwen2: denseFrom,
  qwen3: denseFrom,
  qwen3_moe: qwen3MoeFrom,
  deepseek_v2: deepseekFrom,
  deepseek_v3: deepseekFrom,
  gemma3_text: gemma3From,
  gemma3: gemma3From,
};

/** Builds the model that a config.json describes. Throws when its architecture is not known. */
export function modelFromConfig(json: unknown, origin: string): CausalModel {
  const type = String(new Fields(json, origin).raw('model_type'));
  const make = Object.hasOwn(ARCHITECTURES, type) ? ARCHITECTURES[type] : undefined;
  if (!make) {
    throw new UsageError(
      `${origin}: model_type "${type}" is not supported; known are ${Object.keys(ARCHITECTURES).join(', ')}`,
    );
  }
  return make(json as Record<string, unknown>, origin); // Fields has seen that it is an object
}

export type { CausalModel } from './model.ts';
