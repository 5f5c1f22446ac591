/**
 * safetensors: a JSON header with names, types and offsets, then the tensors' bytes.
 *
 * 1. Reading validates the whole header before any tensor is touched: sizes, overlaps, holes, double names. Tensors
 *    are views of the file's bytes, made when asked for.
 * 2. Writing orders tensors as the reference implementation does (wider types first, then by name), so that equal
 *    content gives equal bytes, there and here, and every tensor is aligned to its element.
 * Source: the format section of the safetensors README; order and padding from the files its package (0.8) writes.
 */
import { byteLength, type DType, viewBytes } from '../graph/dtype.ts';
import { sizeOf, type Tensor } from '../graph/ir.ts';
import { checkTensor } from '../graph/tensor-proto.ts';
import { GaslawError } from '../util/errors.ts';
import { type FileStore, rangeReader, Scratch } from '../util/files.ts';
import { decodeFloatsInto, isSmallFloat } from '../util/float16.ts';

/** safetensors' names, narrowest first: the reverse of the order in files. */
const NAMES = {
  bool: 'BOOL',
  uint8: 'U8',
  int8: 'I8',
  float8e5m2: 'F8_E5M2',
  float8e4m3fn: 'F8_E4M3',
  float8e4m3fnuz: 'F8_E4M3FNUZ',
  float8e5m2fnuz: 'F8_E5M2FNUZ',
  int16: 'I16',
  uint16: 'U16',
  float16: 'F16',
  bfloat16: 'BF16',
  int32: 'I32',
  uint32: 'U32',
  float32: 'F32',
  float64: 'F64',
  int64: 'I64',
  uint64: 'U64',
} as const satisfies Partial<Record<DType, string>>;

type StoredDType = keyof typeof NAMES;

const ORDER = Object.keys(NAMES) as StoredDType[];
const DTYPES = new Map<string, StoredDType>(ORDER.map(dtype => [NAMES[dtype], dtype]));

const METADATA = '__metadata__';
const LENGTH_BYTES = 8;
/** The reference implementation's limit. */
const MAX_HEADER_BYTES = 100_000_000;

// ---- writing ----

/** A tensor whose values are made when they are written. */
export interface PendingTensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** The tensor, of that type and shape. */
  make(): Tensor;
}

/** The file in pieces: a header, then the tensors' own bytes by reference. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata?: ReadonlyMap<string, string>,
): Uint8Array[] {
  const pending = [...tensors].map(([name, tensor]) => {
    checkTensor(tensor, `tensor "${name}"`);
    return [name, { ...tensor, make: () => tensor }] as const;
  });
  return [...encodePending(new Map(pending), metadata)];
}

/** The same for tensors that are made one by one, so that they are never in memory together. */
export function* encodePending(
  tensors: ReadonlyMap<string, PendingTensor>,
  metadata?: ReadonlyMap<string, string>,
): Generator<Uint8Array> {
  const entries = [...tensors].map(([name, tensor]) => ({ name, tensor, rank: rankOf(name, tensor) }));
  entries.sort((a, b) => b.rank - a.rank || (a.name < b.name ? -1 : 1));
  const header = new Map<string, unknown>();
  if (metadata) header.set(METADATA, Object.fromEntries(metadata));
  let end = 0;
  for (const { name, tensor } of entries) {
    const begin = end;
    const { dtype, dims } = tensor;
    end += byteLength(dtype, sizeOf(dims));
    header.set(name, { dtype: NAMES[dtype as StoredDType], shape: dims, data_offsets: [begin, end] });
  }
  yield* headerBytes(header);
  for (const { tensor } of entries) yield bytesOf(tensor.make());
}

/** Place of the type in the order. */
function rankOf(name: string, { dtype }: PendingTensor): number {
  if (name === METADATA) throw new GaslawError(`tensor "${name}": the name is taken by the format`);
  const rank = ORDER.indexOf(dtype as StoredDType);
  if (rank < 0) throw new GaslawError(`tensor "${name}": safetensors has no type for ${dtype}`);
  return rank;
}

function bytesOf({ data }: Tensor): Uint8Array {
  const array = data as Uint8Array; // strings are refused before
  return new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
}

/** Length and JSON, padded with spaces to a multiple of 8. */
function headerBytes(header: ReadonlyMap<string, unknown>): Uint8Array[] {
  const fields = [...header].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER_BYTES)
    throw new GaslawError(`safetensors header of ${length} bytes is over the limit`);
  const out = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(out.buffer).setBigUint64(0, BigInt(length), true);
  out.set(json, LENGTH_BYTES);
  return [out];
}

// ---- reading ----

export interface SafetensorsEntry {
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** First byte in the file, and the one after the last. */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  /** By name. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
}

/** All tensors of a file's bytes, as views of them (copied where the file is not aligned). */
export function decodeSafetensors(
  bytes: Uint8Array,
  file = 'safetensors',
): { metadata: ReadonlyMap<string, string>; tensors: Map<string, Tensor> } {
  const { metadata, entries } = decodeHeader(bytes, bytes.length, file);
  const tensors = [...entries].map(
    ([name, entry]) => [name, tensorAt(entry, bytes.subarray(entry.begin, entry.end))] as const,
  );
  return { metadata, tensors: new Map(tensors) };
}

/** A file on disk whose tensors are read one by one. */
export interface SafetensorsFile extends SafetensorsHeader {
  /** Throws when there is no tensor of that name. */
  read(name: string): Promise<Tensor>;
  /**
   * Reads a tensor of floats of 16 bits or more, or of E4M3 without its scales, into `out` [its number of elements] as float32, in pieces, so that it is
   * not in memory twice; with `first`, as many of its elements as `out` holds from that one on. Throws when there is no
   * tensor of that name, or it holds something else.
   */
  readFloats(name: string, out: Float32Array, first?: number): Promise<void>;
}

/** Opens a file: reads only its header where the store can read ranges. */
export async function openSafetensors(files: FileStore, path: string): Promise<SafetensorsFile> {
  const range = await rangeReader(files, path);
  const fileBytes = await files.size(path);
  const length = headerLength(await range(0, LENGTH_BYTES), fileBytes, path);
  const header = decodeHeader(await range(0, LENGTH_BYTES + length), fileBytes, path);
  const entryNamed = (name: string): SafetensorsEntry => {
    const entry = header.entries.get(name);
    if (!entry) throw new GaslawError(`${path}: there is no tensor "${name}"`);
    return entry;
  };
  const whole = async (name: string, begin: number, end: number, into?: Uint8Array): Promise<Uint8Array> => {
    const bytes = await range(begin, end - begin, into);
    if (bytes.length === end - begin) return bytes;
    throw new GaslawError(`${path}: cut short while tensor "${name}" was read`);
  };
  const scratch = new Scratch();
  return {
    ...header,
    async read(name) {
      const entry = entryNamed(name);
      return tensorAt(entry, await whole(name, entry.begin, entry.end));
    },
    async readFloats(name, out, first) {
      const entry = entryNamed(name);
      const size = sizeOf(entry.dims);
      const fits = first === undefined ? out.length === size : first + out.length <= size;
      if (!(isStoredFloat(entry.dtype) || entry.dtype === SCALED_FLOAT) || !fits)
        throw new GaslawError(
          `${path}: tensor "${name}" is ${entry.dtype}[${entry.dims}], not ${(first ?? 0) + out.length} floats`,
        );
      const width = byteLength(entry.dtype, 1);
      await scratch.during(width * Math.min(out.length, PIECE_ELEMENTS), memory => {
        const into = new Uint8Array(memory);
        return copyFloats(entry, out, first ?? 0, (begin, end) => whole(name, begin, end, into));
      });
    },
  };
}

/** Types of floats that stand for themselves; 8-bit ones need scales that are stored apart. */
export const STORED_FLOATS = ['float64', 'float32', 'float16', 'bfloat16'] as const;
type StoredFloat = (typeof STORED_FLOATS)[number];

/** The one that is read with scales. */
export const SCALED_FLOAT = 'float8e4m3fn';

export const isStoredFloat = (dtype: DType): dtype is StoredFloat =>
  (STORED_FLOATS as readonly DType[]).includes(dtype);

const PIECE_ELEMENTS = 1 << 18;

async function copyFloats(
  { dtype, begin }: SafetensorsEntry,
  out: Float32Array,
  first: number,
  range: (begin: number, end: number) => Promise<Uint8Array>,
): Promise<void> {
  const width = byteLength(dtype, 1);
  for (let at = 0; at < out.length; at += PIECE_ELEMENTS) {
    const piece = out.subarray(at, at + PIECE_ELEMENTS);
    const start = begin + (first + at) * width;
    const data = viewBytes(dtype, plain(await range(start, start + piece.length * width)));
    if (isSmallFloat(dtype)) decodeFloatsInto(piece, data as Uint16Array, dtype);
    else piece.set(data as Float32Array);
  }
}

const tensorAt = ({ dtype, dims }: SafetensorsEntry, bytes: Uint8Array): Tensor => ({
  dtype,
  dims,
  data: viewBytes(dtype, plain(bytes)),
});

/** A Buffer's `slice` is a view, so that it could not be aligned by copying: normalize. */
const plain = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function headerLength(bytes: Uint8Array, fileBytes: number, file: string): number {
  if (bytes.length < LENGTH_BYTES)
    throw new GaslawError(`${file}: not a safetensors file, it has ${bytes.length} bytes`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new GaslawError(`${file}: not a safetensors file, its header would have ${length} bytes`);
  }
  if (Number(length) > fileBytes - LENGTH_BYTES) {
    throw new GaslawError(`${file}: cut short, the header has ${length} bytes and the file ${fileBytes}`);
  }
  return Number(length);
}

/** Parses and validates a header. `bytes` holds at least the header; `fileBytes` is the size of the whole file. */
export function decodeHeader(bytes: Uint8Array, fileBytes: number, file = 'safetensors'): SafetensorsHeader {
  const length = headerLength(bytes, fileBytes, file);
  const start = LENGTH_BYTES + length;
  const parsed = parseJson(bytes.subarray(LENGTH_BYTES, start), file);
  const metadata = metadataOf(parsed[METADATA], file);
  const entries = new Map<string, SafetensorsEntry>();
  for (const [name, value] of Object.entries(parsed)) {
    if (name !== METADATA) entries.set(name, entryOf(value, start, `${file}: tensor "${name}"`));
  }
  checkCover(entries, start, fileBytes, file);
  return { metadata, entries };
}

function parseJson(bytes: Uint8Array, file: string): Record<string, unknown> {
  let text: string;
  let parsed: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    parsed = JSON.parse(text);
  } catch {
    throw new GaslawError(`${file}: not a safetensors file, its header is not JSON`);
  }
  if (!isRecord(parsed) || !text.startsWith('{'))
    throw new GaslawError(`${file}: its header is not a JSON object`);
  const twice = doubleKey(text);
  if (twice !== undefined) throw new GaslawError(`${file}: the header names "${twice}" twice`);
  return parsed;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A key that valid JSON text of an object has twice at its outermost level; `JSON.parse` would keep the last. */
function doubleKey(text: string): string | undefined {
  const keys = new Set<string>();
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '{' || c === '[') depth++;
    else if (c === '}' || c === ']') depth--;
    else if (c === '"') {
      const begin = i;
      i = stringEnd(text, i);
      if (depth !== 1 || !/^\s*:/.test(text.slice(i + 1, i + 65))) continue;
      const key = JSON.parse(text.slice(begin, i + 1)) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** Position of the quote that ends the string whose first quote is at `i`. */
function stringEnd(text: string, i: number): number {
  for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++;
  return i;
}

function metadataOf(value: unknown, file: string): Map<string, string> {
  if (value === undefined) return new Map();
  const entries = isRecord(value) ? Object.entries(value) : [['', undefined] as const];
  if (entries.every((entry): entry is [string, string] => typeof entry[1] === 'string'))
    return new Map(entries);
  throw new GaslawError(`${file}: its metadata do not map names to text`);
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

function entryOf(value: unknown, start: number, what: string): SafetensorsEntry {
  if (!isRecord(value)) throw new GaslawError(`${what}: its entry is not an object`);
  const { dtype: typeName, shape, data_offsets: offsets } = value;
  const dtype = DTYPES.get(String(typeName));
  if (!dtype) throw new GaslawError(`${what}: type ${JSON.stringify(typeName)} is not supported`);
  if (!isCounts(shape))
    throw new GaslawError(`${what}: shape ${JSON.stringify(shape)} is not a list of counts`);
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw new GaslawError(`${what}: offsets ${JSON.stringify(offsets)} are not a range`);
  }
  const [begin, end] = offsets;
  const bytes = byteLength(dtype, sizeOf(shape));
  if (bytes !== end - begin) {
    throw new GaslawError(
      `${what}: ${typeName}[${shape}] takes ${bytes} bytes, its range has ${end - begin}`,
    );
  }
  return { dtype, dims: shape, begin: start + begin, end: start + end };
}

/** The ranges must cover the rest of the file once, without overlap or hole: so the format demands. */
function checkCover(
  entries: ReadonlyMap<string, SafetensorsEntry>,
  start: number,
  fileBytes: number,
  file: string,
): void {
  let at = start;
  for (const [name, { begin, end }] of [...entries].sort(
    ([, a], [, b]) => a.begin - b.begin || a.end - b.end,
  )) {
    const what = `${file}: tensor "${name}"`;
    if (begin < at) throw new GaslawError(`${what}: its bytes overlap with another tensor's`);
    if (begin > at) throw new GaslawError(`${what}: ${begin - at} bytes before it belong to no tensor`);
    if (end > fileBytes)
      throw new GaslawError(`${what}: ends at byte ${end}, the file has ${fileBytes}: it was cut short`);
    at = end;
  }
  if (at !== fileBytes)
    throw new GaslawError(`${file}: ${fileBytes - at} bytes at its end belong to no tensor`);
}
