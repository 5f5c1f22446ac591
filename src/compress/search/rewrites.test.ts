/** What may be done to a network beside its widths: smaller pictures, zeros. */
import { describe, expect, it } from 'vitest';
import type { Examples } from '../../data/examples/examples.ts';
import { deviceOf } from '../../devices/index.ts';
import { float32, type Graph, type Tensor } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import { inferShapes } from '../../ops/infer.ts';
import { modelFor } from '../../ops/opset.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { Random } from '../../util/random.ts';
import { predictionsOf } from '../evaluate.ts';
import { macsOf } from '../prune/structured.ts';
import { fitted, pictureSizes, withPictures } from './resolution.ts';
import { searchModel } from './run.ts';
import { bytesWithoutZeros, zeroRewrites } from './zeros.ts';

const SIDE = 8;
const random = new Random(8);
const drawn = (dims: readonly number[], spread: number): Tensor =>
  float32(
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => spread * random.normal()),
  );

/** A convolution, then a mean over positions or all positions side by side, then a matrix. */
function network(end: 'mean' | 'flat'): Graph {
  const b = new Builder('network');
  const x = b.input('x', 'float32', ['N', 2, SIDE, SIDE]);
  const conv = b.op('Conv', [x, b.initializer('conv', drawn([32, 2, 3, 3], 0.4))], { pads: [1, 1, 1, 1] });
  const hidden = b.op('Relu', [conv], {});
  const features = end === 'mean' ? hidden.mean([2, 3], false) : hidden.reshape([0, 32 * SIDE * SIDE]);
  b.output(features.matmul(b.initializer('head', drawn([features.shape[1] as number, 3], 1))), 'y');
  inferShapes(b.graph);
  return b.graph;
}

const SHARES = [0.5, 0.75, 1];

describe('pictures', () => {
  it('may be smaller where only a mean counts positions', () => {
    const graph = network('mean');
    expect(pictureSizes(graph, SHARES)).toEqual([
      [8, 8],
      [6, 6],
      [4, 4],
    ]);
    const small = withPictures(graph, [4, 4]) as Graph;
    expect(small.inputs[0].shape).toEqual(['N', 2, 4, 4]);
    expect(macsOf(small)).toBe(32 * 2 * 9 * 16 + 32 * 3);
    expect(pictureSizes(network('flat'), SHARES)).toEqual([[8, 8]]);
  });

  it('are made smaller as a mean under a triangle', () => {
    const data: Examples = {
      name: 'ramp',
      count: 1,
      batch: at => ({
        x: float32(
          [at.length, 2, SIDE, SIDE],
          Float32Array.from({ length: 128 }, (_, i) => i % SIDE),
        ),
      }),
    };
    const small = fitted(data, withPictures(network('mean'), [4, 4]) as Graph).batch([0]).x;
    expect(small.dims).toEqual([1, 2, 4, 4]);
    // inside, the mean of a ramp under a symmetric triangle is its middle: 2.5 and 4.5
    expect([...small.data].slice(1, 3).map(Number)).toEqual([2.5, 4.5].map(v => expect.closeTo(v, 5)));
  });
});

describe('zeros', () => {
  it('are refused where nothing is gained by them', () => {
    expect(() => zeroRewrites(deviceOf('stm32l4r5'), [0.5])).toThrow(
      'stm32l4r5 stores and computes zeros like',
    );
    expect(() => zeroRewrites(deviceOf('nvidia-jetson-orin-nano'), [0.7])).toThrow(
      'the share of zeros is 0.5',
    );
  });

  it('are as many as was asked, and a bit for each weight says where the others are', async () => {
    const device = deviceOf('arm-ethos-u55-128');
    const [dense, half] = zeroRewrites(device, [0.5]);
    expect([dense.name, half.name]).toEqual(['', '50 % zeros']);
    const model = modelFor(network('mean'));
    const { graph } = await half.apply(model);
    const kernel = graph.initializers.get('conv')?.data as Float32Array;
    expect(kernel.filter(w => w === 0)).toHaveLength(288);
    // 576 weights: half of 2,304 bytes and 72 of bits; the head's 96 elements stay
    expect(bytesWithoutZeros(graph, device)).toBe(1152 + 72 + 384 + otherBytes(model.graph));
  });
});

/** Of constants that are no weights. */
const otherBytes = (graph: Graph): number =>
  [...graph.initializers].reduce(
    (sum, [name, { data }]) =>
      name === 'conv' || name === 'head' ? sum : sum + (data as BigInt64Array).byteLength,
    0,
  );

it('all of it is one search: error, cost and bytes, pictures and zeros beside widths and bits', async () => {
  const runtime = await nativeRuntime();
  const model = modelFor(network('mean'));
  const images = Float32Array.from(
    { length: 120 * 128 },
    (_, i) => random.normal() + (i % 64 < 20 ? 0.5 : 0),
  );
  const plain: Examples = {
    name: 'noise',
    count: 120,
    batch: at => ({
      x: float32(
        [at.length, 2, SIDE, SIDE],
        Float32Array.from(at.flatMap(i => [...images.subarray(128 * i, 128 * i + 128)])),
      ),
    }),
  };
  const found = await searchModel(runtime, model, {
    device: deviceOf('arm-ethos-u55-128'),
    examples: { ...plain, labels: await predictionsOf(runtime, model, plain) },
    widths: [0.5],
    depth: false,
    kernels: false,
    bits: [32, 8],
    zeros: [0.5],
    pictures: [0.5],
    epochs: 1,
    batchSize: 32,
    rate: 0.003,
    population: 8,
    generations: 3,
    seed: 1,
  });
  expect(found.space).toBe(16);
  const { front } = found;
  for (const f of front) expect(f.judged.costs).toHaveLength(2);
  const words = front.map(f => f.precision).join('; ');
  for (const word of ['pictures of 4×4', '50 % zeros', 'int8']) expect(words).toContain(word);
});
