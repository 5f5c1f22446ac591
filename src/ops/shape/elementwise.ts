/** Shapes of elementwise ops: out = broadcast(inputs). */
import { bitsOf, type DType, dtypeOfCode } from '../../graph/dtype.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import { broadcast, elementwise, input, requireKind, sameDType, shapeAt, type, unary } from './common.ts';
import { showShape } from './dims.ts';

const toBool: ShapeRule = c => [type('bool', shapeAt(c, 0))];

export function dtypeAttribute(c: RuleContext, name: string, otherwise: DType): DType {
  if (!c.attributes.has(name)) return otherwise;
  const code = c.attributes.int(name, 0);
  return dtypeOfCode(code) ?? c.fail(`attribute ${name} = ${code} is no ONNX dtype`);
}

const cast: ShapeRule = c => {
  if (!c.attributes.has('to')) c.fail('attribute "to" is missing');
  return [type(dtypeAttribute(c, 'to', 'float32'), shapeAt(c, 0))];
};

/** BitCast: the bits stay, so both dtypes have one width. */
const bitCast: ShapeRule = c => {
  const [from, to] = [input(c, 0).dtype, dtypeAttribute(c, 'to', 'float32')];
  if (from === 'string' || to === 'string' || bitsOf(from) !== bitsOf(to))
    c.fail(`${from} and ${to} differ in width`);
  return [type(to, shapeAt(c, 0))];
};

/** Clip(x, min?, max?): bounds are scalars of x's dtype. */
const clip: ShapeRule = c => {
  requireKind(c, 0, 'number');
  sameDType(
    c,
    [0, 1, 2].filter(i => c.inputs[i]),
  );
  return [input(c, 0)];
};

/** Pow: the exponent's dtype is free. */
const pow: ShapeRule = c => [type(requireKind(c, 0, 'number'), broadcast(c, [shapeAt(c, 0), shapeAt(c, 1)]))];

/** PRelu: the slope broadcasts to x, never the other way. */
const prelu: ShapeRule = c => {
  const shape = broadcast(c, [shapeAt(c, 0), shapeAt(c, 1)]);
  const x = shapeAt(c, 0);
  if (shape && x && shape.length !== x.length) {
    c.fail(`slope ${showShape(shapeAt(c, 1))} does not broadcast to ${showShape(x)}`);
  }
  return [type(sameDType(c, [0, 1]), x)];
};

/** Where(condition, x, y). */
const where: ShapeRule = c => {
  requireKind(c, 0, 'bool');
  const shape = broadcast(
    c,
    [0, 1, 2].map(i => shapeAt(c, i)),
  );
  return [type(sameDType(c, [1, 2]), shape)];
};

/** x + bias over the last axis, then an activation. */
const biased: ShapeRule = c => {
  requireKind(c, 0, 'float');
  const x = shapeAt(c, 0);
  const bias = c.inputs[1]?.shape;
  if (x && bias) {
    const [width, length] = [x.at(-1), bias[0]];
    if (bias.length !== 1 || (typeof width === 'number' && typeof length === 'number' && width !== length)) {
      c.fail(`bias ${showShape(bias)} does not fit the last axis of ${showShape(x)}`);
    }
  }
  return [input(c, 0)];
};

/** Dropout(x, ratio?, training_mode?) -> y, mask. */
const dropout: ShapeRule = c => {
  requireKind(c, 0, 'float');
  return [input(c, 0), type('bool', shapeAt(c, 0))];
};

const straightThrough: ShapeRule = c => {
  const shape = broadcast(c, [shapeAt(c, 0), shapeAt(c, 1)]);
  return [type(sameDType(c, [0, 1]), shape)];
};

export const ELEMENTWISE = {
  Abs: unary('number'),
  Neg: unary('number'),
  Sign: unary('number'),
  Exp: unary(),
  Log: unary(),
  Sqrt: unary(),
  Reciprocal: unary(),
  Sin: unary(),
  Cos: unary(),
  Tan: unary(),
  Asin: unary(),
  Acos: unary(),
  Atan: unary(),
  Sinh: unary(),
  Cosh: unary(),
  Asinh: unary(),
  Acosh: unary(),
  Atanh: unary(),
  Tanh: unary(),
  Sigmoid: unary(),
  Erf: unary('number'),
  Relu: unary('number'),
  Softplus: unary(),
  Softsign: unary(),
  Mish: unary(),
  Floor: unary(),
  Ceil: unary(),
  Round: unary(),
  Not: unary('bool'),
  BitwiseNot: unary('integer'),
  Identity: unary('any'),
  IsNaN: toBool,
  IsInf: toBool,
  LeakyRelu: unary(),
  Elu: unary(),
  Selu: unary(),
  Celu: unary(),
  ThresholdedRelu: unary(),
  Shrink: unary('number'),
  HardSigmoid: unary(),
  HardSwish: unary(),
  Gelu: unary(),
  Swish: unary(),
  Cast: cast,
  BitCast: bitCast,
  CastLike: c => [type(input(c, 1).dtype, shapeAt(c, 0))],
  Clip: clip,
  Add: elementwise(),
  Sub: elementwise(),
  Mul: elementwise(),
  Div: elementwise(),
  Pow: pow,
  Mod: elementwise(),
  PRelu: prelu,
  Min: elementwise(),
  Max: elementwise(),
  Sum: elementwise('float'),
  Mean: elementwise('float'),
  Equal: elementwise('any', 'bool'),
  Greater: elementwise('number', 'bool'),
  GreaterOrEqual: elementwise('number', 'bool'),
  Less: elementwise('number', 'bool'),
  LessOrEqual: elementwise('number', 'bool'),
  And: elementwise('bool'),
  Or: elementwise('bool'),
  Xor: elementwise('bool'),
  BitwiseAnd: elementwise('integer'),
  BitwiseOr: elementwise('integer'),
  BitwiseXor: elementwise('integer'),
  BitShift: elementwise('integer'),
  Where: where,
  Dropout: dropout,
  'com.microsoft.Gelu': unary(),
  'com.microsoft.FastGelu': biased,
  'com.microsoft.BiasGelu': biased,
  'com.microsoft.QuickGelu': unary(),
  'gaslaw.StopGradient': unary('any'),
  'gaslaw.StraightThrough': straightThrough,
} satisfies Record<string, ShapeRule>;
