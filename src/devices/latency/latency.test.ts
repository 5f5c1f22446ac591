/** The model finds what it should, and says truly how far it is off. */
import { describe, expect, it } from 'vitest';
import { float32, modelOf } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import { check } from '../check.ts';
import { DEVICES, deviceOf } from '../index.ts';
import { fittedGroup, measuredKinds } from './estimate.ts';
import { FEATURES, featuresOf } from './features.ts';
import { fit, predict, type Row, spearman, unseenModels } from './fit.ts';
import { MEASUREMENTS } from './measurements.ts';
import { MODEL_FEATURES } from './models.ts';

const weight = (...dims: number[]) => float32(dims, new Float32Array(dims.reduce((a, b) => a * b, 1)));

/** Products of [1,640] down to 8 and up again: MLPerf Tiny's anomaly detector. */
function autoencoder(): Builder {
  const b = new Builder('ad');
  const sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640];
  let x = b.input('x', 'float32', [1, 640]);
  sizes.slice(1).forEach((size, i) => {
    x = b.op('Gemm', [x, b.initializer(`w${i}`, weight(sizes[i] as number, size))], {});
    if (i < 9) x = b.op('Relu', [x], {});
  });
  b.output(x, 'y');
  return b;
}

it('features of a graph are those that PyTorch counts', () => {
  expect(featuresOf(autoencoder().graph)).toEqual(MODEL_FEATURES['mlperf-tiny-ad']);
});

it('convolutions are counted by class', () => {
  const b = new Builder('c');
  const x = b.input('x', 'float32', [1, 4, 6, 6]);
  const depthwise = b.op('Conv', [x, b.initializer('d', weight(4, 1, 3, 3))], { group: 4 });
  const pointwise = b.op('Conv', [depthwise, b.initializer('p', weight(8, 4, 1, 1))], {});
  const full = b.op('Conv', [pointwise, b.initializer('f', weight(2, 8, 3, 3))], {});
  b.output(full.add(1), 'y');
  const f = Object.fromEntries(FEATURES.map((name, i) => [name, featuresOf(b.graph)[i]]));
  // 4 outputs² of 4 channels, then of 8, then 2² of 2
  expect(f).toMatchObject({
    depthwise: 16 * 4 * 9,
    pointwise: 16 * 8 * 4,
    conv: 4 * 2 * 8 * 9,
    layers: 4,
    moved: 8,
  });
});

describe('the fit', () => {
  const price = [2e-9, 1e-9, 3e-9, 8e-9, 4e-9, 0, 0, 0, 0];
  const speeds = { slow: 5, middle: 2, fast: 1 };
  const rows = Object.entries(speeds).flatMap(([device, factor]): Row[] =>
    Object.entries(MODEL_FEATURES).map(([model, features]) => ({
      device,
      model,
      features,
      ms: predict(price, factor, features),
    })),
  );

  it('is exact up to its ridge where the world is as it assumes', () => {
    const error = unseenModels(rows);
    expect(error?.medianError).toBeLessThan(0.12);
    expect(error?.rankCorrelation).toBeGreaterThan(0.97);
  });

  it('finds how much slower each device is', () => {
    const { factors } = fit(rows);
    expect((factors.get('slow') as number) / (factors.get('fast') as number)).toBeCloseTo(5, 5);
    expect((factors.get('middle') as number) / (factors.get('fast') as number)).toBeCloseTo(2, 5);
  });

  it('never answers with a negative price', () => {
    for (const { kind, precision } of measuredKinds(DEVICES))
      expect(Math.min(...(fittedGroup(kind, precision, DEVICES)?.fit.weights ?? []))).toBeGreaterThanOrEqual(
        0,
      );
  });
});

it('rank correlation: 1 in order, -1 in reverse, ties shared', () => {
  expect(spearman([1, 2, 3], [10, 20, 30])).toBeCloseTo(1);
  expect(spearman([1, 2, 3], [3, 2, 1])).toBeCloseTo(-1);
  expect(spearman([1, 1, 2], [1, 2, 3])).toBeCloseTo(Math.sqrt(3) / 2);
});

it('measurements name known devices and models, and are positive', () => {
  for (const { device, ms } of MEASUREMENTS) {
    expect(() => deviceOf(device)).not.toThrow();
    for (const [model, time] of Object.entries(ms)) {
      expect(MODEL_FEATURES).toHaveProperty([model]);
      expect(time).toBeGreaterThan(0);
    }
  }
});

describe('held-out models stay within what the docs say', () => {
  it.each([
    ['hexagon-htp', 'float16', 0.25, 0.9],
    ['hexagon-htp', 'int8', 0.45, 0.6],
    ['cortex-m', 'int8', 0.5, 0.8],
    ['neural-art', 'int8', 0.2, 0.8],
  ] as const)('%s %s', (kind, precision, error, rank) => {
    const held = fittedGroup(kind, precision, DEVICES)?.unseenModels;
    expect(held?.medianError).toBeLessThan(error);
    expect(held?.rankCorrelation).toBeGreaterThan(rank);
  });
});

it('a check estimates with its errors, and not where nothing was published', () => {
  const model = modelOf(autoencoder().graph);
  const report = check(model, deviceOf('stm32u575'));
  expect(report.estimatedMs).toBeGreaterThan(0.3 * 3.43); // published: 3.43 ms
  expect(report.estimatedMs).toBeLessThan(3 * 3.43);
  expect(report.estimate).toMatchObject({
    basis: 'device',
    precision: 'int8',
    sources: ['mlperf-tiny-12', 'st-zoo'],
  });
  expect(check(model, deviceOf('arm-cortex-m33')).estimate?.basis).toBe('kind');
  expect(check(model, deviceOf('ambarella-cv72')).estimatedMs).toBeUndefined();
});
