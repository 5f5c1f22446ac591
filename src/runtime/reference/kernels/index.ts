/** What every op computes. An op without a kernel does not compile. */
import type { OpType } from '../../../ops/schema.ts';
import type { Kernel } from '../kernel.ts';
import { ATTENTION } from './attention.ts';
import { BINARY } from './binary.ts';
import { BLOCK_QUANTIZED } from './block-quantized.ts';
import { CAST } from './cast.ts';
import { CONTROL } from './control.ts';
import { CONVOLUTION } from './convolution.ts';
import { EINSUM } from './einsum.ts';
import { EXPERTS } from './experts.ts';
import { GROUP_QUERY } from './group-query.ts';
import { INDEXING } from './indexing.ts';
import { MAKE } from './make.ts';
import { MATMUL } from './matmul.ts';
import { MOVEMENT } from './movement.ts';
import { NORMALIZE } from './normalize.ts';
import { NORMALIZE_CHANNELS } from './normalize-channels.ts';
import { POOLING } from './pooling.ts';
import { QUANTIZE } from './quantize.ts';
import { QUANTIZED } from './quantized.ts';
import { RECURRENT } from './recurrent.ts';
import { REDUCE } from './reduce.ts';
import { ROTARY } from './rotary.ts';
import { SAMPLING } from './sampling.ts';
import { SELECT } from './select.ts';
import { SIGNAL } from './signal.ts';
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
  ...CONVOLUTION,
  ...POOLING,
  ...NORMALIZE_CHANNELS,
  ...QUANTIZED,
  ...RECURRENT,
  ...CONTROL,
  ...SAMPLING,
  ...SELECT,
  ...SIGNAL,
};
