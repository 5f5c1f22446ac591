/** `gaslaw convert <model> --to FORMAT`: the same model in the files of another program. */
import { Command } from 'commander';
import { exportModel } from '../../export/directory.ts';
import { EXPORT_DTYPES, type ExportDType } from '../../export/dtypes.ts';
import { encodeGraph, GRAPH_FORMATS, type GraphFormat } from '../../export/graph-files.ts';
import { type LanguageModel, openLanguageModel } from '../../export/language-model.ts';
import { quantize } from '../../formats/gguf/quantize.ts';
import { saveModel } from '../../models/files.ts';
import { readImportance } from '../../models/gguf/importance.ts';
import { GGUF_FILE_TYPES, type GgufFileType } from '../../models/gguf/mixtures.ts';
import { type GgufFallback, ggufFallbacks, ggufOf, type WriteGgufOptions } from '../../models/gguf/write.ts';
import type { CausalModel } from '../../models/model.ts';
import { onnxBytes } from '../../models/onnx-files.ts';
import { loadOnnx } from '../../models/resolve.ts';
import { WEIGHT_DTYPES, type WeightDType } from '../../models/weight-files.ts';
import { ParameterStore } from '../../nn/parameters.ts';
import { assertDims, bindDims, symbolsOf } from '../../ops/bind-dims.ts';
import { bytes } from '../../report/format.ts';
import { ggufVocabulary } from '../../tokenizer/gguf-vocabulary.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { UsageError } from '../../util/errors.ts';
import { type FileStore, nameOf } from '../../util/files.ts';
import { nodeFiles } from '../node-files.ts';
import {
  type Dims,
  dimOption,
  GRAPH_FILE,
  JSON_OPTION,
  oneOf,
  refuse,
  TOKENIZER_OPTION,
} from '../options.ts';
import { createOutput, type Output, tellFallbacks } from '../output.ts';
import { VERSION } from '../version.ts';

interface Loaded {
  readonly model: CausalModel;
  readonly store: ParameterStore;
  readonly tokenizer: Tokenizer;
  /** Path of an importance matrix. */
  readonly imatrix?: string;
}

interface Format {
  readonly dtypes: readonly string[];
  /** Writes the model; returns the path of the weights. */
  write(files: FileStore, loaded: Loaded, dtype: string, out: string): Promise<string>;
  /** What it stores otherwise than asked. */
  fallbacks?(loaded: Loaded, dtype: string): GgufFallback[];
}

const SHORT: Readonly<Record<string, WeightDType>> = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' };

const onnx: Format = {
  dtypes: EXPORT_DTYPES,
  async write(files, { model, store, tokenizer }, dtype, out) {
    const options = { version: VERSION };
    return (await exportModel(files, out, model, store, tokenizer, dtype as ExportDType, options)).path;
  },
};

const FORMATS: Readonly<Record<string, Format>> = {
  onnx,
  transformersjs: onnx,
  safetensors: {
    dtypes: Object.keys(SHORT).filter(name => WEIGHT_DTYPES.includes(SHORT[name] as WeightDType)),
    async write(files, { model, store, tokenizer }, dtype, out) {
      await saveModel(files, out, model, store, tokenizer, { dtype: SHORT[dtype] });
      return out;
    },
  },
  gguf: {
    dtypes: GGUF_FILE_TYPES.map(type => type.toLowerCase()),
    async write(files, { model, store, tokenizer, imatrix }, dtype, out) {
      if (!out.endsWith('.gguf')) throw new UsageError(`--out ${out}: name a .gguf file`);
      const type = ggufType(dtype);
      const vocabulary = ggufVocabulary(tokenizer, { size: model.vocabSize });
      const name = nameOf(out).replace(/\.gguf$/, '');
      const quantizer = imatrix === undefined ? undefined : await weighted(files, imatrix, model);
      await files.write(out, ggufOf(model, store, { type, name, vocabulary, quantize: quantizer }));
      return out;
    },
    fallbacks: ({ model, store }, dtype) => ggufFallbacks(model, store, { type: ggufType(dtype) }),
  },
};

const ggufType = (dtype: string): GgufFileType =>
  GGUF_FILE_TYPES.find(type => type.toLowerCase() === dtype) as GgufFileType; // one of the format's

/** A folder that is named like a file was meant as one. */
function assertFolder({ to, out }: Options): void {
  const written = /\.(onnx|safetensors|gguf|tflite|bin)$/.exec(out);
  if (to !== 'gguf' && written)
    throw new UsageError(
      `--out ${out}: name a folder for --to ${to}: the tokenizer and the configuration lie beside the weights`,
    );
}

/** Blocks whose errors weigh as an importance matrix says. */
async function weighted(
  files: FileStore,
  path: string,
  model: CausalModel,
): Promise<WriteGgufOptions['quantize']> {
  const importance = await readImportance(files, path, model);
  return (parameter, type, values, columns) => quantize(type, values, columns, importance.get(parameter));
}

/** What `--to` takes: of language models those of FORMATS, of any graph those of GRAPH_FORMATS. */
const TARGETS = [...new Set([...Object.keys(FORMATS), ...GRAPH_FORMATS])];

interface Options {
  readonly to: string;
  readonly dtype?: string;
  readonly out: string;
  readonly tokenizer?: string;
  readonly imatrix?: string;
  readonly dim?: Dims;
  readonly json?: boolean;
}

export const convertCommand = (): Command =>
  new Command('convert')
    .description('write a model in the files of another program')
    .argument(
      '<model>',
      `run folder, Hugging Face directory, .safetensors, .gguf or llama2.c .bin file, or any ${GRAPH_FILE}`,
    )
    .requiredOption('--to <format>', TARGETS.join(', '), oneOf('--to', TARGETS))
    .option('--dtype <name>', 'type of the weights, as the format names it (default: f32)')
    .requiredOption('--out <path>', 'folder, or file')
    .option('--imatrix <file>', 'for gguf: which columns matter, as llama-imatrix found it (.gguf or .dat)')
    .option(...dimOption('in files with fixed shapes the batch is 1'))
    .option(...TOKENIZER_OPTION)
    .option(...JSON_OPTION)
    .action(run);

async function run(path: string, o: Options, command: Command): Promise<void> {
  const output = createOutput(o.json ?? false);
  const files = nodeFiles();
  if (/\.(onnx|tflite)$/.test(path)) {
    refuse(command, ['dtype'], `${path} keeps the types that it has; leave the option out`);
    refuse(command, ['tokenizer', 'imatrix'], `${path} is converted as a graph; leave the option out`);
    return convertGraph(files, path, o, output);
  }
  const format = FORMATS[o.to];
  if (!format)
    throw new UsageError(`--to ${o.to}: only .onnx and .tflite files are written so; export the model first`);
  refuse(command, ['dim'], `${path} is a language model; this is for other graphs`);
  if (o.to !== 'gguf') refuse(command, ['imatrix'], 'it is for --to gguf alone');
  assertFolder(o);
  const dtype = oneOf(`--dtype for ${o.to}`, format.dtypes)(o.dtype ?? 'f32');
  const language = await openLanguageModel(files, path, { tokenizer: o.tokenizer });
  const { model, tokenizer, bytes: bytesBefore } = language;
  const store = await floatsOf(language);
  const loaded = { model, store, tokenizer, imatrix: o.imatrix };
  const written = await format.write(files, loaded, dtype, o.out);
  const bytesAfter = await sizeOf(files, written);
  const fallbacks = format.fallbacks?.(loaded, dtype);
  tellFallbacks(output, fallbacks);
  const result = {
    output: written,
    to: o.to,
    dtype,
    bytesBefore,
    bytesAfter,
    ...(fallbacks && { fallbacks }),
  };
  output.result(result, () => [`${written}: ${bytes(bytesBefore)} → ${bytes(bytesAfter)}`]);
}

/** All weights as floats, however they were opened. */
async function floatsOf({ store, source, model, origin }: LanguageModel): Promise<ParameterStore> {
  if (store) return store;
  if (!source)
    throw new UsageError(`${origin}: exported files are not converted; give the model that they came from`);
  const read = new ParameterStore(model.parameters);
  await source.readInto(read);
  return read;
}

/** A graph file as another one. */
async function convertGraph(files: FileStore, path: string, o: Options, output: Output): Promise<void> {
  const to = oneOf(`--to of ${path}`, GRAPH_FORMATS)(o.to) satisfies GraphFormat;
  const { model, bytes: bytesBefore } = await loadOnnx(files, path);
  const dims = o.dim ?? new Map<string, number>();
  assertDims(model.graph, dims);
  const bound = { ...model, graph: bindDims(model.graph, dims, to === 'onnx' ? 'none' : 'batch') };
  const [symbol] = to === 'onnx' ? [] : symbolsOf(bound.graph.inputs);
  if (symbol !== undefined)
    throw new UsageError(
      `${path}: dimension "${symbol}" has no number, and ${to} has fixed shapes; give --dim ${symbol}=N`,
    );
  const content = encodeGraph(bound, to, nameOf(o.out).replace(/\.[^.]*$/, ''));
  await files.write(o.out, content);
  const result = { output: o.out, to, bytesBefore, bytesAfter: content.byteLength };
  output.result(result, () => [`${o.out}: ${bytes(bytesBefore)} → ${bytes(content.byteLength)}`]);
}

/** Bytes of a file, or of the weights in a folder. */
async function sizeOf(files: FileStore, path: string): Promise<number> {
  if (path.endsWith('.onnx')) return onnxBytes(files, path);
  if (path.endsWith('.gguf')) return files.size(path);
  const weights = (await files.list(path)).filter(name => name.endsWith('.safetensors'));
  const sizes = await Promise.all(weights.map(name => files.size(`${path}/${name}`)));
  return sizes.reduce((a, b) => a + b, 0);
}
