/** What every op computes. An op without a kernel does not compile. */
import type { OpType } from '../../../ops/schema.ts';
import type { Kernel } from '../kernel.ts';
import { ATTENTION } from './attention.ts';
import { BINARY } from './binary.ts';
import { BLOCK_QUANTIZED } from './block-quantized.ts';
import { CAST } from './cast.ts';
import { EINSUM } from './einsum.ts';
import { EXPERTS } from './experts.ts';
import { GROUP_QUERY } from './group-query.ts';
import { INDEXING } from './indexing.ts';
import { MAKE } from './make.ts';
import { MATMUL } from './matmul.ts';
import { MOVEMENT } from './movement.ts';
import { NORMALIZE } from './normalize.ts';
import { QUANTIZE } from './quantize.ts';
import { REDUCE } from './reduce.ts';
import { ROTARY } from './rotary.ts';
import { UNARY } from './unary.ts';

export const KERNELS: { readonly [K in OpType]: Kernel } = {
  ...UNARY,
  ...BINARY,
  ...CAST,
  ...MATMUL,
  ...EINSUM,
  ...REDUCE,
  ...NORMALIZE,
  ...MOVEMENT,
  ...MAKE,
  ...INDEXING,
  ...ATTENTION,
  ...GROUP_QUERY,
  ...ROTARY,
  ...EXPERTS,
  ...QUANTIZE,
  ...BLOCK_QUANTIZED,
};
