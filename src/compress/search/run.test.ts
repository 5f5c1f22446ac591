/** Search from beginning to end on a small network that its own answers label. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Examples } from '../../data/examples/examples.ts';
import { deviceOf } from '../../devices/index.ts';
import { float32, type Model } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import { modelFor } from '../../ops/opset.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { Random } from '../../util/random.ts';
import { predictionsOf } from '../evaluate.ts';
import { normalWeights } from '../tiny.ts';
import { type SearchOptions, type SearchResult, searchModel } from './run.ts';

const runtime = await nativeRuntime();
const COUNT = 400;

function network(): Model {
  const b = new Builder('network');
  const weight = normalWeights(b, new Random(8));
  const x = b.input('x', 'float32', ['N', 2, 6, 6]);
  const conv = b.op('Conv', [x, weight('conv', [16, 2, 3, 3], 0.4)], { pads: [1, 1, 1, 1] });
  const hidden = b.op('Relu', [conv], {}).mean([2, 3], false);
  b.output(hidden.matmul(weight('head', [16, 3], 1)), 'y');
  return modelFor(b.graph);
}

const model = network();
const random = new Random(2);
const images = Float32Array.from({ length: COUNT * 72 }, (_, i) => random.normal() + (i % 36 < 12 ? 0.5 : 0));
const unlabelled: Examples = {
  name: 'noise',
  count: COUNT,
  batch: at => ({
    x: float32(
      [at.length, 2, 6, 6],
      Float32Array.from(at.flatMap(i => Array.from(images.subarray(72 * i, 72 * i + 72)))),
    ),
  }),
};

const options = (more: Partial<SearchOptions> = {}): SearchOptions => ({
  device: deviceOf('arm-cortex-m4'),
  examples: unlabelled,
  widths: [0.25, 0.5],
  depth: true,
  kernels: true,
  bits: [8, 32],
  epochs: 8,
  batchSize: 32,
  rate: 0.01,
  population: 6,
  generations: 2,
  seed: 1,
  ...more,
});

describe('search', () => {
  let found: SearchResult;
  let labelled: Examples;
  beforeAll(async () => {
    labelled = { ...unlabelled, labels: await predictionsOf(runtime, model, unlabelled) };
    found = await searchModel(runtime, model, options({ examples: labelled }));
  });

  it('judges each size in each precision, and keeps those that nothing beats', () => {
    expect(found.space).toBe(6);
    expect(found.judged).toBe(6);
    const { front } = found;
    expect(front.length).toBeGreaterThan(1);
    for (const [i, f] of front.entries()) {
      if (i === 0) continue;
      expect(f.judged.error).toBeGreaterThan(front[i - 1]?.judged.error as number);
      expect(f.judged.costs[0]).toBeLessThan(front[i - 1]?.judged.costs[0] as number);
    }
  });

  it('prefers integers of the same size where they cost less and lose nothing', () => {
    expect(found.front.some(f => f.precision === 'int8')).toBe(true);
    const whole = found.baseline;
    for (const f of found.front) expect(f.judged.bytes).toBeLessThanOrEqual(whole.bytes);
  });

  it('small sizes learn: their error is lower after training than without', async () => {
    const smallest = (result: SearchResult) => {
      const all = result.front.filter(f => f.genome.every(g => g === 0));
      return Math.min(...all.map(f => f.judged.error));
    };
    const more = { examples: labelled, widths: [0.25], bits: [32] as const };
    const before = await searchModel(runtime, model, options({ ...more, epochs: 0, rate: 0 }));
    const after = await searchModel(runtime, model, options({ ...more, epochs: 20 }));
    expect(before.baseline.error).toBe(0); // its own answers
    expect(smallest(after)).toBeLessThan(smallest(before) - 0.1);
  });

  it('without labels goes by agreement with the whole', async () => {
    const { baseline, front } = await searchModel(runtime, model, options({ bits: [32], epochs: 1 }));
    expect(baseline.error).toBe(0);
    expect(front.length).toBeGreaterThan(0);
  });

  it('says how near it came when nothing is within the limits', async () => {
    const { front, nearest } = await searchModel(
      runtime,
      model,
      options({ epochs: 1, bits: [32], maxMemoryBytes: 100 }),
    );
    expect(front).toEqual([]);
    expect(nearest.genome.every(g => g === 0)).toBe(true);
    expect(nearest.judged.violation).toBeCloseTo(nearest.judged.peakMemoryBytes / 100 - 1, 9);
  });
});
