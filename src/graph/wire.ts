/**
 * Protobuf messages from and to plain objects, driven by field tables.
 *
 * 1. Reading walks one buffer with absolute positions, so every error names its byte; `bytes` fields are views.
 * 2. Writing gives chunks: large `bytes` fields are referenced, not copied, so a model is never held twice.
 * 3. A field that occurs again replaces a scalar, extends a repeated one and merges a message (protobuf's rule).
 * Source: the protobuf encoding guide; primitives from @bufbuild/protobuf/wire.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { GaslawError } from '../util/errors.ts';

export type ScalarKind = 'int32' | 'int64' | 'uint64' | 'float' | 'double' | 'string' | 'bytes';
type Label = 'single' | 'repeated' | 'packed';

interface ScalarField {
  readonly number: number;
  readonly kind: ScalarKind;
  readonly label: Label;
}

interface MessageField {
  readonly number: number;
  readonly kind: 'message';
  readonly label: Label;
  /** A function, since messages refer to each other in circles. */
  readonly schema: () => AnySchema;
}

export type Field = ScalarField | MessageField;

/** A message's table: one field for every key of `T`, in the order of writing. */
export interface Schema<T> {
  readonly name: string;
  readonly fields: { readonly [K in keyof T]-?: Field };
}

interface AnySchema {
  readonly name: string;
  readonly fields: Readonly<Record<string, Field>>;
}

type Fields = Record<string, unknown>;

export const scalar = (number: number, kind: ScalarKind, label: Label = 'single'): Field => ({
  number,
  kind,
  label,
});

export const message = <T>(
  number: number,
  schema: () => Schema<T>,
  label: 'single' | 'repeated' = 'single',
): Field => ({ number, kind: 'message', label, schema: schema as () => AnySchema });

/** Bytes from which a `bytes` field becomes a chunk of its own instead of being copied. */
const LARGE_BYTES = 4096;
/** Nested messages; a graph inside a graph takes three levels. */
const MAX_DEPTH = 100;
/** Protobuf's own limit of one message. */
const MAX_MESSAGE_BYTES = 0x7fffffff;

// ---- writing ----

/** Bytes under construction: small fields in a writer, large ones by reference. */
class Chunks {
  readonly parts: Uint8Array[] = [];
  readonly #writer = new BinaryWriter();
  size = 0;

  get writer(): BinaryWriter {
    return this.#writer;
  }

  append(part: Uint8Array): void {
    if (part.byteLength === 0) return;
    this.parts.push(part);
    this.size += part.byteLength;
  }

  flush(): this {
    this.append(this.#writer.finish());
    return this;
  }

  bytes(value: Uint8Array): void {
    if (value.byteLength < LARGE_BYTES) {
      this.#writer.bytes(value);
      return;
    }
    this.#writer.uint32(value.byteLength);
    this.flush();
    this.append(value);
  }

  nested(child: Chunks): void {
    if (child.size > MAX_MESSAGE_BYTES) {
      throw new GaslawError(
        `message of ${child.size} bytes is over the 2 GiB limit of protobuf: store large tensors as external data`,
      );
    }
    this.#writer.uint32(child.size);
    if (child.parts.length === 1 && child.size < LARGE_BYTES) this.#writer.raw(child.parts[0]);
    else if (child.size > 0) {
      this.flush();
      for (const part of child.parts) this.append(part);
    }
  }
}

const WIRE_TYPES: Record<Field['kind'], WireType> = {
  int32: WireType.Varint,
  int64: WireType.Varint,
  uint64: WireType.Varint,
  float: WireType.Bit32,
  double: WireType.Bit64,
  string: WireType.LengthDelimited,
  bytes: WireType.LengthDelimited,
  message: WireType.LengthDelimited,
};

/** Encodes `value`; concatenated, the chunks are the message. Large `bytes` fields are referenced by the result. */
export function encodeMessage<T>(schema: Schema<T>, value: T): Uint8Array[] {
  const chunks = encodeFields(schema as AnySchema, value as Fields);
  if (chunks.size > MAX_MESSAGE_BYTES) {
    throw new GaslawError(
      `${schema.name} of ${chunks.size} bytes is over the 2 GiB limit of protobuf: store large tensors as external data`,
    );
  }
  return chunks.parts;
}

function encodeFields(schema: AnySchema, value: Fields): Chunks {
  const out = new Chunks();
  for (const key of Object.keys(schema.fields)) {
    const content = value[key];
    if (content !== undefined) writeField(out, schema.fields[key], content);
  }
  return out.flush();
}

function writeField(out: Chunks, field: Field, content: unknown): void {
  const items = content as readonly unknown[]; // unless single
  if (field.label === 'single') writeOne(out, field, content);
  else if (field.label === 'packed' && items.length > 0) writePacked(out, field as ScalarField, items);
  else for (const item of items) writeOne(out, field, item);
}

function writeOne(out: Chunks, field: Field, content: unknown): void {
  out.writer.tag(field.number, WIRE_TYPES[field.kind]);
  if (field.kind === 'message') out.nested(encodeFields(field.schema(), content as Fields));
  else if (field.kind === 'bytes') out.bytes(content as Uint8Array);
  else writeScalar(out.writer, field.kind, content);
}

function writePacked(out: Chunks, field: ScalarField, items: readonly unknown[]): void {
  out.writer.tag(field.number, WireType.LengthDelimited).fork();
  for (const item of items) writeScalar(out.writer, field.kind, item);
  out.writer.join();
}

function writeScalar(writer: BinaryWriter, kind: ScalarKind, content: unknown): void {
  if (kind === 'string') writer.string(content as string);
  else if (kind === 'int64') writer.int64(content as number | bigint);
  else if (kind === 'uint64') writer.uint64(content as number | bigint);
  else if (kind === 'int32') writer.int32(content as number);
  else if (kind === 'float') writer.float(content as number);
  else writer.double(content as number);
}

// ---- reading ----

interface Place {
  readonly bytes: Uint8Array;
  readonly reader: BinaryReader;
  /** Keys from the outermost message, for errors. */
  readonly path: string[];
  /** First byte of the field being read. */
  start: number;
}

/** Decodes a message. Throws a GaslawError that names the byte and the field where `bytes` stop making sense. */
export function decodeMessage<T>(schema: Schema<T>, bytes: Uint8Array): T {
  const place: Place = { bytes, reader: new BinaryReader(bytes), path: [], start: 0 };
  try {
    return decodeFields(place, schema as AnySchema, bytes.length, {}) as T;
  } catch (error) {
    const reason = (error as Error).message;
    const where = [schema.name, ...place.path].join('.');
    throw new GaslawError(`not a valid ${schema.name}: ${reason} at byte ${place.start}, in ${where}`);
  }
}

const byNumber = new WeakMap<AnySchema, Map<number, string>>();

function keysOf(schema: AnySchema): Map<number, string> {
  let keys = byNumber.get(schema);
  if (!keys) {
    keys = new Map(Object.entries(schema.fields).map(([key, field]) => [field.number, key]));
    byNumber.set(schema, keys);
  }
  return keys;
}

function decodeFields(place: Place, schema: AnySchema, end: number, target: Fields): Fields {
  const { reader, path } = place;
  if (path.length > MAX_DEPTH) throw new Error(`messages nested deeper than ${MAX_DEPTH}`);
  const keys = keysOf(schema);
  while (reader.pos < end) {
    place.start = reader.pos;
    const [number, wireType] = reader.tag();
    const key = keys.get(number);
    if (key === undefined) reader.skip(wireType, number);
    else {
      path.push(key);
      readField(place, schema.fields[key], wireType, end, target, key);
      path.pop();
    }
    if (reader.pos > end) throw new Error('a field runs past the end of its message');
  }
  return target;
}

function readField(
  place: Place,
  field: Field,
  wireType: WireType,
  end: number,
  target: Fields,
  key: string,
): void {
  const expected = WIRE_TYPES[field.kind];
  if (field.label !== 'single') {
    const list = (target[key] ??= []) as unknown[];
    if (wireType === expected) list.push(readOne(place, field, end, undefined));
    else if (wireType === WireType.LengthDelimited) readPacked(place, field as ScalarField, end, list);
    else throw new Error(`wire type ${wireType} instead of ${expected}`);
  } else if (wireType !== expected) throw new Error(`wire type ${wireType} instead of ${expected}`);
  else target[key] = readOne(place, field, end, target[key]);
}

/** The end of a length-delimited field whose length comes next; refuses lengths that do not fit. */
function readEnd(reader: BinaryReader, end: number): number {
  const length = reader.uint32();
  if (length > end - reader.pos) {
    throw new Error(`a length of ${length} bytes where ${Math.max(0, end - reader.pos)} are left`);
  }
  return reader.pos + length;
}

function readOne(place: Place, field: Field, end: number, existing: unknown): unknown {
  const { reader } = place;
  if (field.kind !== 'message' && field.kind !== 'bytes') return readScalar(reader, field.kind);
  const stop = readEnd(reader, end);
  if (field.kind === 'message') return decodeFields(place, field.schema(), stop, (existing ?? {}) as Fields);
  const view = place.bytes.subarray(reader.pos, stop);
  reader.pos = stop;
  return view;
}

function readPacked(place: Place, field: ScalarField, end: number, list: unknown[]): void {
  const { reader } = place;
  const stop = readEnd(reader, end);
  while (reader.pos < stop) list.push(readScalar(reader, field.kind));
  if (reader.pos > stop) throw new Error('a packed field runs past its length');
}

function readScalar(reader: BinaryReader, kind: ScalarKind): unknown {
  if (kind === 'string') return reader.string(true);
  if (kind === 'int64') return exact(reader.int64());
  if (kind === 'uint64') return exact(reader.uint64());
  if (kind === 'int32') return reader.int32();
  return kind === 'float' ? reader.float() : reader.double();
}

function exact(value: bigint | string): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value);
}
