/**
 * llama2.c's checkpoints: seven int32 (width, feed-forward width, layers, heads, key heads, vocabulary, positions), then
 * float32 tensors in a fixed order, those of all layers in one.
 *
 * 1. A negative vocabulary says that the output matrix is a tensor of its own, the last one.
 * 2. The file must have exactly the bytes that its header asks for: the format has no mark of its own to be known by.
 * 3. Tables of rotary angles are part of the files; as llama2.c does, they are computed (base 10,000) and not read.
 * 4. The later versions of the format (mark "ak42") are refused by name.
 * Source: llama2.c, export.py (`legacy_export`) and run.c.
 */
import { sizeOf } from '../graph/ir.ts';
import { assert, GaslawError } from '../util/errors.ts';
import { type FileStore, rangeReader } from '../util/files.ts';

export interface Llama2cConfig {
  readonly dim: number;
  readonly hiddenDim: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly vocabSize: number;
  readonly positions: number;
  /** Whether the table of the tokens is the output matrix too. */
  readonly sharedOutput: boolean;
}

export const LLAMA2C_TENSORS = [
  'token_embedding_table',
  'rms_att_weight',
  'wq',
  'wk',
  'wv',
  'wo',
  'rms_ffn_weight',
  'w1',
  'w2',
  'w3',
  'rms_final_weight',
  'freq_cis_real',
  'freq_cis_imag',
  'wcls',
] as const;
export type Llama2cTensor = (typeof LLAMA2C_TENSORS)[number];

/** Shapes in the order of the file, the layers first; matrices are [out, in]. Empty where the tensor is not there. */
export function llama2cShapes(c: Llama2cConfig): Record<Llama2cTensor, readonly number[]> {
  const { dim, hiddenDim, layers, vocabSize, positions } = c;
  const head = dim / c.heads;
  const keys = head * c.keyHeads;
  return {
    token_embedding_table: [vocabSize, dim],
    rms_att_weight: [layers, dim],
    wq: [layers, dim, dim],
    wk: [layers, keys, dim],
    wv: [layers, keys, dim],
    wo: [layers, dim, dim],
    rms_ffn_weight: [layers, dim],
    w1: [layers, hiddenDim, dim],
    w2: [layers, dim, hiddenDim],
    w3: [layers, hiddenDim, dim],
    rms_final_weight: [dim],
    freq_cis_real: [positions, head / 2],
    freq_cis_imag: [positions, head / 2],
    wcls: c.sharedOutput ? [0] : [vocabSize, dim],
  };
}

const HEADER_BYTES = 28;
const LATER = 0x616b3432;

export interface Llama2cFile {
  readonly path: string;
  /** Bytes of the file. */
  readonly bytes: number;
  readonly config: Llama2cConfig;
  /** Reads as many elements of a tensor as `out` holds, from number `first` on. */
  readFloats(name: Llama2cTensor, out: Float32Array, first?: number): Promise<void>;
}

/** Opens a file: reads its header alone. Throws one sentence when the header or the file's length is not llama2.c's. */
export async function openLlama2c(files: FileStore, path: string): Promise<Llama2cFile> {
  const range = await rangeReader(files, path);
  const bytes = await files.size(path);
  const config = readHeader(await range(0, HEADER_BYTES), bytes, path);
  const begins = beginsOf(config);
  return {
    path,
    bytes,
    config,
    async readFloats(name, out, first = 0) {
      const { begin, count } = begins[name];
      assert(
        first + out.length <= count,
        `${path}: tensor "${name}" has ${count} elements, not ${first + out.length}`,
      );
      const into = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
      const part = await range(begin + 4 * first, into.length, into);
      assert(part.length === into.length, `${path}: cut short while tensor "${name}" was read`);
      if (part.buffer !== into.buffer || part.byteOffset !== into.byteOffset) into.set(part);
    },
  };
}

function readHeader(header: Uint8Array, bytes: number, path: string): Llama2cConfig {
  assert(header.length === HEADER_BYTES, `${path}: ${bytes} bytes; too short for a llama2.c file`);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  assert(
    view.getUint32(0, true) !== LATER,
    `${path}: version ${view.getInt32(4, true)} of llama2.c's format is not read; export the model as version 0`,
  );
  const at = (i: number): number => view.getInt32(4 * i, true);
  const config: Llama2cConfig = {
    dim: at(0),
    hiddenDim: at(1),
    layers: at(2),
    heads: at(3),
    keyHeads: at(4),
    vocabSize: Math.abs(at(5)),
    positions: at(6),
    sharedOutput: at(5) > 0,
  };
  checkConfig(config, path);
  const expected = HEADER_BYTES + 4 * elementsOf(config);
  if (bytes !== expected)
    throw new GaslawError(
      `${path}: has ${bytes} bytes where a llama2.c header of these sizes asks for ${expected}; the file is cut, or not llama2.c's`,
    );
  return config;
}

function checkConfig({ sharedOutput: _, ...sizes }: Llama2cConfig, path: string): void {
  for (const [name, value] of Object.entries(sizes))
    assert(value > 0, `${path}: ${name} is ${value} in the header; it is not llama2.c's file`);
  const { dim, heads, keyHeads } = sizes;
  assert(
    dim % (2 * heads) === 0 && heads % keyHeads === 0,
    `${path}: ${dim} dimensions do not divide into ${heads} heads of even width with ${keyHeads} of keys; it is not llama2.c's file`,
  );
}

const elementsOf = (config: Llama2cConfig): number =>
  Object.values(llama2cShapes(config)).reduce((sum, dims) => sum + sizeOf(dims), 0);

function beginsOf(config: Llama2cConfig): Record<Llama2cTensor, { begin: number; count: number }> {
  const shapes = llama2cShapes(config);
  let begin = HEADER_BYTES;
  const places = LLAMA2C_TENSORS.map(name => {
    const count = sizeOf(shapes[name]);
    const place = { begin, count };
    begin += 4 * count;
    return [name, place] as const;
  });
  return Object.fromEntries(places) as Record<Llama2cTensor, { begin: number; count: number }>; // one entry a name
}

/** The file in pieces; `make` gives the elements of each tensor in turn, and is not asked for the rotary tables. */
export function* encodeLlama2c(
  config: Llama2cConfig,
  make: (name: Llama2cTensor, dims: readonly number[]) => Float32Array,
): Generator<Uint8Array> {
  const { dim, hiddenDim, layers, heads, keyHeads, vocabSize, positions, sharedOutput } = config;
  const vocabulary = sharedOutput ? vocabSize : -vocabSize;
  yield littleEndian(Int32Array.of(dim, hiddenDim, layers, heads, keyHeads, vocabulary, positions));
  const shapes = llama2cShapes(config);
  for (const name of LLAMA2C_TENSORS) {
    const dims = shapes[name];
    const table = name === 'freq_cis_real' || name === 'freq_cis_imag';
    const values = table ? angles(config, name === 'freq_cis_real' ? Math.cos : Math.sin) : make(name, dims);
    if (values.length !== sizeOf(dims))
      throw new Error(`tensor "${name}" has ${values.length} elements, not [${dims}]`);
    yield littleEndian(values);
  }
}

const littleEndian = ({ buffer, byteOffset, byteLength }: Int32Array | Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** f(t / 10000^(2i/D)) [positions, D/2]. */
function angles({ dim, heads, positions }: Llama2cConfig, f: (x: number) => number): Float32Array {
  const half = dim / heads / 2;
  return Float32Array.from({ length: positions * half }, (_, at) =>
    f(Math.floor(at / half) / 10000 ** ((at % half) / half)),
  );
}
