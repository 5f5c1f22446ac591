/**
 * ONNX files: `decodeModel(encodeModel(model))` equals `model`.
 *
 * 1. Weights are neither copied on writing in chunks nor on reading (where alignment allows a view).
 * 2. Malformed bytes give one sentence with the byte's offset; lengths are checked before anything is allocated.
 * 3. Above a size of the caller's choice tensors go to an external data file.
 */
import { GaslawError } from '../util/errors.ts';
import { concatBytes } from '../util/files.ts';
import { modelFromProto } from './from-proto.ts';
import type { Model } from './ir.ts';
import { type GraphProto, MODEL } from './onnx-schema.ts';
import { type ExternalPlace, type ExternalSink, placeFromProto, type ReadExternal } from './tensor-proto.ts';
import { modelToProto } from './to-proto.ts';
import { decodeMessage, encodeMessage } from './wire.ts';

export type { ExternalPlace, ExternalSink, ReadExternal } from './tensor-proto.ts';

export interface EncodeOptions {
  /** Takes large initializers out of the file; see `externalFile`. */
  readonly external?: ExternalSink;
}

export interface DecodeOptions {
  /** The file's name, for messages. */
  readonly file?: string;
  /** Reads external data; without it a model that needs some is refused. */
  readonly readExternal?: ReadExternal;
}

/** The bytes of an ONNX file. Throws above protobuf's 2 GiB; see `externalFile`. */
export function encodeModel(model: Model, options: EncodeOptions = {}): Uint8Array {
  return concatBytes(encodeModelChunks(model, options));
}

/** The same bytes in pieces; large tensors are referenced, not copied: write them before changing the model. */
export function encodeModelChunks(model: Model, options: EncodeOptions = {}): Uint8Array[] {
  return encodeMessage(MODEL, modelToProto(model, options.external));
}

/** Reads an ONNX file. Tensors may be views of `bytes`: do not change them afterwards. */
export function decodeModel(bytes: Uint8Array, options: DecodeOptions = {}): Model {
  // A Buffer's `slice` is a view, a Uint8Array's a copy: the codec counts on the latter.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return modelFromProto(decodeMessage(MODEL, plain), options.readExternal);
  } catch (error) {
    if (!(error instanceof GaslawError) || options.file === undefined) throw error;
    throw new GaslawError(`${options.file}: ${error.message}`);
  }
}

export interface ExternalFile {
  /** Pass as `EncodeOptions.external`. */
  readonly sink: ExternalSink;
  /** The content of the file at `location`, complete once the model is encoded. Views of the tensors. */
  readonly chunks: readonly Uint8Array[];
}

const PAGE_BYTES = 4096;
const PAGE_ALIGNED_FROM = 1 << 20;

/**
 * Collects tensors of at least `thresholdBytes` for one external file. Offsets are multiples of 64 bytes, or of a
 * page for tensors of 1 MiB and more, so that programs can map them.
 */
export function externalFile(location: string, thresholdBytes = 1024): ExternalFile {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const sink = (_name: string, bytes: Uint8Array): ExternalPlace | undefined => {
    if (bytes.byteLength < thresholdBytes) return undefined;
    const step = bytes.byteLength >= PAGE_ALIGNED_FROM ? PAGE_BYTES : 64;
    const offset = Math.ceil(size / step) * step;
    if (offset > size) chunks.push(new Uint8Array(offset - size));
    chunks.push(bytes);
    size = offset + bytes.byteLength;
    return { location, offset, length: bytes.byteLength };
  };
  return { sink, chunks };
}

/** The external data files that a model needs, so that a caller without synchronous reads can fetch them first. */
export function externalLocations(bytes: Uint8Array): string[] {
  const { graph } = decodeMessage(MODEL, bytes);
  const found = new Set<string>();
  if (graph) collectLocations(graph, found);
  return [...found];
}

function collectLocations(graph: GraphProto, found: Set<string>): void {
  const attributes = (graph.node ?? []).flatMap(node => node.attribute ?? []);
  const tensors = [...(graph.initializer ?? []), ...attributes.flatMap(a => (a.t ? [a.t] : []))];
  for (const tensor of tensors) if (tensor.dataLocation === 1) found.add(placeFromProto(tensor).location);
  for (const { g } of attributes) if (g) collectLocations(g, found);
}
