/** Shapes and dtypes of quantizing ops. */
import type { DType } from '../../graph/dtype.ts';
import type { ShapeRule } from '../rule.ts';
import { input, shapeAt, type } from './common.ts';
import { dtypeAttribute } from './elementwise.ts';

/** The output dtype is the zero point's, else `output_dtype`, else uint8. */
const quantizeLinear: ShapeRule = c => {
  const declared =
    c.attributes.int('output_dtype', 0) === 0 ? 'uint8' : dtypeAttribute(c, 'output_dtype', 'uint8');
  return [type(c.inputs[2]?.dtype ?? declared, shapeAt(c, 0))];
};

/** The output dtype is the scale's. */
const dequantizeLinear: ShapeRule = c => [type(input(c, 1).dtype, shapeAt(c, 0))];

const scalar = (dtype: DType) => type(dtype, []);

export const QUANTIZING = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: c => [type('uint8', shapeAt(c, 0)), scalar('float32'), scalar('uint8')],
} satisfies Record<string, ShapeRule>;
