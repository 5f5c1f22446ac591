/**
 * Quantization-aware training of any graph: weights and activations are rounded in every step, gradients go straight through
 * inside the range, and step sizes are learned (LSQ, Esser et al. 2020, arXiv:1902.08153). What trains: student.ts.
 *
 * 1. The float model is the teacher; no label is needed. What was chosen without training is where it starts, and what is kept
 *    of all that training passes through has the least divergence from the teacher on inputs that do not train.
 * 2. Parameters are averaged over the last steps: weights between two codes go to and fro (Nagel et al. 2022,
 *    arXiv:2203.11086).
 * 3. Batch normalization was folded before. Powers of two would not stay such, and are refused.
 */
import type { Model } from '../../../graph/ir.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { FineTuneOptions } from '../../../train/fine-tune.ts';
import { UsageError } from '../../../util/errors.ts';
import { recovery } from '../../distil/recovery.ts';
import type { Term } from '../../distil/terms.ts';
import type { Feeds } from '../calibrate.ts';
import { tapped } from './observe.ts';
import { divergence, type Outputs, outputsOf, resultsOf } from './outputs.ts';
import type { PlanOptions, QdqPlan } from './plan.ts';
import type { Chosen } from './rewrite.ts';
import { compileChosen } from './simulate.ts';
import { Student } from './student.ts';

/** How often the held-out loss is measured, besides before. */
const CHECKS = 10;
/** An AVERAGED-th of all steps is averaged over: weights between two codes go to and fro. */
const AVERAGED = 10;

export interface QuantizedTrainingOptions {
  /** Batches of a step, as for recovery: `transferBatches` makes them of examples. */
  readonly data: FineTuneOptions['data'];
  readonly batchSize: number;
  /** Of the model's symbols but for the batch. */
  readonly dims?: FineTuneOptions['dims'];
  readonly steps: number;
  /** Peak of the learning rate, in codes of a weight a step. Default 0.005: Adam's first steps move all weights of a sum together. */
  readonly rate?: number;
  /** What the best of all is chosen by, CHECKS times; the last is kept when absent. */
  readonly heldOut?: readonly Feeds[];
  /** Default: the float model's answers, not softened. */
  readonly terms?: readonly Term[];
  readonly seed: number;
  readonly threads?: number;
  readonly onStep?: (step: number, metrics: Readonly<Record<string, number>>) => void;
}

/** The choice after training. `model` is prepared, `plan` of its graph with `options`. */
export async function trainQuantized(
  runtime: Runtime,
  model: Model,
  plan: QdqPlan,
  chosen: Chosen,
  options: PlanOptions,
  training: QuantizedTrainingOptions,
): Promise<Chosen> {
  if (chosen.activations.powerOfTwo)
    throw new UsageError(
      'learned step sizes would not stay powers of two; train without power-of-two scales',
    );
  const student = new Student(model.graph, plan, chosen, options);
  const {
    steps,
    rate = 0.005,
    terms = [{ kind: 'logits', temperature: 1 }],
    heldOut,
    onStep,
    ...rest
  } = training;
  using stage = await recovery(runtime, student.graph, model, {
    ...rest,
    terms,
    parameters: student.parameters,
    optimizer: { kind: 'adamw', weightDecay: 0, epsilon: 1e-12 },
    emaDecay: Math.max(0, 1 - AVERAGED / Math.max(1, steps)),
    schedule: { kind: 'cosine', rate, finalRate: 0, steps, warmupSteps: Math.ceil(steps / 20) },
  });
  const best = heldOut && (await Best.start(runtime, { model, options, plan, heldOut }, chosen));
  const each = Math.ceil(steps / CHECKS);
  for (let step = 0; step < steps; step++) {
    const metrics = await stage.step(step);
    onStep?.(step, metrics);
    if ((step + 1) % each === 0 || step === steps - 1) await best?.consider(student.chosen(stage.trained()));
  }
  return best?.chosen ?? student.chosen(stage.trained());
}

interface Judged {
  readonly model: Model;
  readonly options: PlanOptions;
  readonly plan: QdqPlan;
  readonly heldOut: readonly Feeds[];
}

/** The choice of least divergence so far. */
class Best {
  readonly #runtime: Runtime;
  readonly #judged: Judged;
  readonly #wanted: Outputs;
  #loss = Number.POSITIVE_INFINITY;
  chosen: Chosen;

  private constructor(runtime: Runtime, judged: Judged, wanted: Outputs, chosen: Chosen) {
    this.#runtime = runtime;
    this.#judged = judged;
    this.#wanted = wanted;
    this.chosen = chosen;
  }

  static async start(runtime: Runtime, judged: Judged, chosen: Chosen): Promise<Best> {
    const { model, heldOut } = judged;
    using program = await runtime.compile({ ...model, graph: tapped(model.graph, resultsOf(model.graph)) });
    const best = new Best(runtime, judged, await outputsOf(program, heldOut), chosen);
    await best.consider(chosen);
    return best;
  }

  async consider(chosen: Chosen): Promise<void> {
    const { model, options, plan, heldOut } = this.#judged;
    using program = await compileChosen(this.#runtime, model, options, plan, chosen);
    const loss = divergence(this.#wanted, await outputsOf(program, heldOut));
    if (loss < this.#loss) [this.#loss, this.chosen] = [loss, chosen];
  }
}
