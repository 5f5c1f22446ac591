/**
 * ONNX files with their external data.
 *
 * 1. A model whose tensors take more than protobuf's 2 GiB is written as two files, `NAME.onnx` and `NAME.onnx_data` (the name
 *    that transformers.js looks for). The data come first and the model last; an older model is removed before its data are
 *    replaced: one that is there has its own data, whatever was killed when.
 * 2. Data files are read whole up to 1 GiB. Of larger ones each tensor is read into the memory where it stays: where they lie
 *    is found by decoding with zeros in their place, and what lies outside the file takes none.
 */
import type { TensorData } from '../graph/dtype.ts';
import type { Model } from '../graph/ir.ts';
import { decodeModel, encodeModelChunks, externalFile, externalLocations } from '../graph/protobuf.ts';
import { GaslawError } from '../util/errors.ts';
import { type FileStore, folderOf, joinPath, nameOf } from '../util/files.ts';

export interface OnnxContent {
  readonly model: Model;
  /** Bytes of the file and of its external data. */
  readonly bytes: number;
}

export interface WriteOnnxOptions {
  /** Bytes of tensors from which they go to a file of their own; a little below 2 GiB when absent. */
  readonly externalFrom?: number;
}

/** Room for everything but tensors. */
const EXTERNAL_FROM = 2 ** 31 - 2 ** 24;
const WHOLE_BYTES = 2 ** 30;
const dataOf = (path: string): string => `${path}_data`;

/** Whether `model` is written in two files. */
export const hasExternalData = (
  model: Model,
  { externalFrom = EXTERNAL_FROM }: WriteOnnxOptions = {},
): boolean =>
  [...model.graph.initializers.values()].reduce((sum, { data }) => sum + bytesOf(data), 0) >= externalFrom;

const bytesOf = (data: TensorData): number => (Array.isArray(data) ? 0 : data.byteLength);

/** Writes `path`, and its external data where it needs any. Returns the bytes of both. */
export async function writeOnnx(
  files: FileStore,
  path: string,
  model: Model,
  options: WriteOnnxOptions = {},
): Promise<number> {
  const dataPath = dataOf(path);
  if (await files.exists(dataPath)) await files.remove(path);
  if (!hasExternalData(model, options)) {
    await files.write(path, encodeModelChunks(model));
    await files.remove(dataPath);
    return files.size(path);
  }
  const { sink, chunks } = externalFile(nameOf(dataPath));
  const content = encodeModelChunks(model, { external: sink });
  await files.remove(path);
  await files.write(dataPath, chunks);
  await files.write(path, content);
  return onnxBytes(files, path);
}

/** Bytes of a file and of the external data that were written with it. */
export async function onnxBytes(files: FileStore, path: string): Promise<number> {
  const data = dataOf(path);
  return (await files.size(path)) + ((await files.exists(data)) ? await files.size(data) : 0);
}

/** Reads a file with its external data. Throws one sentence naming what is missing or damaged. */
export async function readOnnx(
  files: FileStore,
  path: string,
  wholeBytes: number = WHOLE_BYTES,
): Promise<OnnxContent> {
  const content = await files.read(path);
  const external = new Map<string, ExternalData>();
  let bytes = content.byteLength;
  for (const location of locationsOf(content, path)) {
    const place = joinPath(folderOf(path), location);
    const size = await files.size(place);
    bytes += size;
    external.set(
      location,
      size <= wholeBytes ? new WholeData(await files.read(place)) : new LargeData(place, size),
    );
  }
  const decode = () =>
    decodeModel(content, {
      file: path,
      readExternal: (location, offset, length) =>
        external.get(location)?.at(offset, length) ?? new Uint8Array(),
    });
  const large = [...external.values()].filter(data => data instanceof LargeData);
  if (large.length === 0) return { model: decode(), bytes };
  decode();
  for (const data of large) await data.fill(files);
  return { model: decode(), bytes };
}

interface ExternalData {
  /** Fewer bytes, or none, where the file is too short. */
  at(offset: number, length: number): Uint8Array;
}

class WholeData implements ExternalData {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  at = (offset: number, length: number): Uint8Array => this.#bytes.subarray(offset, offset + length);
}

/** Zeros until `fill`; the same memory for the same place. */
class LargeData implements ExternalData {
  readonly #path: string;
  readonly #size: number;
  readonly #pieces = new Map<string, { offset: number; bytes: Uint8Array }>();

  constructor(path: string, size: number) {
    this.#path = path;
    this.#size = size;
  }

  at(offset: number, length: number): Uint8Array {
    if (offset < 0 || length < 0 || offset + length > this.#size) return new Uint8Array();
    const key = `${offset} ${length}`;
    const piece = this.#pieces.get(key) ?? { offset, bytes: new Uint8Array(length) };
    this.#pieces.set(key, piece);
    return piece.bytes;
  }

  async fill(files: FileStore): Promise<void> {
    const read = files.readRange?.bind(files);
    if (!read)
      throw new GaslawError(`${this.#path}: too large to be read whole, which is all that can be done here`);
    for (const { offset, bytes } of this.#pieces.values())
      for (let at = 0; at < bytes.length; at += WHOLE_BYTES) {
        const part = bytes.subarray(at, at + WHOLE_BYTES);
        const got = await read(this.#path, offset + at, part.length, part);
        if (got.length < part.length) throw new GaslawError(`${this.#path}: cut short while it was read`);
        if (got.buffer !== part.buffer) part.set(got);
      }
  }
}

function locationsOf(content: Uint8Array, path: string): string[] {
  try {
    return externalLocations(new Uint8Array(content.buffer, content.byteOffset, content.byteLength));
  } catch (error) {
    if (error instanceof GaslawError) throw new GaslawError(`${path}: ${error.message}`);
    throw error;
  }
}
