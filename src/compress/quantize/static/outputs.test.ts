/** How far apart outputs are, in closed form. */
import { describe, expect, it } from 'vitest';
import { float32, modelOf } from '../../../graph/ir.ts';
import { Builder } from '../../../ops/builder.ts';
import { referenceRuntime } from '../../../runtime/reference/index.ts';
import { divergence, outputsOf, relativeError, resultsOf } from './outputs.ts';

const rows = (...values: number[][]) => [
  [float32([values.length, values[0].length], Float32Array.from(values.flat()))],
];

describe('outputs', () => {
  it('divergence is KL: log 2 of a sure answer against an even one, 0 where only a constant was added', () => {
    expect(divergence(rows([40, 0]), rows([0, 0]))).toBeCloseTo(Math.log(2), 6);
    expect(divergence(rows([1, 2, 3], [0, 5, 1]), rows([11, 12, 13], [-7, -2, -6]))).toBeCloseTo(0, 6);
  });

  it('relative error is Σ (y − ŷ)² / Σ y²; what is not finite does not count', () => {
    expect(relativeError(rows([3, 4]), rows([3, 5]))).toBeCloseTo(1 / 25, 9);
    expect(relativeError(rows([Number.NEGATIVE_INFINITY, 2]), rows([0, 1]))).toBeCloseTo(1 / 4, 9);
  });

  it('results are what goes into a Softmax at the end', async () => {
    const b = new Builder('net');
    const x = b.input('x', 'float32', ['N', 2]);
    const logits = x.add(x);
    b.output(logits.softmax(-1), 'p');
    b.output(b.op('Relu', [x], {}), 'r');
    expect(resultsOf(b.graph)).toEqual([logits.name, 'r']);
    using program = await referenceRuntime().compile(modelOf(b.graph));
    const [[p, r]] = await outputsOf(program, [{ x: float32([1, 2], Float32Array.of(-1, 1)) }]);
    expect((p.data as Float32Array)[1]).toBeCloseTo(1 / (1 + Math.exp(-4)), 6);
    expect([...(r.data as Float32Array)]).toEqual([0, 1]);
    await expect(outputsOf(program, [])).rejects.toThrow(/needs data/);
  });
});
