/**
 * Tensors from and to ONNX's TensorProto.
 *
 * 1. Written as raw little-endian bytes (strings excepted); read from raw bytes, typed fields or external data.
 * 2. Raw bytes are viewed; they are copied only when their offset is not a multiple of the element's size.
 * 3. Sparse tensors become dense ones, since nothing here computes on sparse ones.
 * Source: the comments of TensorProto in the ONNX format on which field stores which type.
 */
import { GaslawError } from '../util/errors.ts';
import {
  allocate,
  byteLength,
  DTYPE_CODES,
  type DType,
  dtypeOfCode,
  isPacked,
  storesDType,
  type TensorData,
  viewBytes,
} from './dtype.ts';
import { sizeOf, type Tensor } from './ir.ts';
import type { Int64, SparseTensorProto, StringStringEntryProto, TensorProto } from './onnx-schema.ts';

/** Where a tensor's bytes lie outside the model file. */
export interface ExternalPlace {
  /** File name relative to the model's folder. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** Takes a tensor's bytes out of the model file; returns undefined to leave them inside. */
export type ExternalSink = (name: string, bytes: Uint8Array) => ExternalPlace | undefined;

/** The bytes of an external data file. `length` is known from dtype and dims. */
export type ReadExternal = (location: string, offset: number, length: number) => Uint8Array;

const EXTERNAL = 1;
/** Sparse tensors larger than this when dense are refused: a short file must not claim all memory. */
const MAX_DENSE_BYTES = 1 << 30;

// ---- writing ----

export function tensorToProto(tensor: Tensor, name: string | undefined, sink?: ExternalSink): TensorProto {
  const head: TensorProto = { name, dims: [...tensor.dims], dataType: DTYPE_CODES[tensor.dtype] };
  const { data } = tensor;
  checkTensor(tensor, `tensor "${name ?? ''}"`);
  if (Array.isArray(data)) return { ...head, stringData: data.map(text => new TextEncoder().encode(text)) };
  const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  const place = name === undefined ? undefined : sink?.(name, bytes);
  return place
    ? { ...head, externalData: placeToEntries(place), dataLocation: EXTERNAL }
    : { ...head, rawData: bytes };
}

/** Throws when dims and data contradict each other. */
export function checkTensor(tensor: Tensor, what: string): void {
  const { dtype, dims, data } = tensor;
  const count = sizeOf(dims);
  if (!dims.every(d => Number.isSafeInteger(d) && d >= 0) || !Number.isSafeInteger(count)) {
    throw new GaslawError(`${what}: dims [${dims}] are not counts`);
  }
  if (!storesDType(dtype, data))
    throw new GaslawError(`${what}: ${data.constructor.name} does not store ${dtype}`);
  const expected = isPacked(dtype) ? byteLength(dtype, count) : count;
  if (data.length !== expected) {
    throw new GaslawError(
      `${what}: ${dtype}[${dims}] takes ${expected} stored elements, its data has ${data.length}`,
    );
  }
}

const placeToEntries = ({ location, offset, length }: ExternalPlace): StringStringEntryProto[] => [
  { key: 'location', value: location },
  { key: 'offset', value: String(offset) },
  { key: 'length', value: String(length) },
];

// ---- reading ----

export function tensorFromProto(proto: TensorProto, readExternal?: ReadExternal): Tensor {
  const what = `tensor "${proto.name ?? ''}"`;
  const dtype = dtypeFromCode(proto.dataType ?? 0, what);
  const dims = dimsFromProto(proto.dims ?? [], what);
  if (proto.segment)
    throw new GaslawError(`${what}: segmented tensors are not supported, store it in one piece`);
  const count = sizeOf(dims);
  if (proto.dataLocation === EXTERNAL) {
    return { dtype, dims, data: readPlaced(proto, dtype, count, what, readExternal) };
  }
  if (dtype === 'string') return { dtype, dims, data: strings(proto, count, what) };
  const data = proto.rawData?.length
    ? fromRaw(dtype, count, proto.rawData, what)
    : fromTyped(dtype, count, proto, what);
  return { dtype, dims, data };
}

export function dtypeFromCode(code: number, what: string): DType {
  const dtype = dtypeOfCode(code);
  if (dtype) return dtype;
  throw new GaslawError(`${what}: element type ${code} is not supported`);
}

function dimsFromProto(dims: readonly Int64[], what: string): number[] {
  const out = dims.map(Number);
  // 2^50 elements are more than any file holds and keep every later product exact.
  if (out.every(d => Number.isSafeInteger(d) && d >= 0) && sizeOf(out) <= 2 ** 50) return out;
  throw new GaslawError(`${what}: dims [${dims}] are negative or too large`);
}

function fromRaw(dtype: DType, count: number, bytes: Uint8Array, what: string): TensorData {
  if (dtype === 'string') throw new GaslawError(`${what}: strings cannot lie in raw bytes`);
  const expected = byteLength(dtype, count);
  if (bytes.length === expected) return viewBytes(dtype, bytes);
  throw new GaslawError(
    `${what}: ${count} elements of ${dtype} take ${expected} bytes, the file has ${bytes.length}`,
  );
}

function readPlaced(
  proto: TensorProto,
  dtype: DType,
  count: number,
  what: string,
  readExternal?: ReadExternal,
): TensorData {
  const place = placeFromProto(proto);
  if (!readExternal) {
    throw new GaslawError(`${what}: its data lie in "${place.location}": pass readExternal to read them`);
  }
  const expected = dtype === 'string' ? 0 : byteLength(dtype, count);
  const bytes = readExternal(place.location, place.offset, place.length ?? expected);
  // A Buffer's `slice` is a view: normalize, so that `viewBytes` can align by copying.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return fromRaw(dtype, count, plain, what);
}

/** The external place of a tensor. Throws when it points out of the model's folder. */
export function placeFromProto(proto: TensorProto): { location: string; offset: number; length?: number } {
  const entries = new Map((proto.externalData ?? []).map(e => [e.key ?? '', e.value ?? '']));
  const what = `tensor "${proto.name ?? ''}"`;
  const location = entries.get('location') ?? '';
  if (location === '' || /^([/\\]|[A-Za-z]:)/.test(location) || location.split(/[/\\]/).includes('..')) {
    throw new GaslawError(`${what}: external location "${location}" does not lie in the model's folder`);
  }
  return {
    location,
    offset: countOf(entries.get('offset'), `${what}: offset`) ?? 0,
    length: countOf(entries.get('length'), `${what}: length`),
  };
}

function countOf(text: string | undefined, what: string): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count;
  throw new GaslawError(`${what} "${text}" is not a count of bytes`);
}

function strings(proto: TensorProto, count: number, what: string): string[] {
  const list = proto.stringData ?? [];
  if (list.length !== count)
    throw new GaslawError(`${what}: ${count} strings expected, the file has ${list.length}`);
  return list.map(bytes => utf8(bytes, what));
}

/** Text of UTF-8 bytes. Throws on bytes that are not. */
export function utf8(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new GaslawError(`${what}: its bytes are not UTF-8 text`);
  }
}

/** The typed field that stores each dtype when raw bytes are absent. */
const TYPED_FIELDS: Record<
  Exclude<DType, 'string'>,
  'floatData' | 'int32Data' | 'int64Data' | 'doubleData' | 'uint64Data'
> = {
  float32: 'floatData',
  float64: 'doubleData',
  int64: 'int64Data',
  uint32: 'uint64Data',
  uint64: 'uint64Data',
  int32: 'int32Data',
  int16: 'int32Data',
  int8: 'int32Data',
  uint16: 'int32Data',
  uint8: 'int32Data',
  bool: 'int32Data',
  float16: 'int32Data',
  bfloat16: 'int32Data',
  float8e4m3fn: 'int32Data',
  float8e4m3fnuz: 'int32Data',
  float8e5m2: 'int32Data',
  float8e5m2fnuz: 'int32Data',
  uint4: 'int32Data',
  int4: 'int32Data',
  float4e2m1: 'int32Data',
  float8e8m0: 'int32Data',
  uint2: 'int32Data',
  int2: 'int32Data',
};

function fromTyped(
  dtype: Exclude<DType, 'string'>,
  count: number,
  proto: TensorProto,
  what: string,
): TensorData {
  const list: readonly Int64[] = proto[TYPED_FIELDS[dtype]] ?? [];
  // Packed types fill each entry as they do each stored byte.
  const expected = isPacked(dtype) ? byteLength(dtype, count) : count;
  if (list.length !== expected) {
    throw new GaslawError(
      `${what}: ${dtype} with ${count} elements takes ${expected} values, the file has ${list.length}`,
    );
  }
  const data = allocate(dtype, count);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.set(list.map(BigInt));
  else (data as Float64Array).set(list as readonly number[]); // every other array takes numbers
  return data;
}

/** The dense form of a sparse tensor; indices are flat positions [n] or coordinates [n, rank]. */
export function denseFromProto(proto: SparseTensorProto, readExternal?: ReadExternal): Tensor {
  if (!proto.values || !proto.indices) throw new GaslawError('sparse tensor: values or indices are missing');
  const what = `sparse tensor "${proto.values.name ?? ''}"`;
  const values = tensorFromProto(proto.values, readExternal);
  const indices = tensorFromProto(proto.indices, readExternal);
  const dims = dimsFromProto(proto.dims ?? [], what);
  const dense = emptyDense(values.dtype, dims, what);
  flatPositions(indices, dims, values.data.length, what).forEach((at, i) => {
    dense[at] = values.data[i] as never; // both arrays store the same dtype
  });
  return { dtype: values.dtype, dims, data: dense };
}

function emptyDense(dtype: DType, dims: readonly number[], what: string): TensorData {
  if (dtype === 'string' || isPacked(dtype)) throw new GaslawError(`${what}: ${dtype} cannot be sparse`);
  const bytes = byteLength(dtype, sizeOf(dims));
  if (bytes > MAX_DENSE_BYTES)
    throw new GaslawError(`${what}: ${bytes} bytes when dense are over the 1 GiB limit`);
  return allocate(dtype, sizeOf(dims));
}

function flatPositions(indices: Tensor, dims: readonly number[], count: number, what: string): number[] {
  const list = Array.from(indices.data as BigInt64Array, Number);
  const width = indices.dims.length === 2 ? dims.length : 1;
  if (indices.dtype !== 'int64' || list.length !== count * width) {
    throw new GaslawError(`${what}: ${count} values do not match int64 indices [${indices.dims}]`);
  }
  const limits = width === 1 ? [sizeOf(dims)] : dims;
  return Array.from({ length: count }, (_, i) =>
    limits.reduce((flat, limit, axis) => {
      const at = list[i * width + axis];
      if (at < 0 || at >= limit) throw new GaslawError(`${what}: index ${at} is outside [0, ${limit})`);
      return flat * limit + at;
    }, 0),
  );
}
