/** Each format of a graph opens again as the same model. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { decodeCArray } from '../formats/c-array.ts';
import { fromTflite } from '../formats/tflite/to-graph.ts';
import { modelOf } from '../graph/ir.ts';
import { decodeModel } from '../graph/protobuf.ts';
import { encodeGraph } from './graph-files.ts';

const file = readFileSync(join(import.meta.dirname, '../formats/tflite/fixtures/kws_ref_model.tflite'));
const model = modelOf(fromTflite(file));

it('a TFLite file goes through the graph and comes back with its operators', () => {
  const ops = (bytes: Uint8Array) => fromTflite(bytes).nodes.map(node => node.opType);
  const count = (bytes: Uint8Array, op: string) => ops(bytes).filter(o => o === op).length;
  const again = encodeGraph(model, 'tflite');
  for (const op of ['Conv', 'Gemm', 'AveragePool', 'Softmax', 'Relu'])
    expect(count(again, op)).toBe(count(file, op));
  expect(again.length).toBeLessThan(1.05 * file.length);
});

it('a C header holds the TFLite file under a name that C takes', () => {
  const text = new TextDecoder().decode(encodeGraph(model, 'c-array', '8-bit net'));
  expect(text).toContain('static const unsigned char _8_bit_net[]');
  expect(decodeCArray(text)).toEqual(encodeGraph(model, 'tflite'));
  expect(text).toMatch(
    /^\/\/ input input_1: int8 \[1, 49, 10, 1\], scale 0\.58\d*, zero point 83\n\/\/ output /,
  );
});

it('ONNX has the same nodes', () => {
  expect(decodeModel(encodeGraph(model, 'onnx')).graph.nodes).toHaveLength(model.graph.nodes.length);
});
