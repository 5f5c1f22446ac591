/** `gaslaw quantize <model> --dtype D`: any graph, or a language model, in few bits. */
import { Command } from 'commander';
import { macsOf } from '../../compress/prune/structured.ts';
import { qualityOf } from '../../compress/quality.ts';
import { halved } from '../../compress/quantize/float16.ts';
import { optionsFor, type Widths } from '../../compress/quantize/static/device.ts';
import type { StaticOptions } from '../../compress/quantize/static/index.ts';
import { OBSERVERS } from '../../compress/quantize/static/observers.ts';
import { ROUNDINGS, type Rounding } from '../../compress/quantize/static/refine.ts';
import { quantizeGraph as runQuantization } from '../../compress/quantize/static/run.ts';
import type { Examples } from '../../data/examples/examples.ts';
import { deviceOf } from '../../devices/index.ts';
import {
  LANGUAGE_DTYPES,
  LANGUAGE_METHODS,
  quantizeLanguageModel,
} from '../../export/quantize-language-model.ts';
import { toTflite } from '../../formats/tflite/from-graph.ts';
import type { Model } from '../../graph/ir.ts';
import { encodeModel } from '../../graph/protobuf.ts';
import { openImported } from '../../models/open-graph.ts';
import { locateModel } from '../../models/resolve.ts';
import { assertDims, bindDims } from '../../ops/bind-dims.ts';
import { inferShapes } from '../../ops/infer.ts';
import { bytes, percent } from '../../report/format.ts';
import { UsageError } from '../../util/errors.ts';
import type { FileStore } from '../../util/files.ts';
import { openLearningData } from '../data.ts';
import { openRuntime } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import {
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
import { createOutput, type Output } from '../output.ts';
import { progressOf } from '../progress.ts';
import { VERSION } from '../version.ts';

const DTYPES = ['int8', 'int4', 'int16', 'float16'] as const;
type DType = (typeof DTYPES)[number];

/** Bits of what the name says: int16 widens activations, int4 narrows weights. */
const WIDTHS: Readonly<Record<Exclude<DType, 'float16'>, Widths>> = {
  int8: { activations: 8, weights: 8 },
  int4: { activations: 8, weights: 4 },
  int16: { activations: 16, weights: 8 },
};

interface Options {
  readonly dtype: string;
  readonly method?: string;
  readonly rounding?: Rounding;
  readonly biasCorrection?: boolean;
  readonly equalize?: boolean;
  readonly averageBits?: number;
  readonly train?: number;
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
      `${DTYPES.join(', ')}: int4 has activations in 8 bits, int16 weights; language models: ${LANGUAGE_DTYPES.join(', ')}`,
      oneOf('--dtype', [...new Set([...DTYPES, ...LANGUAGE_DTYPES])]),
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
  ...['rounding', 'bias-correction', 'equalize', 'average-bits', 'train', 'device', 'eval', 'per-tensor'],
  ...['symmetric', 'power-of-two', 'input-range', 'dim', 'samples', 'seed'],
];

/** What float16 does without: it rounds each weight by itself. */
const OF_INTEGERS = [
  ...['method', 'rounding', 'bias-correction', 'equalize', 'average-bits', 'train', 'per-tensor'],
  ...['symmetric', 'power-of-two', 'input-range', 'samples', 'seed'],
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
  if (o.data !== undefined && !hasFixedShapes(o))
    refuse(command, ['dim'], 'the data have sizes, and the model that is written keeps its dimensions');
  return quantizeGraph(files, path, o, output);
}

interface Quantized {
  readonly model: Model;
  readonly details: Readonly<Record<string, unknown>>;
}

async function quantizeGraph(files: FileStore, path: string, o: Options, output: Output): Promise<void> {
  const dtype = DTYPES.find(known => known === o.dtype);
  if (!dtype)
    throw new UsageError(`--dtype ${o.dtype} is for language models; graphs take ${DTYPES.join(', ')}`);
  const { model, original, bytes: bytesBefore } = await openImported(files, path);
  assertDims(model.graph, o.dim ?? new Map());
  const wanted = o.train === undefined ? o.samples : Number.POSITIVE_INFINITY;
  const share = o.train === undefined ? 0.5 : 0.8;
  // float16 learns nothing of data, so that all of them measure
  const named = dtype === 'float16' ? { ...o, data: undefined, eval: o.eval ?? o.data } : o;
  const data = await openLearningData(files, model.graph.inputs, named, wanted, share);
  const macs = macsOf(model.graph);
  const { model: made, details } =
    dtype === 'float16' ? floats(model) : await integers(model, dtype, data.learning, o, output);
  await files.write(o.out, contentOf(made, o));
  const bytesAfter = await files.size(o.out);
  const quality =
    data.evaluation && (await qualityOf(await openRuntime(output), original, made, data.evaluation));
  const sizes = { bytesBefore, bytesAfter, macsBefore: macs, macsAfter: macs };
  output.result({ output: o.out, dtype, ...sizes, ...details, ...quality }, () => [
    ...(quality
      ? [`${quality.quality} ${percent(quality.qualityBefore)} → ${percent(quality.qualityAfter)}`]
      : []),
    `${o.out}: ${bytes(bytesBefore)} → ${bytes(bytesAfter)}`,
  ]);
}

function floats(model: Model): Quantized {
  const { model: made, converted, kept } = halved(model);
  return { model: made, details: { weights: converted.length, kept } };
}

async function integers(
  model: Model,
  dtype: keyof typeof WIDTHS,
  examples: Examples | undefined,
  o: Options,
  output: Output,
): Promise<Quantized> {
  const options = staticOptions(dtype, o);
  if (!examples && o.train === undefined) warnOfRandom(o, output);
  const range = o.inputRange && { low: o.inputRange[0], high: o.inputRange[1] };
  const started = performance.now();
  const { model: made, report } = await runQuantization(await openRuntime(output), model, examples, {
    random: { samples: o.samples, seed: o.seed, ...(o.dim && { dims: o.dim }), ...(range && { range }) },
    options,
    ...(o.averageBits !== undefined && { averageBits: o.averageBits }),
    ...(o.train !== undefined && { epochs: o.train }),
    onStep: (step, steps, loss) => output.progress(progressOf('train', step, steps, loss, started)),
  });
  const { weights, activations, kept } = report;
  for (const { name, reason } of kept) output.log(`float: ${name} stays so: ${reason}`);
  const calibration = {
    data: o.data ?? 'random',
    samples: Math.min(o.samples, examples?.count ?? o.samples),
    method: o.method ?? 'mse',
  };
  const dtypes = Object.fromEntries(weights.map(w => [w.name, w.dtype]));
  return { model: made, details: { weights: weights.length, dtypes, activations, kept, calibration } };
}

function warnOfRandom(o: Options, output: Output): void {
  const kind = o.inputRange ? '' : ' (standard normal; --input-range LOW,HIGH tells more)';
  output.warn(`no --data: ranges come from ${o.samples} random inputs${kind}`);
}

/** What the device wants, and what was asked for besides. */
function staticOptions(dtype: keyof typeof WIDTHS, o: Options): StaticOptions {
  const { activations, weights } = WIDTHS[dtype];
  const plain: StaticOptions = { activations: `int${activations}`, weights: `int${weights}` };
  const method = oneOfThese(OBSERVERS, o.method, 'graphs');
  const wanted = o.device === undefined ? plain : optionsFor(deviceOf(o.device), WIDTHS[dtype]);
  return {
    ...wanted,
    ...(isTflite(o) && { coverage: 'all' as const }),
    ...(method && { observer: { method } }),
    ...(o.perTensor && { granularity: 'per-tensor' as const, productGranularity: 'per-tensor' as const }),
    ...(o.symmetric && { symmetric: true }),
    ...(o.powerOfTwo && { powerOfTwo: true }),
    ...(o.rounding && { rounding: o.rounding }),
    ...(o.biasCorrection && { biasCorrection: true }),
    ...(o.equalize && { equalize: true }),
  };
}

const isTflite = (o: Options): boolean => o.out.endsWith('.tflite');

/** TFLite has fixed shapes; so have the graphs of devices that ask for them. */
const hasFixedShapes = (o: Options): boolean =>
  isTflite(o) || (o.device !== undefined && deviceOf(o.device).staticShapes.value);

function contentOf(model: Model, o: Options): Uint8Array {
  if (!hasFixedShapes(o)) return encodeModel(model);
  const graph = bindDims(model.graph, o.dim ?? new Map(), 'batch');
  inferShapes(graph);
  return isTflite(o) ? toTflite({ ...model, graph }) : encodeModel({ ...model, graph });
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
  output.result(report, () => {
    const { qualityBefore, qualityAfter, bytesBefore, bytesAfter } = report;
    const quality = qualityBefore && `perplexity ${qualityBefore.toFixed(3)} → ${qualityAfter?.toFixed(3)}`;
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
