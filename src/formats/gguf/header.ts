/**
 * The header of a GGUF file: metadata, and the name, shape, type and place of every tensor.
 *
 * 1. Every count and length is held against the bytes that are left before anything is made of that size.
 * 2. Versions 2 and 3, little-endian (they differ in nothing that is read here). An array of arrays is refused, as llama.cpp does.
 * 3. Shapes are row-major, as everywhere in Gaslaw: the file's list, innermost first, is reversed.
 * Source: ggml's `gguf.h`, which describes the format.
 */
import { GaslawError } from '../../util/errors.ts';
import {
  ALIGNMENT_KEY,
  ARRAY_CODE,
  DEFAULT_ALIGNMENT,
  fitsBlocks,
  GGML_TYPES,
  type GgmlType,
  type GgufValue,
  ggmlBytes,
  ggmlTypeOfCode,
  type Scalar,
  VALUE_TYPES,
  type ValueType,
  valueTypeOfCode,
} from './types.ts';

export interface GgufTensor {
  readonly type: GgmlType;
  /** Row-major. */
  readonly dims: readonly number[];
  /** First byte in the file, and the one after the last. */
  readonly begin: number;
  readonly end: number;
}

export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly alignment: number;
  /** By name, in the order of the file. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** The bytes at hand end before the header does. */
export class NeedsMore extends Error {}

const MAGIC = 0x46554747; // "GGUF"
const MAX_NAME_BYTES = 65535;
const MAX_DIMS = 4;
const MAX_ALIGNMENT = 2 ** 20;
/** Name length, dim count, type and offset. */
const LEAST_TENSOR_BYTES = 8 + 4 + 4 + 8;
/** Key length, type and a one-byte value. */
const LEAST_PAIR_BYTES = 8 + 4 + 1;

/**
 * Reads and validates a header.
 * @param bytes the beginning of the file; throws NeedsMore when it does not hold the whole header
 * @param fileBytes size of the whole file
 */
export function decodeHeader(bytes: Uint8Array, fileBytes: number, file: string): GgufHeader {
  const c = new Cursor(bytes, fileBytes, file);
  const version = readVersion(c);
  const tensorCount = c.count('tensor count', LEAST_TENSOR_BYTES);
  const pairCount = c.count('metadata count', LEAST_PAIR_BYTES);
  const metadata = readMetadata(c, pairCount);
  const alignment = alignmentOf(metadata, file);
  const infos = readTensors(c, tensorCount);
  const start = Math.ceil(c.at / alignment) * alignment;
  return { version, metadata, alignment, tensors: placed(infos, start, alignment, fileBytes, file) };
}

function readVersion(c: Cursor): number {
  if (c.u32('magic') !== MAGIC) throw new GaslawError(`${c.file}: not a GGUF file`);
  const version = c.u32('version');
  if (version === 2 || version === 3) return version;
  const why = (version & 0xffff) === 0 ? 'big-endian' : `version ${version}`;
  throw new GaslawError(`${c.file}: ${why} GGUF is not supported; versions 2 and 3, little-endian, are`);
}

// ---- metadata ----

function readMetadata(c: Cursor, count: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = c.string(`metadata key ${i}`, MAX_NAME_BYTES);
    if (key === '') throw new GaslawError(`${c.file}: metadata key ${i} is empty`);
    if (metadata.has(key)) throw new GaslawError(`${c.file}: metadata key "${key}" is there twice`);
    metadata.set(key, readValue(c, `metadata "${key}"`));
  }
  return metadata;
}

function readValue(c: Cursor, what: string): GgufValue {
  const code = c.u32(what);
  if (code !== ARRAY_CODE) {
    const type = valueType(c, code, what);
    return { type, value: readScalar(c, type, what) };
  }
  const element = c.u32(what);
  if (element === ARRAY_CODE) throw new GaslawError(`${c.file}: ${what} is an array of arrays`);
  const type = valueType(c, element, what);
  const length = c.count(what, VALUE_TYPES[type].bytes);
  const values: Scalar[] = [];
  for (let i = 0; i < length; i++) values.push(readScalar(c, type, what));
  return { type, values };
}

function valueType(c: Cursor, code: number, what: string): ValueType {
  const type = valueTypeOfCode(code);
  if (type) return type;
  throw new GaslawError(`${c.file}: ${what} has type ${code}, which is not known`);
}

function readScalar(c: Cursor, type: ValueType, what: string): Scalar {
  if (type === 'string') return c.string(what, Number.MAX_SAFE_INTEGER);
  if (type !== 'bool') return c.number(type, what);
  const value = c.number('uint8', what);
  if (value === 0 || value === 1) return value === 1;
  throw new GaslawError(`${c.file}: ${what} is ${value}, not 0 or 1 as a bool is`);
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>, file: string): number {
  const found = metadata.get(ALIGNMENT_KEY);
  if (!found) return DEFAULT_ALIGNMENT;
  const value = found.type === 'uint32' && 'value' in found ? Number(found.value) : 0;
  if (value > 0 && value <= MAX_ALIGNMENT && Number.isInteger(Math.log2(value))) return value;
  throw new GaslawError(`${file}: ${ALIGNMENT_KEY} is not a power of two from 1 to ${MAX_ALIGNMENT}`);
}

// ---- tensors ----

interface TensorInfo {
  readonly name: string;
  readonly type: GgmlType;
  readonly dims: readonly number[];
  /** From the start of the data. */
  readonly offset: number;
}

function readTensors(c: Cursor, count: number): TensorInfo[] {
  const infos: TensorInfo[] = [];
  const names = new Set<string>();
  for (let i = 0; i < count; i++) {
    const name = c.string(`name of tensor ${i}`, MAX_NAME_BYTES);
    if (names.has(name)) throw new GaslawError(`${c.file}: tensor "${name}" is there twice`);
    names.add(name);
    infos.push(readTensor(c, name));
  }
  return infos;
}

function readTensor(c: Cursor, name: string): TensorInfo {
  const what = `tensor "${name}"`;
  const rank = c.u32(what);
  if (rank > MAX_DIMS)
    throw new GaslawError(`${c.file}: ${what} has ${rank} dimensions; at most ${MAX_DIMS} are allowed`);
  const innermostFirst: number[] = [];
  for (let i = 0; i < rank; i++) innermostFirst.push(c.u64(what));
  const code = c.u32(what);
  const type = ggmlTypeOfCode(code);
  if (!type) throw new GaslawError(`${c.file}: ${what} has type ${code}, which is not supported`);
  checkRows(type, innermostFirst, `${c.file}: ${what}`);
  return { name, type, dims: innermostFirst.reverse(), offset: c.u64(what) };
}

function checkRows(type: GgmlType, innermostFirst: readonly number[], what: string): void {
  const columns = innermostFirst[0] ?? 1;
  if (!fitsBlocks(type, columns)) {
    throw new GaslawError(
      `${what} is ${type} with rows of ${columns}; they must be multiples of ${GGML_TYPES[type].elements}`,
    );
  }
  const count = innermostFirst.reduce((n, d) => n * d, 1);
  if (!(innermostFirst.includes(0) || count <= Number.MAX_SAFE_INTEGER))
    throw new GaslawError(`${what} has shape [${innermostFirst.toReversed()}], more than any file holds`);
}

/** Tensors with their places, which must be aligned, inside the file and apart from each other. */
function placed(
  infos: readonly TensorInfo[],
  start: number,
  alignment: number,
  fileBytes: number,
  file: string,
): Map<string, GgufTensor> {
  const tensors = infos.map(({ name, type, dims, offset }): [string, GgufTensor] => {
    const begin = start + offset;
    const bytes = ggmlBytes(
      type,
      dims.reduce((n, d) => n * d, 1),
    );
    const what = `${file}: tensor "${name}"`;
    if (offset % alignment !== 0)
      throw new GaslawError(`${what} lies at ${offset}, which is no multiple of the alignment ${alignment}`);
    if (begin + bytes > fileBytes) {
      throw new GaslawError(
        `${what} takes ${bytes} bytes from ${begin} but the file has ${fileBytes}; it is cut short or damaged`,
      );
    }
    return [name, { type, dims, begin, end: begin + bytes }];
  });
  checkApart(tensors, file);
  return new Map(tensors);
}

function checkApart(tensors: readonly [string, GgufTensor][], file: string): void {
  const filled = tensors.filter(([, t]) => t.end > t.begin).sort(([, a], [, b]) => a.begin - b.begin);
  filled.forEach(([name, tensor], i) => {
    const next = filled[i + 1];
    if (next && next[1].begin < tensor.end)
      throw new GaslawError(`${file}: tensors "${name}" and "${next[0]}" overlap`);
  });
}

// ---- bytes ----

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const SHORT_BYTES = 24;

/**
 * The text of bytes that are few and below U+0800; undefined for others. Vocabularies have hundreds of thousands of them, and
 * calling a decoder takes longer than decoding.
 */
function shortText(bytes: Uint8Array, from: number, to: number): string | undefined {
  if (to - from > SHORT_BYTES) return undefined;
  let text = '';
  for (let at = from; at < to; ) {
    const first = bytes[at++] as number;
    if (first < 0x80) text += String.fromCharCode(first);
    else {
      const second = at < to ? (bytes[at++] as number) : 0;
      if (first < 0xc2 || first > 0xdf || (second & 0xc0) !== 0x80) return undefined;
      text += String.fromCharCode(((first & 0x1f) << 6) | (second & 0x3f));
    }
  }
  return text;
}

/** Reads onward. What would pass the end of the file is an error; what passes the bytes at hand needs more of them. */
class Cursor {
  readonly file: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fileBytes: number;
  at = 0;

  constructor(bytes: Uint8Array, fileBytes: number, file: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fileBytes = fileBytes;
    this.file = file;
  }

  u32 = (what: string): number => this.#view.getUint32(this.#take(4, what), true);

  /** A 64-bit count or length that a number holds exactly. */
  u64(what: string): number {
    const at = this.#take(8, what);
    const value = this.#view.getUint32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    throw new GaslawError(
      `${this.file}: ${what} asks for ${this.#view.getBigUint64(at, true)}, more than any file holds`,
    );
  }

  /** A count of things of at least `least` bytes each, which the rest of the file can hold. */
  count(what: string, least: number): number {
    const n = this.u64(what);
    if (n * least <= this.#fileBytes - this.at) return n;
    throw new GaslawError(
      `${this.file}: ${what} is ${n}, but only ${this.#fileBytes - this.at} bytes follow`,
    );
  }

  string(what: string, most: number): string {
    const length = this.u64(what);
    if (length > most || length > this.#fileBytes - this.at)
      throw new GaslawError(`${this.file}: ${what} would have ${length} bytes`);
    const at = this.#take(length, what);
    const short = shortText(this.#bytes, at, at + length);
    if (short !== undefined) return short;
    try {
      return UTF8.decode(this.#bytes.subarray(at, at + length));
    } catch {
      throw new GaslawError(`${this.file}: ${what} is not UTF-8`);
    }
  }

  number(type: Exclude<ValueType, 'string' | 'bool'>, what: string): number | bigint {
    const at = this.#take(VALUE_TYPES[type].bytes, what);
    return READ[type](this.#view, at);
  }

  #take(length: number, what: string): number {
    const { at } = this;
    if (at + length > this.#fileBytes) throw new GaslawError(`${this.file}: cut short at ${what}`);
    if (at + length > this.#bytes.byteLength) throw new NeedsMore();
    this.at = at + length;
    return at;
  }
}

const READ: Record<Exclude<ValueType, 'string' | 'bool'>, (view: DataView, at: number) => number | bigint> = {
  uint8: (v, at) => v.getUint8(at),
  int8: (v, at) => v.getInt8(at),
  uint16: (v, at) => v.getUint16(at, true),
  int16: (v, at) => v.getInt16(at, true),
  uint32: (v, at) => v.getUint32(at, true),
  int32: (v, at) => v.getInt32(at, true),
  float32: (v, at) => v.getFloat32(at, true),
  float64: (v, at) => v.getFloat64(at, true),
  uint64: (v, at) => v.getBigUint64(at, true),
  int64: (v, at) => v.getBigInt64(at, true),
};
