/**
 * Types of If, Loop and Scan: their bodies are inferred with the types that go in.
 *
 * 1. A value that may differ between branches, or between rounds, keeps the dims that all agree on.
 * 2. Rounds are run in types until nothing changes any more; a dim that changes becomes unknown, so that ends.
 */
import type { Dim, Shape, TensorType } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import { axisOf, input, requireKind, type, unknownDim, withoutDim } from './common.ts';
import { sameDim } from './dims.ts';

type Types = readonly TensorType[];

/** The type that both are; dims that may differ become unknown, a rank that differs leaves no shape. */
function joined(c: RuleContext, a: TensorType, b: TensorType, what: string): TensorType {
  if (a.dtype !== b.dtype) c.fail(`${what} is ${a.dtype} in one place and ${b.dtype} in another`);
  const [x, y] = [a.shape, b.shape];
  if (!x || !y || x.length !== y.length) return { dtype: a.dtype };
  const dims = x.map((d, i) =>
    sameDim(d, y[i] as Dim) ? d : unknownDim(c, `${what.replace(' ', '')}.${i}`),
  );
  return { dtype: a.dtype, shape: dims };
}

const branches: ShapeRule = c => {
  requireKind(c, 0, 'bool');
  const [yes, no] = [c.body('then_branch', []), c.body('else_branch', [])];
  if (yes.length !== no.length) c.fail(`then_branch has ${yes.length} outputs, else_branch ${no.length}`);
  return yes.map((t, i) => joined(c, t, no[i] as TensorType, `output ${i}`));
};

/** Most rounds until the types of carried values rest: each changes a dim to unknown or drops a shape. */
const MOST_ROUNDS = 4;

/** Types of carried values that a round maps to themselves, and the outputs of that round. */
function settled(
  c: RuleContext,
  start: Types,
  round: (carried: Types) => Types,
): { carried: Types; outputs: Types } {
  let carried = start;
  for (let i = 0; i < MOST_ROUNDS; i++) {
    const outputs = round(carried);
    const next = carried.map((t, k) => joined(c, t, outputs[k] as TensorType, `value ${k}`));
    if (next.every((t, k) => same(t, carried[k] as TensorType))) return { carried, outputs };
    carried = next;
  }
  const open = carried.map(({ dtype }) => ({ dtype }));
  return { carried: open, outputs: round(open) };
}

const same = (a: TensorType, b: TensorType): boolean => String(a.shape) === String(b.shape);

const stacked = ({ dtype, shape }: TensorType, axis: number, count: Dim): TensorType =>
  type(dtype, shape && [...shape.slice(0, axis), count, ...shape.slice(axis)]);

/** Loop(M?, condition?, carried..) with body (iteration, condition, carried..) -> (condition, carried.., scanned..). */
const loop: ShapeRule = c => {
  const start = c.inputs.slice(2).map((_, i) => input(c, i + 2));
  const round = (carried: Types) =>
    c.body('body', [type('int64', []), type('bool', []), ...carried]).slice(1);
  const { carried, outputs } = settled(c, start, round);
  const rounds = unknownDim(c, 'rounds');
  return [...carried, ...outputs.slice(start.length).map(t => stacked(t, 0, rounds))];
};

/** Scan(carried.., scanned..) with body (carried.., slices..) -> (carried.., slices..). */
const scan: ShapeRule = c => {
  const scanned = c.attributes.int('num_scan_inputs', 1);
  const states = c.inputs.length - scanned;
  const slices = c.inputs.slice(states).map((_, k) => sliceOf(c, k, states + k));
  const round = (carried: Types) => c.body('body', [...carried, ...slices.map(s => s.type)]);
  const start = c.inputs.slice(0, states).map((_, i) => input(c, i));
  const { carried, outputs } = settled(c, start, round);
  const count = slices.find(s => s.count !== undefined)?.count ?? unknownDim(c, 'rounds');
  return [...carried, ...outputs.slice(states).map((t, k) => stacked(t, outputAxis(c, t, k), count))];
};

function sliceOf(c: RuleContext, k: number, i: number): { type: TensorType; count: Dim | undefined } {
  const { dtype, shape } = input(c, i);
  if (!shape) return { type: { dtype }, count: undefined };
  const axis = axisOf(c, c.attributes.ints('scan_input_axes')?.[k] ?? 0, shape.length);
  return { type: { dtype, shape: withoutDim(shape as Shape, axis) }, count: shape[axis] };
}

const outputAxis = (c: RuleContext, { shape }: TensorType, k: number): number =>
  axisOf(c, c.attributes.ints('scan_output_axes')?.[k] ?? 0, (shape?.length ?? 0) + 1);

export const CONTROL = {
  If: branches,
  Loop: loop,
  Scan: scan,
} satisfies Record<string, ShapeRule>;
