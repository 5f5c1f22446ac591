/** Straight-through gradients of quantization, against their closed forms. */
import { describe, expect, test } from 'vitest';
import { float32, type Tensor } from '../graph/ir.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { gradients } from './gradients.ts';
import { lower } from './lower.ts';

async function run(b: Builder, values: readonly Value[], feeds: Record<string, Tensor>): Promise<number[][]> {
  const names = values.map(v => b.output(v).name);
  const results = await evaluate(lower(b.graph), feeds);
  return names.map(name => Array.from(results[name].data as Float32Array));
}

const int8 = (dims: readonly number[], values: readonly number[]): Tensor => ({
  dtype: 'int8',
  dims,
  data: Int8Array.from(values),
});

/** dequantize(quantize(x)) with its gradients to x and scale, dy = 1, 10, 100, …. */
function fakeQuantize(
  dims: number[],
  scaleDims: number[],
  attributes: { axis?: number; block_size?: number },
) {
  const b = new Builder();
  const x = b.input('x', 'float32', dims);
  const scale = b.input('scale', 'float32', scaleDims);
  const zero = b.constant(int8(scaleDims, new Array(scaleDims.reduce((p, d) => p * d, 1)).fill(0)));
  const q = b.op('QuantizeLinear', [x, scale, zero], attributes);
  const y = b.op('DequantizeLinear', [q, scale, zero], attributes);
  const count = dims.reduce((p, d) => p * d, 1);
  const seed = b.constant(
    float32(
      dims,
      Array.from({ length: count }, (_, i) => 10 ** i),
    ),
  );
  return { b, y, grads: gradients(b, y, [x, scale], { seeds: [seed] }) };
}

describe('quantize and dequantize', () => {
  test('x: the gradient passes inside the range of int8 and stops outside', async () => {
    const { b, grads } = fakeQuantize([4], [], {});
    const feeds = { x: float32([4], [0.3, -200, 63.5, 64.3]), scale: float32([], [0.5]) };
    const [dx] = await run(b, [grads[0]], feeds);
    expect(dx).toEqual([1, 0, 100, 0]);
  });

  test('scale: round(x/s) − x/s inside, the bound outside (LSQ)', async () => {
    const { b, grads } = fakeQuantize([4], [], {});
    const feeds = { x: float32([4], [0.3, -200, 63.5, 64.5]), scale: float32([], [0.5]) };
    const [ds] = await run(b, [grads[1]], feeds);
    expect(ds[0]).toBeCloseTo(1 * (1 - 0.6) + 10 * -128 + 100 * (127 - 127) + 1000 * 127, 1);
  });

  test('scales per axis and per block each collect their own part', async () => {
    const x = float32([2, 2], [0.3, 0.6, 0.75, 0.8]);
    const scales = [0.5, 1];
    const slope = (v: number, s: number) => Math.round(v / s) - v / s;
    const byRow = [slope(0.3, 0.5) + 10 * slope(0.6, 0.5), 100 * slope(0.75, 1) + 1000 * slope(0.8, 1)];
    const axis = fakeQuantize([2, 2], [2], { axis: 0 });
    const [ds] = await run(axis.b, [axis.grads[1]], { x, scale: float32([2], scales) });
    const block = fakeQuantize([2, 2], [2, 1], { axis: 1, block_size: 2 });
    const [dsBlock] = await run(block.b, [block.grads[1]], { x, scale: float32([2, 1], scales) });
    byRow.forEach((v, i) => {
      expect(ds[i]).toBeCloseTo(v, 3);
      expect(dsBlock[i]).toBeCloseTo(v, 3);
    });
  });
});
