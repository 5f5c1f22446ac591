/** Sizes of recipe images: numbers only. */
import type { Size } from '../recipe.ts';

export interface ImagesConfig {
  /** Channels of the first convolution; they double where the picture halves. */
  readonly width: number;
  readonly epochs: number;
  readonly batch: number;
  /** Of AdamW at its greatest. */
  readonly rate: number;
  readonly warmupSteps: number;
  /** Shares of the multiply-adds that pruned candidates keep. */
  readonly shares: readonly number[];
  readonly recoveryEpochs: number;
}

export const IMAGE_SIZES: Readonly<Record<Size, ImagesConfig>> = {
  debug: {
    width: 4,
    epochs: 20,
    batch: 16,
    rate: 1e-2,
    warmupSteps: 5,
    shares: [0.5],
    recoveryEpochs: 1,
  },
  small: {
    width: 16,
    epochs: 10,
    batch: 64,
    rate: 4e-3,
    warmupSteps: 50,
    shares: [0.5, 0.35, 0.25],
    recoveryEpochs: 5,
  },
  full: {
    width: 32,
    epochs: 30,
    batch: 64,
    rate: 3e-3,
    warmupSteps: 200,
    shares: [0.75, 0.5, 0.35, 0.25, 0.15],
    recoveryEpochs: 10,
  },
};
