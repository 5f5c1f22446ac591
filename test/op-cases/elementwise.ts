/** Cases of elementwise ops. */
import { apart, type CaseFamily, fed, floats, positive, scalar, within, x } from './types.ts';

const one = (input = x(2, 3)) => [{ name: 'plain', inputs: [input] }];
const two = (left = x, right = x) => [
  { name: 'same shape', inputs: [left(2, 3), right(2, 3)] },
  { name: 'broadcast', inputs: [left(2, 1, 3), right(4, 1)] },
  { name: 'scalar', inputs: [left(2, 3), right()] },
];
const comparison = [{ name: 'broadcast', inputs: [floats([1, 2, 3, 4], [2, 2]), floats([2, 3])] }];
const bools = (values: readonly number[], shape: readonly number[]) => fed('bool', values, shape);
const logical = [{ name: 'broadcast', inputs: [bools([0, 1, 1, 0], [2, 2]), bools([1, 0], [2])] }];
const bits = [{ name: 'broadcast', inputs: [fed('int32', [12, 10, -1, 7], [2, 2]), fed('int32', [6, 3])] }];
const many = [
  { name: 'three, broadcast', inputs: [apart(2, 3), within(-1.4, 1.6, [3]), within(-1, 1, [2, 1])] },
  { name: 'one', inputs: [x(3)] },
];
const FLOAT32 = 1;
const INT32 = 6;
const UINT32 = 12;

export const ELEMENTWISE = {
  Abs: one(apart(2, 3)),
  Neg: one(),
  Sign: one(apart(2, 3)),
  Exp: one(),
  Log: one(positive(2, 3)),
  Sqrt: one(positive(2, 3)),
  Reciprocal: one(positive(2, 3)),
  Sin: one(),
  Cos: one(),
  Tan: one(within(-1.2, 1.2, [2, 3])),
  Asin: one(within(-0.9, 0.9, [2, 3])),
  Acos: one(within(-0.9, 0.9, [2, 3])),
  Atan: one(),
  Sinh: one(),
  Cosh: one(),
  Asinh: one(),
  Acosh: one(within(1.2, 3, [2, 3])),
  Atanh: one(within(-0.9, 0.9, [2, 3])),
  Tanh: one(),
  Sigmoid: one(),
  Erf: one(),
  Relu: one(apart(2, 3)),
  Softplus: one(),
  Softsign: one(apart(2, 3)),
  Mish: one(within(-3, 3, [2, 4])),
  Floor: one(apart(2, 3)),
  Ceil: one(apart(2, 3)),
  Round: [{ name: 'halves to even', inputs: [floats([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.3])] }],
  Not: [{ name: 'plain', inputs: [bools([0, 1, 1], [3])] }],
  BitwiseNot: [{ name: 'uint8', inputs: [fed('uint8', [0, 1, 254])] }],
  Identity: one(),
  IsNaN: [{ name: 'plain', inputs: [floats([Number.NaN, 1, Number.POSITIVE_INFINITY])] }],
  IsInf: [
    {
      name: 'both signs',
      inputs: [floats([Number.NEGATIVE_INFINITY, 1, Number.POSITIVE_INFINITY, Number.NaN])],
    },
    {
      name: 'positive only',
      inputs: [floats([Number.NEGATIVE_INFINITY, 1, Number.POSITIVE_INFINITY])],
      attributes: { detect_negative: 0 },
    },
  ],
  LeakyRelu: [{ name: 'alpha', inputs: [apart(2, 3)], attributes: { alpha: 0.2 } }],
  Elu: [{ name: 'alpha', inputs: [apart(2, 3)], attributes: { alpha: 0.7 } }],
  Selu: [
    { name: 'plain', inputs: [apart(2, 3)] },
    { name: 'alpha and gamma', inputs: [apart(2, 3)], attributes: { alpha: 2, gamma: 3 } },
  ],
  Celu: [{ name: 'alpha', inputs: [apart(2, 3)], attributes: { alpha: 0.7 } }],
  ThresholdedRelu: [{ name: 'alpha', inputs: [apart(2, 3)], attributes: { alpha: 0.5 } }],
  Shrink: [
    { name: 'soft', inputs: [apart(2, 5)], attributes: { bias: 0.4, lambd: 0.4 } },
    { name: 'hard', inputs: [apart(2, 5)], attributes: { lambd: 0.4 } },
  ],
  Dropout: [
    { name: 'inference', inputs: [x(2, 3)] },
    { name: 'inference, mask', inputs: [x(2, 3), scalar(0.3, 'float')], outputs: 2 },
    {
      name: 'training that keeps all',
      inputs: [x(2, 3), scalar(0, 'float'), scalar(1, 'bool')],
      outputs: 2,
    },
    {
      name: 'training',
      inputs: [x(2, 6), scalar(0.5, 'float'), scalar(1, 'bool')],
      attributes: { seed: 3 },
      outputs: 2,
      except: {
        native: 'which elements are dropped is drawn in another order',
        web: 'which elements are dropped is drawn in another order',
      },
    },
  ],
  HardSigmoid: [
    {
      name: 'inside and outside',
      inputs: [floats([-4, -1, 0.3, 1, 4])],
      attributes: { alpha: 0.25, beta: 0.55 },
    },
  ],
  HardSwish: one(floats([-4, -2, -0.5, 0.5, 2, 4])),
  Gelu: [
    { name: 'erf', inputs: [within(-3, 3, [2, 4])] },
    { name: 'tanh', inputs: [within(-3, 3, [2, 4])], attributes: { approximate: 'tanh' } },
  ],
  Swish: [
    { name: 'plain', inputs: [within(-3, 3, [2, 4])] },
    { name: 'alpha', inputs: [within(-3, 3, [2, 4])], attributes: { alpha: 1.3 } },
  ],
  'com.microsoft.Gelu': one(within(-3, 3, [2, 4])),
  'com.microsoft.FastGelu': [
    { name: 'plain', inputs: [within(-3, 3, [2, 4])] },
    { name: 'bias', inputs: [within(-3, 3, [2, 4]), x(4)] },
  ],
  'com.microsoft.BiasGelu': [{ name: 'bias', inputs: [within(-3, 3, [2, 4]), x(4)] }],
  'com.microsoft.QuickGelu': [{ name: 'alpha', inputs: [within(-3, 3, [2, 4])], attributes: { alpha: 1.5 } }],
  Cast: [
    { name: 'float to int', inputs: [floats([1.7, -1.7, 0.2])], attributes: { to: INT32 }, wrt: [] },
    { name: 'int to float', inputs: [fed('int64', [3, -2])], attributes: { to: FLOAT32 } },
  ],
  BitCast: [
    {
      name: 'int32 to uint32',
      inputs: [fed('int32', [1, -1])],
      attributes: { to: UINT32 },
    },
  ],
  CastLike: [{ name: 'int like float', inputs: [fed('int64', [3, -2]), x(1)], wrt: [] }],
  Clip: [
    { name: 'both bounds', inputs: [apart(3, 4), scalar(-0.9, 'float'), scalar(0.8, 'float')] },
    { name: 'bounds that learn', inputs: [apart(3, 4), floats([-0.9], []), floats([0.8], [])] },
    { name: 'upper bound only', inputs: [apart(3, 4), undefined, scalar(0.8, 'float')] },
  ],
  Add: two(),
  Sub: two(),
  Mul: two(),
  Div: two(x, positive),
  Pow: [
    ...two(positive, x),
    { name: 'square', inputs: [x(2, 3), scalar(2, 'float')] },
    { name: 'cube', inputs: [x(2, 3), scalar(3, 'float')] },
    { name: 'root', inputs: [positive(2, 3), scalar(0.5, 'float')] },
    { name: 'int exponent', inputs: [x(2, 3), fed('int64', [2, 3, 1])] },
  ],
  Mod: [
    {
      name: 'fmod',
      inputs: [floats([5.3, -5.3, 2.1, -0.4]), floats([2, 2, -0.9, 1.5])],
      attributes: { fmod: 1 },
    },
    {
      name: 'integers, sign of the divisor',
      inputs: [fed('int64', [5, -5, 5, -5]), fed('int64', [3, 3, -3, -3])],
    },
  ],
  PRelu: [{ name: 'slope by channel', inputs: [apart(2, 3), x(3)] }],
  Min: many,
  Max: many,
  Sum: many,
  Mean: many,
  Equal: comparison,
  Greater: comparison,
  GreaterOrEqual: comparison,
  Less: comparison,
  LessOrEqual: comparison,
  And: logical,
  Or: logical,
  Xor: logical,
  BitwiseAnd: bits,
  BitwiseOr: bits,
  BitwiseXor: bits,
  BitShift: [
    {
      name: 'left',
      inputs: [fed('uint8', [1, 255]), fed('uint8', [3, 1])],
      attributes: { direction: 'LEFT' },
    },
    {
      name: 'right',
      inputs: [fed('uint32', [16, 255]), fed('uint32', [3, 1])],
      attributes: { direction: 'RIGHT' },
    },
  ],
  Where: [
    { name: 'same shape', inputs: [bools([1, 0, 0, 1, 1, 0], [2, 3]), x(2, 3), x(2, 3)] },
    { name: 'broadcast', inputs: [bools([1, 0], [2, 1]), x(3), x(4, 1, 1)] },
  ],
  CumSum: [
    { name: 'plain', inputs: [x(2, 4), scalar(1)] },
    { name: 'exclusive', inputs: [x(2, 4), scalar(-1)], attributes: { exclusive: 1 } },
    { name: 'exclusive, reverse', inputs: [x(3, 2), scalar(0)], attributes: { exclusive: 1, reverse: 1 } },
  ],
  CumProd: [
    { name: 'plain', inputs: [x(2, 4), scalar(1)] },
    { name: 'exclusive, reverse', inputs: [x(3, 2), scalar(0)], attributes: { exclusive: 1, reverse: 1 } },
  ],
  Trilu: [
    { name: 'upper', inputs: [x(3, 4)] },
    { name: 'lower, above the diagonal', inputs: [x(2, 3, 3), scalar(1)], attributes: { upper: 0 } },
  ],
} satisfies CaseFamily;
