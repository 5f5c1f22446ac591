/** Shapes and dtypes of quantizing ops. */
import type { DType } from '../../graph/dtype.ts';
import type { Shape } from '../../graph/ir.ts';
import type { ShapeRule } from '../rule.ts';
import { broadcast, input, shapeAt, type } from './common.ts';
import { dtypeAttribute } from './elementwise.ts';
import { concatShape } from './movement.ts';

/** The output dtype is the zero point's, else `output_dtype`, else uint8. */
const quantizeLinear: ShapeRule = c => {
  const declared =
    c.attributes.int('output_dtype', 0) === 0 ? 'uint8' : dtypeAttribute(c, 'output_dtype', 'uint8');
  return [type(c.inputs[2]?.dtype ?? declared, shapeAt(c, 0))];
};

/** The output dtype is the scale's. */
const dequantizeLinear: ShapeRule = c => [type(input(c, 1).dtype, shapeAt(c, 0))];

/** QLinear ops of one input: x, its scale and zero point, the output's scale and zero point. */
const qlinearUnary: ShapeRule = c => [type(c.inputs[4]?.dtype ?? input(c, 0).dtype, shapeAt(c, 0))];

/** a, scale, zero point; b, scale, zero point; the output's scale and zero point. */
const qlinearBinary: ShapeRule = c => [
  type(c.inputs[7]?.dtype ?? input(c, 0).dtype, broadcast(c, [shapeAt(c, 0), shapeAt(c, 3)])),
];

/** The output's scale and zero point, then (x, scale, zero point) for each part. */
const qlinearConcat: ShapeRule = c => {
  const parts = c.inputs.flatMap((_, i) => (i >= 2 && i % 3 === 2 ? [shapeAt(c, i)] : []));
  const { dtype } = input(c, 1);
  return [type(dtype, parts.every(p => p) ? concatShape(c, parts as Shape[]) : undefined)];
};

const scalar = (dtype: DType) => type(dtype, []);

export const QUANTIZING = {
  'com.microsoft.QLinearAdd': qlinearBinary,
  'com.microsoft.QLinearMul': qlinearBinary,
  'com.microsoft.QLinearSigmoid': qlinearUnary,
  'com.microsoft.QLinearLeakyRelu': qlinearUnary,
  'com.microsoft.QLinearConcat': qlinearConcat,
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: c => [type('uint8', shapeAt(c, 0)), scalar('float32'), scalar('uint8')],
} satisfies Record<string, ShapeRule>;
