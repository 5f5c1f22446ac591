/** The dense family as a CausalModel. */

import { ParameterTrace } from '../../nn/parameters.ts';
import { Builder } from '../../ops/builder.ts';
import type { CacheSlot, CausalModel } from '../model.ts';
import { type DenseConfig, denseForwardFlops, toHuggingFace } from './config.ts';
import { cacheWidth, denseHidden, denseLogits, denseStep } from './model.ts';

export * from './config.ts';

export function denseModel(config: DenseConfig): CausalModel {
  return {
    architecture: config.modelType,
    vocabSize: config.vocabSize,
    maxPositions: config.maxPositionEmbeddings,
    layers: config.numHiddenLayers,
    cacheSlots: cacheSlots(config),
    parameters: parameterSpecs(config),
    hidden: (scope, inputs) => denseHidden(scope, config, inputs),
    logits: (scope, hidden) => denseLogits(scope, config, hidden),
    step: (scope, inputs) => denseStep(scope, config, inputs),
    forwardFlops: context => denseForwardFlops(config, context),
    toHuggingFace: () => toHuggingFace(config),
  };
}

const cacheSlots = (c: DenseConfig): CacheSlot[] =>
  Array.from({ length: c.numHiddenLayers }, (_, i) =>
    (['key', 'value'] as const).map(
      (part): CacheSlot => ({
        name: `past_key_values.${i}.${part}`,
        dtype: 'float32',
        heads: c.numKeyValueHeads,
        width: cacheWidth(c),
      }),
    ),
  ).flat();

/** What a trace of the training form declares. */
function parameterSpecs(config: DenseConfig) {
  const b = new Builder('parameters');
  const trace = new ParameterTrace(b);
  const int = (name: string) => b.input(name, 'int32', ['B', 'T']);
  const hidden = denseHidden(trace.scope(), config, { ids: int('ids'), positions: int('positions') });
  denseLogits(trace.scope(), config, hidden);
  return trace.specs;
}
