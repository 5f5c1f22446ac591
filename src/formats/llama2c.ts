/**
 * llama2.c's checkpoints: seven int32 (width, feed-forward width, layers, heads, key heads, vocabulary, positions), then
 * tensors in a fixed order, those of all layers in one.
 *
 * 1. Version 0 begins with the sizes; a negative vocabulary says that the output matrix is a tensor of its own, the last one.
 *    The later ones begin with "ak42" and a number, have the sizes, flags and zeros up to byte 256, and vectors first.
 * 2. Version 2 holds matrices as int8 in groups, w = q · scale, of each layer the codes and then the scales in float32; all
 *    other values are float32.
 * 3. The file must have exactly the bytes that its header asks for: version 0 has no mark of its own to be known by.
 * 4. Version 0 has tables of rotary angles; as llama2.c does, they are computed (base 10,000) and not read.
 * Source: llama2.c, export.py, run.c and runq.c.
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

/** Shapes in the order of version 0, the layers first; matrices are [out, in]. Empty where the tensor is not there. */
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

/** The order of versions 1 and 2. */
const LATER_TENSORS: readonly Llama2cTensor[] = [
  'rms_att_weight',
  'rms_ffn_weight',
  'rms_final_weight',
  'token_embedding_table',
  'wq',
  'wk',
  'wv',
  'wo',
  'w1',
  'w2',
  'w3',
  'wcls',
];

const LEGACY_BYTES = 28;
const LATER_BYTES = 256;
const LATER_MARK = 0x616b3432;

export interface Llama2cFile {
  readonly path: string;
  /** Bytes of the file. */
  readonly bytes: number;
  readonly config: Llama2cConfig;
  /** Reads as many elements of a tensor as `out` holds, from number `first` on. */
  readFloats(name: Llama2cTensor, out: Float32Array, first?: number): Promise<void>;
}

interface Header {
  readonly config: Llama2cConfig;
  readonly bytes: number;
  readonly tensors: readonly Llama2cTensor[];
  /** Elements that share a scale, in version 2. */
  readonly group?: number;
}

/** Where a tensor lies: pieces of `count` elements each, one after the other. */
interface Place {
  readonly begin: number;
  readonly pieces: number;
  readonly count: number;
  /** Present where a piece is int8 codes and then scales. */
  readonly group?: number;
}

/** Opens a file: reads its header alone. Throws one sentence when the header or the file's length is not llama2.c's. */
export async function openLlama2c(files: FileStore, path: string): Promise<Llama2cFile> {
  const range = await rangeReader(files, path);
  const bytes = await files.size(path);
  const header = readHeader(await range(0, LATER_BYTES), bytes, path);
  const places = placesOf(header, bytes, path);
  const read = async (name: Llama2cTensor, at: number, into: Uint8Array): Promise<void> => {
    const part = await range(at, into.length, into);
    assert(part.length === into.length, `${path}: cut short while tensor "${name}" was read`);
    if (part.buffer !== into.buffer || part.byteOffset !== into.byteOffset) into.set(part);
  };
  const { config } = header;
  return {
    path,
    bytes,
    config,
    async readFloats(name, out, first = 0) {
      const { begin, pieces, count, group } = places.get(name) ?? NOWHERE;
      const whole = pieces * count;
      assert(
        first + out.length <= whole,
        `${path}: tensor "${name}" has ${whole} elements, not ${first + out.length}`,
      );
      if (group === undefined) return read(name, begin + 4 * first, bytesOf(out));
      for (let at = 0; at < out.length; ) {
        const [piece, from] = [Math.floor((first + at) / count), (first + at) % count];
        const part = out.subarray(at, at + Math.min(out.length - at, count - from));
        const start = begin + piece * (count + (4 * count) / group);
        const codes = new Int8Array(part.length);
        await read(name, start + from, bytesOf(codes));
        const scale = Math.floor(from / group);
        const scales = new Float32Array(Math.ceil((from + part.length) / group) - scale);
        await read(name, start + count + 4 * scale, bytesOf(scales));
        for (let i = 0; i < part.length; i++)
          part[i] = (codes[i] as number) * (scales[Math.floor((from + i) / group) - scale] as number);
        at += part.length;
      }
    },
  };
}

const NOWHERE: Place = { begin: 0, pieces: 0, count: 0 };

const bytesOf = ({ buffer, byteOffset, byteLength }: Int8Array | Int32Array | Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

function readHeader(header: Uint8Array, bytes: number, path: string): Header {
  assert(header.length >= LEGACY_BYTES, `${path}: ${bytes} bytes; too short for a llama2.c file`);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  if (view.getUint32(0, true) === LATER_MARK) return laterHeader(view, bytes, path);
  const config = sizesAt(view, 0, view.getInt32(20, true) > 0);
  checkConfig(config, path);
  return { config, bytes: LEGACY_BYTES, tensors: LLAMA2C_TENSORS };
}

function laterHeader(view: DataView, bytes: number, path: string): Header {
  const version = view.getInt32(4, true);
  assert(
    version === 1 || version === 2,
    `${path}: version ${version} of llama2.c's format is not read; export the model as version 0, 1 or 2`,
  );
  assert(view.byteLength === LATER_BYTES, `${path}: ${bytes} bytes; too short for a llama2.c file`);
  const config = sizesAt(view, 8, view.getUint8(36) !== 0);
  checkConfig(config, path);
  const header = { config, bytes: LATER_BYTES, tensors: LATER_TENSORS };
  if (version === 1) return header;
  const group = view.getInt32(37, true);
  assert(
    group > 0 && config.dim % group === 0,
    `${path}: groups of ${group} do not divide the width ${config.dim}; it is not llama2.c's file`,
  );
  return { ...header, group };
}

function sizesAt(view: DataView, begin: number, sharedOutput: boolean): Llama2cConfig {
  const at = (i: number): number => view.getInt32(begin + 4 * i, true);
  return {
    dim: at(0),
    hiddenDim: at(1),
    layers: at(2),
    heads: at(3),
    keyHeads: at(4),
    vocabSize: begin === 0 ? Math.abs(at(5)) : at(5),
    positions: at(6),
    sharedOutput,
  };
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

/** Throws when the file has not the bytes that its tensors take. */
function placesOf(header: Header, bytes: number, path: string): Map<Llama2cTensor, Place> {
  const shapes = llama2cShapes(header.config);
  const places = new Map<Llama2cTensor, Place>();
  let begin = header.bytes;
  for (const name of header.tensors) {
    const place = placeOf(name, shapes[name], begin, header.group);
    places.set(name, place);
    const { pieces, count, group } = place;
    begin += pieces * (group === undefined ? 4 * count : count + (4 * count) / group);
  }
  if (bytes !== begin)
    throw new GaslawError(
      `${path}: has ${bytes} bytes where a llama2.c header of these sizes asks for ${begin}; the file is cut, or not llama2.c's`,
    );
  return places;
}

function placeOf(name: Llama2cTensor, dims: readonly number[], begin: number, group?: number): Place {
  if (group === undefined || name.startsWith('rms')) return { begin, pieces: 1, count: sizeOf(dims) };
  const [pieces, ...matrix] = dims.length === 3 ? dims : [1, ...dims];
  return { begin, pieces: pieces as number, count: sizeOf(matrix), group };
}

/** A file of version 0 in pieces; `make` gives the elements of each tensor in turn, and is not asked for the rotary tables. */
export function* encodeLlama2c(
  config: Llama2cConfig,
  make: (name: Llama2cTensor, dims: readonly number[]) => Float32Array,
): Generator<Uint8Array> {
  const { dim, hiddenDim, layers, heads, keyHeads, vocabSize, positions, sharedOutput } = config;
  const vocabulary = sharedOutput ? vocabSize : -vocabSize;
  yield bytesOf(Int32Array.of(dim, hiddenDim, layers, heads, keyHeads, vocabulary, positions));
  const shapes = llama2cShapes(config);
  for (const name of LLAMA2C_TENSORS) {
    const dims = shapes[name];
    const table = name === 'freq_cis_real' || name === 'freq_cis_imag';
    const values = table ? angles(config, name === 'freq_cis_real' ? Math.cos : Math.sin) : make(name, dims);
    if (values.length !== sizeOf(dims))
      throw new Error(`tensor "${name}" has ${values.length} elements, not [${dims}]`);
    yield bytesOf(values);
  }
}

/** f(t / 10000^(2i/D)) [positions, D/2]. */
function angles({ dim, heads, positions }: Llama2cConfig, f: (x: number) => number): Float32Array {
  const half = dim / heads / 2;
  return Float32Array.from({ length: positions * half }, (_, at) =>
    f(Math.floor(at / half) / 10000 ** ((at % half) / half)),
  );
}
