/**
 * The gradient of Einsum: for each operand another Einsum, of the output's gradient and the other operands.
 *
 * 1. An ellipsis becomes capital letters, aligned at its right end.
 * 2. A label that only this operand has was summed away: its gradient is copied along it (Expand).
 * 3. A label that this operand repeats took a diagonal: its gradient is placed on that diagonal.
 */
import type { Value } from '../builder.ts';
import type { GradientContext } from '../rule.ts';
import { dimsVector, type Extent, extentOf, first, type Gradients, input, iota, sumTo } from './common.ts';
import type { Family } from './family.ts';

interface Equation {
  readonly operands: readonly string[];
  readonly output: string;
}

const CAPITALS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** The implicit output: the ellipsis, then in order every label that occurs once. */
function implicitOutput(operands: readonly string[]): string {
  const letters = operands.join('').replaceAll('...', '');
  const once = [...new Set(letters)].filter(l => letters.split(l).length === 2).sort();
  return (operands.some(o => o.includes('...')) ? '...' : '') + once.join('');
}

/** Labels of operands and output, each one letter a dim. */
export function parseEquation(equation: string, ranks: readonly number[]): Equation {
  const [left = '', right] = equation.replaceAll(' ', '').split('->');
  const operands = left.split(',');
  const covered = operands.map((o, i) => (o.includes('...') ? (ranks[i] ?? 0) - (o.length - 3) : 0));
  const letters = [...CAPITALS].filter(l => !equation.includes(l)).slice(0, Math.max(0, ...covered));
  const dots = (count: number) => letters.slice(letters.length - count).join('');
  const output = right ?? implicitOutput(operands);
  return {
    operands: operands.map((o, i) => o.replace('...', dots(covered[i] as number))),
    output: output.replace('...', dots(letters.length)),
  };
}

/** Gradient of operand `i` over its distinct labels, those that were summed away still missing. */
function contract(c: GradientContext, g: Value, e: Equation, i: number, labels: string): Value {
  const others = c.inputs.flatMap((x, j) => (x && j !== i ? [{ x, labels: e.operands[j] as string }] : []));
  const left = [e.output, ...others.map(o => o.labels)].join(',');
  return c.b.op('Einsum', [g, ...others.map(o => o.x)], { equation: `${left}->${labels}` });
}

/** Copies `v` (labels `have`) along the labels that `want` has besides. Extents by label. */
function spread(v: Value, have: string, want: string, extents: ReadonlyMap<string, Extent>): Value {
  if (have === want) return v;
  const missing = [...want].flatMap((l, i) => (have.includes(l) ? [] : [i]));
  return v.unsqueeze(missing).expandTo(
    dimsVector(
      v,
      [...want].map(l => extents.get(l) as Extent),
    ),
  );
}

/** Puts a gradient over distinct labels on the diagonals of an operand that repeats labels. */
function placeOnDiagonal(v: Value, labels: string, x: Value): Value {
  const seen = new Map<string, number>();
  let out = v;
  [...labels].forEach((label, axis) => {
    const earlier = seen.get(label);
    if (earlier === undefined) seen.set(label, axis);
    else out = out.unsqueeze([axis]).mul(diagonalMask(x, earlier, axis, v));
  });
  return out;
}

/** 1 where the positions along two axes of x agree, shaped to broadcast over dims up to the later axis and the rest. */
function diagonalMask(x: Value, first: number, second: number, like: Value): Value {
  const ones = (axis: number) => Array.from({ length: x.rank }, (_, i) => (i === axis ? -1 : 1));
  const positions = (axis: number) => iota(x, extentOf(x, axis)).reshape(ones(axis));
  return positions(first).equal(positions(second)).cast(like.dtype);
}

function operandGradient(c: GradientContext, g: Value, e: Equation, i: number): Value {
  const x = input(c, i);
  const labels = e.operands[i] as string;
  const distinct = [...new Set(labels)].join('');
  const rest = e.output + e.operands.filter((_, j) => j !== i).join('');
  const have = [...distinct].filter(l => rest.includes(l)).join('');
  const extents = new Map([...labels].map((l, axis) => [l, extentOf(x, axis)]));
  const dense = spread(contract(c, g, e, i, have), have, distinct, extents);
  return sumTo(distinct === labels ? dense : placeOnDiagonal(dense, labels, x), x);
}

function einsum(c: GradientContext, g: Value): Gradients {
  const ranks = c.inputs.map((_, i) => input(c, i).rank);
  const e = parseEquation(c.attributes.string('equation', ''), ranks);
  return c.inputs.map((_, i) => (c.wants(i) ? operandGradient(c, g, e, i) : undefined));
}

export const EINSUM = { Einsum: first(einsum) } satisfies Family;
