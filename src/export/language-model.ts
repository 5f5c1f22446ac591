/**
 * A language model by its name on the command line, whatever form it is stored in, ready to decode.
 *
 * 1. Weights stay on disk until a decoder is asked for, unless they are opened as f32: a packed model never has its floats in
 *    memory.
 */
import { type PackDType, packChoice } from '../compress/quantize/pack-inputs.ts';
import { type CacheDType, type CacheFormat, measureCache, quantizeCache } from '../generate/cache-format.ts';
import { Decoder } from '../generate/decoder.ts';
import { type Graph, type Model, sizeOf } from '../graph/ir.ts';
import { type OpenModelFiles, openModelFiles } from '../models/files.ts';
import { openGgufFiles } from '../models/gguf/files.ts';
import { openLlama2cFiles } from '../models/llama2c.ts';
import type { CausalModel } from '../models/model.ts';
import { locateModel, type ModelPlace } from '../models/resolve.ts';
import type { OpenWeights } from '../models/weight-files.ts';
import { ParameterStore } from '../nn/parameters.ts';
import type { CompileOptions, Runtime } from '../runtime/runtime.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { UsageError } from '../util/errors.ts';
import { type FileStore, folderOf, joinPath } from '../util/files.ts';
import { decodeForm } from './decode-form.ts';
import { loadOnnxModel } from './load.ts';
import { packedDecoder } from './packed-decoder.ts';

/** Formats that weights can be opened in; `stored` is each matrix's own. */
export const OPEN_DTYPES = ['f32', 'q8', 'q4', 'q4g128', 'stored'] as const satisfies readonly (
  | 'f32'
  | 'stored'
  | PackDType
)[];
export type OpenDType = (typeof OPEN_DTYPES)[number];

export interface OpenModelOptions {
  /** When absent `stored` for files with blocks of few bits, else f32. Exported files have the format that they were written in. */
  readonly dtype?: OpenDType;
  /** The tokenizer of a llama2.c file, where it does not lie beside it: tokenizer.bin, tokenizer.model or a directory. */
  readonly tokenizer?: string;
}

export interface LanguageDecoderOptions extends CompileOptions {
  /** How keys and values are kept; f32 when absent. */
  readonly kvCache?: CacheDType;
  /** With the module that predicts one token further, to draft with; throws a UsageError where there is none. */
  readonly ahead?: boolean;
}

export interface LanguageModel {
  readonly model: CausalModel;
  readonly tokenizer: Tokenizer;
  /** The directory or file that was read. */
  readonly origin: string;
  readonly parameters: number;
  /** Bytes of the weights as stored. */
  readonly bytes: number;
  /** Present when the weights were opened as f32. */
  readonly store?: ParameterStore;
  /** Present when they are packed: reads their values. */
  readonly source?: OpenWeights;
  readonly dtype?: OpenDType;
  /** Present when it is an exported file: the graph as it is in it. */
  readonly exported?: Model;
  /** Compiles the inference program, with the weights as constants, which runtimes prepack. */
  decoder(runtime: Runtime, options?: LanguageDecoderOptions): Promise<Decoder>;
}

/** Opens a run folder, a Hugging Face directory, a .safetensors, a .gguf, a llama2.c .bin or an exported .onnx file. Throws one sentence naming what is wrong. */
export async function openLanguageModel(
  files: FileStore,
  path: string,
  { dtype, tokenizer }: OpenModelOptions = {},
): Promise<LanguageModel> {
  const place = await locateModel(files, path);
  if (tokenizer !== undefined && place.kind !== 'llama2c')
    throw new UsageError(
      `${path} has a tokenizer of its own; ${tokenizer} is for llama2.c files`,
      'tokenizer',
    );
  if (place.kind !== 'onnx') {
    const open = await openStored(files, place, tokenizer);
    const origin = place.kind === 'directory' ? (place.weights ?? place.folder) : place.path;
    const chosen = chosenDtype(open, dtype);
    return chosen === 'f32' ? openFloats(open, origin) : openPacked(open, origin, chosen);
  }
  if (dtype)
    throw new UsageError(
      `${place.path} has the format that it was exported in, and is not opened as ${dtype}; give a directory with weights`,
      'dtype',
    );
  return openExported(files, place.path);
}

function openStored(
  files: FileStore,
  place: Exclude<ModelPlace, { kind: 'onnx' }>,
  tokenizer?: string,
): Promise<OpenModelFiles> {
  if (place.kind === 'gguf') return openGgufFiles(files, place.path);
  if (place.kind === 'llama2c') return openLlama2cFiles(files, place.path, tokenizer);
  return openModelFiles(files, place.folder, place.weights);
}

/** Floats stay floats: `stored` is for what is in blocks already. */
function chosenDtype({ model, weights }: OpenModelFiles, dtype: OpenDType = 'stored'): OpenDType {
  if (dtype !== 'stored') return dtype;
  return model.parameters.some(({ name }) => weights.blocksOf?.(name)) ? 'stored' : 'f32';
}

async function openFloats(
  { model, tokenizer, weights }: OpenModelFiles,
  origin: string,
): Promise<LanguageModel> {
  const store = new ParameterStore(model.parameters);
  await weights.readInto(store);
  const { bytes } = weights;
  const decoder = cached(tokenizer, (runtime, options, cache) => {
    const rewrite = cache && ((graph: Graph, whole: CausalModel) => quantizeCache(graph, whole, cache));
    return Decoder.create(runtime, model, store.tensors(), { ...options, rewrite });
  });
  return { model, tokenizer, store, parameters: store.count, bytes, origin, decoder, dtype: 'f32' };
}

async function openPacked(
  { model, tokenizer, weights: source }: OpenModelFiles,
  origin: string,
  dtype: Exclude<OpenDType, 'f32'>,
): Promise<LanguageModel> {
  const decoder = cached(tokenizer, (runtime, options, cache) =>
    packedDecoder(runtime, model, source, packChoice(dtype), { ...options, cache }),
  );
  const { bytes } = source;
  return { model, tokenizer, source, parameters: countOf(model), bytes, origin, decoder, dtype };
}

async function openExported(files: FileStore, path: string): Promise<LanguageModel> {
  if (!(await isLanguageModelFile(files, path))) {
    throw new UsageError(
      `${path}: no config.json and tokenizer.json beside it or one folder above; this command needs a language model`,
    );
  }
  const loaded = await loadOnnxModel(files, path);
  const { model, tokenizer, bytes } = loaded;
  const decoder = cached(tokenizer, async (runtime, { ahead, ...options }, cache) => {
    if (ahead)
      throw new UsageError(
        `${path}: exported files have no module that predicts further; draft from the text so far`,
      );
    const graph = decodeForm(loaded.onnx, model, path);
    const stepModel = cache ? quantizeCache(graph, model, cache) : model;
    return Decoder.fromGraph(runtime, stepModel, graph, options);
  });
  return {
    model,
    tokenizer,
    parameters: countOf(model),
    bytes,
    origin: path,
    exported: loaded.onnx,
    decoder,
  };
}

type Compile = (
  runtime: Runtime,
  options: Omit<LanguageDecoderOptions, 'kvCache'>,
  cache?: CacheFormat,
) => Promise<Decoder>;

/** Text in which the ranges of keys and values are looked for: prose, numbers, code. */
const SAMPLE = `The old harbour was quiet when the last boat came in. "Did you find anything?" she asked; he shook his head.
In 1973 about 42% of 1,250 letters arrived late: 3 + 4 * 12 = 51. for (const x of list) { if (x > 0) sum += x; }`;

/** Compiles with float caches or, once their ranges are known, with caches of few bits. */
const cached =
  (tokenizer: Tokenizer, compile: Compile): LanguageModel['decoder'] =>
  async (runtime, { kvCache = 'f32', ...options } = {}) => {
    if (kvCache === 'f32') return compile(runtime, options);
    using plain = await compile(runtime, options);
    return compile(
      runtime,
      options,
      await measureCache(plain, [sampleIds(tokenizer, plain.model)], kvCache === 'int8' ? 8 : 4),
    );
  };

/** Ids of the sample, or a spread of all ids where the tokenizer cannot read it. */
function sampleIds(tokenizer: Tokenizer, { vocabSize, maxPositions }: CausalModel): number[] {
  const bos = tokenizer.bos === undefined ? [] : [tokenizer.bos];
  const ids = [...bos, ...idsOf(tokenizer, vocabSize)];
  return ids.slice(0, maxPositions);
}

function idsOf(tokenizer: Tokenizer, vocabSize: number): number[] {
  try {
    return [...tokenizer.encode(SAMPLE)];
  } catch {
    return Array.from({ length: 256 }, (_, i) => (i * 7919) % vocabSize);
  }
}

const countOf = ({ parameters }: CausalModel): number =>
  parameters.reduce((sum, spec) => sum + sizeOf(spec.dims), 0);

/** Whether an .onnx file lies in the directory of an exported language model. */
export async function isLanguageModelFile(files: FileStore, path: string): Promise<boolean> {
  for (const folder of [folderOf(path), joinPath(folderOf(path), '..')]) {
    if (await files.exists(`${folder}/config.json`)) return files.exists(`${folder}/tokenizer.json`);
  }
  return false;
}
