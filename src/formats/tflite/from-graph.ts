/** A QDQ ONNX graph as an int8 TFLite file: what Ethos-U, TensorFlow Lite Micro and LiteRT run. */
import type { Graph, Model } from '../../graph/ir.ts';
import { importModel } from '../../import/index.ts';
import { GaslawError } from '../../util/errors.ts';
import { encodeTflite } from './encode.ts';
import { LOWERING } from './lower-ops.ts';
import { Lowering } from './lowering.ts';
import type { TfliteModel } from './model.ts';

/**
 * The bytes of a `.tflite` file that computes what the QDQ model does, in int8 with NHWC planes. Inputs and outputs are the
 * integers of the graph's first Q and last DQ nodes. Throws a GaslawError naming the node that cannot be written, and what
 * helps.
 */
export const toTflite = (model: Model): Uint8Array =>
  encodeTflite(lowerToTflite(importModel(model).model.graph));

/** The graph (imported, shapes fixed) as TFLite tensors and operators. */
export function lowerToTflite(graph: Graph): TfliteModel {
  const l = new Lowering(graph);
  if (!l.qdq.quantized)
    throw new GaslawError('the model is float: int8 TFLite is written from Q/DQ models; quantize it first');
  for (const input of graph.inputs) if (!graph.initializers.has(input.name)) l.input(input.name);
  for (const node of l.graph.nodes) {
    if (l.fused.has(node) || isCarrier(node.opType, node.inputs[0] ?? '', node.outputs[0] ?? '', l)) continue;
    const rule = node.domain === '' ? LOWERING[node.opType] : undefined;
    if (!rule)
      return l.fail(
        node,
        'this op is not written to TFLite; a check of the device names what to use instead',
      );
    rule(node, l);
  }
  return l.model('gaslaw');
}

/** Constants, DQ nodes, and Q nodes whose value is placed already: they carry what others compute. */
function isCarrier(op: string, input: string, output: string, l: Lowering): boolean {
  if (op === 'Constant' || op === 'DequantizeLinear') return true;
  return op === 'QuantizeLinear' && (l.has(output) || l.qdq.behind(input)?.tensor !== undefined);
}
