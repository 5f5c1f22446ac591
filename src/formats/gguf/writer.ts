/**
 * Writes GGUF version 3, piece by piece: a header, then each tensor as its bytes are made, padded to the alignment.
 * Nothing but the header and one piece is in memory, and a FileStore's `write` keeps the old file until the last piece.
 */
import { sizeOf } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { concatBytes } from '../../util/files.ts';
import {
  ALIGNMENT_KEY,
  ARRAY_CODE,
  DEFAULT_ALIGNMENT,
  fitsBlocks,
  GGML_TYPES,
  type GgmlType,
  type GgufMetadata,
  type GgufValue,
  ggmlBytes,
  type Scalar,
  VALUE_TYPES,
  type ValueType,
} from './types.ts';

/** A tensor whose bytes are made when they are written. */
export interface PendingGgufTensor {
  readonly name: string;
  readonly type: GgmlType;
  /** Row-major. */
  readonly dims: readonly number[];
  /** Its bytes in pieces. */
  make(): Iterable<Uint8Array>;
}

/** llama.cpp's limits. */
const MAX_DIMS = 4;
const MAX_NAME_BYTES = 63;

/** The file in pieces. Throws before the first one when something cannot be written. */
export function encodeGguf(
  metadata: GgufMetadata,
  tensors: readonly PendingGgufTensor[],
): Iterable<Uint8Array> {
  const alignment = alignmentOf(metadata);
  checkTensors(tensors);
  const header = headerBytes(metadata, tensors, alignment);
  return pieces(header, tensors, alignment);
}

function* pieces(
  header: Uint8Array,
  tensors: readonly PendingGgufTensor[],
  alignment: number,
): Generator<Uint8Array> {
  yield header;
  for (const tensor of tensors) {
    let written = 0;
    for (const piece of tensor.make()) {
      yield piece;
      written += piece.byteLength;
    }
    const bytes = bytesOf(tensor);
    if (written !== bytes)
      throw new Error(`tensor "${tensor.name}" made ${written} bytes where its shape takes ${bytes}`);
    yield new Uint8Array(padding(bytes, alignment));
  }
}

const bytesOf = ({ type, dims }: PendingGgufTensor): number => ggmlBytes(type, sizeOf(dims));
const padding = (bytes: number, alignment: number): number => (alignment - (bytes % alignment)) % alignment;

function alignmentOf(metadata: GgufMetadata): number {
  const found = metadata.get(ALIGNMENT_KEY);
  return found && 'value' in found ? Number(found.value) : DEFAULT_ALIGNMENT;
}

function checkTensors(tensors: readonly PendingGgufTensor[]): void {
  const names = new Set<string>();
  for (const { name, type, dims } of tensors) {
    const what = `tensor "${name}"`;
    if (names.has(name)) throw new GaslawError(`${what} is there twice`);
    names.add(name);
    if (dims.length > MAX_DIMS) throw new GaslawError(`${what} has more than ${MAX_DIMS} dimensions`);
    if (new TextEncoder().encode(name).length > MAX_NAME_BYTES)
      throw new GaslawError(`${what}: its name has more than ${MAX_NAME_BYTES} bytes`);
    if (!fitsBlocks(type, dims.at(-1) ?? 1))
      throw new GaslawError(
        `${what} [${dims}] cannot be ${type}: rows must be multiples of ${GGML_TYPES[type].elements}`,
      );
  }
}

// ---- header ----

function headerBytes(
  metadata: GgufMetadata,
  tensors: readonly PendingGgufTensor[],
  alignment: number,
): Uint8Array {
  const out = new Output();
  out.u32(0x46554747); // "GGUF"
  out.u32(3);
  out.u64(tensors.length);
  out.u64(metadata.size);
  for (const [key, value] of metadata) {
    out.string(key);
    writeValue(out, value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    const { name, type, dims } = tensor;
    out.string(name);
    out.u32(dims.length);
    for (const dim of dims.toReversed()) out.u64(dim);
    out.u32(GGML_TYPES[type].code);
    out.u64(offset);
    offset += bytesOf(tensor) + padding(bytesOf(tensor), alignment);
  }
  out.bytes(new Uint8Array(padding(out.length, alignment)));
  return out.joined();
}

function writeValue(out: Output, value: GgufValue): void {
  const { code } = VALUE_TYPES[value.type];
  if ('value' in value) {
    out.u32(code);
    out.scalar(value.type, value.value);
    return;
  }
  out.u32(ARRAY_CODE);
  out.u32(code);
  out.u64(value.values.length);
  for (const element of value.values) out.scalar(value.type, element);
}

class Output {
  readonly #pieces: Uint8Array[] = [];
  length = 0;

  bytes(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.length += piece.byteLength;
  }

  u32 = (value: number): void => this.scalar('uint32', value);
  u64 = (value: number): void => this.scalar('uint64', BigInt(value));

  string(text: string): void {
    const utf8 = new TextEncoder().encode(text);
    this.u64(utf8.length);
    this.bytes(utf8);
  }

  scalar(type: ValueType, value: Scalar): void {
    if (type === 'string') {
      this.string(String(value));
      return;
    }
    const piece = new Uint8Array(VALUE_TYPES[type].bytes);
    WRITE[type](new DataView(piece.buffer), value);
    this.bytes(piece);
  }

  joined = (): Uint8Array => concatBytes(this.#pieces);
}

const WRITE: Record<Exclude<ValueType, 'string'>, (view: DataView, value: Scalar) => void> = {
  uint8: (v, x) => v.setUint8(0, Number(x)),
  int8: (v, x) => v.setInt8(0, Number(x)),
  uint16: (v, x) => v.setUint16(0, Number(x), true),
  int16: (v, x) => v.setInt16(0, Number(x), true),
  uint32: (v, x) => v.setUint32(0, Number(x), true),
  int32: (v, x) => v.setInt32(0, Number(x), true),
  float32: (v, x) => v.setFloat32(0, Number(x), true),
  float64: (v, x) => v.setFloat64(0, Number(x), true),
  bool: (v, x) => v.setUint8(0, x ? 1 : 0),
  uint64: (v, x) => v.setBigUint64(0, BigInt(x), true),
  int64: (v, x) => v.setBigInt64(0, BigInt(x), true),
};
