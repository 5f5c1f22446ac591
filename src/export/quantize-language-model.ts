/**
 * A language model, in whatever form it is stored, in few bits: as a transformers.js directory (int8, int4, float16) or as
 * GGUF.
 *
 * 1. Of a text (text.ts) the held-out end is scored before and after: quality is perplexity on tokens that no choice has seen.
 *    What is scored after is the file, read back.
 * 2. With a text the default method is `gptq`, without one `mse`.
 * 3. GGUF types have a search of their own for scales (`mse`), weighted by an importance matrix where there is a text;
 *    `gptq` chooses codes within them, `awq` scales channels before. With a text and no method asked for it is `gptq` where
 *    that predicts the text between the calibrating sequences better than chance explains (the rule of one standard
 *    error, Breiman et al. 1984), and `mse` elsewhere: from 5 bits on both lose next to nothing.
 * 4. `smoothquant` is W8A8: activations are quantized too (compress/quantize/dynamic-int8.ts).
 */
import type { Bits } from '../compress/quantize/blocks.ts';
import { quantizerOf } from '../compress/quantize/gguf-gptq.ts';
import { awq } from '../compress/quantize/language-model/awq.ts';
import type { CalibratedStore } from '../compress/quantize/language-model/fold.ts';
import { smoothQuant } from '../compress/quantize/language-model/smooth-quant.ts';
import type { MethodName } from '../compress/quantize/methods/index.ts';
import { openGgufModel } from '../models/gguf/files.ts';
import { GGUF_FILE_TYPES, type GgufFileType } from '../models/gguf/mixtures.ts';
import { type GgufFallback, ggufFallbacks, ggufOf } from '../models/gguf/write.ts';
import type { CausalModel } from '../models/model.ts';
import { ParameterStore } from '../nn/parameters.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { ggufVocabulary } from '../tokenizer/gguf-vocabulary.ts';
import { scoredBatches, weightsScorer } from '../train/perplexity.ts';
import { UsageError } from '../util/errors.ts';
import { type FileStore, nameOf } from '../util/files.ts';
import { calibrate, calibrateParameters } from './calibration.ts';
import { exportModel } from './directory.ts';
import type { ExportDType, ExportOptions } from './dtypes.ts';
import { type LanguageModel, openLanguageModel } from './language-model.ts';
import { loadOnnxModel } from './load.ts';
import { exportedPerplexity } from './score.ts';
import { type CalibrationText, perplexityOf, readCalibrationText } from './text.ts';

const GRAPH_DTYPES = { int8: 'int8', int4: 'int4', float16: 'f16' } as const satisfies Record<
  string,
  ExportDType
>;
type GraphDType = keyof typeof GRAPH_DTYPES;
const GGUF_TYPES = GGUF_FILE_TYPES.filter(type => type.startsWith('Q'));
const GGUF_DTYPES = GGUF_TYPES.map(type => type.toLowerCase());
export const LANGUAGE_DTYPES: readonly string[] = [...Object.keys(GRAPH_DTYPES), ...GGUF_DTYPES];

export const LANGUAGE_METHODS = ['rtn', 'mse', 'hqq', 'gptq', 'awq', 'smoothquant'] as const;
export type LanguageMethod = (typeof LANGUAGE_METHODS)[number];

export interface QuantizeLanguageOptions {
  /** One of LANGUAGE_DTYPES. */
  readonly dtype: string;
  readonly method?: LanguageMethod;
  /** Path of a text, UTF-8. */
  readonly data?: string;
  /** Path of the tokenizer, of a llama2.c file. */
  readonly tokenizer?: string;
  /** A folder for graphs, a .gguf file for the others. */
  readonly out: string;
  /** Gaslaw's version, for the file's metadata. */
  readonly version?: string;
}

export interface QuantizeLanguageReport {
  readonly output: string;
  readonly dtype: string;
  readonly method: LanguageMethod;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Multiply-adds a token: quantizing leaves them. */
  readonly macsBefore: number;
  readonly macsAfter: number;
  /** Perplexity on the held-out end of the text. */
  readonly qualityBefore?: number;
  readonly qualityAfter?: number;
  readonly quality?: 'perplexity';
  /** What quality is measured on, for example `the last tenth of book.txt, 1,024 tokens`. */
  readonly qualityOn?: string;
  /** Of GGUF files: tensors of another type than asked for. */
  readonly fallbacks?: readonly GgufFallback[];
}

/** Writes the quantized model. Throws one sentence naming what does not fit together. */
export async function quantizeLanguageModel(
  files: FileStore,
  openRuntime: () => Promise<Runtime>,
  path: string,
  options: QuantizeLanguageOptions,
): Promise<QuantizeLanguageReport> {
  const method = methodOf(options);
  const language = await openLanguageModel(files, path, { tokenizer: options.tokenizer });
  const { model, store, tokenizer } = language;
  if (!store)
    throw new UsageError(
      `${language.origin}: an exported file is not quantized again; give the model that it came from`,
    );
  const text =
    options.data === undefined ? undefined : await readCalibrationText(files, options.data, tokenizer, model);
  const runtime = text && (await openRuntime());
  const job: Job = { files, model, store, tokenizer, method, options, runtime, text };
  const written = isGraph(options.dtype) ? await writeGraph(job) : await writeGguf(job);
  const macs = model.forwardFlops(1) / 2;
  const quality = text &&
    runtime && {
      quality: 'perplexity' as const,
      qualityOn: `the last tenth of ${options.data}, ${text.heldOut.length.toLocaleString('en')} tokens`,
      qualityBefore: await perplexityOf(runtime, { model, store }, text),
      qualityAfter: await written.perplexity(runtime, text),
    };
  return {
    output: written.output,
    dtype: options.dtype,
    method: written.method,
    bytesBefore: language.bytes,
    bytesAfter: await files.size(written.output),
    macsBefore: macs,
    macsAfter: macs,
    ...quality,
    ...(written.fallbacks && { fallbacks: written.fallbacks }),
  };
}

interface Job extends Pick<LanguageModel, 'model' | 'tokenizer'> {
  readonly files: FileStore;
  readonly store: ParameterStore;
  readonly method: LanguageMethod;
  readonly options: QuantizeLanguageOptions;
  /** Both or neither. */
  readonly runtime?: Runtime;
  readonly text?: CalibrationText;
}

interface Written {
  /** The file with the weights. */
  readonly output: string;
  readonly method: LanguageMethod;
  readonly fallbacks?: readonly GgufFallback[];
  perplexity(runtime: Runtime, text: CalibrationText): Promise<number>;
}

const isGraph = (dtype: string): dtype is GraphDType => dtype in GRAPH_DTYPES;

function methodOf({ dtype, method, data, out }: QuantizeLanguageOptions): LanguageMethod {
  const gguf = !isGraph(dtype);
  const chosen = method ?? (data === undefined ? 'mse' : 'gptq');
  if (dtype === 'float16' && method)
    throw new UsageError(`float16 rounds each weight by itself, not by ${method}; leave it out`, 'method');
  if (gguf && !['mse', 'gptq', 'awq'].includes(chosen))
    throw new UsageError(
      `${dtype} blocks have a search of their own instead of ${chosen}; take mse, gptq or awq`,
      'method',
    );
  if (chosen === 'smoothquant' && dtype !== 'int8')
    throw new UsageError(`smoothquant is for int8, not ${dtype}: activations take 8 bits as well`, 'method');
  if (data === undefined && ['gptq', 'awq', 'smoothquant'].includes(chosen))
    throw new UsageError(`${chosen} needs a text to run the model on; rtn, mse and hqq do without`, 'data');
  if (gguf !== out.endsWith('.gguf'))
    throw new UsageError(`${out}: name ${gguf ? 'a .gguf file' : 'a folder'} for ${dtype}`, 'out');
  return chosen;
}

/** The store with what its matrices read, where there is a text. */
async function calibrated({ model, store, runtime, text }: Job): Promise<CalibratedStore> {
  const statistics = runtime && text && (await calibrateParameters(runtime, model, store, text.sequences));
  return { store, statistics: statistics ?? new Map() };
}

async function writeGraph(job: Job): Promise<Written> {
  const { files, model, tokenizer, options } = job;
  const dtype = options.dtype as GraphDType; // checked by isGraph
  const { store, choices } = await graphChoices(job, dtype === 'int4' ? 4 : 8);
  const { path } = await exportModel(files, options.out, model, store, tokenizer, GRAPH_DTYPES[dtype], {
    version: options.version,
    ...choices,
  });
  return {
    output: path,
    method: job.method,
    perplexity: async (runtime, { heldOut, length }) =>
      exportedPerplexity(runtime, (await loadOnnxModel(files, path)).onnx, model, heldOut, length),
  };
}

/** The store to export and how its products are rounded. */
async function graphChoices(
  job: Job,
  bits: 4 | 8,
): Promise<{ store: ParameterStore; choices: Pick<ExportOptions, 'quantize' | 'activations'> }> {
  const { model, method, runtime, text } = job;
  if (method === 'smoothquant') {
    const { store } = smoothQuant(model, await calibrated(job));
    return { store, choices: { activations: 'int8' } };
  }
  const scaled = method === 'awq';
  const format = { bits, blockSize: bits === 8 ? 32 : 16, symmetric: bits === 8, scales: 'float16' } as const;
  const store = scaled ? awq(model, await calibrated(job), format).store : job.store;
  const plain: MethodName = scaled ? 'mse' : (method as MethodName); // the others are methods of one matrix
  const uses = scaled || plain === 'gptq';
  const inputs = uses && runtime && text ? await calibrate(runtime, model, store, text.sequences) : undefined;
  return { store, choices: { quantize: { method: plain, methodOptions: { actOrder: true }, inputs } } };
}

async function writeGguf(job: Job): Promise<Written> {
  const { files, options, runtime, text } = job;
  const path = options.out;
  const from = await calibrated(job);
  const write = (way: LanguageMethod) => files.write(path, ggufBytes(job, way, from));
  const choose = options.method === undefined && runtime && text && text.between.length > 0;
  const method = choose ? await betterWay(files, path, write, { runtime, text }) : job.method;
  await write(method);
  return {
    output: path,
    method,
    fallbacks: ggufFallbacks(job.model, job.store, { type: ggufType(options) }),
    async perplexity(on, { heldOut, length }) {
      const { model, store } = await readBack(files, path);
      const { nats, tokens } = await weightsScorer(model, store)(on, [heldOut], length);
      return Math.exp(nats / tokens);
    },
  };
}

const ROWS = 4;

/**
 * `gptq` where its nats on the text between are fewer than those of the scales' own search by more than one standard error of
 * the difference, over batches of ROWS windows; else `mse`.
 */
async function betterWay(
  files: FileStore,
  path: string,
  write: (way: LanguageMethod) => Promise<void>,
  { runtime, text: { between, length } }: { readonly runtime: Runtime; readonly text: CalibrationText },
): Promise<LanguageMethod> {
  const natsOf = async (way: LanguageMethod): Promise<number[]> => {
    await write(way);
    const { model, store } = await readBack(files, path);
    const batches = scoredBatches(runtime, model, store, between, { rows: ROWS, length });
    const nats: number[] = [];
    for await (const batch of batches) nats.push(batch.nats / batch.tokens);
    return nats;
  };
  const [mse, gptq] = [await natsOf('mse'), await natsOf('gptq')];
  return isSurelyNegative(gptq.map((n, i) => n - mse[i])) ? 'gptq' : 'mse';
}

/** Whether the mean is below 0 by more than one standard error. */
function isSurelyNegative(differences: readonly number[]): boolean {
  const n = differences.length;
  const mean = differences.reduce((a, b) => a + b, 0) / n;
  const variance = differences.reduce((sum, d) => sum + (d - mean) ** 2, 0) / Math.max(1, n - 1);
  return mean < -Math.sqrt(variance / n);
}

const ggufType = ({ dtype }: QuantizeLanguageOptions): GgufFileType =>
  GGUF_TYPES[GGUF_DTYPES.indexOf(dtype)] as GgufFileType; // methodOf has seen it

function ggufBytes(
  { model, tokenizer, options }: Job,
  method: LanguageMethod,
  from: CalibratedStore,
): ReturnType<typeof ggufOf> {
  const type = ggufType(options);
  const bits = Number(type[1]) as Bits; // Q4_K
  const format = { bits, blockSize: 32, symmetric: false, scales: 'float16' } as const;
  const { store, statistics } = method === 'awq' ? awq(model, from, format) : from;
  const vocabulary = ggufVocabulary(tokenizer, { size: model.vocabSize });
  const name = nameOf(options.out).replace(/\.gguf$/, '');
  const quantize = quantizerOf(statistics, { gptq: method === 'gptq' });
  return ggufOf(model, store, { type, name, vocabulary, quantize });
}

async function readBack(
  files: FileStore,
  path: string,
): Promise<{ model: CausalModel; store: ParameterStore }> {
  const { model, weights } = await openGgufModel(files, path);
  const store = new ParameterStore(model.parameters);
  await weights.readInto(store);
  return { model, store };
}
