/**
 * What files of this family hold besides the parameters, and other names for these.
 *
 * 1. Models with a vision tower put a prefix before the text part's names: `language_model.model.` on the hub,
 *    `model.language_model.` as transformers writes them since. Tower and projector are passed over.
 * 2. `lm_head.weight` of a model with tied embeddings: some writers store the table twice.
 */
import type { WeightNames } from '../model.ts';
import type { Gemma3Config } from './config.ts';

const VISION = /^(model\.)?(vision_tower|multi_modal_projector)\./;

export const gemma3Weights = ({ tieWordEmbeddings }: Gemma3Config): WeightNames => ({
  parameterOf: stored =>
    stored.replace(/^model\.language_model\./, 'model.').replace(/^language_model\.(model|lm_head)\./, '$1.'),
  isSpare: stored => VISION.test(stored) || (tieWordEmbeddings && stored.endsWith('lm_head.weight')),
});
