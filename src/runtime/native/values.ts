/**
 * Tensors as `OrtValue`s and back.
 *
 * 1. A numeric tensor is wrapped, not copied: the value points into the caller's typed array, which must stay
 *    referenced as long as the value lives.
 * 2. V8 keeps the elements of small typed arrays inside the garbage-collected heap, where they move, until somebody asks
 *    for their `buffer`; `stableAddress` is the one place that asks.
 * 3. Strings are copied in and out.
 */
import {
  allocate,
  byteLength,
  DTYPE_CODES,
  type DType,
  dtypeOfCode,
  type TensorData,
} from '../../graph/dtype.ts';
import { sizeOf, type Tensor } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import type { Engine } from './engine.ts';
import type { Address, Koffi } from './library.ts';

type NumericData = Exclude<TensorData, string[]>;

/** What an empty tensor points at, since V8 gives an empty array no address. */
const NOWHERE = new Float64Array(1);

/** The address of the array's elements, valid for as long as the array is referenced. */
export function stableAddress(koffi: Koffi, data: ArrayBufferView): Address {
  const view = data.byteLength === 0 ? NOWHERE : data;
  void view.buffer;
  return koffi.address(view);
}

/** A value that points into the tensor's own array. Release it with `ReleaseValue`; keep the array referenced until then. */
export function wrapTensor(engine: Engine, tensor: Tensor): Address {
  if (tensor.dtype === 'string') return stringValue(engine, tensor);
  const data = tensor.data as NumericData;
  const bytes = byteLength(tensor.dtype, sizeOf(tensor.dims));
  const status = engine.api.CreateTensorWithDataAsOrtValue(
    engine.cpuMemory,
    stableAddress(engine.koffi, data),
    bytes,
    dimsOf(tensor),
    tensor.dims.length,
    DTYPE_CODES[tensor.dtype],
    engine.out,
  );
  return engine.take(status, 'creating a tensor');
}

function stringValue(engine: Engine, { dims, data }: Tensor): Address {
  const { api, out, koffi } = engine;
  const value = engine.take(
    api.CreateTensorAsOrtValue(engine.allocator, dimsOf({ dims }), dims.length, DTYPE_CODES.string, out),
    'creating a string tensor',
  );
  const texts = (data as string[]).map(text => Buffer.from(`${text}\0`));
  const table = BigUint64Array.from(texts, text => stableAddress(koffi, text));
  if (texts.length > 0)
    engine.check(api.FillStringTensor(value, table, texts.length), 'filling a string tensor');
  return value;
}

const dimsOf = ({ dims }: Pick<Tensor, 'dims'>): BigInt64Array =>
  dims.length === 0 ? new BigInt64Array(1) : BigInt64Array.from(dims, BigInt);

/** A fresh tensor with a copy of the value's elements. */
export function copyValue(engine: Engine, value: Address): Tensor {
  const { dtype, dims } = describe(engine, value);
  const count = sizeOf(dims);
  if (dtype === 'string') return { dtype, dims, data: readStrings(engine, value, count) };
  const data = allocate(dtype, count) as NumericData;
  if (count > 0) {
    const from = engine.take(engine.api.GetTensorMutableData(value, engine.out), 'reading a tensor');
    const source = new Uint8Array(engine.koffi.view(from, data.byteLength));
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength).set(source);
  }
  return { dtype, dims, data };
}

function describe(engine: Engine, value: Address): { dtype: DType; dims: number[] } {
  const { api, out } = engine;
  const info = engine.take(api.GetTensorTypeAndShape(value, out), 'reading a tensor');
  try {
    const code = Number(engine.take(api.GetTensorElementType(info, engine.clear()), 'reading a dtype'));
    const rank = Number(engine.take(api.GetDimensionsCount(info, engine.clear()), 'reading a rank'));
    const dims = new BigInt64Array(Math.max(1, rank));
    engine.check(api.GetDimensions(info, dims, rank), 'reading dims');
    const dtype = dtypeOfCode(code);
    if (!dtype) throw new GaslawError(`an output has element type ${code}, which Gaslaw does not know`);
    return { dtype, dims: Array.from(dims.subarray(0, rank), Number) };
  } finally {
    api.ReleaseTensorTypeAndShapeInfo(info);
  }
}

function readStrings(engine: Engine, value: Address, count: number): string[] {
  if (count === 0) return [];
  const { api } = engine;
  const bytes = Number(engine.take(api.GetStringTensorDataLength(value, engine.clear()), 'reading strings'));
  const content = Buffer.alloc(Math.max(1, bytes));
  const offsets = new BigUint64Array(count);
  engine.check(api.GetStringTensorContent(value, content, bytes, offsets, count), 'reading strings');
  return Array.from(offsets, (start, i) =>
    content.toString('utf8', Number(start), i + 1 < count ? Number(offsets[i + 1]) : bytes),
  );
}
