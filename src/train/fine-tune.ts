/**
 * Fine-tuning of any graph: an imported model, one that is quantized in simulation, one that was pruned.
 *
 * 1. A step's batches, its dropout and its augmentation are pure functions of the seed and the step's index, so a killed run
 *    resumes bit for bit. Everything else that a step depends on is in the checkpoint: parameters, moments, statistics.
 * 2. The result is the graph that came in with other values in it. The moving average of the parameters, when kept, is what
 *    deploys.
 */
import { float32, type Graph, type Model, modelOf, type Tensor, type ValueInfo } from '../graph/ir.ts';
import { cloneGraph } from '../graph/walk.ts';
import { freeBatch } from '../import/batch.ts';
import { movingAverage } from '../nn/optim/elementwise.ts';
import { rateAt, type Schedule } from '../nn/optim/schedule.ts';
import { bindDims } from '../ops/bind-dims.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { GaslawError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { type Feeds, GraphLearner, type GraphLoss } from './graph-learner.ts';
import { classification } from './graph-losses.ts';
import { type TrainableOptions, trainable } from './graph-training.ts';
import { makeOptimizer, type OptimizerConfig, prefixed } from './language-model.ts';
import { type LoopOptions, type RunContext, type Trainable, trainLoop } from './loop.ts';

export interface FineTuneOptions extends TrainableOptions {
  /** The batches of a step, by its index: tensors by the names of the model's and the loss's inputs. */
  readonly data: (index: number, random: Random) => readonly Feeds[] | Promise<readonly Feeds[]>;
  /** Examples in a batch: the value of the batch's symbolic dim. Graphs of one example are made to take as many. */
  readonly batchSize: number;
  /** Numbers for other symbolic dims. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Cross-entropy against input `labels` when absent. */
  readonly loss?: GraphLoss;
  readonly schedule: Schedule;
  readonly optimizer: OptimizerConfig;
  readonly maxGradientNorm?: number;
  /** Decay of a moving average of the parameters; off when absent. */
  readonly emaDecay?: number;
  readonly seed: number;
  readonly threads?: number;
}

export interface GraphTraining extends Trainable, Disposable {
  readonly learner: GraphLearner;
  /** The graph as it came in, with the values of now: averaged ones where an average is kept. */
  trained(): Graph;
}

/** A stage that trains `graph` (imported, types known). The graph itself stays as it was. */
export async function fineTuning(
  runtime: Runtime,
  graph: Graph,
  options: FineTuneOptions,
): Promise<GraphTraining> {
  const random = new Random(options.seed).fork('fine-tune');
  const batched = batchOf(graph, options.batchSize);
  const form = trainable(bindDims(batched, dimsOf(batched, options), 'all'), options);
  const learner = await GraphLearner.create(
    runtime,
    form,
    graph.initializers,
    options.loss ?? classification(),
    random,
    {
      maxGradientNorm: options.maxGradientNorm,
      threads: options.threads,
      optimizer: makeOptimizer(options.optimizer),
    },
  );
  const { store, statistics } = learner;
  const average = options.emaDecay === undefined ? undefined : new Float32Array(store.flat);
  const ema = average && (await movingAverage(runtime, average, store.flat, options.emaDecay as number));
  return {
    store,
    learner,
    arrays: {
      ...prefixed('optimizer', learner.optimizer.state),
      ...prefixed('statistic', statistics),
      ...(average && { average }),
    },
    state: () => ({ optimizerSteps: learner.optimizer.steps }),
    restore(state) {
      learner.optimizer.steps = (state as { optimizerSteps: number }).optimizerSteps;
    },
    async step(index) {
      const metrics = await learnFrom(learner, options, index, random.fork(index));
      await ema?.run();
      return metrics;
    },
    trained: () => withValues(graph, store.tensors(average), statistics),
    [Symbol.dispose]() {
      ema?.[Symbol.dispose]();
      learner[Symbol.dispose]();
    },
  };
}

const firstInput = (graph: Graph): ValueInfo | undefined =>
  graph.inputs.find(input => !graph.initializers.has(input.name));

/** The graph for that many examples at once. */
function batchOf(graph: Graph, batchSize: number): Graph {
  const size = firstInput(graph)?.shape?.[0];
  if (typeof size !== 'number' || size === batchSize) return graph;
  const freed = freeBatch(modelOf(graph)).graph;
  if (freed !== graph) return freed;
  throw new GaslawError(
    `graph "${graph.name}": it is for batches of ${size} and cannot take ${batchSize}; export it with a dynamic batch`,
  );
}

/** Numbers for symbolic dims: the batch is the first axis of the first input. */
export function dimsOf(
  graph: Graph,
  { dims, batchSize }: Pick<FineTuneOptions, 'dims' | 'batchSize'>,
): Map<string, number> {
  const first = firstInput(graph)?.shape?.[0];
  return new Map([
    ...(typeof first === 'string' ? [[first, batchSize] as const] : []),
    ...Object.entries(dims ?? {}),
  ]);
}

async function learnFrom(
  learner: GraphLearner,
  options: FineTuneOptions,
  index: number,
  random: Random,
): Promise<Record<string, number>> {
  const batches = await options.data(index, random.fork('data'));
  const sums: Record<string, number> = {};
  for (const [i, feeds] of batches.entries()) {
    const metrics = await learner.backward(feeds, random.fork(i));
    for (const [name, value] of Object.entries(metrics))
      sums[name] = (sums[name] ?? 0) + value / batches.length;
  }
  const rate = rateAt(options.schedule, index);
  const gradientNorm = await learner.update(rate);
  return {
    loss: 0,
    ...sums,
    gradient_norm: gradientNorm,
    learning_rate: rate,
    examples: options.batchSize * batches.length,
  };
}

/** `graph` with other values in its initializers. */
function withValues(
  graph: Graph,
  parameters: ReadonlyMap<string, Tensor>,
  statistics: Readonly<Record<string, Float32Array>>,
): Graph {
  const trained = cloneGraph(graph);
  for (const [name, tensor] of parameters)
    if (graph.initializers.has(name))
      trained.initializers.set(name, float32(tensor.dims, (tensor.data as Float32Array).slice()));
  for (const [name, data] of Object.entries(statistics))
    trained.initializers.set(name, float32([data.length], data.slice()));
  return trained;
}

/** Trains an imported model in a run folder: metrics, checkpoints, exact resume. Returns it with its new values. */
export async function fineTune(
  runtime: Runtime,
  model: Model,
  options: FineTuneOptions,
  context: RunContext,
  loop: LoopOptions,
): Promise<Model> {
  using training = await fineTuning(runtime, model.graph, options);
  await trainLoop(context, training, loop);
  return { ...model, graph: training.trained() };
}
