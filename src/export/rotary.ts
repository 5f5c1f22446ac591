/**
 * Rotary tables as arithmetic: cos(t f) and sin(t f) with the frequencies f [D/2] kept instead of two tables
 * [positions, D/2], which in a small model take as many bytes as all its 4-bit weights.
 *
 * 1. Runtimes fold constants when they load a model, so the tables are there when it runs.
 * 2. Frequencies are read off the last row of the tables (their turns counted by means of the first), which leaves less
 *    than float32's rounding at every position; YaRN's scale is the cosine of position 0. Tables that are not of this form
 *    stay.
 */
import type { Graph, Tensor } from '../graph/ir.ts';
import { sortTopologically } from '../graph/walk.ts';
import { Builder } from '../ops/builder.ts';

/** Largest difference from the tables that is taken for rounding. */
const TOLERANCE = 1e-6;

/** Replaces the tables `rotary.cos` and `rotary.sin`, and those of layers with others, `rotary.NAME.cos` and so on. Returns how many pairs. */
export function foldRotaryTables(graph: Graph): number {
  const pairs = [...graph.initializers.keys()]
    .filter(name => /^rotary(\.\w+)?\.cos$/.test(name))
    .map(name => name.slice(0, -'.cos'.length));
  const folded = pairs.filter(name => foldPair(graph, name));
  if (folded.length > 0) sortTopologically(graph);
  return folded.length;
}

/** Whether the tables `name.cos` and `name.sin` were such, and are replaced. */
function foldPair(graph: Graph, name: string): boolean {
  const [cos, sin] = [`${name}.cos`, `${name}.sin`];
  const [c, s] = [graph.initializers.get(cos), graph.initializers.get(sin)];
  const found = c && s && anglesOf(c, s);
  if (!c || !found) return false;
  const b = new Builder(graph);
  const [positions, half] = c.dims as [number, number];
  const f = b.constant({ dtype: 'float64', dims: [1, half], data: found.frequencies });
  const angles = b.scope(name, () => {
    const index = b.op(
      'Range',
      [b.scalar(0, 'float64'), b.scalar(positions, 'float64'), b.scalar(1, 'float64')],
      {},
    );
    return index.unsqueeze([1]).mul(f);
  });
  const tables = { [cos]: b.op('Cos', [angles], {}), [sin]: b.op('Sin', [angles], {}) };
  for (const [table, value] of Object.entries(tables)) {
    const scaled = () => (found.scale === 1 ? value : value.mul(found.scale)).cast('float32');
    const folded = b.scope(name, scaled).name;
    graph.initializers.delete(table);
    for (const node of graph.nodes)
      node.inputs = node.inputs.map(input => (input === table ? folded : input));
  }
  return true;
}

interface Angles {
  /** Angles a position [D/2]. */
  readonly frequencies: Float64Array;
  /** What cosines and sines are multiplied by (YaRN); the cosine of position 0. */
  readonly scale: number;
}

/** The angles behind two tables, or undefined when these are not cos and sin of their multiples. */
function anglesOf(cos: Tensor, sin: Tensor): Angles | undefined {
  const [positions, half] = cos.dims as [number, number];
  if (cos.dtype !== 'float32' || sin.dtype !== 'float32' || positions < 2) return undefined;
  const [c, s] = [cos.data as Float32Array, sin.data as Float32Array];
  const angle = (row: number, i: number) =>
    Math.atan2(s[row * half + i] as number, c[row * half + i] as number);
  const frequencies = Float64Array.from({ length: half }, (_, i) => {
    const last = angle(positions - 1, i);
    const turns = Math.round((angle(1, i) * (positions - 1) - last) / (2 * Math.PI));
    return (last + 2 * Math.PI * turns) / (positions - 1);
  });
  const found = { frequencies, scale: c[0] as number };
  return sameTables(found, c, s, positions) ? found : undefined;
}

function sameTables(
  { frequencies, scale }: Angles,
  cos: Float32Array,
  sin: Float32Array,
  positions: number,
): boolean {
  for (let t = 0; t < positions; t++) {
    for (let i = 0; i < frequencies.length; i++) {
      const at = t * frequencies.length + i;
      const angle = t * (frequencies[i] as number);
      if (Math.abs(scale * Math.cos(angle) - (cos[at] as number)) > TOLERANCE) return false;
      if (Math.abs(scale * Math.sin(angle) - (sin[at] as number)) > TOLERANCE) return false;
    }
  }
  return true;
}
