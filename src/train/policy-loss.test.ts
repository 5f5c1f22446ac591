/** Losses and gradients of hand-made tokens against the papers' formulas, written out here in plain numbers. */
import { describe, expect, it } from 'vitest';
import { gradients } from '../autodiff/gradients.ts';
import { lower } from '../autodiff/lower.ts';
import { int32, type Tensor } from '../graph/ir.ts';
import { tokenScores } from '../nn/losses.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { type Aggregation, tokenWeights } from './advantage.ts';
import type { LossContext } from './learner.ts';
import { type PolicyLossOptions, policyLoss } from './policy-loss.ts';

const PLAIN: PolicyLossOptions = {
  ratioLevel: 'token',
  clipLow: 0.2,
  clipHigh: 0.28,
  objective: 'ppo',
  klWeight: 0,
  klEstimator: 'k3',
  entropyWeight: 0,
  temperature: 1,
};

/** A token: its logits, which of them was chosen, and what the loss reads beside them. */
interface Token {
  readonly logits: readonly number[];
  readonly target: number;
  /** π/π_old; 1 when absent. */
  readonly ratio?: number;
  readonly advantage: number;
  readonly weight?: number;
  readonly mask?: number;
  readonly reference?: number;
}

const softmax = (z: readonly number[], temperature = 1): number[] => {
  const e = z.map(x => Math.exp(x / temperature));
  const total = e.reduce((a, b) => a + b, 0);
  return e.map(x => x / total);
};
const logProb = (t: Token, temperature = 1): number =>
  Math.log(softmax(t.logits, temperature)[t.target] as number);

const vector = (values: readonly number[], dims = [values.length]): Tensor => ({
  dtype: 'float64',
  dims,
  data: Float64Array.from(values),
});

interface Result {
  readonly loss: number;
  /** d loss / d logits, a row a token. */
  readonly gradient: number[][];
  readonly metrics: Readonly<Record<string, number>>;
}

/** The loss over rows of equally many tokens, by the reference interpreter in double precision. */
function run(rows: readonly (readonly Token[])[], options: Partial<PolicyLossOptions> = {}): Result {
  const o = { ...PLAIN, ...options };
  const tokens = rows.flat();
  const [first] = tokens as [Token];
  const [M, V] = [tokens.length, first.logits.length];
  const b = new Builder('policy');
  const logits = b.input('logits', 'float64', [M, V]);
  const targets = b.input('targets', 'int32', [M]);
  const columns = new Map<string, Value>();
  const context: LossContext = {
    b,
    logits,
    hidden: logits,
    targets,
    added: () => ({ metrics: {} }),
    rowDims: b.ints([rows.length, M / rows.length]),
    scores: ({ temperature = 1, ...rest } = {}) => tokenScores(logits.mul(1 / temperature), targets, rest),
    token(name) {
      const known = columns.get(name) ?? b.input(name, 'float64', [M]);
      columns.set(name, known);
      return known;
    },
    tokenVector: (name, width) => b.input(name, 'float64', [M, width]),
  };
  const traced = policyLoss(o)(context);
  const [gradient] = gradients(b, traced.loss, [logits]) as [Value];
  b.output(traced.loss, 'loss');
  b.output(gradient, 'gradient');
  for (const [name, value] of Object.entries(traced.metrics ?? {})) b.output(value, `metric:${name}`);
  const out = evaluate(lower(b.graph), {
    logits: vector(
      tokens.flatMap(t => [...t.logits]),
      [M, V],
    ),
    targets: int32(
      [M],
      tokens.map(t => t.target),
    ),
    advantage: vector(tokens.map(t => t.advantage)),
    weights: vector(tokens.map(t => t.weight ?? 1)),
    mask: vector(tokens.map(t => t.mask ?? 1)),
    old_log_prob: vector(tokens.map(t => logProb(t, o.temperature) - Math.log(t.ratio ?? 1))),
    ...(o.klWeight > 0 && { reference_log_prob: vector(tokens.map(t => t.reference ?? 0)) }),
  });
  const numbers = (name: string) => Array.from((out[name] as Tensor).data as Float64Array);
  const flat = numbers('gradient');
  return {
    loss: numbers('loss')[0] as number,
    gradient: tokens.map((_, i) => flat.slice(i * V, (i + 1) * V)),
    metrics: Object.fromEntries(
      Object.keys(traced.metrics ?? {}).map(name => [name, numbers(`metric:${name}`)[0] as number]),
    ),
  };
}

const LOGITS = [0.3, -1.2, 0.8];
const token = (ratio: number, advantage: number, more: Partial<Token> = {}): Token => ({
  logits: LOGITS,
  target: 0,
  ratio,
  advantage,
  ...more,
});

/** (onehot − p) of the chosen token: d log π / d logits. */
const score = (t: Token): number[] => softmax(t.logits).map((p, v) => (v === t.target ? 1 : 0) - p);

describe('the clipped objective of one token', () => {
  // ρ, A → objective, slope in log π, which bound was met
  it.each([
    { ratio: 1, advantage: 2, objective: 2, slope: 2 },
    { ratio: 1.2, advantage: 1, objective: 1.2, slope: 1.2 },
    { ratio: 1.5, advantage: 1, objective: 1.28, slope: 0, met: 'high' },
    { ratio: 1.5, advantage: -1, objective: -1.5, slope: -1.5 },
    { ratio: 0.5, advantage: 1, objective: 0.5, slope: 0.5 },
    { ratio: 0.5, advantage: -1, objective: -0.8, slope: 0, met: 'low' },
    { ratio: 0.9, advantage: -2, objective: -1.8, slope: -1.8 },
    { ratio: 1.5, advantage: 0, objective: 0, slope: 0 },
  ])('ρ $ratio, A $advantage: $objective', ({ ratio, advantage, objective, slope, met }) => {
    const t = token(ratio, advantage, { weight: 0.25 });
    const { loss, gradient, metrics } = run([[t]]);
    expect(loss).toBeCloseTo(-0.25 * objective, 12);
    score(t).forEach((s, v) => {
      expect(gradient[0]?.[v]).toBeCloseTo(-0.25 * slope * s, 12);
    });
    expect(metrics['clip_ratio/low']).toBe(met === 'low' ? 1 : 0);
    expect(metrics['clip_ratio/high']).toBe(met === 'high' ? 1 : 0);
  });

  it('two-sided clipping bounds ρ where the advantage is negative, and only there', () => {
    expect(run([[token(10, -1)]], { delta: 4 }).loss).toBeCloseTo(4, 12);
    expect(run([[token(3, -1)]], { delta: 4 }).loss).toBeCloseTo(3, 12);
    expect(run([[token(10, 1)]], { delta: 4 }).loss).toBeCloseTo(-1.28, 12);
  });

  it('CISPO clips the weight and keeps the gradient of every token', () => {
    for (const [ratio, advantage, weight] of [
      [1.5, 1, 1.28],
      [1.5, -1, 1.28],
      [0.5, -1, 0.5],
    ] as const) {
      const t = token(ratio, advantage);
      const { loss, gradient } = run([[t]], { objective: 'cispo' });
      expect(loss).toBeCloseTo(-weight * advantage * logProb(t), 12);
      score(t).forEach((s, v) => {
        expect(gradient[0]?.[v]).toBeCloseTo(-weight * advantage * s, 12);
      });
    }
  });
});

describe('the ratio of a sequence (GSPO)', () => {
  const row = [token(2, 1), token(0.7, 1, { target: 1 }), token(9, 1, { mask: 0, weight: 0 })];
  const mean = Math.sqrt(2 * 0.7); // exp of the mean log ratio over the response

  it('is the geometric mean of its tokens’ ratios; what is no response takes no part', () => {
    const { loss } = run([row], { ratioLevel: 'sequence' });
    expect(loss).toBeCloseTo(-2 * mean, 12);
  });

  it('pulls every token with 1/length of the whole', () => {
    const { gradient } = run([row], { ratioLevel: 'sequence' });
    score(row[1] as Token).forEach((s, v) => {
      expect(gradient[1]?.[v]).toBeCloseTo(-2 * mean * (s / 2), 12);
    });
    expect(gradient[2]?.every(g => g === 0)).toBe(true);
  });

  it('is clipped as a whole: a sequence beyond the bound has no gradient though a token is within', () => {
    const far = [token(3, 1), token(1.1, 1)];
    const { loss, gradient, metrics } = run([far], { ratioLevel: 'sequence' });
    expect(loss).toBeCloseTo(-2 * 1.28, 12);
    expect(gradient.flat().every(g => g === 0)).toBe(true);
    expect(metrics['clip_ratio/high']).toBe(2);
  });

  it('keeps rows apart', () => {
    const { loss } = run([[token(1.2, 1)], [token(0.9, -1)]], { ratioLevel: 'sequence' });
    expect(loss).toBeCloseTo(-(1.2 - 0.9), 12);
  });
});

describe('the KL penalty to a reference', () => {
  const t = token(1, 0, { reference: -2 });
  const d = logProb(t) + 2; // log π/π_ref

  it.each([
    ['k1', d],
    ['k2', d ** 2 / 2],
    ['k3', Math.exp(-d) + d - 1],
  ] as const)('%s', (klEstimator, kl) => {
    const { loss, metrics } = run([[t]], { klWeight: 0.5, klEstimator });
    expect(loss).toBeCloseTo(0.5 * kl, 12);
    expect(metrics.kl).toBeCloseTo(kl, 12);
  });

  it.each(['k1', 'k3'] as const)('%s is unbiased: its mean under π is KL(π‖π_ref)', klEstimator => {
    const [p, q] = [softmax(LOGITS), softmax([1, 0, -0.5])];
    const kl = p.reduce((sum, x, v) => sum + x * Math.log(x / (q[v] as number)), 0);
    const mean = p.reduce((sum, x, v) => {
      const one = token(1, 0, { target: v, reference: Math.log(q[v] as number) });
      return sum + x * run([[one]], { klWeight: 1, klEstimator }).loss;
    }, 0);
    expect(mean).toBeCloseTo(kl, 12);
  });

  it('k3 is never negative, and 0 where both agree', () => {
    for (const reference of [-9, -3, -1, -0.1])
      expect(run([[token(1, 0, { reference })]], { klWeight: 1 }).loss).toBeGreaterThan(0);
    expect(run([[token(1, 0, { reference: logProb(t) })]], { klWeight: 1 }).loss).toBeCloseTo(0, 14);
  });
});

describe('entropy and temperature', () => {
  it('a bonus lowers the loss by its weight times the entropy', () => {
    const entropy = -softmax(LOGITS).reduce((sum, p) => sum + p * Math.log(p), 0);
    const { loss, metrics } = run([[token(1, 0)]], { entropyWeight: 0.1 });
    expect(loss).toBeCloseTo(-0.1 * entropy, 12);
    expect(metrics.entropy).toBeCloseTo(entropy, 12);
  });

  it('probabilities are those of the temperature that responses were sampled at', () => {
    const t = token(1, 1);
    const { loss, gradient } = run([[t]], { temperature: 0.5 });
    expect(loss).toBeCloseTo(-1, 12);
    softmax(LOGITS, 0.5).forEach((p, v) => {
      expect(gradient[0]?.[v]).toBeCloseTo(-2 * ((v === 0 ? 1 : 0) - p), 12); // d(z/T)/dz = 2
    });
  });
});

describe('aggregations, on two responses of 1 and 3 tokens at ρ = 1', () => {
  const [a, b] = [2, -0.5];
  it.each<[Aggregation, number]>([
    ['token-mean', -(a + 3 * b) / 4],
    ['seq-mean-token-sum', -(a + 3 * b) / 2],
    ['seq-mean-token-mean', -(a + b) / 2],
    ['seq-mean-token-sum-norm', -(a + 3 * b) / (2 * 8)],
  ])('%s', (aggregation, expected) => {
    const [short, long] = tokenWeights([1, 3], aggregation, 8) as [number, number];
    const unused = { mask: 0, weight: 0 };
    const rows = [
      [token(1, a, { weight: short }), token(1, a, unused), token(1, a, unused)],
      [token(1, b, { weight: long }), token(1, b, { weight: long }), token(1, b, { weight: long })],
    ];
    expect(run(rows).loss).toBeCloseTo(expected, 12);
  });
});
