/** The dense family as a CausalModel. */

import { keyValueSlots, tracedParameters } from '../decoder.ts';
import type { CausalModel } from '../model.ts';
import { type DenseConfig, denseForwardFlops, toHuggingFace } from './config.ts';
import { denseHidden, denseLogits, denseStep } from './model.ts';
import { denseWeights } from './weights.ts';

export * from './config.ts';

export function denseModel(config: DenseConfig): CausalModel {
  const shallow = { ...config, maxPositionEmbeddings: 1 }; // parameters do not depend on the rotary tables' length
  return {
    architecture: config.modelType,
    vocabSize: config.vocabSize,
    maxPositions: config.maxPositionEmbeddings,
    layers: config.numHiddenLayers,
    cacheSlots: keyValueSlots(config),
    parameters: tracedParameters(
      (scope, inputs) => denseHidden(scope, shallow, inputs),
      (scope, hidden) => denseLogits(scope, shallow, hidden),
    ),
    weights: denseWeights(config),
    hidden: (scope, inputs) => denseHidden(scope, config, inputs),
    logits: (scope, hidden) => denseLogits(scope, config, hidden),
    step: (scope, inputs) => denseStep(scope, config, inputs),
    forwardFlops: context => denseForwardFlops(config, context),
    toHuggingFace: () => toHuggingFace(config),
  };
}
