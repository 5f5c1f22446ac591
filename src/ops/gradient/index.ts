/** The gradient of every op. Exhaustive: an op of the list without an entry does not compile. */
import type { GradientRule } from '../rule.ts';
import type { OpType } from '../schema.ts';
import { ATTENTION } from './attention.ts';
import { CHANNEL_NORMALIZATION } from './channel-normalization.ts';
import { CONVOLUTION } from './convolution.ts';
import { EINSUM } from './einsum.ts';
import { ELEMENTWISE } from './elementwise.ts';
import { INDEXING } from './indexing.ts';
import { LOSS } from './loss.ts';
import { MATRIX } from './matrix.ts';
import { MOVEMENT } from './movement.ts';
import { NORMALIZATION } from './normalization.ts';
import { POOLING } from './pooling.ts';
import { QUANTIZATION } from './quantization.ts';
import { RECURRENT } from './recurrent.ts';
import { REDUCTION } from './reduction.ts';
import { REFUSED } from './refused.ts';
import { SAMPLING } from './sampling.ts';

export const GRADIENT_RULES: { readonly [K in OpType]: GradientRule } = {
  ...ATTENTION,
  ...EINSUM,
  ...ELEMENTWISE,
  ...INDEXING,
  ...LOSS,
  ...MATRIX,
  ...MOVEMENT,
  ...NORMALIZATION,
  ...QUANTIZATION,
  ...REDUCTION,
  ...CONVOLUTION,
  ...POOLING,
  ...CHANNEL_NORMALIZATION,
  ...SAMPLING,
  ...RECURRENT,
  ...REFUSED,
};
