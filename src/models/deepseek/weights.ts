/**
 * What files of this family hold besides the parameters, whose names are Hugging Face's own.
 *
 * 1. Layers from `num_hidden_layers` on: multi-token prediction modules. The first is read where it is whole (see
 *    `withAhead`); its copies of the embedding and the head, and further modules, are passed over.
 * 2. `rotary_emb.inv_freq`, which follows from the configuration; `lm_head.weight` of a model with tied embeddings.
 */
import type { WeightNames } from '../model.ts';
import type { DeepseekConfig } from './config.ts';

const LAYER = /^model\.layers\.(\d+)\./;

export const deepseekWeights = ({ numHiddenLayers, tieWordEmbeddings }: DeepseekConfig): WeightNames => ({
  parameterOf: stored => stored,
  isSpare: stored =>
    stored.endsWith('.rotary_emb.inv_freq') ||
    (tieWordEmbeddings && stored === 'lm_head.weight') ||
    Number(LAYER.exec(stored)?.[1] ?? -1) >= numHiddenLayers,
});
