/** The rewrites by name. */
import type { Rewrite } from '../../import/writer.ts';
import { constantArithmetic, decomposeActivation, plainGemm } from './arithmetic.ts';
import { conv1dTo2d, meanToPool, poolToGlobal, softmaxLastAxis } from './layout.ts';

/** Rewrites of single nodes. A rewrite that does not apply returns the node as it is. */
export const NODE_FIXES = {
  'constant-arithmetic': constantArithmetic,
  'conv-1d-to-2d': conv1dTo2d,
  'decompose-activation': decomposeActivation,
  'mean-to-pool': meanToPool,
  'plain-gemm': plainGemm,
  'pool-to-global': poolToGlobal,
  'softmax-last-axis': softmaxLastAxis,
} as const satisfies Record<string, Rewrite>;

/** `bind-dims` and `set-opset` are of the whole model: see `apply.ts`. */
export type FixName = keyof typeof NODE_FIXES | 'bind-dims' | 'set-opset';
