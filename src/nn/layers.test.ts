/** Layers against their formulas in plain numbers, and their gradients against finite differences. */
import { describe, expect, it } from 'vitest';
import { checkGradients } from '../autodiff/check.ts';
import { lower } from '../autodiff/lower.ts';
import { type Graph, int32, type Tensor } from '../graph/ir.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { embedding, layerNorm, linear, rmsNorm, swiglu } from './layers.ts';
import { ParameterTrace, type Scope } from './parameters.ts';

const ROWS = [
  [0.5, -1, 2, 0.25],
  [3, 0.1, -0.7, 1.5],
];
const x: Tensor = { dtype: 'float32', dims: [2, 4], data: Float32Array.from(ROWS.flat()) };
const W = Array.from({ length: 3 }, (_, o) => Array.from({ length: 4 }, (_, i) => Math.sin(o * 4 + i + 1)));

/** The graph of a layer over x [2, 4], parameters as inputs named after the scope `layer`. */
function graphOf(layer: (scope: Scope, x: Value) => Value): { graph: Graph; parameters: string[] } {
  const b = new Builder('layer');
  const trace = new ParameterTrace(b);
  b.output(layer(trace.scope('layer'), b.input('x', 'float32', [2, 4])), 'y');
  return { graph: b.graph, parameters: trace.specs.map(s => s.name) };
}

const vector = (values: readonly number[], dims = [values.length]): Tensor => ({
  dtype: 'float32',
  dims,
  data: Float32Array.from(values),
});

function expectRows(
  graph: Graph,
  feeds: Record<string, Tensor>,
  wanted: readonly (readonly number[])[],
): void {
  const y = evaluate(lower(graph), feeds).y as Tensor;
  wanted.flat().forEach((value, i) => {
    expect(y.data[i]).toBeCloseTo(value, 5);
  });
}

const GAIN = [1, 2, 0.5, -1];
const BIAS = [0.1, 0, -0.2, 1];
const mean = (row: readonly number[]): number => row.reduce((a, b) => a + b, 0) / row.length;

describe('layers', () => {
  it('linear is x Wᵀ + b, its weight [out, in]', () => {
    const { graph, parameters } = graphOf((scope, v) => linear(scope, v, 3, { bias: true }));
    expect(parameters).toEqual(['layer.weight', 'layer.bias']);
    const wanted = ROWS.map(row =>
      W.map((w, o) => w.reduce((sum, c, i) => sum + c * (row[i] as number), BIAS[o] as number)),
    );
    const feeds = { x, 'layer.weight': vector(W.flat(), [3, 4]), 'layer.bias': vector(BIAS.slice(0, 3)) };
    expectRows(graph, feeds, wanted);
  });

  it('embedding takes rows by id', () => {
    const b = new Builder('embedding');
    const ids = b.input('ids', 'int32', [2]);
    b.output(embedding(new ParameterTrace(b).scope('t'), ids, 3, 4), 'y');
    const feeds = { ids: int32([2], [2, 0]), 't.weight': vector(W.flat(), [3, 4]) };
    expectRows(b.graph, feeds, [W[2] as number[], W[0] as number[]]);
  });

  it.each(['gain', 'offset'] as const)(
    'RMS norm divides by the root of the mean square (weight as %s)',
    form => {
      const { graph } = graphOf((scope, v) => rmsNorm(scope, v, 0.01, form));
      const wanted = ROWS.map(row => {
        const root = Math.sqrt(mean(row.map(v => v * v)) + 0.01);
        return row.map((v, i) => (v / root) * ((GAIN[i] as number) + (form === 'offset' ? 1 : 0)));
      });
      expectRows(graph, { x, 'layer.weight': vector(GAIN) }, wanted);
    },
  );

  it('layer norm subtracts the mean and divides by the deviation', () => {
    const { graph, parameters } = graphOf((scope, v) => layerNorm(scope, v, { epsilon: 0.01 }));
    expect(parameters).toEqual(['layer.weight', 'layer.bias']);
    const wanted = ROWS.map(row => {
      const centre = mean(row);
      const deviation = Math.sqrt(mean(row.map(v => (v - centre) ** 2)) + 0.01);
      return row.map((v, i) => ((v - centre) / deviation) * (GAIN[i] as number) + (BIAS[i] as number));
    });
    expectRows(graph, { x, 'layer.weight': vector(GAIN), 'layer.bias': vector(BIAS) }, wanted);
    expect(graphOf((scope, v) => layerNorm(scope, v, { bias: false })).parameters).toEqual(['layer.weight']);
  });

  it.each<[string, (scope: Scope, v: Value) => Value]>([
    ['linear', (scope, v) => linear(scope, v, 3, { bias: true })],
    ['rmsNorm', (scope, v) => rmsNorm(scope, v)],
    ['layerNorm', (scope, v) => layerNorm(scope, v)],
    ['swiglu', (scope, v) => swiglu(scope, v, 6)],
  ])('%s: the gradient of x agrees with finite differences', async (_, layer) => {
    const plain = new ParameterTrace(new Builder('shapes'));
    layer(plain.scope(), plain.builder.input('x', 'float32', [2, 4]));
    const b = new Builder('layer');
    const doubles = (dims: readonly number[]): Tensor => {
      const size = dims.reduce((n, d) => n * d, 1);
      return {
        dtype: 'float64',
        dims,
        data: Float64Array.from({ length: size }, (_, i) => Math.sin(1 + 1.7 * i)),
      };
    };
    const trace = new ParameterTrace(b, name => doubles(plain.specs.find(s => s.name === name)?.dims ?? []));
    b.output(layer(trace.scope(), b.input('x', 'float64', [2, 4])), 'y');
    const [check] = await checkGradients(b.graph, ['x'], { x: doubles([2, 4]) }, evaluate);
    expect(check?.error, JSON.stringify(check)).toBeLessThan(1e-7);
  });
});
