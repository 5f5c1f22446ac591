/**
 * A graph quantized on examples, or on random inputs where there are none: calibration, widths, rounding, training.
 *
 * 1. With examples codes are chosen by the outputs of layers, without by the nearest: random inputs say little about outputs.
 * 2. `samples` examples calibrate; training sees all of them but a tenth, shifted and flipped, and never a label. That tenth
 *    says which of all that training passed through is kept.
 * 3. A fixed batch is made free for all that and fixed again at the end.
 */
import type { Augment } from '../../../data/augment.ts';
import { type Examples, firstOf, splitExamples } from '../../../data/examples/examples.ts';
import { stepsOf } from '../../../data/stream.ts';
import type { Model } from '../../../graph/ir.ts';
import { batchAgain, freeBatch } from '../../../import/batch.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import { UsageError } from '../../../util/errors.ts';
import { transferBatches } from '../../distil/transfer.ts';
import { dimsOfExamples } from '../../prune/statistics.ts';
import type { Feeds } from '../calibrate.ts';
import { exampleFeeds, type RandomFeedsOptions, randomFeeds } from './feeds.ts';
import { prepare, quantizeStatic, type StaticOptions, type StaticResult } from './index.ts';
import { assignBits, bytesOfAverage, sensitivity } from './sensitivity.ts';
import type { QuantizedTrainingOptions } from './train.ts';

export interface RunOptions {
  /** Of the examples that calibrate, or of random inputs. */
  readonly random: RandomFeedsOptions;
  readonly options: StaticOptions;
  /** int4 where it costs least and int8 elsewhere, so many bits on average over the weights. */
  readonly averageBits?: number;
  /** Training on the examples after that. */
  readonly epochs?: number;
  /** How training changes examples. Default: as recovery does. */
  readonly augment?: Augment;
  readonly onStep?: (step: number, steps: number, loss: number) => void;
}

const BATCH = 64;
/** A tenth of the examples, or so many. */
const MOST_HELD_OUT = 512;

export const heldOutOf = (count: number): number =>
  Math.min(MOST_HELD_OUT, Math.max(1, Math.round(count / 10)));

/** Throws a UsageError where training lacks examples. */
export async function quantizeGraph(
  runtime: Runtime,
  model: Model,
  examples: Examples | undefined,
  run: RunOptions,
): Promise<StaticResult> {
  const prepared = prepare(model);
  const free = freeBatch(prepared);
  const feeds = examples
    ? exampleFeeds(free, firstOf(examples, run.random.samples))
    : randomFeeds(free.graph, run.random);
  const training = run.epochs === undefined ? undefined : trainingOf(free, examples, run.epochs, run);
  const options: StaticOptions = {
    ...(examples && { rounding: 'output' as const }),
    ...run.options,
    ...(training && { training }),
    ...(run.averageBits !== undefined && (await mixed(runtime, free, feeds, run.averageBits, run.options))),
  };
  const made = await quantizeStatic(runtime, free, feeds, options);
  return free === prepared
    ? made
    : { ...made, model: { ...made.model, graph: batchAgain(made.model.graph, prepared.graph) } };
}

function trainingOf(
  model: Model,
  examples: Examples | undefined,
  epochs: number,
  { random, augment, onStep }: RunOptions,
): QuantizedTrainingOptions {
  if (!examples) throw new UsageError('training needs examples; give some', 'data');
  const [held, trained] = splitExamples(examples, heldOutOf(examples.count), random.seed);
  const batchSize = Math.min(BATCH, trained.count);
  const steps = stepsOf(epochs, trained.count, batchSize);
  return {
    data: transferBatches(trained, { batchSize, augment, mixing: false }),
    heldOut: exampleFeeds(model, held),
    batchSize,
    dims: dimsOfExamples(model.graph, examples),
    steps,
    seed: random.seed,
    ...(onStep && { onStep: (step, { loss }) => onStep(step + 1, steps, loss) }),
  };
}

/** int4 and int8 by sensitivity. */
async function mixed(
  runtime: Runtime,
  model: Model,
  feeds: readonly Feeds[],
  averageBits: number,
  options: StaticOptions,
): Promise<Pick<StaticOptions, 'dtypeOf'>> {
  const table = await sensitivity(runtime, model, feeds, ['int4', 'int8'], options);
  const { dtypes } = assignBits(table, bytesOfAverage(table, averageBits));
  return { dtypeOf: name => dtypes.get(name) };
}
