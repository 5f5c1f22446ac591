/**
 * A model as a GGUF file that llama.cpp reads.
 *
 * 1. Matrices take the type asked for where their rows are whole blocks of it, else the next larger one that fits; vectors
 *    are F32, as llama.cpp wants them.
 * 2. The experts of a layer are one tensor, made of one after the other; what chooses among them stays F32.
 * 3. Mixtures (mixtures.ts) raise the type of what is sensitive first.
 * 4. At 2 to 5 bits the output matrix, or the tied table in its place, is Q6_K: it is the most sensitive one.
 */

import { quantize, type WritableType } from '../../formats/gguf/quantize.ts';
import { fitsBlocks, type GgufValue, scalar } from '../../formats/gguf/types.ts';
import { encodeGguf, type PendingGgufTensor } from '../../formats/gguf/writer.ts';
import type { ParameterSpec, ParameterStore } from '../../nn/parameters.ts';
import type { GgufEntries } from '../../tokenizer/gguf-vocabulary.ts';
import { GaslawError } from '../../util/errors.ts';
import type { CausalModel } from '../model.ts';
import { halvesToPairs } from '../rotary-layout.ts';
import { expertCount, type Json } from './keys.ts';
import { keyDims, keyPart, latentShape, partNames, valueDims, valuePart } from './latent.ts';
import { ggufArchitecture, llama3Factors, metadataFromConfig } from './metadata.ts';
import { type GgufFileType, isMixture, mixedType, mixtureFileType } from './mixtures.ts';
import { type Storage, type StoredName, storedName } from './names.ts';

export interface WriteGgufOptions {
  readonly type: GgufFileType;
  readonly name: string;
  /** The vocabulary's metadata, keys `tokenizer.…` (see tokenizer/gguf-vocabulary.ts). */
  readonly vocabulary: GgufEntries;
  /** Stores whole rows of a parameter. Default: `quantize`. */
  readonly quantize?: (
    parameter: string,
    type: WritableType,
    values: Float32Array,
    columns: number,
  ) => Uint8Array;
}

/** llama.cpp's numbers of the type that most matrices have. */
const FILE_TYPES: Readonly<Record<WritableType, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q5_0: 8,
  Q5_1: 9,
  Q2_K: 10,
  Q3_K: 11,
  Q4_K: 14,
  Q5_K: 16,
  Q6_K: 18,
  BF16: 32,
};

const fileType = (type: GgufFileType): number => (isMixture(type) ? mixtureFileType(type) : FILE_TYPES[type]);

/** What takes the place of a type whose blocks do not fit the rows. */
const LARGER: Readonly<Partial<Record<WritableType, WritableType>>> = {
  Q2_K: 'Q4_0',
  Q3_K: 'Q4_0',
  Q4_K: 'Q5_0',
  Q5_K: 'Q5_1',
  Q6_K: 'Q8_0',
  Q4_0: 'F16',
  Q4_1: 'F16',
  Q5_0: 'F16',
  Q5_1: 'F16',
  Q8_0: 'F16',
};

const KEEPS_OUTPUT: ReadonlySet<WritableType> = new Set([
  'Q2_K',
  'Q3_K',
  'Q4_K',
  'Q5_K',
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
]);

/** The file in pieces; each tensor is made as it is written. Throws before the first for what GGUF cannot hold. */
export function ggufOf(
  model: CausalModel,
  store: ParameterStore,
  options: WriteGgufOptions,
): Iterable<Uint8Array> {
  const config = model.toHuggingFace();
  const metadata = metadataFromConfig(config, options.name);
  metadata.set('general.file_type', scalar('uint32', fileType(options.type)));
  for (const [key, value] of aheadMetadata(config, store.specs)) metadata.set(key, value);
  for (const [key, value] of options.vocabulary) metadata.set(key, value as GgufValue); // its types are GGUF's
  const tensors = store.specs.flatMap(spec => pendings(config, store, spec, options));
  return encodeGguf(metadata, [...ropeFactors(config), ...tensors]);
}

/** A module that predicts one token further is one more block, where the store has its parameters. */
function aheadMetadata(config: Json, specs: readonly ParameterSpec[]): [string, GgufValue][] {
  const layers = Number(config.num_hidden_layers);
  const blocks = Math.max(
    ...specs.map(({ name }) => 1 + Number(/^model\.layers\.(\d+)\./.exec(name)?.[1] ?? -1)),
  );
  if (blocks <= layers) return [];
  const architecture = ggufArchitecture(config);
  return [
    [`${architecture}.block_count`, scalar('uint32', blocks)],
    [`${architecture}.nextn_predict_layers`, scalar('uint32', blocks - layers)],
  ];
}

/** The tensors that begin with a parameter: an expert's but the first's is part of one before it. */
function pendings(
  config: Json,
  store: ParameterStore,
  spec: ParameterSpec,
  options: WriteGgufOptions,
): PendingGgufTensor[] {
  const architecture = ggufArchitecture(config);
  const stored = storedName(architecture, spec.name);
  if (!stored) throw new GaslawError(`parameter "${spec.name}" has no name in ${architecture} files`);
  if (stored.storage === 'latent') return latentPendings(config, store, spec, stored, options);
  if (stored.expert !== undefined)
    return stored.expert === 0 ? [stacked(config, store, spec, stored, options)] : [];
  const type = typeFor(spec, wantedFor(config, spec, options), config.tie_word_embeddings === true);
  const columns = spec.dims.at(-1) as number;
  const make = (): Float32Array => inStorage(store.slice(store.flat, spec), stored.storage, config, columns);
  return [pending(stored.name, type, spec.dims, [[spec.name, make]], options)];
}

type Part = readonly [parameter: string, make: () => Float32Array];

const pending = (
  name: string,
  type: WritableType,
  dims: readonly number[],
  parts: readonly Part[],
  { quantize: write = (_, ...rest) => quantize(...rest) }: WriteGgufOptions,
): PendingGgufTensor => ({
  name,
  type,
  dims,
  *make() {
    for (const [parameter, make] of parts) yield write(parameter, type, make(), dims.at(-1) as number);
  },
});

/** All experts of a layer [E, rows, columns]. */
function stacked(
  config: Json,
  store: ParameterStore,
  spec: ParameterSpec,
  { name }: StoredName,
  options: WriteGgufOptions,
): PendingGgufTensor {
  const count = expertCount(config);
  const parts = Array.from({ length: count }, (_, i): Part => {
    const parameter = spec.name.replace('.experts.0.', `.experts.${i}.`);
    return [parameter, () => store.tensor(parameter).data as Float32Array]; // stores hold float32
  });
  return pending(
    name,
    typeFor(spec, wantedFor(config, spec, options), false),
    [count, ...spec.dims],
    parts,
    options,
  );
}

/** The matrix that makes keys and values of a latent, as two; the keys' columns are not those that were calibrated. */
function latentPendings(
  config: Json,
  store: ParameterStore,
  spec: ParameterSpec,
  { name }: StoredName,
  options: WriteGgufOptions,
): PendingGgufTensor[] {
  const shape = latentShape(config);
  const whole = (): Float32Array => store.slice(store.flat, spec);
  const [keys, values] = partNames(name);
  const typeOf = (dims: readonly number[]) =>
    typeFor({ name: spec.name, dims }, wantedFor(config, spec, options), false);
  const [forKeys, forValues] = [keyDims(shape), valueDims(shape)];
  const plain = { ...options, quantize: undefined };
  return [
    pending(keys, typeOf(forKeys), forKeys, [[spec.name, () => keyPart(whole(), shape)]], plain),
    pending(values, typeOf(forValues), forValues, [[spec.name, () => valuePart(whole(), shape)]], options),
  ];
}

function inStorage(values: Float32Array, storage: Storage, config: Json, columns: number): Float32Array {
  if (storage === 'plus-one') return values.map(v => v + 1);
  if (storage === 'same') return values;
  const heads = Number(storage === 'query-pairs' ? config.num_attention_heads : config.num_key_value_heads);
  // a bias is a column of its own
  return halvesToPairs(values, heads, values.length === columns ? 1 : columns);
}

/** The type of a matrix before its shape has a say. */
const wantedFor = (
  config: Json,
  { name }: ParameterSpec,
  { type }: Pick<WriteGgufOptions, 'type'>,
): WritableType => (isMixture(type) ? mixedType(type, name, Number(config.num_hidden_layers)) : type);

function typeFor(
  { name, dims }: Pick<ParameterSpec, 'name' | 'dims'>,
  wanted: WritableType,
  tied: boolean,
): WritableType {
  return fitted(unfitted({ name, dims }, wanted, tied), dims.at(-1) as number);
}

/** The type of a tensor whatever the length of its rows. */
function unfitted(
  { name, dims }: Pick<ParameterSpec, 'name' | 'dims'>,
  wanted: WritableType,
  tied: boolean,
): WritableType {
  if (dims.length < 2 || name.endsWith('.mlp.gate.weight')) return 'F32';
  const isOutput = name.startsWith(tied ? 'model.embed_tokens' : 'lm_head');
  return isOutput && KEEPS_OUTPUT.has(wanted) ? 'Q6_K' : wanted;
}

function fitted(wanted: WritableType, columns: number): WritableType {
  let type = wanted;
  while (!fitsBlocks(type, columns)) type = LARGER[type] ?? 'F16';
  return type;
}

/** Tensors that are not of the type asked for, because their rows are no whole blocks of it. */
export interface GgufFallback {
  readonly wanted: WritableType;
  readonly type: WritableType;
  readonly tensors: number;
  /** Of all tensors of the file. */
  readonly of: number;
  /** How long their rows are. */
  readonly columns: readonly number[];
}

/** What `ggufOf` stores otherwise than asked, by type. */
export function ggufFallbacks(
  model: CausalModel,
  store: ParameterStore,
  options: Pick<WriteGgufOptions, 'type'>,
): GgufFallback[] {
  const config = model.toHuggingFace();
  const matrices = store.specs.flatMap(spec => matricesOf(config, spec));
  const found = new Map<string, GgufFallback>();
  for (const { spec, dims } of matrices) {
    const columns = dims.at(-1) as number;
    const wanted = unfitted(spec, wantedFor(config, spec, options), config.tie_word_embeddings === true);
    const type = fitted(wanted, columns);
    if (type === wanted) continue;
    const { tensors, columns: others } = found.get(wanted + type) ?? { tensors: 0, columns: [] };
    const all = [...new Set([...others, columns])].sort((a, b) => a - b);
    found.set(wanted + type, { wanted, type, tensors: tensors + 1, of: matrices.length, columns: all });
  }
  return [...found.values()];
}

/** What a parameter begins in the file: an expert's is part of the first one's, a latent's are two. */
function matricesOf(config: Json, spec: ParameterSpec): { spec: ParameterSpec; dims: readonly number[] }[] {
  const stored = storedName(ggufArchitecture(config), spec.name);
  if (!stored || (stored.expert ?? 0) > 0) return [];
  if (stored.storage !== 'latent') return [{ spec, dims: spec.dims }];
  const shape = latentShape(config);
  return [keyDims(shape), valueDims(shape)].map(dims => ({ spec, dims }));
}

function ropeFactors(config: Json): PendingGgufTensor[] {
  const scaling = config.rope_scaling as Record<string, unknown> | undefined;
  if (scaling?.rope_type !== 'llama3') return [];
  const factors = llama3Factors({
    headDim: Number(config.head_dim),
    theta: Number(config.rope_theta),
    factor: Number(scaling.factor),
  });
  return [
    {
      name: 'rope_freqs.weight',
      type: 'F32',
      dims: [factors.length],
      make: () => [new Uint8Array(Float32Array.from(factors).buffer)],
    },
  ];
}
