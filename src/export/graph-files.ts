/** A graph (of any `.onnx` or `.tflite` file) in the files that devices take. */
import { encodeCArray } from '../formats/c-array.ts';
import { toTflite } from '../formats/tflite/from-graph.ts';
import { signatureOf } from '../formats/tflite/signature.ts';
import type { Model } from '../graph/ir.ts';
import { encodeModel } from '../graph/protobuf.ts';
import { importModel } from '../import/index.ts';

export const GRAPH_FORMATS = ['onnx', 'tflite', 'c-array'] as const;
export type GraphFormat = (typeof GRAPH_FORMATS)[number];

/**
 * The bytes of `model` as `format`: ONNX simplified and in today's opset, int8 TFLite (of Q/DQ models), or that as a C header whose array
 * is called `name`. Throws a GaslawError naming the node that cannot be written, and what helps.
 */
export function encodeGraph(model: Model, format: GraphFormat, name = 'model'): Uint8Array {
  if (format === 'onnx') return encodeModel(importModel(model).model);
  const tflite = toTflite(model);
  if (format === 'tflite') return tflite;
  const identifier = name.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_');
  return new TextEncoder().encode(encodeCArray(tflite, identifier, signatureOf(tflite)));
}
