/**
 * TFLite files written with flatbuffers.
 *
 * 1. Constants lie in buffers aligned to 16 bytes, as interpreters map them; buffer 0 is empty, as the format has it.
 * 2. An operator code stands once a file, with the old 8-bit field beside the new one.
 */
import { Builder } from 'flatbuffers';
import { GaslawError } from '../../util/errors.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './model.ts';
import { type OperatorName, SPECS, TYPE_CODES } from './schema.ts';

const IDENTIFIER = 'TFL3';
const ALIGNMENT = 16;
const LARGEST_OLD_CODE = 127;

/** Bytes of a `.tflite` file. */
export function encodeTflite(model: TfliteModel): Uint8Array {
  const b = new Builder(1024);
  const constants = model.tensors.filter(tensor => tensor.data !== undefined);
  const buffers = [buffer(b, undefined), ...constants.map(tensor => buffer(b, tensor))];
  const names = [...new Set(model.operators.map(operator => operator.op))];
  const tensors = model.tensors.map(t =>
    tensorTable(b, t, t.data === undefined ? 0 : 1 + constants.indexOf(t)),
  );
  const operators = model.operators.map(operator => operatorTable(b, operator, names.indexOf(operator.op)));
  const subgraph = table(b, 5, [
    [0, offsets(b, tensors)],
    [1, ints(b, model.inputs)],
    [2, ints(b, model.outputs)],
    [3, offsets(b, operators)],
    [4, b.createString('main')],
  ]);
  const codes = offsets(
    b,
    names.map(name => codeTable(b, name)),
  );
  const [subgraphs, description, all] = [
    offsets(b, [subgraph]),
    b.createString(model.description),
    offsets(b, buffers),
  ];
  b.startObject(8);
  b.addFieldInt32(0, 3, 0);
  for (const [slot, offset] of [
    [1, codes],
    [2, subgraphs],
    [3, description],
    [4, all],
  ] as const)
    b.addFieldOffset(slot, offset, 0);
  b.finish(b.endObject(), IDENTIFIER);
  return b.asUint8Array();
}

/** A table of offsets alone. */
function table(
  b: Builder,
  size: number,
  fields: readonly (readonly [slot: number, offset: number])[],
): number {
  b.startObject(size);
  for (const [slot, offset] of fields) b.addFieldOffset(slot, offset, 0);
  return b.endObject();
}

function offsets(b: Builder, list: readonly number[]): number {
  b.startVector(4, list.length, 4);
  for (let i = list.length - 1; i >= 0; i--) b.addOffset(list[i] as number);
  return b.endVector();
}

function ints(b: Builder, list: readonly number[]): number {
  b.startVector(4, list.length, 4);
  for (let i = list.length - 1; i >= 0; i--) b.addInt32(list[i] as number);
  return b.endVector();
}

function floats(b: Builder, list: readonly number[]): number {
  b.startVector(4, list.length, 4);
  for (let i = list.length - 1; i >= 0; i--) b.addFloat32(list[i] as number);
  return b.endVector();
}

function longs(b: Builder, list: readonly number[]): number {
  b.startVector(8, list.length, 8);
  for (let i = list.length - 1; i >= 0; i--) b.addInt64(BigInt(list[i] as number));
  return b.endVector();
}

function buffer(b: Builder, tensor: TfliteTensor | undefined): number {
  if (!tensor?.data) return table(b, 3, []);
  if (Array.isArray(tensor.data))
    throw new GaslawError(`tensor "${tensor.name}": strings are not written to TFLite`);
  const { buffer: memory, byteOffset, byteLength } = tensor.data;
  const bytes = new Uint8Array(memory, byteOffset, byteLength);
  b.prep(ALIGNMENT, bytes.length);
  return table(b, 3, [[0, b.createByteVector(bytes)]]);
}

function tensorTable(b: Builder, t: TfliteTensor, at: number): number {
  const code = TYPE_CODES[t.dtype as keyof typeof TYPE_CODES];
  if (code === undefined) throw new GaslawError(`tensor "${t.name}": dtype ${t.dtype} has no TFLite type`);
  const [shape, name] = [ints(b, t.shape), b.createString(t.name)];
  const quantization = t.quantization && quantizationTable(b, t.quantization);
  b.startObject(11);
  b.addFieldOffset(0, shape, 0);
  b.addFieldInt8(1, code, 0);
  b.addFieldInt32(2, at, 0);
  b.addFieldOffset(3, name, 0);
  if (quantization) b.addFieldOffset(4, quantization, 0);
  return b.endObject();
}

function quantizationTable(
  b: Builder,
  { scale, zeroPoint, axis }: NonNullable<TfliteTensor['quantization']>,
): number {
  const [scales, zeros] = [floats(b, scale), longs(b, zeroPoint)];
  b.startObject(7);
  b.addFieldOffset(2, scales, 0);
  b.addFieldOffset(3, zeros, 0);
  b.addFieldInt32(6, axis ?? 0, 0);
  return b.endObject();
}

function codeTable(b: Builder, name: OperatorName): number {
  const { code, version } = SPECS[name];
  b.startObject(4);
  b.addFieldInt8(0, Math.min(code, LARGEST_OLD_CODE), 0);
  b.addFieldInt32(2, version, 1);
  b.addFieldInt32(3, code, 0);
  return b.endObject();
}

function operatorTable(b: Builder, operator: TfliteOperator, code: number): number {
  const { options } = SPECS[operator.op];
  const [inputs, outputs] = [ints(b, operator.inputs), ints(b, operator.outputs)];
  const made = options === 0 ? 0 : optionsTable(b, operator);
  b.startObject(14);
  b.addFieldInt32(0, code, 0);
  b.addFieldOffset(1, inputs, 0);
  b.addFieldOffset(2, outputs, 0);
  b.addFieldInt8(3, options, 0);
  b.addFieldOffset(4, made, 0);
  return b.endObject();
}

function optionsTable(b: Builder, { op, options }: TfliteOperator): number {
  const entries = Object.entries(SPECS[op].fields);
  const lists = new Map(
    entries.flatMap(([name]) =>
      Array.isArray(options[name]) ? [[name, ints(b, options[name])] as const] : [],
    ),
  );
  b.startObject(Math.max(0, ...entries.map(([, [slot]]) => slot + 1)));
  for (const [name, [slot, kind, otherwise]] of entries) {
    const value = options[name];
    if (lists.has(name)) b.addFieldOffset(slot, lists.get(name) as number, 0);
    else if (typeof value === 'number') ADD[kind](b, slot, value, otherwise);
  }
  return b.endObject();
}

const ADD = {
  int8: (b: Builder, slot: number, value: number, otherwise: number) =>
    b.addFieldInt8(slot, value, otherwise),
  bool: (b: Builder, slot: number, value: number, otherwise: number) =>
    b.addFieldInt8(slot, value, otherwise),
  int32: (b: Builder, slot: number, value: number, otherwise: number) =>
    b.addFieldInt32(slot, value, otherwise),
  float32: (b: Builder, slot: number, value: number, otherwise: number) =>
    b.addFieldFloat32(slot, value, otherwise),
  ints: () => undefined,
} as const;
