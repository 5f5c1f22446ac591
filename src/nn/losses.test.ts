import { describe, expect, test } from 'vitest';
import { checkGradients } from '../autodiff/check.ts';
import { gradients } from '../autodiff/gradients.ts';
import { lower } from '../autodiff/lower.ts';
import { type Graph, int32, type Tensor } from '../graph/ir.ts';
import { liveness } from '../graph/liveness.ts';
import { verify } from '../graph/verify.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { Random } from '../util/random.ts';
import {
  chunkedTokenLogProbs,
  chunkScopes,
  crossEntropy,
  type DivergenceKind,
  divergence,
  tokenScores,
  zLoss,
} from './losses.ts';

const float64 = (dims: readonly number[], values: ArrayLike<number>): Tensor => ({
  dtype: 'float64',
  dims,
  data: Float64Array.from(values),
});
const drawn = (dims: readonly number[], seed: number, spread = 1): Tensor => {
  const random = new Random(seed);
  const size = dims.reduce((a, b) => a * b, 1);
  return float64(
    dims,
    Array.from({ length: size }, () => spread * random.normal()),
  );
};
const numbers = (t: Tensor): number[] => Array.from(t.data as Float64Array);
const softmax = (z: readonly number[]): number[] => {
  const top = Math.max(...z);
  const total = z.reduce((sum, x) => sum + Math.exp(x - top), 0);
  return z.map(x => Math.exp(x - top) / total);
};
const rowsOf = (t: Tensor): number[][] => {
  const [m, v] = t.dims as [number, number];
  return Array.from({ length: m }, (_, r) => numbers(t).slice(r * v, (r + 1) * v));
};

/** A graph over logits [M, V] and targets [M]. */
function overLogits(
  m: number,
  v: number,
  body: (logits: Value, targets: Value) => Record<string, Value>,
): Graph {
  const b = new Builder('losses');
  const outputs = body(b.input('logits', 'float64', [m, v]), b.input('targets', 'int32', [m]));
  for (const [name, value] of Object.entries(outputs)) b.output(value, name);
  return b.graph;
}

const [M, V] = [4, 6];
const logits = drawn([M, V], 3, 2);
const targets = int32([M], [5, 0, 2, 2]);
const feeds = { logits, targets };

describe('scores of a token', () => {
  test('log p(target), log Z and entropy have their closed forms', () => {
    const graph = overLogits(M, V, (z, y) => ({ ...tokenScores(z, y) }));
    const out = evaluate(lower(graph), feeds);
    const rows = rowsOf(logits);
    const p = rows.map(softmax);
    const wanted = {
      logProb: p.map((row, r) => Math.log(row[Number(targets.data[r])] as number)),
      logZ: rows.map(row => Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0))),
      entropy: p.map(row => -row.reduce((sum, x) => sum + x * Math.log(x), 0)),
    };
    for (const [name, values] of Object.entries(wanted)) {
      numbers(out[name] as Tensor).forEach((x, r) => void expect(x).toBeCloseTo(values[r] as number, 10));
    }
  });

  test.each([{ exact: false }, { exact: true }])('the gradient of log p is onehot − p (%o)', options => {
    const b = new Builder('gradient');
    const z = b.input('logits', 'float64', [M, V]);
    const y = b.input('targets', 'int32', [M]);
    const [g] = gradients(b, tokenScores(z, y, options).logProb.sum(undefined, false), [z]);
    b.output(g as Value, 'g');
    const got = rowsOf(evaluate(lower(b.graph), feeds).g as Tensor);
    rowsOf(logits).forEach((row, r) => {
      const p = softmax(row);
      p.forEach((x, i) => {
        const wanted = (i === Number(targets.data[r]) ? 1 : 0) - x;
        expect(got[r]?.[i]).toBeCloseTo(wanted, 10);
      });
    });
  });

  test('gradients of every score agree with finite differences', async () => {
    const graph = overLogits(M, V, (z, y) => ({ ...tokenScores(z, y) }));
    for (const check of await checkGradients(graph, ['logits'], feeds, evaluate)) {
      expect(check.error, JSON.stringify(check)).toBeLessThan(1e-7);
    }
  });

  test('logits of ±1000 stay finite', () => {
    const graph = overLogits(1, 3, (z, y) => ({ ...tokenScores(z, y) }));
    const out = evaluate(lower(graph), {
      logits: float64([1, 3], [1000, -1000, 0]),
      targets: int32([1], [1]),
    });
    expect(numbers(out.logProb as Tensor)).toEqual([-2000]);
    expect(numbers(out.logZ as Tensor)).toEqual([1000]);
    expect(numbers(out.entropy as Tensor)[0]).toBeCloseTo(0, 12);
  });
});

test('cross-entropy of equal logits is log V a token, z-loss its square', () => {
  const graph = overLogits(2, 8, (z, y) => {
    const scores = tokenScores(z, y);
    const weights = z.builder.constant(float64([2], [0.25, 0.75]));
    return { nats: crossEntropy(scores, weights), z: zLoss(scores, weights) };
  });
  const out = evaluate(lower(graph), {
    logits: float64([2, 8], new Float64Array(16)),
    targets: int32([2], [0, 7]),
  });
  expect(numbers(out.nats as Tensor)[0]).toBeCloseTo(Math.log(8), 12);
  expect(numbers(out.z as Tensor)[0]).toBeCloseTo(Math.log(8) ** 2, 12);
});

describe('divergences', () => {
  const graphOf = (kind: DivergenceKind, options = {}, m = M, v = V): Graph => {
    const b = new Builder('divergence');
    const student = b.input('student', 'float64', [m, v]);
    const teacher = b.input('teacher', 'float64', [m, v]);
    b.output(divergence(kind, student, teacher, options), 'd');
    return b.graph;
  };
  const of = (graph: Graph, student: Tensor, teacher: Tensor): number[] =>
    numbers(evaluate(lower(graph), { student, teacher }).d as Tensor);
  const KINDS = ['forward', 'reverse', 'jensen-shannon', 'skew-forward', 'skew-reverse'] as const;
  const teacher = drawn([M, V], 9, 2);

  test.each(KINDS)('%s of a distribution with itself is 0', kind => {
    for (const d of of(graphOf(kind), logits, logits)) expect(Math.abs(d)).toBeLessThan(1e-14);
  });

  test('two coins: p = (¾, ¼) taught, s = (½, ½)', () => {
    const [s, t] = [float64([1, 2], [0, 0]), float64([1, 2], [Math.log(3), 0])];
    const [forward] = of(graphOf('forward', {}, 1, 2), s, t);
    const [reverse] = of(graphOf('reverse', {}, 1, 2), s, t);
    const [js] = of(graphOf('jensen-shannon', { beta: 0.5 }, 1, 2), s, t);
    expect(forward).toBeCloseTo(0.75 * Math.log(1.5) + 0.25 * Math.log(0.5), 12);
    expect(reverse).toBeCloseTo(0.5 * Math.log(2 / 3) + 0.5 * Math.log(2), 12);
    const m = [0.625, 0.375] as const;
    const toMixture = (p: readonly [number, number]) =>
      p[0] * Math.log(p[0] / m[0]) + p[1] * Math.log(p[1] / m[1]);
    expect(js).toBeCloseTo((toMixture([0.75, 0.25]) + toMixture([0.5, 0.5])) / 2, 12);
  });

  test('skewed: the same coins against a tenth of oneself', () => {
    const [s, t] = [float64([1, 2], [0, 0]), float64([1, 2], [Math.log(3), 0])];
    const [forward] = of(graphOf('skew-forward', {}, 1, 2), s, t);
    const [reverse] = of(graphOf('skew-reverse', { alpha: 0.2 }, 1, 2), s, t);
    // 0.1 · ¾ + 0.9 · ½ = 0.525 and 0.2 · ½ + 0.8 · ¾ = 0.7
    expect(forward).toBeCloseTo(0.75 * Math.log(0.75 / 0.525) + 0.25 * Math.log(0.25 / 0.475), 12);
    expect(reverse).toBeCloseTo(0.5 * Math.log(0.5 / 0.7) + 0.5 * Math.log(0.5 / 0.3), 12);
  });

  test('skewed divergence stays finite where the student gives up: at most −log α', () => {
    const [s, t] = [float64([1, 2], [-3000, 3000]), float64([1, 2], [3000, -3000])];
    expect(of(graphOf('skew-forward', {}, 1, 2), s, t)[0]).toBeCloseTo(-Math.log(0.1), 10);
  });

  test('temperature divides both', () => {
    const halved = (t: Tensor) =>
      float64(
        t.dims,
        numbers(t).map(x => x / 2),
      );
    for (const kind of KINDS) {
      const cooled = of(graphOf(kind, { temperature: 2 }), logits, teacher);
      of(graphOf(kind), halved(logits), halved(teacher)).forEach((d, r) => {
        expect(cooled[r]).toBeCloseTo(d, 12);
      });
    }
  });

  test('β of 0 and 1 are the two KL divergences, as in TRL', () => {
    const js = (beta: number) => of(graphOf('jensen-shannon', { beta }), logits, teacher);
    expect(js(0)).toEqual(of(graphOf('forward'), logits, teacher));
    expect(js(1)).toEqual(of(graphOf('reverse'), logits, teacher));
  });

  test('distributions without common support: JS is log 2, not NaN', () => {
    const [s, t] = [float64([1, 3], [2000, 0, -2000]), float64([1, 3], [0, 2000, -2000])];
    expect(of(graphOf('jensen-shannon', {}, 1, 3), s, t)[0]).toBeCloseTo(Math.log(2), 12);
  });

  test.each(KINDS)('%s: the gradient for the student agrees with finite differences', async kind => {
    const [check] = await checkGradients(graphOf(kind), ['student'], { student: logits, teacher }, evaluate);
    expect(check?.error).toBeLessThan(1e-7);
  });

  test('the teacher gets no gradient', () => {
    const b = new Builder('teacher');
    const [s, t] = [b.input('s', 'float64', [M, V]), b.input('t', 'float64', [M, V])];
    const [g] = gradients(b, divergence('forward', s, t).sum(undefined, false), [t]);
    b.output(g as Value, 'g');
    expect(numbers(evaluate(lower(b.graph), { s: logits, t: teacher }).g as Tensor).every(x => x === 0)).toBe(
      true,
    );
  });
});

describe('chunks of a large vocabulary', () => {
  const [tokens, width, vocabulary] = [22, 4, 64];
  /** Loss and gradients of hidden states and head, with and without chunks. */
  function trace(chunks: number, rows: number | 'M' = tokens): Graph {
    const b = new Builder('chunked');
    const hidden = b.input('hidden', 'float64', [rows, width]);
    const weight = b.input('weight', 'float64', [vocabulary, width]);
    const head = (h: Value) => h.matmul(weight.transpose([1, 0]));
    const y = b.input('targets', 'int32', [rows]);
    const scores =
      chunks === 1 ? tokenScores(head(hidden), y) : chunkedTokenLogProbs(hidden, head, y, chunks);
    const weights = b.input('weights', 'float64', [rows]);
    const loss = crossEntropy(scores, weights)
      .add(zLoss(scores, weights))
      .sub(scores.entropy.sum(undefined, false));
    const grads = gradients(b, loss, [hidden, weight], {
      recompute: chunks === 1 ? undefined : chunkScopes(chunks),
    });
    b.output(loss, 'loss');
    b.output(grads[0] as Value, 'hidden.grad');
    b.output(grads[1] as Value, 'weight.grad');
    return lower(b.graph);
  }
  const chunkFeeds = {
    hidden: drawn([tokens, width], 1),
    weight: drawn([vocabulary, width], 2),
    weights: drawn([tokens], 4),
    targets: int32(
      [tokens],
      Array.from({ length: tokens }, (_, i) => (7 * i) % vocabulary),
    ),
  };

  test.each([
    ['known', tokens],
    ['symbolic', 'M'],
  ] as const)('the same loss and gradients, number of tokens %s', (_, rows) => {
    const [whole, pieces] = [evaluate(trace(1), chunkFeeds), evaluate(trace(5, rows), chunkFeeds)];
    verify(trace(5, rows));
    for (const [name, tensor] of Object.entries(whole)) {
      const got = numbers(pieces[name] as Tensor);
      numbers(tensor).forEach((x, i) => void expect(got[i]).toBeCloseTo(x, 10));
    }
  });

  test('the logits of all chunks never live together', () => {
    const peak = (chunks: number) => liveness(trace(chunks)).peakBytes;
    const logitBytes = tokens * vocabulary * 8;
    expect(peak(1)).toBeGreaterThan(2 * logitBytes);
    expect(peak(11)).toBeLessThan(0.4 * peak(1));
  });
});
