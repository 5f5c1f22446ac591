/**
 * Sizes of recipe r1. One object holds every choice; `small` and `full` differ in numbers only.
 */
import type { Size } from '../recipe.ts';

export interface R1Config {
  readonly model: {
    readonly hiddenSize: number;
    readonly layers: number;
    readonly heads: number;
    readonly ffn: number;
  };
  readonly student: R1Config['model'];
  /** Longest sequence: prompt and response. */
  readonly maxPositions: number;
  /** Countdown's numbers lie in 1..max. */
  readonly maxNumber: number;
  readonly corpus: {
    readonly maxAttempts: number;
    /** No attempt twice in a document, so that the base tries something else each time. */
    readonly distinct: boolean;
    readonly stopProbability: number;
    readonly chineseShare: number;
    readonly mixedShare: number;
    readonly generalShare: number;
    readonly twoNumberShare: number;
    readonly maxResult: number;
  };
  readonly pretrain: {
    readonly steps: number;
    readonly studentSteps: number;
    readonly tokensPerStep: number;
    readonly rate: number;
  };
  readonly rl: {
    readonly prompts: number;
    readonly groupSize: number;
    readonly minibatches: number;
    /** Highest rate of R1-Zero and of the student by RL alone. */
    readonly rate: number;
    /** Highest rate of the later stages, which start from models that answer well. */
    readonly laterRate: number;
    readonly rewards: {
      readonly accuracy: number;
      readonly format: number;
      readonly arithmetic: number;
      /** Joins after the cold start. */
      readonly language: number;
    };
    readonly zeroSteps: number;
    readonly reasoningSteps: number;
    readonly allScenariosSteps: number;
    readonly studentMaxSteps: number;
  };
  readonly sft: {
    /** Verified samples wanted for the cold start, the rejection-sampling stage and distillation. */
    readonly coldStartSamples: number;
    readonly rejectionSamples: number;
    readonly distillSamples: number;
    readonly epochs: number;
    readonly distillEpochs: number;
    readonly tokensPerStep: number;
    readonly rate: number;
  };
  readonly evaluation: {
    readonly problems: number;
    readonly k: number;
  };
  readonly slots: number;
}

const CORPUS = {
  maxAttempts: 16,
  distinct: true,
  stopProbability: 0.2,
  chineseShare: 0.3,
  mixedShare: 0.15,
  generalShare: 0.05,
  twoNumberShare: 0.15,
  maxResult: 99,
} as const;

const SMALL: R1Config = {
  model: { hiddenSize: 128, layers: 4, heads: 4, ffn: 384 },
  student: { hiddenSize: 80, layers: 3, heads: 5, ffn: 208 },
  maxPositions: 192,
  maxNumber: 12,
  corpus: CORPUS,
  pretrain: { steps: 900, studentSteps: 600, tokensPerStep: 8192, rate: 3e-3 },
  rl: {
    prompts: 32,
    groupSize: 16,
    minibatches: 8,
    rate: 3e-4,
    laterRate: 1e-4,
    rewards: { accuracy: 1, format: 0.1, arithmetic: 0.3, language: 0.5 },
    zeroSteps: 46,
    reasoningSteps: 20,
    allScenariosSteps: 16,
    studentMaxSteps: 400,
  },
  sft: {
    coldStartSamples: 2000,
    rejectionSamples: 5000,
    distillSamples: 8000,
    epochs: 2,
    distillEpochs: 3,
    tokensPerStep: 8192,
    rate: 1e-3,
  },
  evaluation: { problems: 160, k: 16 },
  slots: 128,
};

const DEBUG: R1Config = {
  ...SMALL,
  model: { hiddenSize: 32, layers: 2, heads: 2, ffn: 64 },
  student: { hiddenSize: 32, layers: 1, heads: 2, ffn: 48 },
  maxPositions: 96,
  corpus: { ...CORPUS, maxAttempts: 3 },
  pretrain: { steps: 60, studentSteps: 30, tokensPerStep: 2048, rate: 5e-3 },
  rl: {
    ...SMALL.rl,
    prompts: 4,
    groupSize: 4,
    zeroSteps: 3,
    reasoningSteps: 2,
    allScenariosSteps: 2,
    studentMaxSteps: 4,
  },
  sft: {
    ...SMALL.sft,
    coldStartSamples: 8,
    rejectionSamples: 8,
    distillSamples: 16,
    epochs: 1,
    distillEpochs: 1,
    tokensPerStep: 512,
  },
  evaluation: { problems: 16, k: 2 },
  slots: 16,
};

const FULL: R1Config = {
  ...SMALL,
  model: { hiddenSize: 160, layers: 4, heads: 5, ffn: 480 },
  // room for nearly all of a problem's attempts: 33 on average, of 11 tokens each
  maxPositions: 384,
  corpus: { ...CORPUS, maxAttempts: 32, stopProbability: 0.1 },
  pretrain: { ...SMALL.pretrain, steps: 1600, studentSteps: 1200 },
  rl: { ...SMALL.rl, zeroSteps: 200, reasoningSteps: 40, allScenariosSteps: 40, studentMaxSteps: 1000 },
  sft: { ...SMALL.sft, coldStartSamples: 3000, rejectionSamples: 10000, distillSamples: 15000 },
  evaluation: { ...SMALL.evaluation, problems: 331 },
};

export const R1_SIZES: Readonly<Record<Size, R1Config>> = { debug: DEBUG, small: SMALL, full: FULL };
