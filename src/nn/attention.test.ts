import { describe, expect, test } from 'vitest';
import { checkGradients } from '../autodiff/check.ts';
import { gradients } from '../autodiff/gradients.ts';
import type { Graph, Tensor } from '../graph/ir.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { evaluate } from '../runtime/reference/evaluate.ts';
import { Random } from '../util/random.ts';
import { type AttentionShape, attend, causalMask } from './attention.ts';
import { silu } from './layers.ts';

const [B, T] = [2, 3];
const float64 = (dims: readonly number[], data: Float64Array): Tensor => ({ dtype: 'float64', dims, data });
const drawn = (dims: readonly number[], seed: number): Tensor => {
  const random = new Random(seed);
  return float64(
    dims,
    Float64Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal()),
  );
};

/** Causal attention over inputs q, k, v. */
function attention(shape: AttentionShape): Graph {
  const { heads, keyHeads, headDim } = shape;
  const b = new Builder('attention');
  const row = (name: string, n: number) => b.input(name, 'float64', [B, T, n * headDim]);
  const [q, k, v] = [row('q', heads), row('k', keyHeads), row('v', keyHeads)];
  const index = b.ints(Array.from({ length: T }, (_, i) => i));
  b.output(attend(q, k, v, causalMask(index).cast('float64'), shape), 'y');
  return b.graph;
}

describe('the gradient of attention', () => {
  const shapes: AttentionShape[] = [
    { heads: 2, keyHeads: 2, headDim: 4 },
    { heads: 4, keyHeads: 2, headDim: 2, scale: 0.3 },
  ];
  test.each(shapes)('agrees with finite differences (%o)', async shape => {
    const { heads, keyHeads, headDim } = shape;
    const feeds = {
      q: drawn([B, T, heads * headDim], 1),
      k: drawn([B, T, keyHeads * headDim], 2),
      v: drawn([B, T, keyHeads * headDim], 3),
    };
    const checks = await checkGradients(attention(shape), ['q', 'k', 'v'], feeds, evaluate);
    for (const check of checks) expect(check.error).toBeLessThan(1e-7);
  });

  test('takes Σ g·y from the short rows of the output, not from the scores', () => {
    const b = new Builder('scored');
    const scores = b.input('scores', 'float64', [B, 2, T, T]);
    const v = b.input('v', 'float64', [B, 2, T, 5]);
    const grads = gradients(b, scores.softmax(-1).matmul(v).sum(undefined, false), [scores]);
    b.output(grads[0] as Value, 'g');
    const summed = b.graph.nodes.filter(n => n.opType === 'ReduceSum' && n.name.includes('Softmax'));
    expect(summed.map(n => b.value(n.inputs[0] as string).shape)).toEqual([[B, 2, T, 5]]);
  });
});

test('SiLU is x·σ(x), and its gradient agrees with finite differences', async () => {
  const b = new Builder('silu');
  b.output(silu(b.input('x', 'float64', [5])), 'y');
  const x = float64([5], Float64Array.of(-30, -1, 0, 0.5, 4));
  const y = evaluate(b.graph, { x }).y as Tensor;
  [...(x.data as Float64Array)].forEach((v, i) => {
    expect((y.data as Float64Array)[i]).toBeCloseTo(v / (1 + Math.exp(-v)), 12);
  });
  const [check] = await checkGradients(b.graph, ['x'], { x }, evaluate);
  expect(check?.error).toBeLessThan(1e-8);
});

test('RMSNorm with its reciprocal deviation: both gradients agree with finite differences', async () => {
  const b = new Builder('norm');
  const [x, w] = [b.input('x', 'float64', [B, T, 4]), b.input('w', 'float64', [4])];
  const outputs = b.ops('SimplifiedLayerNormalization', [x, w], { axis: -1, epsilon: 1e-5 }, 2);
  b.output(outputs[0] as Value, 'y');
  const feeds = { x: drawn([B, T, 4], 5), w: drawn([4], 6) };
  const checks = await checkGradients(b.graph, ['x', 'w'], feeds, evaluate, { outputs: ['y'] });
  for (const check of checks) expect(check.error).toBeLessThan(1e-7);
});
