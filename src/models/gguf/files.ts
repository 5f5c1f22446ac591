/**
 * A GGUF file as a model: configuration from the metadata, weights read tensor by tensor.
 *
 * 1. Names and shapes are held against the model before any memory is taken for values.
 * 2. Values that files store in another form (see names.ts) are turned back as they are read.
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
import type { CausalModel } from '../model.ts';
import { type FloatReader, halvesReader } from '../rotary-layout.ts';
import type { OpenWeights } from '../weight-files.ts';
import { architectureOf, configFromGguf } from './metadata.ts';
import { isSpare, type Storage, type StoredName, storedName } from './names.ts';

export interface OpenGgufModel {
  readonly model: CausalModel;
  readonly weights: OpenWeights;
  readonly metadata: GgufMetadata;
}

/** Opens a file; its weights stay on disk. Throws one sentence that names what does not fit. */
export async function openGgufModel(files: FileStore, path: string): Promise<OpenGgufModel> {
  const file = await openGguf(files, path);
  const config = configFromGguf(file.metadata, await factsOf(file), path);
  const model = modelFromConfig(config, path);
  const stored = matched(file, model, Number(config.num_attention_heads), Number(config.num_key_value_heads));
  return { model, weights: openWeights(file, stored), metadata: file.metadata };
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

interface Matched extends StoredName {
  readonly spec: ParameterSpec;
  /** Heads whose rows are in pairs. */
  readonly heads: number;
}

/** Every parameter with its tensor, and no tensor left over. */
function matched(file: GgufFile, model: CausalModel, heads: number, keyHeads: number): Map<string, Matched> {
  const architecture = architectureOf(file.metadata, file.path);
  const found = new Map<string, Matched>();
  const used = new Set<string>();
  for (const spec of model.parameters) {
    const stored = storedName(architecture, spec.name);
    assert(stored, `${file.path}: ${architecture} files have no tensor for parameter "${spec.name}"`);
    checkTensor(file, stored.name, spec);
    used.add(stored.name);
    found.set(spec.name, { ...stored, spec, heads: stored.storage === 'query-pairs' ? heads : keyHeads });
  }
  const rest = [...file.tensors.keys()].find(name => !used.has(name) && !isSpare(name));
  assert(rest === undefined, `${file.path}: tensor "${rest}" is no part of this ${architecture} model`);
  return found;
}

function checkTensor({ tensors, path }: GgufFile, name: string, { dims }: ParameterSpec): void {
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

function openWeights(file: GgufFile, stored: ReadonlyMap<string, Matched>): OpenWeights {
  const storedAs = (name: string): Matched => stored.get(name) as Matched; // every parameter of the model has one
  const read: FloatReader = async (name, out, first) => {
    const { name: tensor, storage } = storedAs(name);
    await file.readFloats(tensor, out, first);
    if (storage === 'plus-one') for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) - 1;
  };
  const readFloats = halvesReader(read, name => {
    const { storage, heads, spec } = storedAs(name);
    return inPairs(storage) ? { heads, dims: spec.dims } : undefined;
  });
  return {
    bytes: file.bytes,
    readFloats,
    elementsOf: name => sizeOf(storedAs(name).spec.dims),
    async readInto(store) {
      for (const spec of store.specs) await readFloats(spec.name, store.slice(store.flat, spec));
    },
  };
}

const inPairs = (storage: Storage): boolean => storage === 'query-pairs' || storage === 'key-pairs';
