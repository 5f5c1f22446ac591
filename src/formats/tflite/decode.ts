/** TFLite files read: flatbuffer tables by slot. Broken bytes give one sentence. */
import { ByteBuffer } from 'flatbuffers';
import { byteLength, viewBytes } from '../../graph/dtype.ts';
import { sizeOf } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './model.ts';
import { OPERATOR_OF_CODE, type OperatorName, SPECS, TYPE_OF_CODE } from './schema.ts';

/** A flatbuffer table. */
class Table {
  readonly #bytes: ByteBuffer;
  readonly #at: number;

  constructor(bytes: ByteBuffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  static root(bytes: ByteBuffer): Table {
    return new Table(bytes, bytes.readInt32(0));
  }

  #field(slot: number): number {
    const offset = this.#bytes.__offset(this.#at, 4 + 2 * slot);
    return offset === 0 ? 0 : this.#at + offset;
  }

  int8(slot: number, otherwise = 0): number {
    const at = this.#field(slot);
    return at ? this.#bytes.readInt8(at) : otherwise;
  }
  int32(slot: number, otherwise = 0): number {
    const at = this.#field(slot);
    return at ? this.#bytes.readInt32(at) : otherwise;
  }
  float32(slot: number, otherwise = 0): number {
    const at = this.#field(slot);
    return at ? this.#bytes.readFloat32(at) : otherwise;
  }
  string(slot: number): string {
    const at = this.#field(slot);
    return at ? String(this.#bytes.__string(at)) : '';
  }
  table(slot: number): Table | undefined {
    const at = this.#field(slot);
    return at ? new Table(this.#bytes, this.#bytes.__indirect(at)) : undefined;
  }
  #vector(slot: number): [start: number, length: number] {
    const at = this.#field(slot);
    return at ? [this.#bytes.__vector(at), this.#bytes.__vector_len(at)] : [0, 0];
  }
  tables(slot: number): Table[] {
    const [start, length] = this.#vector(slot);
    this.#check(start, 4 * length);
    return Array.from({ length }, (_, i) => new Table(this.#bytes, this.#bytes.__indirect(start + 4 * i)));
  }
  list(slot: number, width: number, read: (at: number) => number): number[] {
    const [start, length] = this.#vector(slot);
    this.#check(start, width * length);
    return Array.from({ length }, (_, i) => read(start + width * i));
  }
  ints(slot: number): number[] {
    return this.list(slot, 4, at => this.#bytes.readInt32(at));
  }
  floats(slot: number): number[] {
    return this.list(slot, 4, at => this.#bytes.readFloat32(at));
  }
  longs(slot: number): number[] {
    return this.list(slot, 8, at => Number(this.#bytes.readInt64(at)));
  }
  bytes(slot: number): Uint8Array {
    const [start, length] = this.#vector(slot);
    this.#check(start, length);
    return this.#bytes.bytes().subarray(start, start + length);
  }
  #check(start: number, length: number): void {
    if (start < 0 || length < 0 || start + length > this.#bytes.capacity())
      throw new RangeError('past the end');
  }
}

/** Reads the first subgraph. Throws a GaslawError naming `file` for what is no TFLite file, or an operator that is not known. */
export function decodeTflite(bytes: Uint8Array, file = 'model.tflite'): TfliteModel {
  if (bytes.length < 8 || String.fromCharCode(...bytes.subarray(4, 8)) !== 'TFL3')
    throw new GaslawError(`${file}: not a TFLite file (no "TFL3" at byte 4)`);
  try {
    return read(Table.root(new ByteBuffer(bytes)), file);
  } catch (error) {
    if (error instanceof GaslawError) throw error;
    throw new GaslawError(`${file}: broken TFLite file (${(error as Error).message})`); // whatever a bad offset led to
  }
}

function read(root: Table, file: string): TfliteModel {
  const [subgraph] = root.tables(2);
  if (!subgraph) throw new GaslawError(`${file}: no subgraph`);
  const buffers = root.tables(4);
  const codes = root.tables(1).map(code => Math.max(code.int8(0), code.int32(3)));
  const tensors = subgraph.tables(0).map((t, i) => tensorOf(t, buffers, `${file}: tensor ${i}`));
  return {
    description: root.string(3),
    tensors,
    operators: subgraph.tables(3).map(o => operatorOf(o, codes, file)),
    inputs: subgraph.ints(1),
    outputs: subgraph.ints(2),
  };
}

function tensorOf(t: Table, buffers: readonly Table[], where: string): TfliteTensor {
  const dtype = TYPE_OF_CODE.get(t.int8(1));
  if (!dtype) throw new GaslawError(`${where}: element type ${t.int8(1)} is not read`);
  const shape = t.ints(0);
  const bytes = buffers[t.int32(2)]?.bytes(0) ?? new Uint8Array();
  if (bytes.length > 0 && bytes.length !== byteLength(dtype, sizeOf(shape)))
    throw new GaslawError(`${where}: ${bytes.length} bytes for ${dtype}[${shape}]`);
  const [q, name] = [t.table(4), t.string(3)];
  const scale = q?.floats(2) ?? [];
  return {
    name,
    dtype,
    shape,
    ...(bytes.length > 0 && { data: viewBytes(dtype, bytes.slice()) }),
    ...(q && scale.length > 0 && { quantization: quantizationOf(q, scale) }),
  };
}

function quantizationOf(q: Table, scale: number[]): NonNullable<TfliteTensor['quantization']> {
  const zeros = q.longs(3);
  const zeroPoint = scale.map((_, i) => zeros[i] ?? zeros[0] ?? 0);
  return scale.length > 1 ? { scale, zeroPoint, axis: q.int32(6) } : { scale, zeroPoint };
}

function operatorOf(o: Table, codes: readonly number[], file: string): TfliteOperator {
  const code = codes[o.int32(0)];
  const op = code === undefined ? undefined : OPERATOR_OF_CODE.get(code);
  if (!op)
    throw new GaslawError(
      `${file}: TFLite operator ${code} is not read; convert the model to ONNX with tf2onnx`,
    );
  return { op, inputs: o.ints(1), outputs: o.ints(2), options: optionsOf(op, o.table(4)) };
}

function optionsOf(op: OperatorName, t: Table | undefined): TfliteOperator['options'] {
  const entries = Object.entries(SPECS[op].fields).map(([name, [slot, kind, otherwise]]) => {
    if (kind === 'ints') return [name, t?.ints(slot) ?? []] as const;
    if (kind === 'float32') return [name, t?.float32(slot, otherwise) ?? otherwise] as const;
    return [
      name,
      (kind === 'int32' ? t?.int32(slot, otherwise) : t?.int8(slot, otherwise)) ?? otherwise,
    ] as const;
  });
  return Object.fromEntries(entries);
}
