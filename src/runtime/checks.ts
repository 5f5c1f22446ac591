/**
 * The checks that every runtime makes before it touches a buffer, with the same messages.
 *
 * 1. A buffer shorter than its dims would let native code write past its end, so lengths are checked too.
 * 2. A symbol has one value across all tensors of a call.
 */
import { byteLength, storesDType } from '../graph/dtype.ts';
import { type Dim, sizeOf, type Tensor, type ValueInfo } from '../graph/ir.ts';
import { isNamed } from '../ops/bind-dims.ts';
import { GaslawError } from '../util/errors.ts';
import type { Program } from './runtime.ts';

type Signature = Pick<Program, 'inputs' | 'outputs'>;
type Buffers = Readonly<Record<string, Tensor>>;

export const outputNames = ({ outputs }: Signature): string[] => outputs.map(({ name }) => name);

/** Checks what `bind` is given: a tensor for every input and for at least one output, each fitting its type. */
export function checkBuffers(signature: Signature, buffers: Buffers): void {
  const outputs = signature.outputs.filter(({ name }) => name in buffers);
  checkNames(buffers, [...signature.inputs, ...signature.outputs], 'input or output');
  checkTensors([...signature.inputs, ...outputs], buffers);
  if (outputs.length === 0)
    throw new GaslawError(`no output is bound; bind at least one of ${list(outputNames(signature))}`);
  const text = Object.keys(buffers).find(name => buffers[name].dtype === 'string');
  if (text !== undefined) throw new GaslawError(`"${text}" holds strings, which cannot be bound; use call`);
}

/** Checks what `call` is given: a tensor for every input, and names of outputs that exist. */
export function checkInputs(signature: Signature, inputs: Buffers, outputs: readonly string[]): void {
  checkNames(inputs, signature.inputs, 'input');
  checkTensors(signature.inputs, inputs);
  const known = outputNames(signature);
  const unknown = outputs.find(name => !known.includes(name));
  if (unknown !== undefined)
    throw new GaslawError(`unknown output "${unknown}"; the outputs are ${list(known)}`);
}

function checkNames(buffers: Buffers, infos: readonly ValueInfo[], role: string): void {
  const known = new Set(infos.map(({ name }) => name));
  const unknown = Object.keys(buffers).find(name => !known.has(name));
  if (unknown !== undefined)
    throw new GaslawError(`unknown ${role} "${unknown}"; there are ${list([...known])}`);
}

function checkTensors(infos: readonly ValueInfo[], buffers: Buffers): void {
  const symbols = new Map<string, { value: number; name: string }>();
  for (const info of infos) {
    const tensor = buffers[info.name];
    if (!tensor) throw new GaslawError(`missing input "${info.name}"`);
    checkTensor(info, tensor);
    info.shape?.forEach((dim, axis) => {
      checkSymbol(symbols, dim, tensor.dims[axis], info.name);
    });
  }
}

function checkTensor(info: ValueInfo, { dtype, dims, data }: Tensor): void {
  const { name, shape } = info;
  if (dtype !== info.dtype) throw new GaslawError(`"${name}" must be ${info.dtype}, not ${dtype}`);
  if (!storesDType(dtype, data))
    throw new GaslawError(`"${name}" is ${dtype}, but its data is a ${data.constructor.name}`);
  if (shape && !fits(shape, dims))
    throw new GaslawError(`"${name}" must have shape [${shape}], not [${dims}]`);
  const need = dtype === 'string' ? sizeOf(dims) : byteLength(dtype, sizeOf(dims));
  const have = Array.isArray(data) ? data.length : data.byteLength;
  if (have < need)
    throw new GaslawError(`"${name}" has dims [${dims}], but its data holds only ${data.length} elements`);
}

const fits = (shape: readonly Dim[], dims: readonly number[]): boolean =>
  shape.length === dims.length && shape.every((dim, i) => typeof dim === 'string' || dim === dims[i]);

function checkSymbol(
  symbols: Map<string, { value: number; name: string }>,
  dim: Dim,
  value: number,
  name: string,
): void {
  if (typeof dim !== 'string' || !isNamed(dim)) return;
  const first = symbols.get(dim);
  if (first && first.value !== value)
    throw new GaslawError(
      `dimension "${dim}" is ${first.value} in "${first.name}" but ${value} in "${name}"`,
    );
  if (!first) symbols.set(dim, { value, name });
}

const list = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));
