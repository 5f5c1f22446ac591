/** The search by blocks from beginning to end, on a small network that its own answers label. */
import { describe, expect, it } from 'vitest';
import type { Examples } from '../../data/examples/examples.ts';
import { deviceOf } from '../../devices/index.ts';
import { float32, type Model } from '../../graph/ir.ts';
import { verify } from '../../graph/verify.ts';
import { Builder } from '../../ops/builder.ts';
import { modelFor } from '../../ops/opset.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { Random } from '../../util/random.ts';
import { macsOf } from '../prune/structured.ts';
import { normalWeights } from '../tiny.ts';
import { type BlockSearchOptions, searchBlocks } from './replace.ts';

const runtime = await nativeRuntime();
const [COUNT, SIZE] = [300, 72];

/** Two convolutions around which a shortcut goes, a third, a mean over positions, a matrix. */
function network(): Model {
  const b = new Builder('network');
  const weight = normalWeights(b, new Random(8));
  const conv = (x: ReturnType<typeof weight>, name: string, dims: readonly number[]) =>
    b.op('Conv', [x, weight(name, dims, 0.3)], { pads: [1, 1, 1, 1] });
  const relu = (x: ReturnType<typeof weight>) => b.op('Relu', [x], {});
  const x = b.input('x', 'float32', ['N', 2, 6, 6]);
  const first = relu(conv(x, 'first', [8, 2, 3, 3]));
  const layer = first.add(conv(relu(conv(first, 'up', [16, 8, 3, 3])), 'down', [8, 16, 3, 3]));
  // no sign is more likely than the other, so that all classes occur
  const last = conv(relu(layer), 'last', [16, 8, 3, 3]).tanh().mean([2, 3], false);
  b.output(last.matmul(weight('head', [16, 3], 1)), 'y');
  return modelFor(b.graph);
}

const model = network();
const random = new Random(2);
/** Of every image, how bright each of its two planes is. */
const bright = Float32Array.from({ length: 2 * COUNT }, () => 2 * random.normal());
const images = Float32Array.from(
  { length: COUNT * SIZE },
  (_, i) => 0.3 * random.normal() + (bright[Math.floor(i / 36)] ?? 0),
);
const examples: Examples = {
  name: 'noise',
  count: COUNT,
  batch: at => ({
    x: float32(
      [at.length, 2, 6, 6],
      Float32Array.from(at.flatMap(i => Array.from(images.subarray(SIZE * i, SIZE * (i + 1))))),
    ),
  }),
};

const options = (more: Partial<BlockSearchOptions> = {}): BlockSearchOptions => ({
  device: deviceOf('arm-cortex-m4'),
  examples,
  widths: [0.5],
  depth: true,
  bits: [32],
  epochs: 0,
  batchSize: 32,
  points: 4,
  seed: 1,
  ...more,
});

describe('search by blocks', () => {
  it('gives a front from the whole to the smallest, each network as its genome says', async () => {
    const { front, baseline, axes, space } = await searchBlocks(runtime, model, options());
    // the layer, the shortcut's channels and those of the last convolution
    expect(axes.map(a => a.choices)).toEqual([
      [0, 0.5, 1],
      [0.5, 1],
      [0.5, 1],
    ]);
    expect(space).toBe(12);
    expect(front[0]?.judged).toMatchObject({ error: 0, macs: baseline.macs });
    expect(front.length).toBeGreaterThan(2);
    front.forEach(({ judged }, i) => {
      verify(judged.model);
      expect(judged.macs).toBe(macsOf(judged.model.graph));
      if (i > 0) expect(judged.costs[0]).toBeLessThan(front[i - 1]?.judged.costs[0] ?? 0);
    });
  });

  it('made networks learn: less error with epochs than without', async () => {
    const whole = (await searchBlocks(runtime, model, options({ points: 1 }))).baseline;
    const maxMemoryBytes = Math.round(0.6 * whole.peakMemoryBytes);
    const last = async (epochs: number) => {
      const { front, nearest } = await searchBlocks(
        runtime,
        model,
        options({ epochs, points: 1, maxMemoryBytes }),
      );
      return (front.at(-1) ?? nearest).judged.error;
    };
    expect(await last(60)).toBeLessThan(await last(0));
  });

  it('keeps to limits, and says what came nearest when nothing does', async () => {
    const whole = (await searchBlocks(runtime, model, options({ points: 1 }))).baseline;
    const limit = whole.peakMemoryBytes - 1000;
    const { front } = await searchBlocks(runtime, model, options({ maxMemoryBytes: limit }));
    expect(front.length).toBeGreaterThan(0);
    for (const { judged } of front) expect(judged.peakMemoryBytes).toBeLessThanOrEqual(limit);
    const none = await searchBlocks(runtime, model, options({ maxMemoryBytes: 10 }));
    expect(none.front).toEqual([]);
    expect(none.nearest.genome).toEqual([0, 0, 0]);
  });
});
