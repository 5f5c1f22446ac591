/**
 * Element types: ONNX's numbering, JavaScript's storage.
 *
 * 1. Names are ONNX's in lower case; numbers are TensorProto.DataType's.
 * 2. Storage is a typed array of the stored width. Types without an array of their own keep raw bits:
 *    float16 and bfloat16 in Uint16Array, float8 and bool in Uint8Array, 4- and 2-bit types packed two or four a byte (low bits first).
 */
export const DTYPE_CODES = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
  float8e4m3fn: 17,
  float8e4m3fnuz: 18,
  float8e5m2: 19,
  float8e5m2fnuz: 20,
  uint4: 21,
  int4: 22,
  float4e2m1: 23,
  float8e8m0: 24,
  uint2: 25,
  int2: 26,
} as const;

export type DType = keyof typeof DTYPE_CODES;

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | string[];

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float8e4m3fn: Uint8Array,
  float8e4m3fnuz: Uint8Array,
  float8e5m2: Uint8Array,
  float8e5m2fnuz: Uint8Array,
  uint4: Uint8Array,
  int4: Uint8Array,
  float4e2m1: Uint8Array,
  float8e8m0: Uint8Array,
  uint2: Uint8Array,
  int2: Uint8Array,
} as const;

type NumericDType = keyof typeof ARRAYS;

const BITS: Record<NumericDType, number> = {
  float32: 32,
  float64: 64,
  int8: 8,
  uint8: 8,
  int16: 16,
  uint16: 16,
  int32: 32,
  uint32: 32,
  int64: 64,
  uint64: 64,
  bool: 8,
  float16: 16,
  bfloat16: 16,
  float8e4m3fn: 8,
  float8e4m3fnuz: 8,
  float8e5m2: 8,
  float8e5m2fnuz: 8,
  uint4: 4,
  int4: 4,
  float4e2m1: 4,
  float8e8m0: 8,
  uint2: 2,
  int2: 2,
};

const BY_CODE = new Map<number, DType>(
  (Object.entries(DTYPE_CODES) as [DType, number][]).map(([name, code]) => [code, name]),
);

/** The dtype of an ONNX TensorProto.DataType number, or undefined when ONNX has none at that number. */
export function dtypeOfCode(code: number): DType | undefined {
  return BY_CODE.get(code);
}

/** Stored bits of one element. Throws for `string`, which has no fixed width. */
export function bitsOf(dtype: DType): number {
  if (dtype === 'string') throw new Error('dtype string has no fixed width');
  return BITS[dtype];
}

/** Whether several elements share a byte. */
export const isPacked = (dtype: DType): boolean => dtype !== 'string' && bitsOf(dtype) < 8;

/** Bytes that `count` elements take; types of less than a byte are packed and rounded up. */
export function byteLength(dtype: DType, count: number): number {
  return Math.ceil((count * bitsOf(dtype)) / 8);
}

/** A zero-filled array that stores `count` elements of `dtype`. */
export function allocate(dtype: DType, count: number): TensorData {
  if (dtype === 'string') return new Array<string>(count).fill('');
  const length = isPacked(dtype) ? byteLength(dtype, count) : count;
  return new ARRAYS[dtype](length);
}

/** A typed view of raw little-endian bytes; copies only when the offset is not aligned to the element. */
export function viewBytes(dtype: DType, bytes: Uint8Array): TensorData {
  if (dtype === 'string') throw new Error('dtype string cannot be viewed as raw bytes');
  const array = ARRAYS[dtype];
  const aligned = bytes.byteOffset % array.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new array(
    aligned.buffer as ArrayBuffer,
    aligned.byteOffset,
    Math.floor(aligned.byteLength / array.BYTES_PER_ELEMENT),
  );
}

/** Whether `data` is the kind of array that stores `dtype`. */
export function storesDType(dtype: DType, data: TensorData): boolean {
  return dtype === 'string' ? Array.isArray(data) : data instanceof ARRAYS[dtype];
}

export const isFloat = (dtype: DType): boolean => dtype.startsWith('float') || dtype === 'bfloat16';
