/** What a compression step is: a model in, a smaller model out, with what it is made with. */

import type { Examples } from '../../data/examples/examples.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import type { Model } from '../../graph/ir.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { RunContext } from '../../train/loop.ts';

export interface CompressionContext {
  readonly runtime: Runtime;
  readonly device: DeviceProfile;
  /** The model before anything was done to it: what recovery learns from. */
  readonly original: Model;
  /** What calibrates; its labels are not looked at. */
  readonly calibration: Examples;
  /** What recovery learns on; without it nothing is trained. */
  readonly training?: Examples;
  /** Times that recovery sees the training data. */
  readonly recoveryEpochs: number;
  /** Numbers for symbolic dims other than the batch, for what a run costs. */
  readonly dims: ReadonlyMap<string, number>;
  readonly seed: number;
  /** Where a step that trains keeps its checkpoints and whom it tells. */
  readonly run: RunContext;
  /** Name of the candidate: the stage in `run`. */
  readonly stage: string;
}

export interface StepResult {
  readonly model: Model;
  /** Sentences on what was done and what was not. */
  readonly notes: readonly string[];
}

/** Does not change `model`. Throws a GaslawError when it cannot be done to this model. */
export type CompressionStep = (model: Model, context: CompressionContext) => Promise<StepResult>;
