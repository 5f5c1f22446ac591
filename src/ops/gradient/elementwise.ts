/**
 * Gradients of elementwise ops. In formulas x is the input, y the output, g the gradient of the output.
 *
 * 1. Where a formula can use the output instead of the input it does, since outputs are often kept anyway.
 * 2. At kinks: 0 at the corner of Relu and Abs (as PyTorch); ties of Max and Min share the gradient equally.
 */
import { isFloat } from '../../graph/dtype.ts';
import type { Value } from '../builder.ts';
import { type GradientContext, none } from '../rule.ts';
import {
  binary,
  decomposed,
  filledLike,
  first,
  flat,
  input,
  masked,
  output,
  sumTo,
  unary,
  variadic,
} from './common.ts';
import type { Family } from './family.ts';

const BOOL = none('its output is bool');
const BITS = none('it works on bits');
const STEPS = none(
  'it is piecewise constant; write a straight-through estimator with gaslaw.StraightThrough',
);

/** d/dx of x·Φ(x) = Φ(x) + x·φ(x), with Φ(x) = ½(1 + erf(x/√2)) and φ(x) = exp(−x²/2)/√(2π). */
function geluSlope(x: Value): Value {
  const cdf = x.builder
    .op('Erf', [x.mul(Math.SQRT1_2)], {})
    .add(1)
    .mul(0.5);
  const pdf = x
    .mul(x)
    .mul(-0.5)
    .exp()
    .mul(1 / Math.sqrt(2 * Math.PI));
  return cdf.add(x.mul(pdf));
}

/** d/dx of ½x(1 + tanh u), u = √(2/π)(x + 0.044715x³): ½(1 + t) + ½x(1 − t²)u′. */
function geluTanhSlope(x: Value): Value {
  const k = Math.sqrt(2 / Math.PI);
  const square = x.mul(x);
  const t = x.mul(square.mul(0.044715 * k).add(k)).tanh();
  const slope = square.mul(3 * 0.044715 * k).add(k);
  return t
    .add(1)
    .mul(0.5)
    .add(x.mul(0.5).mul(t.mul(t).neg().add(1)).mul(slope));
}

/** y = x·σ(αx): σ(αx) + αy(1 − σ(αx)). */
function swishSlope(x: Value, y: Value, alpha: number): Value {
  const s = (alpha === 1 ? x : x.mul(alpha)).sigmoid();
  const rest = y.sub(y.mul(s));
  return s.add(alpha === 1 ? rest : rest.mul(alpha));
}

/** x·n·xⁿ⁻¹ for a plain number n, with the usual powers written out. */
function powSlope(x: Value, n: number): Value {
  if (n === 2) return x.mul(2);
  if (n === 1) return filledLike(x, 1);
  if (n === 3) return x.mul(x).mul(3);
  if (n === 0.5) return x.sqrt().reciprocal().mul(0.5);
  return x.pow(n - 1).mul(n);
}

function powBase(g: Value, x: Value, n: Value, c: GradientContext): Value {
  const constant = c.constant(1);
  if (constant?.data.length === 1 && constant.dtype !== 'float16') {
    return g.mul(powSlope(x, Number(constant.data[0])));
  }
  return g.mul(n.cast(x.dtype)).mul(x.pow(n.sub(1)));
}

/** y·ln x, taken as 0 where x ≤ 0. */
const powExponent = (g: Value, x: Value, y: Value): Value => {
  const { builder: b } = x;
  const positive = x.greater(0);
  return b.where(positive, g.mul(y).mul(b.where(positive, x, 1).log()), 0);
};

/** Each input that attains the extremum takes an equal part. */
function shareTies(c: GradientContext, g: Value): (Value | undefined)[] {
  const y = output(c);
  const masks = c.inputs.map((_, i) => input(c, i).equal(y).cast(g.dtype));
  const share = g.div(masks.reduce((a, m) => a.add(m)));
  return masks.map((m, i) => (c.wants(i) ? sumTo(share.mul(m), input(c, i)) : undefined));
}

/** Clip passes the gradient inside [low, high]; a bound gets what it cut off. */
function clip(c: GradientContext, g: Value): (Value | undefined)[] {
  const [x, low, high] = [input(c, 0), c.inputs[1], c.inputs[2]];
  const inside = [low && x.greaterOrEqual(low), high && x.lessOrEqual(high)].filter(m => m !== undefined);
  const [one, two] = inside;
  const mask = one && two ? c.b.op('And', [one, two], {}) : (one ?? two);
  return [
    mask ? masked(g, mask) : g,
    low && c.wants(1) ? sumTo(masked(g, x.less(low)), low) : undefined,
    high && c.wants(2) ? sumTo(masked(g, x.greater(high)), high) : undefined,
  ];
}

/** d/dx of x·tanh(softplus x) = t + x(1 − t²)σ(x). */
function mishSlope(x: Value): Value {
  const t = x.builder.op('Softplus', [x], {}).tanh();
  return t.add(x.mul(t.mul(t).neg().add(1)).mul(x.sigmoid()));
}

/** Which elements a Dropout kept, and by how much it scaled them. */
function dropout(c: GradientContext, g: Value): (Value | undefined)[] {
  const training = c.constant(2);
  if (!c.inputs[2] || training?.data[0] === 0) return [g];
  const mask =
    c.outputs[1] ?? c.fail('has a gradient in training only while its output 1, the mask, is named');
  const ratio = c.inputs[1]?.cast(g.dtype) ?? c.b.scalar(0.5, g.dtype);
  const kept = masked(g, mask).div(ratio.neg().add(1));
  return [training ? kept : c.b.where(c.inputs[2], kept, g)];
}

const castBack = unary((g, x, _y, c) =>
  isFloat(x.dtype) ? g.cast(x.dtype) : c.fail('no gradient flows into integers'),
);

export const ELEMENTWISE = {
  // |x|: g·sign x
  Abs: unary((g, x) => g.mul(x.builder.op('Sign', [x], {}))),
  // −x: −g
  Neg: unary(g => g.neg()),
  Sign: flat,
  // eˣ: g·y
  Exp: unary((g, _x, y) => g.mul(y)),
  // ln x: g/x
  Log: unary((g, x) => g.div(x)),
  // √x: g/(2y)
  Sqrt: unary((g, _x, y) => g.mul(0.5).div(y)),
  // 1/x: −g·y²
  Reciprocal: unary((g, _x, y) => g.mul(y).mul(y).neg()),
  // sin x: g·cos x
  Sin: unary((g, x) => g.mul(x.builder.op('Cos', [x], {}))),
  // cos x: −g·sin x
  Cos: unary((g, x) => g.mul(x.builder.op('Sin', [x], {})).neg()),
  // tan x: g·(1 + y²)
  Tan: unary((g, _x, y) => g.add(g.mul(y).mul(y))),
  // asin x: g/√(1 − x²)
  Asin: unary((g, x) => g.div(x.mul(x).neg().add(1).sqrt())),
  // acos x: −g/√(1 − x²)
  Acos: unary((g, x) => g.div(x.mul(x).neg().add(1).sqrt()).neg()),
  // atan x: g/(1 + x²)
  Atan: unary((g, x) => g.div(x.mul(x).add(1))),
  // sinh x: g·cosh x
  Sinh: unary((g, x) => g.mul(x.builder.op('Cosh', [x], {}))),
  // cosh x: g·sinh x
  Cosh: unary((g, x) => g.mul(x.builder.op('Sinh', [x], {}))),
  // asinh x: g/√(x² + 1)
  Asinh: unary((g, x) => g.div(x.mul(x).add(1).sqrt())),
  // acosh x: g/√(x² − 1)
  Acosh: unary((g, x) => g.div(x.mul(x).sub(1).sqrt())),
  // atanh x: g/(1 − x²)
  Atanh: unary((g, x) => g.div(x.mul(x).neg().add(1))),
  // tanh x: g·(1 − y²)
  Tanh: unary((g, _x, y) => g.sub(g.mul(y).mul(y))),
  // σ(x): g·y(1 − y)
  Sigmoid: unary((g, _x, y) => g.mul(y.sub(y.mul(y)))),
  // erf x: g·(2/√π)·exp(−x²)
  Erf: unary((g, x) =>
    g.mul(
      x
        .mul(x)
        .neg()
        .exp()
        .mul(2 / Math.sqrt(Math.PI)),
    ),
  ),
  // max(x, 0): g·sign y, as y ≥ 0
  Relu: unary((g, _x, y) => g.mul(y.builder.op('Sign', [y], {}))),
  // ln(1 + eˣ): g·σ(x)
  Softplus: unary((g, x) => g.mul(x.sigmoid())),
  // x/(1 + |x|): g/(1 + |x|)²
  Softsign: unary((g, x) => {
    const d = x.abs().add(1);
    return g.div(d.mul(d));
  }),
  Mish: unary((g, x) => g.mul(mishSlope(x))),
  Floor: STEPS,
  Ceil: STEPS,
  Round: STEPS,
  Not: BOOL,
  BitwiseNot: BITS,
  Identity: unary(g => g),
  IsNaN: BOOL,
  IsInf: BOOL,
  // x < 0: αg, else g
  LeakyRelu: unary((g, x, _y, c) => c.b.where(x.less(0), g.mul(c.attributes.float('alpha', 0.01)), g)),
  // x < 0: g·αeˣ = g·(y + α), else g
  Elu: unary((g, x, y, c) => c.b.where(x.less(0), g.mul(y.add(c.attributes.float('alpha', 1))), g)),
  // x > 0: γg, else g·γαeˣ = g·(y + γα)
  Selu: unary((g, x, y, c) => {
    const [alpha, gamma] = [
      c.attributes.float('alpha', 1.6732631921768188),
      c.attributes.float('gamma', 1.0507010221481323),
    ];
    return c.b.where(x.greater(0), g.mul(gamma), g.mul(y.add(gamma * alpha)));
  }),
  // x > 0: g, else g·e^(x/α) = g·(y/α + 1)
  Celu: unary((g, x, y, c) =>
    c.b.where(x.greater(0), g, g.mul(y.div(c.attributes.float('alpha', 1)).add(1))),
  ),
  // x > α: g
  ThresholdedRelu: unary((g, x, _y, c) => masked(g, x.greater(c.attributes.float('alpha', 1)))),
  // |x| > λ: g
  Shrink: unary((g, x, _y, c) => masked(g, x.abs().greater(c.attributes.float('lambd', 0.5)))),
  Dropout: first(dropout),
  // clip(αx + β, 0, 1): αg inside
  HardSigmoid: unary((g, _x, y, c) =>
    masked(g.mul(c.attributes.float('alpha', 0.2)), c.b.op('And', [y.greater(0), y.less(1)], {})),
  ),
  // x·clip(x/6 + ½, 0, 1): 0 below −3, g above 3, g·(x/3 + ½) between
  HardSwish: unary((g, x, _y, c) => masked(c.b.where(x.less(3), g.mul(x.div(3).add(0.5)), g), x.greater(-3))),
  // x·Φ(x), or its tanh form: see the slopes above
  Gelu: unary((g, x, _y, c) =>
    g.mul(c.attributes.string('approximate', 'none') === 'tanh' ? geluTanhSlope(x) : geluSlope(x)),
  ),
  // x·σ(αx)
  Swish: unary((g, x, y, c) => g.mul(swishSlope(x, y, c.attributes.float('alpha', 1)))),
  'com.microsoft.QuickGelu': unary((g, x, y, c) =>
    g.mul(swishSlope(x, y, c.attributes.float('alpha', 1.702))),
  ),
  'com.microsoft.Gelu': unary((g, x) => g.mul(geluSlope(x))),
  // gelu(x + b)
  'com.microsoft.BiasGelu': decomposed(c => c.b.op('Gelu', [input(c, 0).add(input(c, 1))], {})),
  'com.microsoft.FastGelu': decomposed(c => {
    const [x, bias] = [input(c, 0), c.inputs[1]];
    return c.b.op('Gelu', [bias ? x.add(bias) : x], { approximate: 'tanh' });
  }),
  Cast: castBack,
  CastLike: castBack,
  BitCast: BITS,
  Clip: first(clip),
  // x + y
  Add: binary(
    g => g,
    g => g,
  ),
  // x − y
  Sub: binary(
    g => g,
    g => g.neg(),
  ),
  // x·y
  Mul: binary(
    (g, _x, y) => g.mul(y),
    (g, x) => g.mul(x),
  ),
  // x/y: g/y and −g·out/y
  Div: binary(
    (g, _x, y) => g.div(y),
    (g, _x, y, out) => g.mul(out).div(y).neg(),
  ),
  // xⁿ: g·n·xⁿ⁻¹ and g·out·ln x
  Pow: binary(
    (g, x, n, _out, c) => powBase(g, x, n, c),
    (g, x, _n, out) => powExponent(g, x, out),
  ),
  // x − y·trunc(x/y): g and g·(out − x)/y
  Mod: binary(
    g => g,
    (g, x, y, out) => g.mul(out.sub(x).div(y)),
  ),
  // x < 0: s·x, else x
  PRelu: binary(
    (g, x, s) => x.builder.where(x.less(0), g.mul(s), g),
    (g, x) => g.mul(x.min(0)),
  ),
  Min: first(shareTies),
  Max: first(shareTies),
  Sum: variadic(g => g),
  Mean: variadic((g, _x, c) => g.mul(1 / c.inputs.length)),
  Equal: BOOL,
  Greater: BOOL,
  GreaterOrEqual: BOOL,
  Less: BOOL,
  LessOrEqual: BOOL,
  And: BOOL,
  Or: BOOL,
  Xor: BOOL,
  BitwiseAnd: BITS,
  BitwiseOr: BITS,
  BitwiseXor: BITS,
  BitShift: BITS,
  // condition ? x : y
  Where: first((c, g) => [
    undefined,
    c.wants(1) ? sumTo(c.b.where(input(c, 0), g, 0), input(c, 1)) : undefined,
    c.wants(2) ? sumTo(c.b.where(input(c, 0), 0, g), input(c, 2)) : undefined,
  ]),
  // running sum: the running sum from the other end
  CumSum: unary((g, _x, _y, c) =>
    c.b.op('CumSum', [g, input(c, 1)], {
      exclusive: c.attributes.int('exclusive', 0),
      reverse: 1 - c.attributes.int('reverse', 0),
    }),
  ),
  CumProd: none('dividing by a factor that may be 0 is no derivative; write the product with ReduceProd'),
  // zeroes a triangle: zeroes the same one
  Trilu: unary((g, _x, _y, c) => c.b.op('Trilu', [g, c.inputs[1]], { upper: c.attributes.int('upper', 1) })),
  'gaslaw.StopGradient': flat,
  // forward input 0, backward input 1
  'gaslaw.StraightThrough': first((c, g) => [undefined, sumTo(g, input(c, 1))]),
} satisfies Family;
