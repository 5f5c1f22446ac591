/**
 * The models of each experiment: what is compared has the same width, depth, text, steps and optimizer.
 *
 * 1. `mla`: attention of 8 heads of 16 with 8, 2 or 1 key heads, and with latents of half the width and 8 rotated
 *    dimensions. Feed-forward widths make up for what attention saves, so that parameters agree within 0.2 %.
 * 2. `moe`: 16 experts of 88 of which 3, and 1 shared one, beside dense models with the active and with all of the
 *    parameters; attention is the same.
 * 3. `balance`: the same experts without balancing, with the sequence-wise loss, with V3's bias.
 * 4. `mtp`: the dense model with and without the module that predicts one token further.
 * 5. Names are of models, not of experiments: one run serves all experiments that have its variant.
 */
import {
  type DeepseekConfig,
  type DeepseekTraining,
  deepseekConfig,
  deepseekModel,
} from '../../src/models/deepseek/index.ts';
import { denseConfig, denseModel } from '../../src/models/dense/index.ts';
import type { CausalModel } from '../../src/models/model.ts';

export interface Variant {
  readonly name: string;
  readonly make: (vocabSize: number) => CausalModel;
}

export const CONTEXT = 64;
const SHAPE = {
  hiddenSize: 128,
  numHiddenLayers: 4,
  numAttentionHeads: 8,
  maxPositionEmbeddings: CONTEXT,
} as const;
const EXPERT = 88;

function attention(name: string, numKeyValueHeads: number, intermediateSize: number): Variant {
  const make = (vocabSize: number) =>
    denseModel(denseConfig({ ...SHAPE, vocabSize, numKeyValueHeads, intermediateSize, headDim: 16 }));
  return { name, make };
}

const latents = { kvLoraRank: 64, qkNopeHeadDim: 16, qkRopeHeadDim: 8, vHeadDim: 16 } as const;

function deepseek(name: string, given: Partial<DeepseekConfig>, training?: DeepseekTraining): Variant {
  const make = (vocabSize: number) =>
    deepseekModel(
      deepseekConfig({ ...SHAPE, ...latents, vocabSize, firstKDenseReplace: 0, ...given }),
      training,
    );
  return { name, make };
}

const experts: Partial<DeepseekConfig> = {
  moeIntermediateSize: EXPERT,
  nRoutedExperts: 16,
  numExpertsPerTok: 3,
  nSharedExperts: 1,
};
const feedForward = (intermediateSize: number): Partial<DeepseekConfig> => ({
  nRoutedExperts: 0,
  intermediateSize,
});

const small = deepseek('dense, active parameters', feedForward(4 * EXPERT));
const biased = deepseek('experts, bias γ 0.005', experts, { biasRate: 0.005 });

export const EXPERIMENTS = {
  mla: [
    attention('MHA', 8, 352),
    attention('GQA, 2 key heads', 2, 416),
    attention('MQA', 1, 427),
    deepseek('MLA', feedForward(349)),
  ],
  moe: [small, biased, deepseek('dense, all parameters', feedForward(17 * EXPERT))],
  balance: [
    deepseek('experts, no balancing', experts),
    deepseek('experts, loss α 0.01', experts, { expertLoss: 0.01 }),
    biased,
  ],
  mtp: [small, deepseek('dense, one token further λ 0.3', feedForward(4 * EXPERT), { aheadWeight: 0.3 })],
} as const satisfies Readonly<Record<string, readonly Variant[]>>;

export type ExperimentName = keyof typeof EXPERIMENTS;
