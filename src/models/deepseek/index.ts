/** DeepSeek-V2, V3 and R1 as a CausalModel. */
import { latentCacheWidth } from '../../nn/latent-attention.ts';
import { tracedParameters } from '../decoder.ts';
import type { CacheSlot, CausalModel } from '../model.ts';
import { type DeepseekConfig, deepseekForwardFlops, deepseekParameters, trainedPositions } from './config.ts';
import { toHuggingFace } from './fields.ts';
import { deepseekHidden, deepseekLogits, deepseekStep } from './model.ts';
import { deepseekWeights } from './weights.ts';

export * from './config.ts';
export { fromHuggingFace, toHuggingFace } from './fields.ts';

export function deepseekModel(config: DeepseekConfig): CausalModel {
  const shallow = { ...config, maxPositionEmbeddings: 1 }; // parameters do not depend on the rotary tables' length
  return {
    architecture: config.modelType,
    vocabSize: config.vocabSize,
    maxPositions: config.maxPositionEmbeddings,
    trainedPositions: trainedPositions(config),
    layers: config.numHiddenLayers,
    cacheSlots: latentSlots(config),
    parameters: tracedParameters(
      (scope, inputs) => deepseekHidden(scope, shallow, inputs, { experts: 'declared' }),
      (scope, hidden) => deepseekLogits(scope, shallow, hidden),
    ),
    activeParameters: deepseekParameters(config).active,
    weights: deepseekWeights(config),
    hidden: (scope, inputs) => deepseekHidden(scope, config, inputs),
    logits: (scope, hidden) => deepseekLogits(scope, config, hidden),
    step: (scope, inputs) => deepseekStep(scope, config, inputs),
    forwardFlops: context => deepseekForwardFlops(config, context),
    toHuggingFace: () => toHuggingFace(config),
  };
}

/** One slot of latents a layer, under the two names that programs look for. */
const latentSlots = (c: DeepseekConfig): CacheSlot[] =>
  Array.from({ length: c.numHiddenLayers }, (_, i) => {
    const key = `past_key_values.${i}.key`;
    const slot: CacheSlot = { name: key, dtype: 'float32', heads: 1, width: latentCacheWidth(c) };
    return [slot, { ...slot, name: `past_key_values.${i}.value`, sameAs: key }];
  }).flat();
