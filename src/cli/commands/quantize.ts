/** `gaslaw quantize <model> --dtype D`: any graph, or a language model, in few bits. */
import { Command } from 'commander';
import type { StaticOptions } from '../../compress/quantize/static/index.ts';
import { OBSERVERS } from '../../compress/quantize/static/observers.ts';
import { ROUNDINGS, type Rounding } from '../../compress/quantize/static/refine.ts';
import { type AugmentName, augmentNamed } from '../../data/augment.ts';
import { deviceOf } from '../../devices/index.ts';
import { GRAPH_DTYPES, hasFixedShapes, quantizeGraphFile } from '../../export/quantize-graph.ts';
import {
  LANGUAGE_DTYPES,
  LANGUAGE_METHODS,
  quantizeLanguageModel,
} from '../../export/quantize-language-model.ts';
import { locateModel } from '../../models/resolve.ts';
import { bytes } from '../../report/format.ts';
import { UsageError } from '../../util/errors.ts';
import type { FileStore } from '../../util/files.ts';
import { loadModule, openRuntime } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import {
  AUGMENT_OPTION,
  type Dims,
  dimOption,
  GRAPH_FILE,
  JSON_OPTION,
  oneOf,
  refuse,
  TOKENIZER_OPTION,
  whole,
  within,
} from '../options.ts';
import { createOutput, type Output, qualityLines, tellFallbacks } from '../output.ts';
import { trainingProgress } from '../progress.ts';
import { VERSION } from '../version.ts';

interface Options {
  readonly dtype: string;
  readonly method?: string;
  readonly rounding?: Rounding;
  readonly biasCorrection?: boolean;
  readonly equalize?: boolean;
  readonly averageBits?: number;
  readonly train?: number;
  readonly augment?: readonly AugmentName[];
  readonly device?: string;
  readonly data?: string;
  readonly eval?: string;
  readonly perTensor?: boolean;
  readonly symmetric?: boolean;
  readonly powerOfTwo?: boolean;
  readonly inputRange?: readonly [number, number];
  readonly dim?: Dims;
  readonly samples: number;
  readonly seed: number;
  readonly tokenizer?: string;
  readonly out: string;
  readonly json?: boolean;
}

export const quantizeCommand = (): Command =>
  new Command('quantize')
    .description('weights and activations in few bits, calibrated, as a device takes them')
    .argument('<model>', `${GRAPH_FILE}, or a language model`)
    .requiredOption(
      '--dtype <name>',
      `${GRAPH_DTYPES.join(', ')}: int4 has activations in 8 bits, int16 weights; language models: ${LANGUAGE_DTYPES.join(', ')}`,
      oneOf('--dtype', [...new Set([...GRAPH_DTYPES, ...LANGUAGE_DTYPES])]),
    )
    .option(
      '--method <name>',
      `how ranges are chosen: ${OBSERVERS.join(', ')} (default: mse); how a language model's weights are: ${LANGUAGE_METHODS.join(', ')} (default with --data: gptq, in GGUF where it is surely better)`,
      oneOf('--method', [...new Set([...OBSERVERS, ...LANGUAGE_METHODS])]),
    )
    .option(
      '--rounding <name>',
      "codes of weights: nearest, or output (those that leave each layer's output as it was; default with --data)",
      oneOf('--rounding', ROUNDINGS),
    )
    .option(
      '--bias-correction',
      'biases make up for what the mean of each output loses (part of output rounding)',
    )
    .option('--equalize', 'make the ranges of layers that follow each other alike first')
    .option(
      '--average-bits <n>',
      'int4 weights where they cost least, int8 elsewhere, so many bits on average',
      within('--average-bits', 4, 8),
    )
    .option(
      '--train <epochs>',
      'train what was quantized on --data, against the float model',
      whole('--train', 1),
    )
    .option(...AUGMENT_OPTION)
    .option('--device <id>', 'integers as this device takes them; see gaslaw devices')
    .option(
      '--data <path>',
      'what calibrates: .npz, .npy or a .json that describes records; its labels are not used; for language models a text, whose last tenth is scored',
    )
    .option('--eval <path>', 'what quality is measured on (default: what --samples leaves of --data)')
    .option('--per-tensor', 'one scale a weight instead of one a channel')
    .option('--symmetric', 'no zero points')
    .option('--power-of-two', 'scales that are powers of two')
    .option('--input-range <low,high>', 'what inputs lie within, for calibration without data', rangeOf)
    .option(...dimOption())
    .option('--samples <n>', 'how many samples calibrate', whole('--samples', 1), 128)
    .option('--seed <n>', 'of the choice of samples, and of random inputs', whole('--seed', 0), 1)
    .requiredOption(
      '--out <path>',
      'an .onnx file (Q/DQ), a .tflite file (int8); for language models a folder, or a .gguf file',
    )
    .option(...TOKENIZER_OPTION)
    .option(...JSON_OPTION)
    .action(run);

/** What language models are quantized without. */
const OF_GRAPHS = [
  ...['rounding', 'bias-correction', 'equalize', 'average-bits', 'train', 'augment', 'device', 'eval'],
  ...['per-tensor', 'symmetric', 'power-of-two', 'input-range', 'dim', 'samples', 'seed'],
];

/** What float16 does without: it rounds each weight by itself. */
const OF_INTEGERS = [
  ...['method', 'rounding', 'bias-correction', 'equalize', 'average-bits', 'train', 'augment'],
  ...['per-tensor', 'symmetric', 'power-of-two', 'input-range', 'samples', 'seed'],
];

function rangeOf(text: string): readonly [number, number] {
  const [low = Number.NaN, high = Number.NaN, ...more] = text.split(',').map(Number);
  if (!(low < high) || more.length > 0)
    throw new UsageError(`--input-range ${text}: give two numbers such as 0,1`);
  return [low, high];
}

async function run(path: string, o: Options, command: Command): Promise<void> {
  const output = createOutput(o.json ?? false);
  const files = nodeFiles();
  const place = await locateModel(files, path);
  if (place.kind !== 'onnx') {
    refuse(command, OF_GRAPHS, `${path} is a language model; this is for other graphs`);
    return quantizeLanguage(files, path, o, output);
  }
  refuse(command, ['tokenizer'], `${path} is no language model`);
  if (o.dtype === 'float16') {
    refuse(command, OF_INTEGERS, 'float16 rounds each weight by itself; leave it out');
    if (o.eval !== undefined) refuse(command, ['data'], 'float16 learns nothing of data; --eval measures');
  }
  if (o.data !== undefined) refuse(command, ['input-range'], 'ranges come from --data; leave it out');
  if (o.train === undefined) refuse(command, ['augment'], 'this is about training; give --train EPOCHS');
  if (o.data !== undefined && !hasFixedShapes(o.out, o.device === undefined ? undefined : deviceOf(o.device)))
    refuse(command, ['dim'], 'the data have sizes, and the model that is written keeps its dimensions');
  return quantizeGraph(files, path, o, output);
}

async function quantizeGraph(files: FileStore, path: string, o: Options, output: Output): Promise<void> {
  const dtype = GRAPH_DTYPES.find(known => known === o.dtype);
  if (!dtype)
    throw new UsageError(`--dtype ${o.dtype} is for language models; graphs take ${GRAPH_DTYPES.join(', ')}`);
  const told = trainingProgress('train', performance.now());
  const report = await quantizeGraphFile(files, () => openRuntime(output), path, {
    ...o,
    dtype,
    device: o.device === undefined ? undefined : deviceOf(o.device),
    choices: choicesOf(o),
    dims: o.dim,
    range: o.inputRange && { low: o.inputRange[0], high: o.inputRange[1] },
    epochs: o.train,
    augment: o.augment && augmentNamed(o.augment),
    loadModule,
    warn: output.warn,
    onStep: (step, steps, loss) => output.progress(told(step, steps, { loss })),
  });
  for (const { name, reason } of report.kept) output.log(`float: ${name} stays so: ${reason}`);
  output.result(report, () => [
    ...qualityLines(report),
    `${o.out}: ${bytes(report.bytesBefore)} → ${bytes(report.bytesAfter)}`,
  ]);
}

/** What was asked for besides what the device wants. */
function choicesOf(o: Options): StaticOptions {
  const method = oneOfThese(OBSERVERS, o.method, 'graphs');
  return {
    ...(method && { observer: { method } }),
    ...(o.perTensor && { granularity: 'per-tensor' as const, productGranularity: 'per-tensor' as const }),
    ...(o.symmetric && { symmetric: true }),
    ...(o.powerOfTwo && { powerOfTwo: true }),
    ...(o.rounding && { rounding: o.rounding }),
    ...(o.biasCorrection && { biasCorrection: true }),
    ...(o.equalize && { equalize: true }),
  };
}

async function quantizeLanguage(files: FileStore, path: string, o: Options, output: Output): Promise<void> {
  if (!LANGUAGE_DTYPES.includes(o.dtype))
    throw new UsageError(`--dtype ${o.dtype}: language models take ${LANGUAGE_DTYPES.join(', ')}`);
  const report = await quantizeLanguageModel(files, () => openRuntime(output), path, {
    dtype: o.dtype,
    method: oneOfThese(LANGUAGE_METHODS, o.method, 'language models'),
    data: o.data,
    tokenizer: o.tokenizer,
    out: o.out,
    version: VERSION,
  });
  tellFallbacks(output, report.fallbacks);
  output.result(report, () => {
    const { qualityBefore, qualityAfter, bytesBefore, bytesAfter } = report;
    const quality =
      qualityBefore &&
      `perplexity ${qualityBefore.toFixed(3)} → ${qualityAfter?.toFixed(3)} on ${report.qualityOn}`;
    return [`${report.output}: ${bytes(bytesBefore)} → ${bytes(bytesAfter)}`, ...(quality ? [quality] : [])];
  });
}

/** The method, if it is one of those for `what`. */
function oneOfThese<T extends string>(
  known: readonly T[],
  method: string | undefined,
  what: string,
): T | undefined {
  if (method === undefined) return undefined;
  const found = known.find(name => name === method);
  if (!found) throw new UsageError(`--method ${method}: for ${what} it is one of ${known.join(', ')}`);
  return found;
}
