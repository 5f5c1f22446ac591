/** What counts as a graph to rewrite, and what is said of what does not. */
import { describe, expect, it } from 'vitest';
import { modelOf } from '../graph/ir.ts';
import { encodeModel } from '../graph/protobuf.ts';
import { Builder } from '../ops/builder.ts';
import { memoryFiles } from '../util/files.ts';
import { openImported } from './open-graph.ts';

function withMagic(count: number): Uint8Array {
  const b = new Builder('g');
  const x = b.input('x', 'float32', ['n', 2]);
  b.output(b.op('Relu', [b.op('Identity', [x], {})], {}), 'y');
  for (let i = 0; i < count; i++) {
    const [inputs, outputs] = [['x'], [`z${i}`]];
    b.graph.nodes.push({
      name: `m${i}`,
      domain: 'my.company',
      opType: 'Magic',
      inputs,
      outputs,
      attributes: {},
    });
    b.graph.outputs.push({ name: `z${i}`, dtype: 'float32', shape: ['n', 2] });
  }
  return encodeModel(modelOf(b.graph));
}

describe('openImported', () => {
  it('gives the graph simplified, beside what the file has', async () => {
    const content = withMagic(0);
    const opened = await openImported(memoryFiles({ 'a.onnx': content }), 'a.onnx');
    expect(opened).toMatchObject({ path: 'a.onnx', bytes: content.byteLength });
    expect(opened.original.graph.nodes.map(n => n.opType)).toEqual(['Identity', 'Relu']);
    expect(opened.model.graph.nodes.map(n => n.opType)).toEqual(['Relu']);
  });

  it.each([
    [1, 'a.onnx: node "m0" is my.company.Magic, which is no op that is known here'],
    [3, 'a.onnx: node "m0" (and 2 more) is my.company.Magic'],
  ])('names the first of %i nodes that are not known', async (count, message) => {
    const files = memoryFiles({ 'a.onnx': withMagic(count) });
    await expect(openImported(files, 'a.onnx')).rejects.toThrow(message);
  });

  it('of a directory asks for a file', async () => {
    const files = memoryFiles({ 'm/config.json': '{"model_type":"llama"}' });
    await expect(openImported(files, 'm')).rejects.toThrow('m: give an .onnx or .tflite file');
  });
});
