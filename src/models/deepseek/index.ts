/** DeepSeek-V2, V3 and R1 as a CausalModel. */
import { latentCacheWidth } from '../../nn/latent-attention.ts';
import type { ParameterSpec } from '../../nn/parameters.ts';
import { tracedParameters } from '../decoder.ts';
import type { AheadModule, CacheSlot, CausalModel } from '../model.ts';
import { type DeepseekConfig, deepseekForwardFlops, deepseekParameters, trainedPositions } from './config.ts';
import { toHuggingFace } from './fields.ts';
import { deepseekAhead, deepseekAheadStep, deepseekHidden, deepseekLogits, deepseekStep } from './model.ts';
import { balanceStep, type DeepseekTraining, deepseekTraining } from './training.ts';
import { deepseekWeights } from './weights.ts';

export * from './config.ts';
export { fromHuggingFace, toHuggingFace } from './fields.ts';
export type { DeepseekTraining } from './training.ts';

/**
 * @param training how experts are balanced, and whether the module that predicts one token further is trained with the
 *   model: then its parameters are among the model's
 */
export function deepseekModel(config: DeepseekConfig, training: DeepseekTraining = {}): CausalModel {
  const { main, ahead } = parametersOf(config);
  const withAhead = training.aheadWeight !== undefined;
  return {
    architecture: config.modelType,
    vocabSize: config.vocabSize,
    maxPositions: config.maxPositionEmbeddings,
    trainedPositions: trainedPositions(config),
    layers: config.numHiddenLayers,
    cacheSlots: range(config.numHiddenLayers).flatMap(i => latentSlots(config, i)),
    parameters: withAhead ? [...main, ...ahead()] : main,
    activeParameters: deepseekParameters(config).active,
    weights: deepseekWeights(config),
    training: (scope, inputs) => deepseekTraining(scope, config, training, inputs),
    aheadWeight: training.aheadWeight,
    afterStep: (store, loads) => balanceStep(config, training, store, loads),
    ahead: withAhead || config.numNextnPredictLayers > 0 ? aheadModule(config, ahead) : undefined,
    hidden: (scope, inputs) => deepseekHidden(scope, config, inputs),
    logits: (scope, hidden) => deepseekLogits(scope, config, hidden),
    step: (scope, inputs) => deepseekStep(scope, config, inputs),
    forwardFlops: context => deepseekForwardFlops(config, context),
    toHuggingFace: () => toHuggingFace(withAhead ? withModule(config) : config),
  };
}

/** A model that trains the module has it. */
const withModule = (c: DeepseekConfig): DeepseekConfig => ({
  ...c,
  numNextnPredictLayers: Math.max(1, c.numNextnPredictLayers),
});

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** The slot of latents of layer `i`, under the two names that programs look for. */
function latentSlots(c: DeepseekConfig, i: number): CacheSlot[] {
  const key = `past_key_values.${i}.key`;
  const slot: CacheSlot = { name: key, dtype: 'float32', heads: 1, width: latentCacheWidth(c) };
  return [slot, { ...slot, name: `past_key_values.${i}.value`, sameAs: key }];
}

/** Parameters of the model, and of the module after it. */
function parametersOf(c: DeepseekConfig): { main: ParameterSpec[]; ahead: () => ParameterSpec[] } {
  const shallow = { ...c, maxPositionEmbeddings: 1 }; // parameters do not depend on the rotary tables' length
  const declared = { experts: 'declared' } as const;
  const main = tracedParameters(
    (scope, inputs) => deepseekHidden(scope, shallow, inputs, declared),
    (scope, hidden) => deepseekLogits(scope, shallow, hidden),
  );
  const known = new Set(main.map(({ name }) => name));
  const alone = () =>
    tracedParameters(
      (scope, inputs) => {
        const previous = inputs.ids.builder.input('previous', 'float32', ['B', 'T', c.hiddenSize]);
        return deepseekAhead(scope, shallow, inputs, previous, declared);
      },
      (_scope, hidden) => hidden,
    );
  return { main, ahead: () => alone().filter(({ name }) => !known.has(name)) };
}

const aheadModule = (c: DeepseekConfig, parameters: () => ParameterSpec[]): AheadModule => ({
  get parameters() {
    return parameters();
  },
  cacheSlots: latentSlots(c, c.numHiddenLayers),
  hiddenSize: c.hiddenSize,
  step: (scope, inputs) => deepseekAheadStep(scope, c, inputs),
});
