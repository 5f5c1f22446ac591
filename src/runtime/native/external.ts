/**
 * Model bytes without the large initializers, which ONNX Runtime reads from the caller's typed arrays instead.
 *
 * 1. The bytes only name those initializers and mark them as external, so weights are neither encoded nor copied and
 *    the 2 GB limit of a protobuf message does not apply to them.
 * 2. Small initializers and int64 ones stay inside: shape inference looks at the values of axes, shapes and bounds.
 */
import type { Model, Tensor } from '../../graph/ir.ts';
import { type ExternalPlace, encodeModel } from '../../graph/protobuf.ts';

/** Initializers of at least this many bytes are shared instead of encoded. */
const SHARED_BYTES = 1024;

export interface SplitModel {
  readonly bytes: Uint8Array;
  /** The initializers that `bytes` only names. */
  readonly external: ReadonlyMap<string, Tensor>;
}

/** Splits `model` into bytes that name its large initializers and the tensors that hold them. */
export function splitModel(model: Model): SplitModel {
  const external = new Map<string, Tensor>();
  const sink = (name: string, bytes: Uint8Array): ExternalPlace | undefined => {
    const tensor = model.graph.initializers.get(name);
    if (!tensor || tensor.dtype === 'int64' || bytes.byteLength < SHARED_BYTES) return undefined;
    external.set(name, tensor);
    return { location: 'memory', offset: 0, length: bytes.byteLength };
  };
  return { bytes: encodeModel(model, { external: sink }), external };
}
