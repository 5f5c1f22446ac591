/** The model finds what it should, and says truly how far it is off. */
import { describe, expect, it } from 'vitest';
import { float32, modelOf } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import { check } from '../check.ts';
import { deviceOf } from '../index.ts';
import { fittedGroup, measuredKinds } from './estimate.ts';
import { FEATURES, featuresOf } from './features.ts';
import { fit, predict, predictOn, type Row } from './fit.ts';
import { factorFor, spearman, unseenModels, unseenRigs } from './held-out.ts';
import { MEASUREMENTS } from './measurements/index.ts';
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
  b.output(full.sigmoid(), 'y');
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

it('what a neighbour computes on the way is no layer: scales by a constant, and the product of x·sigmoid(x)', () => {
  const b = new Builder('s');
  const x = b.input('x', 'float32', [1, 4, 6, 6]);
  b.output(x.mul(x.sigmoid()).mul(3), 'y');
  const f = Object.fromEntries(FEATURES.map((name, i) => [name, featuresOf(b.graph)[i]]));
  expect(f).toMatchObject({ layers: 1, moved: 4 * 36, joined: 0, large: 0 });
});

it('a join and a layer of more than two million elements are counted apart', () => {
  const b = new Builder('l');
  const x = b.input('x', 'float32', [1, 16, 256, 256]);
  b.output(b.op('Concat', [x, x], { axis: 1 }), 'y');
  const f = Object.fromEntries(FEATURES.map((name, i) => [name, featuresOf(b.graph)[i]]));
  expect(f).toMatchObject({ layers: 1, moved: 0, joined: 32 * 65536, large: 64 * 65536 });
});

describe('the fit', () => {
  const price = [2e-9, 1e-9, 3e-9, 8e-9, 4e-9, 1e-3, 0, 0, 0, 0, 0];
  const speeds = { slow: 5, middle: 2, fast: 1 };
  const rows = Object.entries(speeds).flatMap(([rig, factor]): Row[] =>
    Object.entries(MODEL_FEATURES).map(([model, features]) => ({
      rig,
      model,
      features,
      ms: predict(price, factor, features),
    })),
  );

  it('is right up to its ridge where the world is as it assumes', () => {
    const made = fit(rows);
    for (const { rig, features, ms } of rows) {
      const ratio = (predictOn(made, rig, features) as number) / ms;
      expect(ratio).toBeGreaterThan(0.9);
      expect(ratio).toBeLessThan(1.1);
    }
  });

  it('finds how much slower each rig is', () => {
    const { factors } = fit(rows);
    expect((factors.get('slow') as number) / (factors.get('fast') as number)).toBeCloseTo(5, 2);
    expect((factors.get('middle') as number) / (factors.get('fast') as number)).toBeCloseTo(2, 2);
  });

  it('is not bent by one strange row', () => {
    const strange = rows.map((row, i) => (i === 3 ? { ...row, ms: 30 * row.ms } : row));
    const made = fit(strange);
    for (const { rig, features, ms } of rows.slice(50, 60))
      expect((predictOn(made, rig, features) as number) / ms).toBeLessThan(1.15);
  });

  it('never answers with a negative price', () => {
    for (const { kind, precision } of measuredKinds())
      expect(Math.min(...(fittedGroup(kind, precision)?.fit.weights ?? []))).toBeGreaterThanOrEqual(0);
  });

  it('knows no rig that was not measured; its factor comes from the others, by pace', () => {
    const made = fit(rows);
    expect(predictOn(made, 'other', rows[0]?.features ?? [])).toBeUndefined();
    const paces = new Map([
      ['slow', 1e9],
      ['middle', 2.5e9],
      ['fast', 5e9],
    ]);
    const fast = made.factors.get('fast') as number;
    expect(factorFor(made, 10e9, paces) / fast).toBeCloseTo(0.5, 2);
    expect(unseenRigs(rows, paces)?.medianError).toBeLessThan(0.05);
  });

  it('answers nothing of held-out errors below three models or rigs', () => {
    expect(unseenModels(rows.filter(row => row.model.startsWith('resnet1')))).toBeDefined();
    expect(unseenModels(rows.filter(row => row.model.startsWith('resnet5')))).toBeUndefined();
    expect(unseenRigs(rows.slice(0, 5), new Map())).toBeUndefined();
  });
});

it('rank correlation: 1 in order, -1 in reverse, ties shared', () => {
  expect(spearman([1, 2, 3], [10, 20, 30])).toBeCloseTo(1);
  expect(spearman([1, 2, 3], [3, 2, 1])).toBeCloseTo(-1);
  expect(spearman([1, 1, 2], [1, 2, 3])).toBeCloseTo(Math.sqrt(3) / 2);
});

it('measurements name known devices of their kind and known models, and are positive', () => {
  for (const { device, kind, ms } of MEASUREMENTS) {
    if (device) expect(kind).toContain(deviceOf(device).kind);
    for (const [model, time] of Object.entries(ms)) {
      expect(MODEL_FEATURES).toHaveProperty([model]);
      expect(time).toBeGreaterThan(0);
    }
  }
});

it('no profile is two rigs in one precision', () => {
  const named = MEASUREMENTS.filter(m => m.device).map(m => `${m.device} ${m.precision} ${m.rig}`);
  const pairs = new Set(named.map(name => name.split(' ').slice(0, 2).join(' ')));
  expect(new Set(named).size).toBe(pairs.size);
});

it('a check estimates with its errors, and not where nothing was published', () => {
  const model = modelOf(autoencoder().graph);
  const report = check(model, deviceOf('stm32u575'));
  expect(report.estimatedMs).toBeGreaterThan(0.6 * 3.43); // published: 3.43 ms
  expect(report.estimatedMs).toBeLessThan(1.6 * 3.43);
  expect(report.estimate).toMatchObject({
    basis: 'device',
    rig: 'STM32U575 (M33), ST Edge AI Core',
    precision: 'int8',
  });
  expect(report.estimate?.sources).toContain('mlperf-tiny-12');
  expect(check(model, deviceOf('intel-cpu')).estimate).toMatchObject({ basis: 'kind', precision: 'float32' });
  expect(check(model, deviceOf('ambarella-cv72')).estimatedMs).toBeUndefined();
});
