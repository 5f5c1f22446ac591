/** What every op computes. An op without a kernel does not compile. */
import type { OpType } from '../../../ops/schema.ts';
import type { Kernel } from '../kernel.ts';
import { BINARY } from './binary.ts';
import { CAST } from './cast.ts';
import { INDEXING } from './indexing.ts';
import { MAKE } from './make.ts';
import { MATMUL } from './matmul.ts';
import { MOVEMENT } from './movement.ts';
import { NORMALIZE } from './normalize.ts';
import { REDUCE } from './reduce.ts';
import { UNARY } from './unary.ts';

const soon: Kernel = c => c.fail('the reference interpreter does not have this op yet');

export const KERNELS: { readonly [K in OpType]: Kernel } = {
  ...UNARY,
  ...BINARY,
  ...CAST,
  ...MATMUL,
  ...REDUCE,
  ...NORMALIZE,
  ...MOVEMENT,
  ...MAKE,
  ...INDEXING,
  Einsum: soon,
  Attention: soon,
  RotaryEmbedding: soon,
  'com.microsoft.RotaryEmbedding': soon,
  'com.microsoft.GroupQueryAttention': soon,
  'com.microsoft.MultiHeadAttention': soon,
  'com.microsoft.MoE': soon,
  QuantizeLinear: soon,
  DequantizeLinear: soon,
  DynamicQuantizeLinear: soon,
  'com.microsoft.DynamicQuantizeMatMul': soon,
  'com.microsoft.MatMulNBits': soon,
  'com.microsoft.GatherBlockQuantized': soon,
};
