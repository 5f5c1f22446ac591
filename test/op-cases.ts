/**
 * Cases of every op: what gradient checks and the runtime conformance suite run. Exhaustive: an op without an entry
 * does not compile; `none('reason')` says why an op has no case.
 */
import { ATTENTION } from './op-cases/attention.ts';
import { CONTROL } from './op-cases/control.ts';
import { CONVOLUTION } from './op-cases/convolution.ts';
import { ELEMENTWISE } from './op-cases/elementwise.ts';
import { MATRIX } from './op-cases/matrix.ts';
import { MOVEMENT } from './op-cases/movement.ts';
import { NORMALIZATION } from './op-cases/normalization.ts';
import { POOLING } from './op-cases/pooling.ts';
import { QUANTIZATION } from './op-cases/quantization.ts';
import { RECURRENT } from './op-cases/recurrent.ts';
import { REDUCTION } from './op-cases/reduction.ts';
import { SAMPLING } from './op-cases/sampling.ts';
import { SIGNAL } from './op-cases/signal.ts';
import type { OpCases } from './op-cases/types.ts';

export const OP_CASES: OpCases = {
  ...ATTENTION,
  ...ELEMENTWISE,
  ...MATRIX,
  ...MOVEMENT,
  ...QUANTIZATION,
  ...REDUCTION,
  ...CONVOLUTION,
  ...POOLING,
  ...NORMALIZATION,
  ...SAMPLING,
  ...RECURRENT,
  ...CONTROL,
  ...SIGNAL,
};
