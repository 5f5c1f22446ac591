/** Cases of quantization. Straight-through gradients differ from finite differences by design: they have tests of their own. */
import { type CaseFamily, type CaseInput, fed, floats, within, x } from './types.ts';

const STRAIGHT_THROUGH = {
  gradient: 'a straight-through gradient is no derivative; src/autodiff/quantized.test.ts checks it',
};

/** Any bytes, the same ones always. */
const bytes = (...shape: number[]): CaseInput => ({
  dtype: 'uint8',
  shape,
  values: (random, count) => Array.from({ length: count }, () => random.int(256)),
  constant: true,
});

/** Any codes of the dtype, the same ones always, fed. */
const codes = (dtype: 'uint8' | 'int8', ...shape: number[]): CaseInput => ({
  dtype,
  shape,
  values: (random, count) =>
    Array.from({ length: count }, () => random.int(256) - (dtype === 'int8' ? 128 : 0)),
});
const floats32 = (values: readonly number[], shape: readonly number[] = [values.length]) =>
  fed('float32', values, shape);
/** A scale and a uint8 zero point. */
const scale = (step: number, zero: number) => [floats32([step], []), fed('uint8', [zero], [])];
const qlinearBinary = [
  codes('uint8', 2, 3),
  ...scale(0.02, 120),
  codes('uint8', 3),
  ...scale(0.03, 130),
  ...scale(0.05, 100),
];
const qlinearUnary = (step: number, zero: number) => [
  codes('uint8', 2, 5),
  ...scale(0.03, 120),
  ...scale(step, zero),
];

export const QUANTIZATION = {
  QuantizeLinear: [
    {
      name: 'by tensor',
      inputs: [within(-3, 3, [2, 5]), floats([0.05], []), fed('uint8', [120], [])],
      except: STRAIGHT_THROUGH,
    },
    {
      name: 'by axis',
      inputs: [within(-3, 3, [2, 3]), floats([0.05, 0.02]), fed('int8', [0, 3])],
      attributes: { axis: 0 },
      except: STRAIGHT_THROUGH,
    },
  ],
  DequantizeLinear: [
    { name: 'by tensor', inputs: [fed('int8', [-5, 0, 7, 120], [2, 2]), floats([0.1], [])] },
    {
      name: 'by axis',
      inputs: [fed('int8', [-5, 0, 7, 120], [2, 2]), floats([0.1, 0.2]), fed('int8', [1, -3])],
      attributes: { axis: 0 },
    },
    {
      name: 'by block',
      inputs: [fed('int8', [-5, 0, 7, 120, 1, 2, 3, 4], [2, 4]), floats([0.1, 0.2, 0.3, 0.4], [2, 2])],
      attributes: { axis: 1, block_size: 2 },
    },
  ],
  DynamicQuantizeLinear: [{ name: 'plain', inputs: [x(2, 5)], outputs: 3 }],
  MatMulInteger: [
    { name: 'plain', inputs: [fed('uint8', [1, 2, 3, 250], [2, 2]), fed('int8', [1, -2, 3, 4], [2, 2])] },
    {
      name: 'zero points',
      inputs: [
        fed('uint8', [1, 2, 3, 250], [2, 2]),
        fed('int8', [1, -2, 3, 4], [2, 2]),
        fed('uint8', [128], []),
        fed('int8', [1], []),
      ],
    },
  ],
  ConvInteger: [
    { name: 'plain', inputs: [codes('uint8', 1, 2, 4, 4), codes('uint8', 3, 2, 2, 2)] },
    {
      name: 'zero points and pads',
      inputs: [
        codes('uint8', 1, 2, 4, 4),
        codes('uint8', 3, 2, 3, 3),
        fed('uint8', [7], []),
        fed('uint8', [9], []),
      ],
      attributes: { pads: [1, 1, 1, 1], strides: [2, 2] },
    },
  ],
  QLinearConv: [
    {
      name: 'by channel, with bias',
      inputs: [
        codes('uint8', 1, 4, 5, 5),
        ...scale(0.02, 120),
        codes('int8', 2, 2, 3, 3),
        floats32([0.01, 0.03]),
        fed('int8', [0, 0]),
        ...scale(0.1, 100),
        fed('int32', [50, -40]),
      ],
      attributes: { group: 2, pads: [1, 1, 1, 1] },
    },
  ],
  QLinearMatMul: [
    {
      name: 'plain',
      inputs: [
        codes('uint8', 3, 4),
        ...scale(0.02, 110),
        codes('uint8', 4, 2),
        ...scale(0.03, 120),
        ...scale(0.1, 90),
      ],
    },
  ],
  'com.microsoft.QLinearAdd': [{ name: 'broadcast', inputs: qlinearBinary }],
  'com.microsoft.QLinearMul': [{ name: 'broadcast', inputs: qlinearBinary }],
  'com.microsoft.QLinearSigmoid': [{ name: 'plain', inputs: qlinearUnary(1 / 256, 0) }],
  'com.microsoft.QLinearLeakyRelu': [
    { name: 'alpha', inputs: qlinearUnary(0.04, 60), attributes: { alpha: 0.2 } },
  ],
  'com.microsoft.QLinearConcat': [
    {
      name: 'axis 1',
      inputs: [
        ...scale(0.05, 100),
        codes('uint8', 2, 3),
        ...scale(0.02, 90),
        codes('uint8', 2, 2),
        ...scale(0.07, 128),
      ],
      attributes: { axis: 1 },
    },
  ],
  'com.microsoft.QLinearAveragePool': [
    {
      name: 'pads that do not count',
      inputs: [codes('uint8', 1, 2, 4, 4), ...scale(0.02, 120), ...scale(0.03, 110)],
      attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
    },
    {
      name: 'channels last',
      inputs: [codes('uint8', 1, 4, 4, 2), ...scale(0.02, 120), ...scale(0.03, 110)],
      attributes: { kernel_shape: [2, 2], strides: [2, 2], channels_last: 1 },
    },
  ],
  'com.microsoft.QLinearGlobalAveragePool': [
    {
      name: 'plain',
      inputs: [codes('uint8', 2, 3, 3, 3), ...scale(0.02, 120), ...scale(0.03, 110)],
      attributes: { channels_last: 0 },
    },
  ],
  'com.microsoft.QGemm': [
    {
      name: 'transposed weight with bias',
      inputs: [
        codes('uint8', 3, 4),
        ...scale(0.02, 110),
        codes('uint8', 2, 4),
        ...scale(0.03, 120),
        fed('int32', [30, -20]),
        ...scale(0.1, 90),
      ],
      attributes: { transB: 1 },
    },
    {
      name: 'float output',
      inputs: [codes('uint8', 3, 4), ...scale(0.02, 110), codes('uint8', 4, 2), ...scale(0.03, 120)],
    },
  ],
  'com.microsoft.NhwcMaxPool': [
    {
      name: 'pads',
      inputs: [codes('uint8', 1, 4, 5, 2)],
      attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
    },
  ],
  'com.microsoft.DynamicQuantizeMatMul': [
    {
      name: 'plain',
      inputs: [
        x(3, 4),
        { ...fed('int8', [3, -4, 5, 6, -7, 8, 9, 1], [4, 2]), constant: true },
        floats([0.1], [1]),
      ],
      tolerance: 1e-2,
    },
  ],
  'com.microsoft.MatMulNBits': [
    {
      name: '4 bits',
      inputs: [x(3, 32), bytes(4, 2, 8), within(0.05, 0.2, [8], { constant: true })],
      attributes: { K: 32, N: 4, bits: 4, block_size: 16 },
    },
    {
      name: '4 bits, zero points, a part block',
      inputs: [x(2, 40), bytes(4, 3, 8), within(0.05, 0.2, [12], { constant: true }), bytes(8)],
      attributes: { K: 40, N: 4, bits: 4, block_size: 16 },
    },
    {
      name: '8 bits',
      inputs: [x(3, 32), bytes(4, 1, 32), within(0.01, 0.02, [4], { constant: true })],
      attributes: { K: 32, N: 4, bits: 8, block_size: 32 },
    },
  ],
  'com.microsoft.GatherBlockQuantized': [
    {
      name: '4 bits',
      inputs: [bytes(5, 16), fed('int64', [4, 0]), within(0.05, 0.2, [5, 2], { constant: true })],
      attributes: { bits: 4, block_size: 16, gather_axis: 0, quantize_axis: 1 },
      wrt: [],
    },
  ],
} satisfies CaseFamily;
