/** Files of a candidate hold what the candidate is made of. */
import { describe, expect, it } from 'vitest';
import { deviceOf } from '../../devices/index.ts';
import { float32, type Tensor } from '../../graph/ir.ts';
import { decodeModel, encodeModel } from '../../graph/protobuf.ts';
import { Builder } from '../../ops/builder.ts';
import { modelFor } from '../../ops/opset.ts';
import { layersOf } from '../../report/compression/layers.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { decodeFloats, encodeFloats } from '../../util/float16.ts';
import { deviceFiles } from './files.ts';
import type { CompressionContext } from './step.ts';
import { halve } from './steps.ts';

/** y = x w with w [64, 32]: 2,048 weights that float16 has to round. */
const weights = Float32Array.from({ length: 2048 }, (_, i) => Math.sin(i) / 3);
const b = new Builder('product');
b.output(b.input('x', 'float32', ['N', 64]).matmul(b.initializer('w', float32([64, 32], weights))), 'y');
const model = modelFor(b.graph);
const device = deviceOf('intel-cpu');

describe('float16', () => {
  it('is what the file holds: two bytes a weight, rounded to the nearest, and it runs', async () => {
    const { model: halved, notes } = await halve(model, {} as CompressionContext); // it needs none of it
    expect(notes).toEqual(['1 weights as float16']);
    const { files } = deviceFiles(halved, device, new Map());
    expect(files.map(f => f.format)).toEqual(['onnx']);
    const [{ content }] = files;
    const saved = encodeModel(model).byteLength - content.byteLength;
    expect(saved).toBeGreaterThan(2 * 2048 - 200);
    expect(saved).toBeLessThanOrEqual(2 * 2048);
    const written = decodeModel(content);
    const stored = [...written.graph.initializers.values()].filter(t => t.dims.length === 2);
    expect(stored.map(t => t.dtype)).toEqual(['float16']);
    expect(stored[0].data).toEqual(encodeFloats(weights, 'float16'));

    const runtime = await nativeRuntime();
    using program = await runtime.compile(written);
    const one = new Float32Array(64);
    one[5] = 1;
    const { y } = await program.call({ x: float32([1, 64], one) });
    const codes = encodeFloats(weights.slice(5 * 32, 6 * 32), 'float16');
    expect([...(y as Tensor).data]).toEqual([...decodeFloats(codes, 'float16')]);
  });

  it('is what the report counts', async () => {
    const { model: halved } = await halve(model, {} as CompressionContext); // it needs none of it
    expect(layersOf(halved.graph)).toMatchObject([{ weightDtype: 'float16', weightBytes: 4096 }]);
  });
});
