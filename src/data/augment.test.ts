/** Each change does what its name says, and nothing when it is told to do nothing. */
import { describe, expect, it, test } from 'vitest';
import { Random } from '../util/random.ts';
import {
  AUGMENT_NAMES,
  type Augment,
  augmentNamed,
  colorJitter,
  crop,
  cutout,
  flip,
  inTurn,
  mixingWeight,
  mixup,
  specAugment,
  timeShift,
} from './augment.ts';

const DIMS = [3, 4, 5] as const;
const image = Float32Array.from({ length: 60 }, (_, i) => i + 1);
const many = (augment: Augment, dims: readonly number[] = DIMS): Float32Array[] =>
  Array.from({ length: 200 }, (_, i) => augment(image, dims, new Random(i)));

describe('images', () => {
  it('a crop moves all planes alike and fills the rest', () => {
    for (const y of many(crop(1, -1))) {
      const kept = [...y].map((v, i) => [v, i] as const).filter(([v]) => v !== -1);
      const moves = new Set(kept.map(([v, i]) => v - 1 - i));
      expect(moves.size).toBe(1);
      expect(kept.length).toBeGreaterThanOrEqual(3 * 3 * 4);
    }
    expect(new Set(many(crop(1)).map(String)).size).toBe(9);
    expect(crop(0)(image, DIMS, new Random(1))).toEqual(image);
  });

  it('a flip exchanges columns, half of the time', () => {
    const flipped = many(flip());
    expect(new Set(flipped.map(y => y[0]))).toEqual(new Set([1, 5]));
    const share = flipped.filter(y => y[0] === 5).length / flipped.length;
    expect(share).toBeGreaterThan(0.4);
    expect(share).toBeLessThan(0.6);
    expect([...flip(1)(image, DIMS, new Random(1)).subarray(0, 5)]).toEqual([5, 4, 3, 2, 1]);
  });

  it('jitter of nothing changes nothing; grey images have no saturation', () => {
    const none = { brightness: 0, contrast: 0, saturation: 0 };
    colorJitter(none)(image, DIMS, new Random(1)).forEach(
      (v, i) => void expect(v).toBeCloseTo(image[i] as number, 4),
    );
    const grey = Float32Array.from({ length: 12 }, (_, i) => i % 4);
    const same = colorJitter({ ...none, saturation: 0.9 })(grey, [3, 2, 2], new Random(1));
    same.forEach((v, i) => void expect(v).toBeCloseTo(grey[i] as number, 5));
    const lighter = colorJitter({ ...none, brightness: 0.5 })(image, DIMS, new Random(4));
    const ratios = new Set([...lighter].map((v, i) => (v / (image[i] as number)).toFixed(4)));
    expect(ratios.size).toBe(1);
  });

  it('cutout clears one square in every plane', () => {
    for (const y of many(cutout(2, 0))) {
      const cleared = [...y.keys()].filter(i => y[i] === 0);
      expect([3, 6, 12]).toContain(cleared.length);
      expect(new Set(cleared.map(i => i % 20)).size).toBe(cleared.length / 3);
    }
  });
});

describe('features [T, F]', () => {
  const dims = [1, 12, 5];
  it('masks are runs of frames and of bins', () => {
    for (const y of many(specAugment({ timeWidth: 3, frequencyWidth: 1, fill: 0 }), dims)) {
      const clear = (t: number, f: number) => y[t * 5 + f] === 0;
      const frames = [...Array(12).keys()].filter(t => [0, 1, 2, 3, 4].every(f => clear(t, f)));
      const bins = [0, 1, 2, 3, 4].filter(f => [...Array(12).keys()].every(t => clear(t, f)));
      expect(frames.length).toBeLessThanOrEqual(3);
      expect(bins.length).toBeLessThanOrEqual(1);
      if (frames.length > 0)
        expect((frames.at(-1) as number) - (frames[0] as number)).toBe(frames.length - 1);
      const zeros = y.filter(v => v === 0).length;
      expect(zeros).toBe(5 * frames.length + 12 * bins.length - frames.length * bins.length);
    }
  });

  it('a time shift moves whole frames', () => {
    for (const y of many(timeShift(2), dims)) {
      const first = [...y].find(v => v !== 0) as number;
      expect((first - 1) % 5).toBe(0);
    }
    expect(new Set(many(timeShift(2), dims).map(String)).size).toBe(5);
  });
});

describe('by name', () => {
  it('changes follow each other', () => {
    const named = augmentNamed(['flip', 'cutout']);
    const expected = inTurn(flip(), cutout(8));
    expect(named(image, DIMS, new Random(3))).toEqual(expected(image, DIMS, new Random(3)));
  });

  it.each(AUGMENT_NAMES)('%s keeps the size of what it changes', name => {
    for (const y of many(augmentNamed([name]))) expect(y).toHaveLength(60);
  });
});

describe('mixup', () => {
  it('keeps sums of labels, and pairs rows as it pairs labels', () => {
    const rows = Float32Array.from([1, 1, 2, 2, 4, 4]);
    const labels = Float32Array.from([1, 0, 0, 0, 1, 0, 0, 0, 1]);
    mixup(rows, labels, 3, 0.4, new Random(2));
    for (let i = 0; i < 3; i++) {
      const label = labels.subarray(3 * i, 3 * i + 3);
      expect(label[0] + label[1] + label[2]).toBeCloseTo(1, 6);
      expect(rows[2 * i]).toBeCloseTo(label[0] + 2 * label[1] + 4 * label[2], 5);
    }
  });

  test.each([0.2, 1])('weights at α = %f have mean 1/2 and variance 1/(8α + 4)', alpha => {
    const random = new Random(7);
    const drawn = Array.from({ length: 20_000 }, () => mixingWeight(alpha, random));
    const mean = drawn.reduce((a, b) => a + b, 0) / drawn.length;
    const variance = drawn.reduce((a, b) => a + (b - mean) ** 2, 0) / drawn.length;
    expect(mean).toBeCloseTo(0.5, 1);
    expect(variance).toBeCloseTo(1 / (8 * alpha + 4), 2);
  });
});
