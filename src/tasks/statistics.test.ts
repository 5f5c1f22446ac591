import { describe, expect, it } from 'vitest';
import { Random } from '../util/random.ts';
import {
  bootstrapInterval,
  meanEstimate,
  pairedDifference,
  pairedLoss,
  passAt1,
  passAtK,
  passAtKOf,
  wilson,
} from './statistics.ts';

describe('wilson', () => {
  // scipy 1.17: binomtest(k, n).proportion_ci(method='wilson')
  it.each([
    [3, 5, 0.23072428127601297, 0.8823792257673521],
    [0, 20, 0, 0.16112515805281935],
    [20, 20, 0.8388748419471808, 1],
    [412, 1000, 0.38188731127995784, 0.4427861982134999],
    [1, 16, 0.01111934476464252, 0.28328737570298945],
  ])('%d of %d', (k, n, low, high) => {
    const interval = wilson(k, n);
    expect(interval[0]).toBeCloseTo(low, 12);
    expect(interval[1]).toBeCloseTo(high, 12);
  });
});

describe('pass@k', () => {
  // 1 - comb(n-c, k) / comb(n, k), exact integers
  it.each([
    [16, 1, 4, 0.25],
    [200, 37, 10, 0.8773745673794602],
    [5, 3, 2, 0.9],
    [1000, 3, 100, 0.27124338767625344],
    [8, 0, 8, 0],
    [8, 8, 1, 1],
    [16, 13, 4, 1],
  ])('n=%d c=%d k=%d', (samples, correct, k, expected) => {
    expect(passAtKOf({ samples, correct }, k)).toBeCloseTo(expected, 12);
  });

  it('is pass@1 for k = 1 and grows with k', () => {
    const tallies = [1, 5, 0, 16, 9].map(correct => ({ samples: 16, correct }));
    expect(passAtK(tallies, 1).value).toBeCloseTo(passAt1(tallies).value, 12);
    const values = [1, 2, 4, 8, 16].map(k => passAtK(tallies, k).value);
    expect(values).toEqual([...values].sort((a, b) => a - b));
    expect(values.at(-1)).toBeCloseTo(0.8, 12);
  });

  it('needs k samples', () => {
    expect(() => passAtK([{ samples: 4, correct: 1 }], 8)).toThrow(
      'pass@8 needs 8 samples a problem, one has 4',
    );
    expect(() => passAt1([])).toThrow(/no problems/);
  });
});

describe('pass@1', () => {
  it('is exactly Wilson with one sample a problem', () => {
    const tallies = Array.from({ length: 1000 }, (_, i) => ({ samples: 1, correct: i < 412 ? 1 : 0 }));
    const { value, interval, standardError } = passAt1(tallies);
    expect(value).toBeCloseTo(0.412, 12);
    expect(interval[0]).toBeCloseTo(0.38188731127995784, 10);
    expect(interval[1]).toBeCloseTo(0.4427861982134999, 10);
    expect(standardError).toBeCloseTo(Math.sqrt((0.412 * 0.588) / 999), 12);
  });

  it('counts perfectly alike samples once: 20 problems of 16 equal samples are 20 samples', () => {
    const tallies = Array.from({ length: 20 }, (_, i) => ({ samples: 16, correct: i < 8 ? 16 : 0 }));
    const { interval, unclusteredInterval } = passAt1(tallies);
    expect(interval[0]).toBeCloseTo(wilson(8, 20)[0], 10);
    expect(interval[1]).toBeCloseTo(wilson(8, 20)[1], 10);
    expect(unclusteredInterval).toEqual(wilson(128, 320));
  });

  it('never claims more than all samples, nor certainty at 0 and 1', () => {
    const equal = Array.from({ length: 10 }, () => ({ samples: 4, correct: 2 }));
    expect(passAt1(equal).interval).toEqual(wilson(20, 40));
    const none = Array.from({ length: 10 }, () => ({ samples: 4, correct: 0 }));
    expect(passAt1(none).interval).toEqual(wilson(0, 10));
  });

  it('covers the truth about 95 times in 100 when problems differ', () => {
    const random = new Random(9);
    let covered = 0;
    for (let run = 0; run < 400; run++) {
      const tallies = Array.from({ length: 60 }, () => {
        const p = random.uniform() ** 2; // mean 1/3
        const correct = Array.from({ length: 8 }, () => random.uniform() < p).filter(Boolean).length;
        return { samples: 8, correct };
      });
      const [low, high] = passAt1(tallies).interval;
      if (low <= 1 / 3 && 1 / 3 <= high) covered++;
    }
    expect(covered / 400).toBeGreaterThan(0.91);
    expect(covered / 400).toBeLessThan(0.985);
  });
});

describe('means', () => {
  it('match scipy.stats.sem', () => {
    const { value, standardError } = meanEstimate([2, 4, 4, 4, 5, 5, 7, 9]);
    expect(value).toBe(5);
    expect(standardError).toBeCloseTo(0.7559289460184544, 12);
  });

  it('pair problem by problem', () => {
    const { value, standardError, interval } = pairedDifference(
      [0.5, 0.25, 1, 0, 0.75],
      [0.25, 0.25, 0.5, 0, 1],
    );
    expect(value).toBeCloseTo(0.1, 12);
    expect(standardError).toBeCloseTo(0.12747548783981963, 12);
    expect(interval[0]).toBeCloseTo(-0.1498473650777201, 12);
    expect(interval[1]).toBeCloseTo(0.3498473650777201, 12);
    expect(() => pairedDifference([1], [1, 2])).toThrow(/1 and 2/);
    expect(() => meanEstimate([1])).toThrow(/needs 2 values/);
  });

  it('of pairs of 0 and 1 count half a pair more of each kind', () => {
    // b = c = 0, n = 98: 0 ± z √1/100
    const none = pairedLoss(0, 0, 98);
    expect(none.value).toBe(0);
    expect(none.interval[1]).toBeCloseTo(0.0195996398, 9);
    expect(none.interval[0]).toBeCloseTo(-0.0195996398, 9);
    // b = 10, c = 0: (10.5 − 0.5)/100 ± z √(11 − 10²/100)/100
    const some = pairedLoss(10, 0, 98);
    expect(some.value).toBeCloseTo(10 / 98, 12);
    expect(some.interval[0]).toBeCloseTo(0.1 - 0.0195996398 * Math.sqrt(10), 8);
  });

  it('bootstrap near the normal interval', () => {
    const random = new Random(4);
    const values = Array.from({ length: 400 }, () => random.normal());
    const [low, high] = bootstrapInterval(values, random, 1000);
    const { interval } = meanEstimate(values);
    expect(Math.abs(low - interval[0])).toBeLessThan(0.03);
    expect(Math.abs(high - interval[1])).toBeLessThan(0.03);
  });
});
