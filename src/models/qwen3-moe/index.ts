/** Qwen3-MoE as a CausalModel. */
import { keyValueSlots, tracedParameters } from '../decoder.ts';
import { denseLogits } from '../dense/model.ts';
import { denseWeights } from '../dense/weights.ts';
import type { CausalModel } from '../model.ts';
import { type Qwen3MoeConfig, qwen3MoeForwardFlops, qwen3MoeParameters, toHuggingFace } from './config.ts';
import { qwen3MoeHidden, qwen3MoeStep } from './model.ts';

export * from './config.ts';

export function qwen3MoeModel(config: Qwen3MoeConfig): CausalModel {
  const shallow = { ...config, maxPositionEmbeddings: 1 }; // parameters do not depend on the rotary tables' length
  return {
    architecture: 'qwen3_moe',
    vocabSize: config.vocabSize,
    maxPositions: config.maxPositionEmbeddings,
    layers: config.numHiddenLayers,
    cacheSlots: keyValueSlots(config),
    parameters: tracedParameters(
      (scope, inputs) => qwen3MoeHidden(scope, shallow, inputs, 'declared'),
      (scope, hidden) => denseLogits(scope, shallow, hidden),
    ),
    activeParameters: qwen3MoeParameters(config).active,
    weights: denseWeights(config),
    hidden: (scope, inputs) => qwen3MoeHidden(scope, config, inputs),
    logits: (scope, hidden) => denseLogits(scope, config, hidden),
    step: (scope, inputs) => qwen3MoeStep(scope, config, inputs),
    forwardFlops: context => qwen3MoeForwardFlops(config, context),
    toHuggingFace: () => toHuggingFace(config),
  };
}
