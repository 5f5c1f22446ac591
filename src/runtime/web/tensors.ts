/**
 * Tensors to and from the `Tensor` class of onnxruntime-common.
 *
 * 1. Its type list has no bfloat16 and no 8-bit floats, so those cannot cross.
 * 2. Where the platform has Float16Array it is used for float16; Gaslaw stores the bits in a Uint16Array.
 */
import type { Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-common';
import { type DType, storesDType, type TensorData } from '../../graph/dtype.ts';
import { sizeOf, type Tensor } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';

const CROSSING = [
  ...(['float32', 'float64', 'float16', 'string', 'bool', 'int4', 'uint4'] as const),
  ...(['int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64'] as const),
] satisfies DType[];
type CrossingDType = (typeof CROSSING)[number];
const crosses = (dtype: DType): dtype is CrossingDType => (CROSSING as readonly DType[]).includes(dtype);

/** The tensor as onnxruntime-common's; its data are not copied. `name` is for the message. */
export function toOrt(make: TensorConstructor, name: string, { dtype, dims, data }: Tensor): OrtTensor {
  if (!crosses(dtype))
    throw new GaslawError(
      `"${name}" is ${dtype}, which ONNX Runtime's JavaScript interface cannot pass; cast it`,
    );
  const exact = data.length === sizeOf(dims) || dtype.endsWith('int4') ? data : data.slice(0, sizeOf(dims));
  const untyped = make as unknown as new (
    type: string,
    data: TensorData,
    dims: readonly number[],
  ) => OrtTensor;
  return new untyped(dtype, exact, dims); // its overloads tie each type to its array; checkBuffers has done that
}

/** A fresh tensor around what a run returned. */
export function fromOrt(tensor: OrtTensor): Tensor {
  const dtype = tensor.type as DType;
  return { dtype, dims: [...tensor.dims], data: storedData(dtype, tensor.data as TensorData) };
}

function storedData(dtype: DType, data: TensorData): TensorData {
  if (Array.isArray(data) || storesDType(dtype, data)) return data;
  return new Uint16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length); // a Float16Array
}

/** Copies what a run returned into a tensor of the caller. Throws when the shapes differ. */
export function copyInto(name: string, { dims, data }: Tensor, result: Tensor): void {
  if (dims.length !== result.dims.length || dims.some((dim, i) => dim !== result.dims[i]))
    throw new GaslawError(
      `output "${name}" has shape [${result.dims}], but is bound to a tensor of [${dims}]`,
    );
  (data as Uint8Array).set(result.data as Uint8Array); // checkBuffers ensured the same kind of array
}
