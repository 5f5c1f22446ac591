/** Whether a runtime's results are what the reference interpreter makes of the same graph. */
import { bitsOf, isFloat } from '../graph/dtype.ts';
import type { Graph, Tensor } from '../graph/ir.ts';
import { evaluate } from './reference/index.ts';
import { doubles } from './reference/tensor.ts';

export interface Expectation {
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** Largest difference relative to max(1, |expected|), for float outputs; by dtype when absent. */
  readonly tolerance?: number;
}

/** One sentence on the first output that differs from the reference interpreter's, or ''. */
export function disagreement(
  { graph, feeds, tolerance }: Expectation,
  got: Readonly<Record<string, Tensor>>,
): string {
  const wanted = evaluate(graph, feeds);
  const sentences = Object.entries(wanted).map(([name, want]) =>
    difference(name, got[name], want, tolerance),
  );
  return sentences.find(s => s !== '') ?? '';
}

/** How `got` differs from `want`, or ''. */
export function difference(name: string, got: Tensor | undefined, want: Tensor, tolerance?: number): string {
  if (!got) return `output "${name}" is missing`;
  const [is, should] = [got, want].map(t => `${t.dtype}[${t.dims.join(', ')}]`);
  if (is !== should) return `output "${name}" is ${is}, not ${should}`;
  if (want.dtype === 'string')
    return String(got.data) === String(want.data) ? '' : `output "${name}" differs`;
  const [x, y] = [doubles(got), doubles(want)];
  const limit = isFloat(want.dtype) ? (tolerance ?? toleranceOf(want)) : 0;
  const at = x.findIndex((v, i) => !isClose(v, y[i], limit));
  return at === -1 ? '' : `output "${name}"[${at}] is ${x[at]}, not ${y[at]}`;
}

/** float64 1e-10, float32 1e-5, float16 2e-3, bfloat16 2e-2, 8-bit floats 0.1. */
function toleranceOf({ dtype }: Tensor): number {
  if (dtype === 'bfloat16') return 2e-2;
  return { 64: 1e-10, 32: 1e-5, 16: 2e-3 }[bitsOf(dtype)] ?? 0.1;
}

const isClose = (a: number, b: number, limit: number): boolean =>
  a === b || (Number.isNaN(a) && Number.isNaN(b)) || Math.abs(a - b) <= limit * Math.max(1, Math.abs(b));
