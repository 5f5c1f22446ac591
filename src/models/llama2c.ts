/**
 * A llama2.c file (versions 0 to 2) as a model, with the tokenizer that belongs to it.
 *
 * 1. Its constants are run.c's: rotary base 10,000, norms with ε = 1e-5, token 1 begins a text; 2 ends one,
 *    and so does 1: texts followed one another in training, each with 1 in front, and run.c stops there.
 * 2. Queries and keys are stored as adjacent pairs and turned to halves as they are read.
 * 3. Where no tokenizer is named, `tokN.bin` (N pieces) or `tokenizer.bin` beside the file is taken.
 */
import { type Llama2cConfig, type Llama2cTensor, openLlama2c } from '../formats/llama2c.ts';
import { sizeOf } from '../graph/ir.ts';
import type { ParameterSpec } from '../nn/parameters.ts';
import { readTokenizer } from '../tokenizer/directory.ts';
import { llama2cTokenizer } from '../tokenizer/sentencepiece/llama2c.ts';
import { readSentencePiece } from '../tokenizer/sentencepiece/model-file.ts';
import { sentencePieceTokenizer } from '../tokenizer/sentencepiece/tokenizer.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { GaslawError } from '../util/errors.ts';
import { type FileStore, folderOf } from '../util/files.ts';
import type { OpenModelFiles } from './files.ts';
import { modelFromConfig } from './index.ts';
import { pairsToHalves } from './rotary-layout.ts';
import { type OpenWeights, wholeReader } from './weight-files.ts';

/** Opens a file; its weights stay on disk. Throws one sentence that names what does not fit. */
export async function openLlama2cModel(
  files: FileStore,
  path: string,
): Promise<Omit<OpenModelFiles, 'tokenizer'>> {
  const file = await openLlama2c(files, path);
  const model = modelFromConfig(huggingFaceConfig(file.config), path);
  const specs = new Map(model.parameters.map(spec => [spec.name, spec]));
  const specOf = (name: string): ParameterSpec => specs.get(name) as ParameterSpec; // the model's own names
  const read = async (name: string, out: Float32Array, first = 0): Promise<void> => {
    const { tensor, layer } = placeOf(name);
    await file.readFloats(tensor, out, layer * sizeOf(specOf(name).dims) + first);
  };
  const { heads, keyHeads } = file.config;
  const inHalves = async (name: string, count: number): Promise<Float32Array> => {
    const { dims } = specOf(name);
    const pairs = new Float32Array(sizeOf(dims));
    await read(name, pairs);
    return pairsToHalves(pairs, count, dims[1] as number);
  };
  const readFloats = wholeReader(read, name => {
    const { tensor } = placeOf(name);
    if (tensor === 'wq') return inHalves(name, heads);
    return tensor === 'wk' ? inHalves(name, keyHeads) : undefined;
  });
  const weights: OpenWeights = {
    bytes: file.bytes,
    readFloats,
    elementsOf: name => sizeOf(specOf(name).dims),
    async readInto(store) {
      for (const spec of store.specs) await readFloats(spec.name, store.slice(store.flat, spec));
    },
  };
  return { model, weights };
}

/** The same with its tokenizer: the file or folder that is named, or what lies beside it. */
export async function openLlama2cFiles(
  files: FileStore,
  path: string,
  tokenizerPath?: string,
): Promise<OpenModelFiles> {
  const open = await openLlama2cModel(files, path);
  const { vocabSize } = open.model;
  const place = tokenizerPath ?? (await tokenizerBeside(files, path, vocabSize));
  const tokenizer = await tokenizerAt(files, place);
  if (tokenizer.vocabSize !== vocabSize)
    throw new GaslawError(
      `${place}: has ${tokenizer.vocabSize} tokens but ${path} has ${vocabSize}; give its own tokenizer`,
      'tokenizer',
    );
  return { ...open, tokenizer };
}

async function tokenizerBeside(files: FileStore, path: string, vocabSize: number): Promise<string> {
  const names = [`tok${vocabSize}.bin`, 'tokenizer.bin'];
  for (const name of names)
    if (await files.exists(`${folderOf(path)}/${name}`)) return `${folderOf(path)}/${name}`;
  throw new GaslawError(`${path}: neither ${names.join(' nor ')} beside it; give its tokenizer`, 'tokenizer');
}

async function tokenizerAt(files: FileStore, path: string): Promise<Tokenizer> {
  if (path.endsWith('.bin')) return llama2cTokenizer(await files.read(path), path);
  if (path.endsWith('.model')) return sentencePieceTokenizer(readSentencePiece(await files.read(path), path));
  return readTokenizer(files, path.endsWith('/tokenizer.json') ? folderOf(path) : path);
}

const huggingFaceConfig = (c: Llama2cConfig): Record<string, unknown> => ({
  model_type: 'llama',
  vocab_size: c.vocabSize,
  hidden_size: c.dim,
  intermediate_size: c.hiddenDim,
  num_hidden_layers: c.layers,
  num_attention_heads: c.heads,
  num_key_value_heads: c.keyHeads,
  max_position_embeddings: c.positions,
  rope_theta: 10000,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: c.sharedOutput,
  bos_token_id: 1,
  eos_token_id: [2, 1],
});

/** llama2.c's tensor of each module of a layer, and outside of layers. */
const TENSORS: Readonly<Record<string, Llama2cTensor>> = {
  'model.embed_tokens': 'token_embedding_table',
  input_layernorm: 'rms_att_weight',
  'self_attn.q_proj': 'wq',
  'self_attn.k_proj': 'wk',
  'self_attn.v_proj': 'wv',
  'self_attn.o_proj': 'wo',
  post_attention_layernorm: 'rms_ffn_weight',
  'mlp.gate_proj': 'w1',
  'mlp.down_proj': 'w2',
  'mlp.up_proj': 'w3',
  'model.norm': 'rms_final_weight',
  lm_head: 'wcls',
};

/** Where a parameter is. */
function placeOf(parameter: string): { tensor: Llama2cTensor; layer: number } {
  const [, layer = '0', module = ''] = /^(?:model\.layers\.(\d+)\.)?(.+)\.weight$/.exec(parameter) ?? [];
  return { tensor: TENSORS[module] as Llama2cTensor, layer: Number(layer) }; // a llama model has no others
}
