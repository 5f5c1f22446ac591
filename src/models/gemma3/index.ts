/** Gemma 3's text decoder as a CausalModel. */

import { keyValueSlots, tracedParameters } from '../decoder.ts';
import type { CausalModel } from '../model.ts';
import { type Gemma3Config, gemma3ForwardFlops, toHuggingFace } from './config.ts';
import { gemma3Hidden, gemma3Logits, gemma3Step } from './model.ts';
import { gemma3Weights } from './weights.ts';

export * from './config.ts';

export function gemma3Model(config: Gemma3Config): CausalModel {
  const shallow = { ...config, maxPositionEmbeddings: 1 }; // parameters do not depend on the rotary tables' length
  return {
    architecture: 'gemma3_text',
    vocabSize: config.vocabSize,
    maxPositions: config.maxPositionEmbeddings,
    layers: config.numHiddenLayers,
    cacheSlots: keyValueSlots(config),
    parameters: tracedParameters(
      (scope, inputs) => gemma3Hidden(scope, shallow, inputs),
      (scope, hidden) => gemma3Logits(scope, shallow, hidden),
    ),
    weights: gemma3Weights(config),
    hidden: (scope, inputs) => gemma3Hidden(scope, config, inputs),
    logits: (scope, hidden) => gemma3Logits(scope, config, hidden),
    step: (scope, inputs) => gemma3Step(scope, config, inputs),
    forwardFlops: context => gemma3ForwardFlops(config, context),
    toHuggingFace: () => toHuggingFace(config),
  };
}
