/** Which tokens each option keeps, with what probability, and what is reported: against definitions written out here. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../util/random.ts';
import {
  checkSampling,
  choose,
  chooseDrafted,
  drawDraft,
  inverseTemperature,
  penalize,
  type SamplingOptions,
} from './sampling.ts';

const P = [0.05, 0.4, 0.1, 0.25, 0.2];
const DRAWS = 4000;

/** How often each token is chosen. */
function shares(probabilities: readonly number[], options: SamplingOptions): number[] {
  const p = Float32Array.from(probabilities);
  const random = new Random(3);
  const counts = probabilities.map(() => 0);
  for (let i = 0; i < DRAWS; i++) counts[choose(p, 0, p.length, options, random).token]!++;
  return counts.map(n => n / DRAWS);
}

/** Expects the shares of `kept`, renormalized, within four standard deviations. */
function expectKept(options: SamplingOptions, kept: readonly number[], probabilities = P): void {
  const total = kept.reduce((sum, v) => sum + (probabilities[v] as number), 0);
  shares(probabilities, options).forEach((share, v) => {
    const wanted = kept.includes(v) ? (probabilities[v] as number) / total : 0;
    expect(Math.abs(share - wanted), `token ${v}: ${share}`).toBeLessThanOrEqual(
      4 * Math.sqrt((wanted * (1 - wanted)) / DRAWS),
    );
  });
}

describe('what is kept of the probabilities 0.05, 0.4, 0.1, 0.25, 0.2', () => {
  it.each<[SamplingOptions, number[]]>([
    [{}, [0, 1, 2, 3, 4]],
    [{ temperature: 0 }, [1]],
    [{ topK: 0 }, [0, 1, 2, 3, 4]],
    [{ topK: 1 }, [1]],
    [{ topK: 3 }, [1, 3, 4]],
    [{ topK: 99 }, [0, 1, 2, 3, 4]],
    [{ topP: 0 }, [1]],
    [{ topP: 0.39 }, [1]],
    [{ topP: 0.41 }, [1, 3]], // the smallest set with at least this much
    [{ topP: 0.86 }, [1, 2, 3, 4]],
    [{ topP: 1 }, [0, 1, 2, 3, 4]],
    [{ minP: 0.49 }, [1, 3, 4]], // 0.49 · 0.4 = 0.196
    [{ minP: 0.51 }, [1, 3]],
    [{ minP: 1 }, [1]],
    [{ topK: 4, topP: 0.7, minP: 0.2 }, [1, 3, 4]],
    [{ topK: 2, topP: 0.99 }, [1, 3]],
  ])('%o: %o', (options, kept) => expectKept(options, kept));

  it('equally likely tokens: the first of them, and as many as are asked for', () => {
    const equal = [0.25, 0.25, 0.25, 0.25];
    expectKept({ temperature: 0 }, [0], equal);
    expectKept({ topK: 2 }, [0, 1], equal);
  });
});

it('top-p of any distribution is the smallest set of likeliest tokens that weighs as much', () => {
  const distribution = fc
    .array(fc.double({ min: 1e-3, max: 1, noNaN: true }), { minLength: 2, maxLength: 40 })
    .map(weights => {
      const total = weights.reduce((a, b) => a + b, 0);
      return Float32Array.from(weights, w => w / total);
    });
  fc.assert(
    fc.property(
      distribution,
      fc.double({ min: 0.05, max: 0.95, noNaN: true }),
      fc.integer(),
      (p, topP, seed) => {
        const order = [...p.keys()].sort((a, b) => p[b]! - p[a]! || a - b);
        let sum = 0;
        const size = order.findIndex(v => (sum += p[v]!) >= topP) + 1;
        const allowed = new Set(order.slice(0, size));
        const random = new Random(seed);
        for (let i = 0; i < 20; i++)
          expect(allowed).toContain(choose(p, 0, p.length, { topP }, random).token);
      },
    ),
    { numRuns: 200 },
  );
});

describe('what is reported and drawn', () => {
  const p = Float32Array.from([9, 9, ...P]); // rows lie one after another

  it('the log-probability before truncation, of the row at the offset', () => {
    for (const options of [{}, { topK: 2 }, { temperature: 0 }, { minP: 0.9 }]) {
      const { token, logProb } = choose(p, 2, P.length, options, new Random(1));
      expect(token).toBeLessThan(P.length);
      expect(logProb).toBeCloseTo(Math.log(P[token] as number), 6);
    }
  });

  it('greedy choice draws no random number; every other draws one', () => {
    const after = (options: SamplingOptions) => {
      const random = new Random(1);
      choose(p, 2, P.length, options, random);
      return random.state().counter;
    };
    expect(after({ temperature: 0 })).toBe(0);
    expect(after({})).toBe(after({ topP: 0.5 }));
    expect(after({})).toBeGreaterThan(0);
  });

  it('rounding that leaves the sum under 1 still gives a token', () => {
    const short = Float32Array.from([0.2, 0.3]);
    const random = new Random(2);
    for (let i = 0; i < 200; i++) expect([0, 1]).toContain(choose(short, 0, 2, {}, random).token);
  });
});

describe('a draft drawn from q', () => {
  const Q = [0.3, 0.1, 0.3, 0.05, 0.25];
  const [p, q] = [Float32Array.from(P), Float32Array.from(Q)];

  it.each([
    [{}, P, 0.05 + 0.1 + 0.1 + 0.05 + 0.2], // Σ min(p, q)
    [{ topK: 2 }, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0], 0], // q keeps 0 and 2
    [{ minP: 0.5 }, [0, 0.4 / 0.85, 0, 0.25 / 0.85, 0.2 / 0.85], 0.2 / 0.85], // q keeps 0, 2 and 4
  ] as const)(
    'stays by the rejection rule, and what is chosen is distributed as p: %o',
    (options, wanted, kept) => {
      const random = new Random(6);
      const counts = P.map(() => 0);
      let same = 0;
      for (let i = 0; i < 20_000; i++) {
        const draft = drawDraft(q, 0, 5, options, random);
        const { token, logProb } = chooseDrafted(p, 0, 5, draft, options, random);
        counts[token]!++;
        if (token === draft.token) same++;
        expect(logProb).toBeCloseTo(Math.log(P[token] as number), 5);
      }
      // four standard deviations of 20,000 draws are at most 0.0142
      counts.forEach(
        (n, i) => void expect(Math.abs(n / 20_000 - (wanted[i] as number))).toBeLessThan(0.0142),
      );
      expect(Math.abs(same / 20_000 - kept)).toBeLessThan(0.0142);
    },
  );

  it('is the likeliest token at temperature 0, and stays where it is the likeliest of p', () => {
    const random = new Random(1);
    const draft = drawDraft(q, 0, 5, { temperature: 0 }, random);
    expect(draft).toEqual({ token: 0 });
    expect(chooseDrafted(p, 0, 5, draft, { temperature: 0 }, random).token).toBe(1);
  });

  it('always stays where q is p', () => {
    const random = new Random(2);
    for (let i = 0; i < 500; i++) {
      const draft = drawDraft(p, 0, 5, {}, random);
      expect(chooseDrafted(p, 0, 5, draft, {}, random).token).toBe(draft.token);
    }
  });
});

describe('logits', () => {
  it('the penalty divides positive ones and multiplies negative ones, once for each id seen', () => {
    const logits = Float32Array.of(7, 2, -2, 0, 3);
    penalize(logits, 1, [0, 1, 0, 0, 2], { repetitionPenalty: 2 });
    expect([...logits]).toEqual([7, 1, -4, 0, 3]);
    penalize(logits, 1, [0, 1], {});
    expect([...logits]).toEqual([7, 1, -4, 0, 3]);
  });

  it.each([
    [{}, 1],
    [{ temperature: 0.5 }, 2],
    [{ temperature: 4 }, 0.25],
    [{ temperature: 0 }, 1],
  ] as const)('are multiplied by 1/T: %o', (options, factor) => {
    expect(inverseTemperature(options)).toBe(factor);
  });
});

it.each([
  { temperature: -0.1 },
  { temperature: Number.NaN },
  { topK: -1 },
  { topP: 1.1 },
  { minP: -0.5 },
  { repetitionPenalty: 0 },
])('%o is refused with its range', options => {
  expect(() => checkSampling(options)).toThrow(/ is [^;]+; it must lie between /);
});
