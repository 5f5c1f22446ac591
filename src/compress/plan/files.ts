/** A candidate in the formats that a device takes. */
import type { DeviceProfile, Format } from '../../devices/profile.ts';
import { encodeCArray } from '../../formats/c-array.ts';
import { toTflite } from '../../formats/tflite/from-graph.ts';
import { signatureOf } from '../../formats/tflite/signature.ts';
import type { Model } from '../../graph/ir.ts';
import { encodeModel } from '../../graph/protobuf.ts';
import { Qdq } from '../../ops/qdq.ts';
import { GaslawError } from '../../util/errors.ts';
import { storedAs } from '../quantize/float16.ts';
import { deployable } from './measure.ts';

export interface DeviceFile {
  readonly format: Format;
  /** For example `model.tflite`. */
  readonly name: string;
  readonly content: Uint8Array;
}

export interface DeviceFiles {
  readonly files: readonly DeviceFile[];
  /** Why there are none, or not all. */
  readonly why?: string;
}

/** All files of `model` that `device` takes, the one to deploy first. */
export function deviceFiles(
  model: Model,
  device: DeviceProfile,
  dims: ReadonlyMap<string, number>,
): DeviceFiles {
  const takes = new Set<Format>(device.formats.value);
  const { model: repaired } = deployable(model, device, dims);
  const quantized = new Qdq(repaired.graph).quantized;
  const files: DeviceFile[] = [];
  const reasons: string[] = [];
  if (takes.has('tflite-int8') && quantized) {
    const { files: written, why } = tfliteFiles(repaired, takes.has('c-array'));
    files.push(...written);
    if (why) reasons.push(why);
  }
  if (takes.has('onnx-qdq') && quantized) files.push(onnx(repaired, 'onnx-qdq'));
  else if (takes.has('onnx') && !quantized) files.push(onnx(storedAs(model, repaired), 'onnx'));
  if (!quantized && files.length === 0)
    reasons.push(
      `${device.id} takes ${device.formats.value.join(', ')}, none of which holds floats that are written here`,
    );
  return { files, ...(reasons.length > 0 && { why: reasons.join('; ') }) };
}

const onnx = (model: Model, format: Format): DeviceFile => ({
  format,
  name: 'model.onnx',
  content: encodeModel(model),
});

function tfliteFiles(model: Model, header: boolean): DeviceFiles {
  try {
    const content = toTflite(model);
    const array = new TextEncoder().encode(encodeCArray(content, 'model', signatureOf(content)));
    return {
      files: [
        { format: 'tflite-int8', name: 'model.tflite', content },
        ...(header ? [{ format: 'c-array' as const, name: 'model.h', content: array }] : []),
      ],
    };
  } catch (error) {
    if (!(error instanceof GaslawError)) throw error;
    return { files: [], why: `no TFLite: ${error.message}` };
  }
}
