/**
 * What files of this family hold besides the parameters, whose names are Hugging Face's own.
 *
 * 1. `rotary_emb.inv_freq`: old Llama files carry the rotary frequencies, which follow from the configuration.
 * 2. `lm_head.weight` of a model with tied embeddings: some writers store the table twice.
 */
import type { WeightNames } from '../model.ts';
import type { DenseConfig } from './config.ts';

const FREQUENCIES = /\.rotary_emb\.inv_freq$/;

export const denseWeights = ({ tieWordEmbeddings }: DenseConfig): WeightNames => ({
  parameterOf: stored => stored,
  isSpare: stored => FREQUENCIES.test(stored) || (tieWordEmbeddings && stored === 'lm_head.weight'),
});
