/** What shape rules share: reading inputs, axes, broadcasting, and rule makers. */
import { type DType, isFloat } from '../../graph/dtype.ts';
import type { Dim, Shape, TensorType } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import { moreTelling, showShape, surelyDiffer } from './dims.ts';

/** The type of a required input. */
export function input(c: RuleContext, i: number): TensorType {
  return c.inputs[i] ?? c.fail(`the type of input ${i} is not known`);
}

export const shapeAt = (c: RuleContext, i: number): Shape | undefined => input(c, i).shape;

/** The type `{ dtype, shape }`, without the shape when it is not known. */
export const type = (dtype: DType, shape: Shape | undefined): TensorType =>
  shape ? { dtype, shape } : { dtype };

/** A dim that nothing is known of: a symbol that names the node and where the dim came from. */
export const unknownDim = (c: RuleContext, what: string | number): string =>
  `${c.node.replaceAll(/[\s+\-*(),]/g, '_')}#${what}`;

export const unknownDims = (c: RuleContext, rank: number): Shape =>
  Array.from({ length: rank }, (_, i) => unknownDim(c, i));

/** `axis` counted from the front. */
export function axisOf(c: RuleContext, axis: number, rank: number): number {
  if (axis < -rank || axis >= rank) c.fail(`axis ${axis} is out of range for rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/** The attribute `axis` counted from the front. */
export const axisAttribute = (c: RuleContext, otherwise: number, rank: number): number =>
  axisOf(c, c.attributes.int('axis', otherwise), rank);

export const withDim = (shape: Shape, axis: number, dim: Dim): Shape =>
  shape.map((d, i) => (i === axis ? dim : d));
export const withoutDim = (shape: Shape, axis: number): Shape => shape.filter((_, i) => i !== axis);

/** The dim that `a` and `b` both are; `complaint` is the message when they cannot agree. */
export function unify(c: RuleContext, a: Dim, b: Dim, complaint: () => string): Dim {
  return surelyDiffer(a, b) ? c.fail(complaint()) : moreTelling(a, b);
}

/** The shape that `a` and `b` both are. */
export function unifyShapes(c: RuleContext, a: Shape, b: Shape, complaint: () => string): Shape {
  if (a.length !== b.length) c.fail(complaint());
  return a.map((d, i) => unify(c, d, b[i] as Dim, complaint));
}

/** Values of an integer input when all of them are known numbers. */
export function numbersAt(c: RuleContext, i: number): readonly number[] | undefined {
  const values = c.shapeValue(i);
  return values?.every(v => typeof v === 'number') ? (values as readonly number[]) : undefined;
}

/** Number of elements of the vector at input `i`, from its value or its type. */
export function lengthAt(c: RuleContext, i: number): number | undefined {
  const known = c.shapeValue(i)?.length ?? c.inputs[i]?.shape?.[0];
  return typeof known === 'number' ? known : undefined;
}

/** Multidirectional broadcasting of two dims; undefined when they do not fit. */
function broadcastDim(a: Dim, b: Dim): Dim | undefined {
  if (a === 1) return b;
  if (b === 1) return a;
  if (typeof a === 'number' && typeof b === 'number' && a !== b) return undefined;
  return moreTelling(a, b);
}

function broadcastTwo(c: RuleContext, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    return (
      broadcastDim(x, y) ?? c.fail(`cannot broadcast ${showShape(a)} with ${showShape(b)}: ${x} against ${y}`)
    );
  });
}

/** The shape that all broadcast to; undefined when one is of unknown rank. */
export function broadcast(c: RuleContext, shapes: readonly (Shape | undefined)[]): Shape | undefined {
  if (shapes.some(s => s === undefined)) return undefined;
  return (shapes as readonly Shape[]).reduce((a, b) => broadcastTwo(c, a, b), []);
}

/** Sets of dtypes that ops accept. */
export const KINDS = {
  any: () => true,
  float: isFloat,
  number: (d: DType) => d !== 'bool' && d !== 'string',
  integer: (d: DType) => !isFloat(d) && d !== 'bool' && d !== 'string',
  bool: (d: DType) => d === 'bool',
} as const;
export type Kind = keyof typeof KINDS;

const KIND_NAMES: Record<Kind, string> = {
  any: 'any dtype',
  float: 'a floating-point dtype',
  number: 'a numeric dtype',
  integer: 'an integer dtype',
  bool: 'bool',
};

export function requireKind(c: RuleContext, i: number, kind: Kind): DType {
  const { dtype } = input(c, i);
  return KINDS[kind](dtype) ? dtype : c.fail(`input ${i} is ${dtype}; it must be of ${KIND_NAMES[kind]}`);
}

/** The dtype that the given inputs share. */
export function sameDType(c: RuleContext, indices: readonly number[]): DType {
  const first = indices[0] as number;
  const { dtype } = input(c, first);
  for (const i of indices) {
    const other = input(c, i).dtype;
    if (other !== dtype) {
      c.fail(`inputs ${first} and ${i} are ${dtype} and ${other}; cast one of them`);
    }
  }
  return dtype;
}

export const allInputs = (c: RuleContext): number[] => c.inputs.map((_, i) => i);

/** Output = input 0's type. */
export const unary =
  (kind: Kind = 'float'): ShapeRule =>
  c => {
    requireKind(c, 0, kind);
    return [input(c, 0)];
  };

/** Output = broadcast of all inputs, which share a dtype; `result` overrides the dtype. */
export const elementwise =
  (kind: Kind = 'number', result?: DType): ShapeRule =>
  c => {
    requireKind(c, 0, kind);
    const dtype = sameDType(c, allInputs(c));
    return [
      type(
        result ?? dtype,
        broadcast(
          c,
          allInputs(c).map(i => shapeAt(c, i)),
        ),
      ),
    ];
  };

/** Fails when the rank is known and outside `least..most`. */
export function requireRank(c: RuleContext, i: number, least: number, most = least): Shape | undefined {
  const shape = shapeAt(c, i);
  if (shape && (shape.length < least || shape.length > most)) {
    const wanted =
      least === most
        ? `rank ${least}`
        : most === Infinity
          ? `rank ${least} or more`
          : `rank ${least} to ${most}`;
    c.fail(`input ${i} is ${showShape(shape)}; it must have ${wanted}`);
  }
  return shape;
}
