/**
 * What files of this family hold besides the parameters, and other names for these.
 *
 * 1. Models with a vision tower put `language_model.` before the text part's names. Tower and projector are passed over.
 * 2. `lm_head.weight` of a model with tied embeddings: some writers store the table twice.
 */
import type { WeightNames } from '../model.ts';
import type { Gemma3Config } from './config.ts';

const VISION = /^(vision_tower|multi_modal_projector)\./;

export const gemma3Weights = ({ tieWordEmbeddings }: Gemma3Config): WeightNames => ({
  parameterOf: stored => stored.replace(/^language_model\./, ''),
  isSpare: stored => VISION.test(stored) || (tieWordEmbeddings && stored.endsWith('lm_head.weight')),
});
