/**
 * Cases of every op: what gradient checks and the runtime conformance suite run. Exhaustive: an op without an entry
 * does not compile; `none('reason')` says why an op has no case.
 */
import { ATTENTION } from './op-cases/attention.ts';
import { ELEMENTWISE } from './op-cases/elementwise.ts';
import { MATRIX } from './op-cases/matrix.ts';
import { MOVEMENT } from './op-cases/movement.ts';
import { QUANTIZATION } from './op-cases/quantization.ts';
import { REDUCTION } from './op-cases/reduction.ts';
import type { OpCases } from './op-cases/types.ts';

export const OP_CASES: OpCases = {
  ...ATTENTION,
  ...ELEMENTWISE,
  ...MATRIX,
  ...MOVEMENT,
  ...QUANTIZATION,
  ...REDUCTION,
};
