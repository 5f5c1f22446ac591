import { expect, it } from 'vitest';
import { float32, type Graph, type Tensor } from '../graph/ir.ts';
import { verify } from '../graph/verify.ts';
import { rotaryTables } from '../nn/attention.ts';
import { Builder } from '../ops/builder.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { foldRotaryTables } from './rotary.ts';

function tables(maxPositions: number, theta = 10000, scale = 1): { graph: Graph; cos: Float32Array } {
  const b = new Builder('tables');
  const { cos, sin } = rotaryTables(b, { headDim: 16, maxPositions, theta });
  const table = b.graph.initializers.get('rotary.cos') as Tensor;
  const data = (table.data as Float32Array).map(x => x * scale);
  b.graph.initializers.set('rotary.cos', float32([maxPositions, 8], data));
  b.output(b.op('Identity', [cos], {}), 'cos');
  b.output(b.op('Identity', [sin], {}), 'sin');
  return { graph: b.graph, cos: data };
}

it.each([2, 97, 4096])(
  'tables of %d positions come back to the last bits from their frequencies',
  positions => {
    const { graph, cos } = tables(positions, positions === 4096 ? 1e6 : 10000);
    expect(foldRotaryTables(graph)).toBe(1);
    verify(graph);
    const stored = [...graph.initializers.values()].reduce(
      (n, t) => n + (t.data as Float32Array).byteLength,
      0,
    );
    expect(stored).toBeLessThan(150);
    const out = evaluate(graph, {}).cos?.data as Float32Array;
    const worst = out.reduce((worst, x, i) => Math.max(worst, Math.abs(x - (cos[i] as number))), 0);
    expect(worst).toBeLessThan(2e-7);
  },
);

it('tables of another form stay as they are', () => {
  const scaled = tables(64, 10000, 1.2).graph;
  expect(foldRotaryTables(scaled)).toBe(0);
  expect(scaled.initializers.has('rotary.cos')).toBe(true);
  expect(foldRotaryTables(tables(1).graph)).toBe(0);
  expect(foldRotaryTables(new Builder('none').graph)).toBe(0);
});

it('tables that YaRN scales come back scaled', () => {
  const b = new Builder('yarn');
  const scaling = { ropeType: 'yarn', factor: 8, originalMaxPositionEmbeddings: 16 } as const;
  const { cos, sin } = rotaryTables(b, { headDim: 16, maxPositions: 128, theta: 1e4, scaling });
  b.output(b.op('Identity', [cos], {}), 'cos');
  b.output(b.op('Identity', [sin], {}), 'sin');
  const before = evaluate(b.graph, {});
  expect(foldRotaryTables(b.graph)).toBe(1);
  const after = evaluate(b.graph, {});
  for (const name of ['cos', 'sin'] as const) {
    const [was, is] = [before, after].map(out => out[name]?.data as Float32Array) as [
      Float32Array,
      Float32Array,
    ];
    expect(Math.max(...is.map((x, i) => Math.abs(x - (was[i] as number))))).toBeLessThan(3e-7);
  }
});

it('layers with tables of their own have them folded too', () => {
  const b = new Builder('two');
  for (const [name, theta] of Object.entries({ 'rotary.local': 1e4, rotary: 1e6 })) {
    const { cos, sin } = rotaryTables(b, { headDim: 16, maxPositions: 64, theta, name });
    b.output(cos.mul(sin), name);
  }
  const { graph } = b;
  const before = evaluate(graph, {});
  expect(foldRotaryTables(graph)).toBe(2);
  verify(graph);
  const after = evaluate(graph, {});
  for (const name of ['rotary', 'rotary.local']) {
    const [was, is] = [before, after].map(out => out[name]?.data as Float32Array) as [
      Float32Array,
      Float32Array,
    ];
    expect(Math.max(...is.map((x, i) => Math.abs(x - (was[i] as number))))).toBeLessThan(2e-7);
  }
  expect(before.rotary?.data).not.toEqual(before['rotary.local']?.data);
});
