import { describe, expect, test } from 'vitest';
import { float32, type Graph, sizeOf, staticDims, type Tensor } from '../graph/ir.ts';
import { liveness } from '../graph/liveness.ts';
import { verify } from '../graph/verify.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { Random } from '../util/random.ts';
import { gradients } from './gradients.ts';
import { lower } from './lower.ts';
import type { RecomputeChoice } from './recompute.ts';

const LAYERS = 6;
const WIDTH = 8;

/** x + w2·gelu(w1·norm(x)), under the scope `layers.i`. x [B, T, WIDTH] */
function layer(b: Builder, x: Value, i: number, parameters: Value[]): Value {
  const parameter = (name: string, ...shape: number[]) => {
    const value = b.input(`layers.${i}.${name}`, 'float32', shape);
    parameters.push(value);
    return value;
  };
  return b.scope(`layers.${i}`, () => {
    const h = b.op('RMSNormalization', [x, parameter('norm', WIDTH)], {});
    const up = b.op('Gelu', [h.matmul(parameter('w1', WIDTH, 4 * WIDTH))], {});
    return x.add(up.matmul(parameter('w2', 4 * WIDTH, WIDTH)));
  });
}

/** Loss and parameter gradients of a stack of layers, in the order of differentiation. */
function differentiated(recompute: RecomputeChoice | undefined, rows: number | 'B' = 2): Graph {
  const b = new Builder('stack');
  const parameters: Value[] = [];
  let x = b.input('x', 'float32', [rows, 40, WIDTH]).mul(1);
  for (let i = 0; i < LAYERS; i++) x = layer(b, x, i, parameters);
  const loss = x.mul(x).mean(undefined, false);
  const grads = gradients(b, loss, parameters, { recompute });
  b.output(loss, 'loss');
  grads.forEach((g, i) => void b.output(g, `grad:${parameters[i].name}`));
  return b.graph;
}

const trace = (recompute: RecomputeChoice | undefined, rows?: 'B'): Graph =>
  lower(differentiated(recompute, rows));

function feedsOf(graph: Graph): Record<string, Tensor> {
  const random = new Random(7);
  return Object.fromEntries(
    graph.inputs.map(({ name, shape }) => {
      const dims = staticDims(shape?.map(d => (typeof d === 'string' ? 2 : d))) as readonly number[];
      return [
        name,
        float32(
          dims,
          Float32Array.from({ length: sizeOf(dims) }, () => random.normal() / 3),
        ),
      ];
    }),
  );
}

const ALL = Array.from({ length: LAYERS }, (_, i) => `layers.${i}`);

describe('recomputation', () => {
  test.each([
    ['by prefixes', ALL],
    ['some layers', ALL.slice(1, 3)],
    ['by choice', (name: string) => name.startsWith('layers.')],
  ])('%s: the same gradients, bit for bit', async (_, choice) => {
    const [plain, traded] = [trace(undefined), trace(choice)];
    verify(traded);
    expect(traded.nodes.length).toBeGreaterThan(plain.nodes.length);
    expect(await evaluate(traded, feedsOf(traded))).toEqual(await evaluate(plain, feedsOf(plain)));
  });

  test('symbolic dims as well', async () => {
    const [plain, traded] = [trace(undefined, 'B'), trace(ALL, 'B')];
    expect(await evaluate(traded, feedsOf(traded))).toEqual(await evaluate(plain, feedsOf(plain)));
  });

  test('a prefix that names nothing is refused', () => {
    expect(() => trace(['model.layers.0'])).toThrow('no node lies under "model.layers.0"');
  });

  test('the peak falls to less than half', () => {
    const peak = (graph: Graph) => liveness(graph).peakBytes;
    expect(peak(differentiated(ALL))).toBeLessThan(0.5 * peak(differentiated(undefined)));
  });

  test('no copied node can run before the gradient of its region exists', () => {
    const graph = differentiated(ALL);
    const late = new Set<string>();
    const copies = graph.nodes.filter(n => n.name.includes('recompute/'));
    for (const node of graph.nodes) {
      const gradient = node.name.startsWith('grad/') && !copies.includes(node);
      if (gradient || node.inputs.some(i => late.has(i))) for (const o of node.outputs) late.add(o);
    }
    expect(copies.length).toBeGreaterThan(LAYERS);
    expect(copies.filter(n => !n.outputs.every(o => late.has(o))).map(n => n.name)).toEqual([]);
  });
});
