/** Ranges and scales against ONNX Runtime's quantizer and closed forms. */
import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { Random } from '../../../util/random.ts';
import { affineOf, affineOfBounds, type CodeDType, codesOf, rounded, type Scheme } from './affine.ts';
import { Histogram } from './histogram.ts';
import { entropyWindow, observed, type Seen, squareError } from './observers.ts';

interface Fixture {
  readonly ranges: readonly {
    readonly dtype: CodeDType;
    readonly symmetric: boolean;
    readonly low: number;
    readonly high: number;
    readonly scale: number;
    readonly zeroPoint: number;
  }[];
  readonly windows: readonly { name: string; levels: number; counts: number[]; reach: number }[];
  readonly quantiles: { values: number[]; quantiles: { share: number; value: number }[] };
}
const fixture = JSON.parse(
  readFileSync(new URL('fixtures/observers.json', import.meta.url), 'utf8'),
) as Fixture;

const int8: Scheme = { dtype: 'int8', symmetric: false };

describe('scale and zero point', () => {
  test.each(fixture.ranges)('$dtype of [$low, $high], symmetric: $symmetric', r => {
    const { scale, zeroPoint } = affineOf(r, { dtype: r.dtype, symmetric: r.symmetric });
    expect(scale).toBeCloseTo(r.scale, 7);
    expect(zeroPoint).toBe(r.zeroPoint);
  });

  it('unsigned without zero point where nothing is negative', () => {
    expect(affineOf({ low: 0, high: 5.1 }, { dtype: 'uint8', symmetric: true })).toEqual({
      scale: Math.fround(0.02),
      zeroPoint: 0,
    });
  });

  it('powers of two, rounded up: 2/127 becomes 1/32', () => {
    const scheme: Scheme = { dtype: 'int8', symmetric: true, powerOfTwo: true };
    expect(affineOf({ low: -1, high: 2 }, scheme).scale).toBe(1 / 32);
    expect(affineOf({ low: -127 / 64, high: 1 }, scheme).scale).toBe(1 / 64);
  });

  it('narrow codes leave −128 out', () => {
    expect(codesOf({ dtype: 'int8', narrow: true })).toEqual({ low: -127, high: 127 });
  });

  it('bounds as TFLite fixes them: Softmax 1/256 from −128, Tanh 1/128 around 0', () => {
    expect(affineOfBounds({ low: 0, high: 1 }, int8)).toEqual({ scale: 1 / 256, zeroPoint: -128 });
    expect(affineOfBounds({ low: -1, high: 1 }, int8)).toEqual({ scale: 1 / 128, zeroPoint: 0 });
  });

  it('a value that is always 0 has a scale, and 0 is exact in every scheme', () => {
    const { scale } = affineOf({ low: 0, high: 0 }, int8);
    expect(scale).toBeGreaterThan(0);
    for (const dtype of ['int4', 'uint8', 'int16'] as const) {
      const scheme: Scheme = { dtype, symmetric: false };
      expect(rounded(0, affineOf({ low: -0.37, high: 1.93 }, scheme), codesOf(scheme))).toBe(0);
    }
  });
});

describe('histograms', () => {
  const { values, quantiles } = fixture.quantiles;
  const histogram = new Histogram({ low: Math.min(...values), high: Math.max(...values) }, 4096);
  histogram.add(values);

  test.each(quantiles)('the $share quantile is numpy’s but for a bin and a rank', ({ share, value }) => {
    const sorted = [...values].sort((a, b) => a - b);
    const rank = Math.round(share * 500);
    const slack =
      histogram.binWidth +
      ((sorted[Math.min(499, rank + 1)] as number) - (sorted[Math.max(0, rank - 2)] as number));
    expect(Math.abs(histogram.quantile(share) - value)).toBeLessThanOrEqual(slack);
  });

  test.each(fixture.windows)('entropy keeps as many bins as ONNX Runtime: $name', w => {
    expect(entropyWindow(Float64Array.from(w.counts), w.levels)).toBe(w.reach);
  });
});

const normals = (n: number): Float32Array => {
  const random = new Random(1);
  return Float32Array.from({ length: n }, () => random.normal());
};

function seenOf(values: Float32Array): Seen {
  const range = { low: Math.min(...values), high: Math.max(...values) };
  const histogram = new Histogram(range, 4096);
  histogram.add(values);
  return { range, average: { low: -1, high: 3 }, histogram };
}

describe('observers', () => {
  const seen = seenOf(normals(50_000));

  it('minmax spans what was seen, the moving average what was followed', () => {
    const { low, high } = seen.range;
    expect(observed(seen, int8, { method: 'minmax' }).scale).toBeCloseTo((high - low) / 255, 6);
    expect(observed(seen, int8, { method: 'moving-average' }).scale).toBeCloseTo(4 / 255, 7);
  });

  it('percentile leaves out the share that was asked for: 2 % of a normal lie beyond ±2.326', () => {
    const { scale } = observed(
      seen,
      { dtype: 'int8', symmetric: true },
      { method: 'percentile', percentile: 98 },
    );
    expect(scale * 127).toBeGreaterThan(2.27);
    expect(scale * 127).toBeLessThan(2.38);
  });

  // Banner et al. 2019 (arXiv:1810.05723), table of optimal clipping of a normal: 2.55 at 4 bits
  it('mse cuts a normal at 2.55 deviations for 4 bits', () => {
    const scheme: Scheme = { dtype: 'int4', symmetric: true };
    const { scale } = observed(seen, scheme, { method: 'mse' });
    // 15 steps instead of 16 between the cuts
    expect(scale * 7.5).toBeGreaterThan(2.35);
    expect(scale * 7.5).toBeLessThan(2.75);
  });

  it.each(['minmax', 'percentile', 'entropy'] as const)('mse is never worse than %s', method => {
    const histogram = seen.histogram as Histogram;
    for (const dtype of ['int4', 'int8'] as const) {
      const scheme: Scheme = { dtype, symmetric: false };
      const least = squareError(histogram, observed(seen, scheme, { method: 'mse' }), scheme);
      expect(least).toBeLessThanOrEqual(
        1.02 * squareError(histogram, observed(seen, scheme, { method }), scheme),
      );
    }
  });

  it('entropy cuts a far outlier off', () => {
    const far = seenOf(Float32Array.of(...normals(20_000), 100));
    expect(observed(far, int8, { method: 'entropy' }).scale * 255).toBeLessThan(60);
  });

  it('mse takes the grid that values lie on: 256 integers of scale 0.58, whatever falls between its bins', () => {
    const grid = Math.fround(0.5847029);
    const random = new Random(2);
    const codes = Array.from({ length: 20_000 }, () => Math.round(30 * random.normal() ** 3));
    const values = Float32Array.from([-211, 44, ...codes], c => grid * Math.max(-211, Math.min(44, c)));
    expect(observed(seenOf(values), int8, { method: 'mse' })).toEqual({ scale: grid, zeroPoint: 83 });
  });

  it('mse picks among powers of two', () => {
    const scheme: Scheme = { dtype: 'int4', symmetric: true, powerOfTwo: true };
    const { scale } = observed(seen, scheme, { method: 'mse' });
    expect(scale).toBe(0.25 * 2 ** Math.round(Math.log2(scale / 0.25)));
    const other = squareError(seen.histogram as Histogram, { scale: scale * 2, zeroPoint: 0 }, scheme);
    expect(squareError(seen.histogram as Histogram, { scale, zeroPoint: 0 }, scheme)).toBeLessThan(other);
  });
});
