/**
 * Rotary tables as arithmetic: cos(t f) and sin(t f) with the frequencies f [D/2] kept instead of two tables
 * [positions, D/2], which in a small model take as many bytes as all its 4-bit weights.
 *
 * 1. Runtimes fold constants when they load a model, so the tables are there when it runs.
 * 2. Frequencies are read off the last row of the tables (their turns counted by means of the first), which leaves less
 *    than float32's rounding at every position. Tables that are not of this form stay.
 */
import type { Graph, Tensor } from '../graph/ir.ts';
import { sortTopologically } from '../graph/walk.ts';
import { Builder } from '../ops/builder.ts';

/** Largest difference from the tables that is taken for rounding. */
const TOLERANCE = 1e-6;

/** Replaces the initializers `cos` and `sin` where they are such tables. Returns whether it did. */
export function foldRotaryTables(graph: Graph, cos = 'rotary.cos', sin = 'rotary.sin'): boolean {
  const [c, s] = [graph.initializers.get(cos), graph.initializers.get(sin)];
  const frequencies = c && s && frequenciesOf(c, s);
  if (!c || !frequencies) return false;
  const b = new Builder(graph);
  const [positions, half] = c.dims as [number, number];
  const f = b.constant({ dtype: 'float64', dims: [1, half], data: frequencies });
  const angles = b.scope('rotary', () => {
    const index = b.op(
      'Range',
      [b.scalar(0, 'float64'), b.scalar(positions, 'float64'), b.scalar(1, 'float64')],
      {},
    );
    return index.unsqueeze([1]).mul(f);
  });
  const tables = { [cos]: b.op('Cos', [angles], {}), [sin]: b.op('Sin', [angles], {}) };
  for (const [name, value] of Object.entries(tables)) {
    const table = b.scope('rotary', () => value.cast('float32')).name;
    graph.initializers.delete(name);
    for (const node of graph.nodes) node.inputs = node.inputs.map(input => (input === name ? table : input));
  }
  sortTopologically(graph);
  return true;
}

/** Angles a position [D/2], or undefined when the tables are not cos and sin of their multiples. */
function frequenciesOf(cos: Tensor, sin: Tensor): Float64Array | undefined {
  const [positions, half] = cos.dims as [number, number];
  if (cos.dtype !== 'float32' || sin.dtype !== 'float32' || positions < 2) return undefined;
  const [c, s] = [cos.data as Float32Array, sin.data as Float32Array];
  const angle = (row: number, i: number) =>
    Math.atan2(s[row * half + i] as number, c[row * half + i] as number);
  const found = Float64Array.from({ length: half }, (_, i) => {
    const last = angle(positions - 1, i);
    const turns = Math.round((angle(1, i) * (positions - 1) - last) / (2 * Math.PI));
    return (last + 2 * Math.PI * turns) / (positions - 1);
  });
  return sameTables(found, c, s, positions) ? found : undefined;
}

function sameTables(f: Float64Array, cos: Float32Array, sin: Float32Array, positions: number): boolean {
  for (let t = 0; t < positions; t++) {
    for (let i = 0; i < f.length; i++) {
      const at = t * f.length + i;
      const angle = t * (f[i] as number);
      if (Math.abs(Math.cos(angle) - (cos[at] as number)) > TOLERANCE) return false;
      if (Math.abs(Math.sin(angle) - (sin[at] as number)) > TOLERANCE) return false;
    }
  }
  return true;
}
