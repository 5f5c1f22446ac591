/** The shape rule of every op, merged from one file a family. A missing op does not compile. */
import type { ShapeRule } from '../rule.ts';
import type { OpType } from '../schema.ts';
import { ATTENTION } from './attention.ts';
import { CONTROL } from './control.ts';
import { CONVOLUTION } from './convolution.ts';
import { ELEMENTWISE } from './elementwise.ts';
import { INDEXING } from './indexing.ts';
import { MAKING } from './making.ts';
import { MATMUL } from './matmul.ts';
import { MOVEMENT } from './movement.ts';
import { NORMALIZATION } from './normalization.ts';
import { POOLING } from './pooling.ts';
import { QUANTIZING } from './quantization.ts';
import { RECURRENT } from './recurrent.ts';
import { REDUCE } from './reduce.ts';
import { SAMPLING } from './sampling.ts';
import { SIGNAL } from './signal.ts';

export const SHAPE_RULES: { readonly [K in OpType]: ShapeRule } = {
  ...ELEMENTWISE,
  ...MATMUL,
  ...CONVOLUTION,
  ...POOLING,
  ...REDUCE,
  ...NORMALIZATION,
  ...MOVEMENT,
  ...MAKING,
  ...INDEXING,
  ...ATTENTION,
  ...QUANTIZING,
  ...SAMPLING,
  ...RECURRENT,
  ...CONTROL,
  ...SIGNAL,
};
