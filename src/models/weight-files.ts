/**
 * The weights in a Hugging Face directory: model.safetensors, or several files that model.safetensors.index.json lists.
 *
 * 1. Opening reads headers alone. Names, shapes and types are checked against the model before any memory is taken for
 *    values; then each tensor is read piece by piece into the place where it stays.
 * 2. Every tensor must belong to the model, and every parameter must be there: what a model's own `weights` does not
 *    know is an error that names it, since it would change what the model computes.
 * 3. Writing starts a new file where the next tensor would cross the limit, in the order of the parameters.
 */
import {
  encodePending,
  openSafetensors,
  type PendingTensor,
  type SafetensorsEntry,
  type SafetensorsFile,
  SCALED_FLOAT,
  STORED_FLOATS,
} from '../formats/safetensors.ts';
import { byteLength, type DType } from '../graph/dtype.ts';
import { float32, sizeOf } from '../graph/ir.ts';
import type { ParameterSpec, ParameterStore } from '../nn/parameters.ts';
import { assert, GaslawError } from '../util/errors.ts';
import { type FileStore, readJson } from '../util/files.ts';
import { encodeFloats } from '../util/float16.ts';
import { type CausalModel, type WeightNames, withAhead } from './model.ts';
import {
  checkScales,
  isScales,
  type ScaleBlock,
  type StoredTensor,
  scaledReader,
  scalesOf,
} from './scaled-weights.ts';

const WEIGHTS = 'model.safetensors';
const INDEX = `${WEIGHTS}.index.json`;
const SHARD = /^model-\d{5}-of-\d{5}\.safetensors$/;

/** Whether a file of this name holds weights of a directory, all or some. */
export const isDirectoryWeights = (name: string): boolean => name === WEIGHTS || SHARD.test(name);

/** Whether a folder holds weights that `openWeights` reads. */
export const hasWeights = async (files: FileStore, folder: string): Promise<boolean> =>
  (await files.exists(`${folder}/${WEIGHTS}`)) || (await files.exists(`${folder}/${INDEX}`));

// ---- reading ----

export interface OpenWeights {
  /** Bytes of the weight files. */
  readonly bytes: number;
  /** Reads all values into a store of the model's parameters. */
  readInto(store: ParameterStore): Promise<void>;
  /** How many elements a parameter has. */
  elementsOf(name: string): number;
  /** Reads the elements of one parameter from number `first` on. */
  readonly readFloats: FloatReader;
  /** How a matrix is stored, where that is in blocks of few bits. */
  blocksOf?(name: string): StoredBlocks | undefined;
}

/** A matrix that is stored in blocks, each along a row. */
export interface StoredBlocks {
  /** Present where quantized products take the blocks as they are. */
  readonly packed?: {
    readonly bits: 4 | 8;
    readonly blockSize: number;
    /** Moves all blocks into codes and scales that hold a whole product's, from block number `first` on. */
    readInto(
      target: { readonly codes: Uint8Array; readonly scales: Float32Array },
      first: number,
    ): Promise<void>;
  };
}

/** Reads elements of a parameter from number `first` on. */
export type FloatReader = (name: string, out: Float32Array, first?: number) => Promise<void>;

/**
 * A reader where some parameters can only be made whole. Pieces of one are asked for one after the other: the last is kept.
 * @param whole makes a parameter that `read` cannot; undefined for the others
 */
export function wholeReader(
  read: FloatReader,
  whole: (name: string) => Promise<Float32Array> | undefined,
): FloatReader {
  let last: { name: string; values: Float32Array } | undefined;
  return async (name, out, first = 0) => {
    if (last?.name !== name) {
      const made = whole(name);
      if (!made) return read(name, out, first);
      last = { name, values: await made };
    }
    out.set(last.values.subarray(first, first + out.length));
  };
}

interface Source extends StoredTensor {
  /** Present for 8-bit floats. */
  readonly scales?: StoredTensor;
}

/** What weight files are held against. */
export interface ExpectedWeights {
  readonly parameters: readonly ParameterSpec[];
  readonly weights?: WeightNames;
  /** What the tensors make up, for errors: `qwen3 model`. */
  readonly what: string;
  /** The file that says so. */
  readonly config: string;
  /** The block of 8-bit floats that shares a scale; absent when there are none. */
  readonly scaleBlock?: ScaleBlock;
}

/**
 * Opens a directory's weights for `model`, or those in the file that is named. Throws one sentence that names what does not
 * fit it.
 * @returns the weights, and the model with what it has of optional modules
 */
export async function openWeights(
  files: FileStore,
  folder: string,
  model: CausalModel,
  { file, scaleBlock }: { file?: string; scaleBlock?: ScaleBlock } = {},
): Promise<{ model: CausalModel; weights: OpenWeights }> {
  const paths = file ? [file] : (await weightFiles(files, folder)).map(name => `${folder}/${name}`);
  const opened = await openAll(files, paths);
  const whole = withAhead(model, name => opened.some(({ content }) => content.entries.has(name)));
  const { parameters, weights, architecture } = whole;
  const expected = {
    parameters,
    weights,
    what: `${architecture} model`,
    config: 'config.json',
    scaleBlock,
  };
  return { model: whole, weights: weightsOf(opened, expected, file ?? `${folder}/${WEIGHTS}`) };
}

/** Opens safetensors files that together hold what is expected. */
export async function openFiles(
  files: FileStore,
  paths: readonly string[],
  expected: ExpectedWeights,
  origin: string,
): Promise<OpenWeights> {
  return weightsOf(await openAll(files, paths), expected, origin);
}

interface Opened {
  readonly path: string;
  readonly bytes: number;
  readonly content: SafetensorsFile;
}

async function openAll(files: FileStore, paths: readonly string[]): Promise<Opened[]> {
  const opened: Opened[] = [];
  for (const path of paths)
    opened.push({ path, bytes: await files.size(path), content: await openSafetensors(files, path) });
  return opened;
}

function weightsOf(opened: readonly Opened[], expected: ExpectedWeights, origin: string): OpenWeights {
  const found: Found = { sources: new Map(), scales: new Map() };
  const { sources } = found;
  for (const { path, content } of opened) addSources(found, content, path, expected);
  checkSources(sources, expected, origin);
  addScales(found, expected.scaleBlock);
  const readScaled = scaledReader();
  const readFloats: FloatReader = (name, out, first) => {
    const source = sources.get(name) as Source;
    const { file, stored, scales } = source;
    if (!scales) return file.readFloats(stored, out, first);
    return readScaled(source, scales, expected.scaleBlock as ScaleBlock, out, first); // checked by addScales
  };
  return {
    bytes: opened.reduce((sum, file) => sum + file.bytes, 0),
    readFloats,
    elementsOf(name) {
      const { file, stored } = sources.get(name) as Source;
      return sizeOf(file.entries.get(stored)?.dims ?? []);
    },
    async readInto(store) {
      for (const spec of store.specs) await readFloats(spec.name, store.slice(store.flat, spec));
    },
  };
}

/** Files with weights, from the index where there is one. */
async function weightFiles(files: FileStore, folder: string): Promise<string[]> {
  const index = `${folder}/${INDEX}`;
  if (await files.exists(`${folder}/${WEIGHTS}`)) return [WEIGHTS];
  assert(
    await files.exists(index),
    `${folder}: no ${WEIGHTS} and no ${INDEX}; other weight files have to be converted to safetensors first`,
  );
  const map = ((await readJson(files, index)) as { weight_map?: unknown } | null)?.weight_map;
  assert(typeof map === 'object' && map !== null, `${index}: no weight_map`);
  const names = [...new Set(Object.values(map))];
  for (const name of names) await checkListed(files, folder, name, index);
  return names as string[];
}

async function checkListed(files: FileStore, folder: string, name: unknown, index: string): Promise<void> {
  const plain = typeof name === 'string' && /^[^/\\]+\.safetensors$/.test(name);
  assert(plain, `${index}: ${JSON.stringify(name)} is not the name of a safetensors file beside it`);
  assert(
    await files.exists(`${folder}/${name}`),
    `${folder}/${name}: no such file, though ${INDEX} lists it; download the directory whole`,
  );
}

interface Found {
  /** By parameter. */
  readonly sources: Map<string, Source>;
  /** Scales by their names in files. */
  readonly scales: Map<string, StoredTensor>;
}

function addSources(
  { sources, scales }: Found,
  file: SafetensorsFile,
  path: string,
  { parameters, weights, what, config }: ExpectedWeights,
): void {
  const known = new Map(parameters.map(spec => [spec.name, spec]));
  for (const [stored, { dtype, dims }] of file.entries) {
    const tensor = `${path}: tensor "${stored}"`;
    if (isScales(stored)) {
      scales.set(stored, { file, path, stored });
      continue;
    }
    const name = weights?.parameterOf(stored) ?? stored;
    const spec = known.get(name);
    if (!spec && weights?.isSpare(stored)) continue;
    assert(spec, `${tensor} is no part of this ${what}; is ${config} its own?`);
    assert(!sources.has(name), `${tensor} is in ${sources.get(name)?.path} already`);
    assert(
      dims.join() === spec.dims.join(),
      `${tensor} has shape [${dims}] but ${config} asks for [${spec.dims}]`,
    );
    assert(isWeight(dtype), `${tensor} is ${dtype}; weights must be ${WEIGHT_FLOATS.join(', ')}`);
    sources.set(name, { file, path, stored });
  }
}

const WEIGHT_FLOATS = [...STORED_FLOATS, SCALED_FLOAT] as const;
const isWeight = (dtype: DType): boolean => (WEIGHT_FLOATS as readonly DType[]).includes(dtype);

/** Gives 8-bit floats their scales. */
function addScales({ sources, scales }: Found, block: ScaleBlock | undefined): void {
  for (const [name, source] of sources) {
    const entry = source.file.entries.get(source.stored) as SafetensorsEntry; // it was found there
    if (entry.dtype !== SCALED_FLOAT) continue;
    const own = scales.get(scalesOf(source.stored));
    checkScales(source, entry, own, block);
    sources.set(name, { ...source, scales: own });
  }
}

function checkSources(
  sources: ReadonlyMap<string, Source>,
  { parameters, what }: ExpectedWeights,
  origin: string,
): void {
  const missing = parameters.filter(({ name }) => !sources.has(name));
  if (missing.length === 0) return;
  const others = missing.length > 1 ? ` (and ${missing.length - 1} more)` : '';
  throw new GaslawError(
    `${origin}: tensor "${missing[0]?.name}" is missing${others}; the files do not make up this ${what}`,
  );
}

// ---- writing ----

/** Types that weights can be written in. */
export const WEIGHT_DTYPES = ['float32', 'float16', 'bfloat16'] as const;
export type WeightDType = (typeof WEIGHT_DTYPES)[number];

export interface WriteOptions {
  /** Type of the values in the files; float32 when absent. */
  readonly dtype?: WeightDType;
  /** Most bytes of values in one file, but for a tensor that is larger by itself; 5 GB when absent. */
  readonly maxShardBytes?: number;
}

const DEFAULT_SHARD_BYTES = 5e9;

/** Writes the weights and removes what other weight files lie there. */
export async function writeWeights(
  files: FileStore,
  folder: string,
  store: ParameterStore,
  { dtype = 'float32', maxShardBytes = DEFAULT_SHARD_BYTES }: WriteOptions = {},
): Promise<void> {
  const shards = shardsOf(store.specs, dtype, maxShardBytes);
  const names = shards.map((_, i) => shardName(i, shards.length));
  for (const [i, specs] of shards.entries()) {
    await files.write(`${folder}/${names[i]}`, tensorsOf(store, specs, dtype));
  }
  if (shards.length > 1) await files.write(`${folder}/${INDEX}`, indexOf(shards, names, dtype));
  await removeOthers(files, folder, shards.length > 1 ? [...names, INDEX] : names);
}

/** A safetensors file of some of a store's parameters, made as it is written. */
export const tensorsOf = (
  store: ParameterStore,
  specs: readonly ParameterSpec[],
  dtype: WeightDType,
): Iterable<Uint8Array> =>
  encodePending(
    new Map(specs.map(spec => [spec.name, pending(store, spec, dtype)])),
    new Map([['format', 'pt']]),
  );

function shardsOf(specs: readonly ParameterSpec[], dtype: WeightDType, limit: number): ParameterSpec[][] {
  const shards: ParameterSpec[][] = [[]];
  let room = limit;
  for (const spec of specs) {
    const bytes = bytesOf(spec, dtype);
    if (bytes > room && (shards.at(-1) as ParameterSpec[]).length > 0) {
      shards.push([]);
      room = limit;
    }
    shards.at(-1)?.push(spec);
    room -= bytes;
  }
  return shards;
}

const bytesOf = ({ dims }: ParameterSpec, dtype: WeightDType): number => byteLength(dtype, sizeOf(dims));

function shardName(i: number, count: number): string {
  const digits = (n: number) => String(n).padStart(5, '0');
  return count === 1 ? WEIGHTS : `model-${digits(i + 1)}-of-${digits(count)}.safetensors`;
}

const pending = (store: ParameterStore, spec: ParameterSpec, dtype: WeightDType): PendingTensor => ({
  dtype,
  dims: spec.dims,
  make() {
    const values = store.slice(store.flat, spec);
    if (dtype === 'float32') return float32(spec.dims, values);
    return { dtype, dims: spec.dims, data: encodeFloats(values, dtype) };
  },
});

/** model.safetensors.index.json as transformers writes it. */
function indexOf(shards: readonly ParameterSpec[][], names: readonly string[], dtype: WeightDType): string {
  const all = shards.flat();
  const metadata = {
    total_parameters: all.reduce((n, { dims }) => n + sizeOf(dims), 0),
    total_size: all.reduce((n, spec) => n + bytesOf(spec, dtype), 0),
  };
  const places = shards.flatMap((specs, i) => specs.map(({ name }) => [name, names[i]] as const));
  const weight_map = Object.fromEntries(places.sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ metadata, weight_map }, null, 2)}\n`;
}

/** Files of an earlier model there would be read instead of these, or beside them. */
async function removeOthers(files: FileStore, folder: string, written: readonly string[]): Promise<void> {
  const ours = (name: string) => name === WEIGHTS || name === INDEX || SHARD.test(name);
  for (const name of await files.list(folder)) {
    if (ours(name) && !written.includes(name)) await files.remove(`${folder}/${name}`);
  }
}
