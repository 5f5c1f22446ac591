/**
 * A GGUF file whose tensors are read one by one.
 *
 * 1. Opening reads the header alone, a piece that grows until it holds it (vocabularies make headers of megabytes).
 * 2. A tensor is read into float32 in pieces of whole blocks, so that it is not in memory twice.
 */

import { sizeOf } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { type FileStore, rangeReader, Scratch } from '../../util/files.ts';
import { dequantize, isReadable, READABLE_TYPES } from './dequantize.ts';
import { decodeHeader, type GgufHeader, type GgufTensor, NeedsMore } from './header.ts';
import { GGML_TYPES, ggmlBytes } from './types.ts';

export interface GgufFile extends GgufHeader {
  readonly path: string;
  /** Bytes of the file. */
  readonly bytes: number;
  /** The stored bytes of a tensor. Throws when there is none of that name. */
  read(name: string): Promise<Uint8Array>;
  /**
   * Reads as many elements of a tensor as `out` holds, from number `first` on, as float32. Throws when there is none of
   * that name, it is shorter, or of a type that is not read.
   */
  readFloats(name: string, out: Float32Array, first?: number): Promise<void>;
  /** Hands out the stored bytes of `count` elements, whole blocks, from number `first` on; they are overwritten afterwards. */
  readBlocks(name: string, first: number, count: number, use: (stored: Uint8Array) => void): Promise<void>;
}

/** Holds the vocabularies of most models: what is cut is read again. */
const FIRST_PIECE = 1 << 23;
/** No vocabulary comes near it. */
const MAX_HEADER_BYTES = 2 ** 28;
/** A whole number of blocks of any type. */
const PIECE_ELEMENTS = 1 << 18;

/** Opens a file: reads only its header where the store can read ranges. */
export async function openGguf(files: FileStore, path: string): Promise<GgufFile> {
  const range = await rangeReader(files, path);
  const bytes = await files.size(path);
  const header = await readHeader(range, bytes, path);
  const tensorNamed = (name: string): GgufTensor => {
    const tensor = header.tensors.get(name);
    if (!tensor) throw new GaslawError(`${path}: there is no tensor "${name}"`);
    return tensor;
  };
  const scratch = new Scratch();
  const whole = async (
    name: string,
    begin: number,
    length: number,
    into?: Uint8Array,
  ): Promise<Uint8Array> => {
    const part = await range(begin, length, into);
    if (part.length === length) return part;
    throw new GaslawError(`${path}: cut short while tensor "${name}" was read`);
  };
  return {
    ...header,
    path,
    bytes,
    async read(name) {
      const { begin, end } = tensorNamed(name);
      return whole(name, begin, end - begin);
    },
    readBlocks(name, first, count, use) {
      const { type, begin } = tensorNamed(name);
      const length = ggmlBytes(type, count);
      return scratch.during(length, async memory =>
        use(await whole(name, begin + ggmlBytes(type, first), length, new Uint8Array(memory))),
      );
    },
    async readFloats(name, out, first = 0) {
      const { type, dims, begin } = tensorNamed(name);
      if (!isReadable(type))
        throw new GaslawError(
          `${path}: tensor "${name}" is ${type}, which is not read; known are ${READABLE_TYPES.join(', ')}`,
        );
      if (first + out.length > sizeOf(dims))
        throw new GaslawError(`${path}: tensor "${name}" is [${dims}], not ${first + out.length} floats`);
      const { elements } = GGML_TYPES[type];
      const last = first + out.length;
      const stored = new Uint8Array(
        ggmlBytes(type, Math.min(PIECE_ELEMENTS, roundUp(out.length, elements) + elements)),
      );
      for (let at = first - (first % elements); at < last; at += PIECE_ELEMENTS) {
        const end = Math.min(at + PIECE_ELEMENTS, roundUp(last, elements));
        const blocks = await whole(name, begin + ggmlBytes(type, at), ggmlBytes(type, end - at), stored);
        if (at >= first && end <= last) {
          dequantize(type, blocks, out.subarray(at - first, end - first));
          continue;
        }
        const piece = new Float32Array(end - at); // blocks that reach beyond what is asked for
        dequantize(type, blocks, piece);
        const from = Math.max(first, at);
        out.set(piece.subarray(from - at, Math.min(last, end) - at), from - first);
      }
    },
  };
}

const roundUp = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple;

async function readHeader(
  range: (offset: number, length: number) => Promise<Uint8Array>,
  bytes: number,
  path: string,
): Promise<GgufHeader> {
  for (let size = FIRST_PIECE; size <= MAX_HEADER_BYTES; size *= 4) {
    const piece = await range(0, Math.min(size, bytes));
    try {
      return decodeHeader(piece, bytes, path);
    } catch (error) {
      if (!(error instanceof NeedsMore)) throw error;
      if (piece.length >= bytes) break;
    }
  }
  throw new GaslawError(
    `${path}: its header is over ${MAX_HEADER_BYTES} bytes, or was cut while it was read`,
  );
}
