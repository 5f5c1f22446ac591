/**
 * A GGUF file as a model: configuration from the metadata, weights read tensor by tensor.
 *
 * 1. Names and shapes are held against the model before any memory is taken for values.
 * 2. Values that files store in another form (see names.ts) are turned back as they are read; what can only be turned
 *    whole is kept until another parameter is asked for.
 */
import { isReadable, READABLE_TYPES } from '../../formats/gguf/dequantize.ts';
import { type GgufFile, openGguf } from '../../formats/gguf/reader.ts';
import type { GgufMetadata } from '../../formats/gguf/types.ts';
import { sizeOf } from '../../graph/ir.ts';
import type { ParameterSpec } from '../../nn/parameters.ts';
import { ggufTokenizer } from '../../tokenizer/gguf-vocabulary.ts';
import { assert, GaslawError } from '../../util/errors.ts';
import type { FileStore } from '../../util/files.ts';
import type { OpenModelFiles } from '../files.ts';
import { modelFromConfig } from '../index.ts';
import { type CausalModel, withAhead } from '../model.ts';
import { pairsToHalves } from '../rotary-layout.ts';
import { type FloatReader, type OpenWeights, wholeReader } from '../weight-files.ts';
import { expertCount, type Json } from './keys.ts';
import { joinParts, keyDims, type LatentShape, latentShape, partNames, valueDims } from './latent.ts';
import { architectureOf, configFromGguf } from './metadata.ts';
import { isSpare, type StoredName, storedName } from './names.ts';
import { blocksOf } from './stored-blocks.ts';

export interface OpenGgufModel {
  readonly model: CausalModel;
  readonly weights: OpenWeights;
  readonly metadata: GgufMetadata;
}

/** Opens a file; its weights stay on disk. Throws one sentence that names what does not fit. */
export async function openGgufModel(files: FileStore, path: string): Promise<OpenGgufModel> {
  const file = await openGguf(files, path);
  const config = configFromGguf(file.metadata, await factsOf(file), path);
  const architecture = architectureOf(file.metadata, path);
  const model = withAhead(modelFromConfig(config, path), name =>
    file.tensors.has(storedName(architecture, name)?.name ?? ''),
  );
  const stored = matched(file, model);
  return { model, weights: openWeights(file, stored, config), metadata: file.metadata };
}

/** The same with the tokenizer that the file describes. */
export async function openGgufFiles(files: FileStore, path: string): Promise<OpenModelFiles> {
  const { model, weights, metadata } = await openGgufModel(files, path);
  return { model, weights, tokenizer: ggufTokenizer(metadata) };
}

async function factsOf(file: GgufFile) {
  const { tensors, path } = file;
  const table = tensors.get('token_embd.weight');
  if (!table) throw new GaslawError(`${path}: tensor "token_embd.weight" is missing`);
  const factors = tensors.get('rope_freqs.weight');
  const ropeFactors = factors && new Float32Array(sizeOf(factors.dims));
  if (ropeFactors) await file.readFloats('rope_freqs.weight', ropeFactors);
  return {
    vocabSize: table.dims[0] ?? 0,
    hasOutput: tensors.has('output.weight'),
    hasAttentionBias: tensors.has('blk.0.attn_q.bias'),
    ...(ropeFactors && { ropeFactors }),
  };
}

export interface Matched extends StoredName {
  readonly spec: ParameterSpec;
}

/** Every parameter with its tensor, and no tensor left over. */
function matched(file: GgufFile, model: CausalModel): Map<string, Matched> {
  const architecture = architectureOf(file.metadata, file.path);
  const config = model.toHuggingFace();
  const found = new Map<string, Matched>();
  const used = new Set<string>();
  for (const spec of model.parameters) {
    const stored = storedName(architecture, spec.name);
    assert(stored, `${file.path}: ${architecture} files have no tensor for parameter "${spec.name}"`);
    const of = placed(file, { ...stored, spec });
    for (const [name, dims] of tensorsOf(of, config)) {
      if (!used.has(name)) checkTensor(file, name, dims);
      used.add(name);
    }
    found.set(spec.name, of);
  }
  const rest = [...file.tensors.keys()].find(name => !used.has(name) && !isSpare(name, model.layers));
  assert(rest === undefined, `${file.path}: tensor "${rest}" is no part of this ${architecture} model`);
  return found;
}

/** Old files hold the matrix of a latent whole. */
const placed = ({ tensors }: GgufFile, of: Matched): Matched =>
  of.storage === 'latent' && tensors.has(of.name) ? { ...of, storage: 'same' } : of;

/** The tensors that hold a parameter, with their shapes. */
function tensorsOf(
  { name, storage, spec }: Matched,
  config: Json,
): [name: string, dims: readonly number[]][] {
  if (storage === 'expert') return [[name, [expertCount(config), ...spec.dims]]];
  if (storage !== 'latent') return [[name, spec.dims]];
  const [keys, values] = partNames(name);
  const shape = latentShape(config);
  return [
    [keys, keyDims(shape)],
    [values, valueDims(shape)],
  ];
}

function checkTensor({ tensors, path }: GgufFile, name: string, dims: readonly number[]): void {
  const tensor = tensors.get(name);
  assert(tensor, `${path}: tensor "${name}" is missing`);
  assert(
    tensor.dims.join() === dims.join(),
    `${path}: tensor "${name}" has shape [${tensor.dims}] but the metadata ask for [${dims}]`,
  );
  assert(
    isReadable(tensor.type),
    `${path}: tensor "${name}" is ${tensor.type}, which is not read; known are ${READABLE_TYPES.join(', ')}`,
  );
}

function openWeights(file: GgufFile, stored: ReadonlyMap<string, Matched>, config: Json): OpenWeights {
  const storedAs = (name: string): Matched => stored.get(name) as Matched; // every parameter of the model has one
  const read: FloatReader = async (name, out, first = 0) => {
    const { name: tensor, storage, spec, expert = 0 } = storedAs(name);
    await file.readFloats(tensor, out, expert * sizeOf(spec.dims) + first);
    if (storage === 'plus-one') for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) - 1;
  };
  const readFloats = wholeReader(read, name => wholeOf(file, storedAs(name), config));
  return {
    bytes: file.bytes,
    readFloats,
    elementsOf: name => sizeOf(storedAs(name).spec.dims),
    blocksOf: name => blocksOf(file, storedAs(name), config),
    async readInto(store) {
      for (const spec of store.specs) await readFloats(spec.name, store.slice(store.flat, spec));
    },
  };
}

/** The values of a parameter that is stored in another order. */
function wholeOf(file: GgufFile, of: Matched, config: Json): Promise<Float32Array> | undefined {
  if (of.storage === 'latent') return joined(file, of, latentShape(config));
  if (of.storage === 'query-pairs') return inHalves(file, of, Number(config.num_attention_heads));
  return of.storage === 'key-pairs' ? inHalves(file, of, Number(config.num_key_value_heads)) : undefined;
}

async function inHalves(file: GgufFile, { name, spec }: Matched, heads: number): Promise<Float32Array> {
  return pairsToHalves(await floatsOf(file, name, spec.dims), heads, spec.dims[1] ?? 1);
}

async function joined(file: GgufFile, { name }: Matched, shape: LatentShape): Promise<Float32Array> {
  const [keys, values] = partNames(name);
  return joinParts(
    await floatsOf(file, keys, keyDims(shape)),
    await floatsOf(file, values, valueDims(shape)),
    shape,
  );
}

async function floatsOf(file: GgufFile, name: string, dims: readonly number[]): Promise<Float32Array> {
  const values = new Float32Array(sizeOf(dims));
  await file.readFloats(name, values);
  return values;
}
