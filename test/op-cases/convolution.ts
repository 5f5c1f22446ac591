/** Cases of convolutions. Kernels and channels are numbers; batch and spatial axes may be symbols. */
import { type CaseFamily, fed, held, x } from './types.ts';

const BATCH_AND_SPACE = [0, 2, 3, 4];

export const CONVOLUTION = {
  Conv: [
    { name: 'plain', inputs: [x(2, 2, 4, 4), x(3, 2, 3, 3), x(3)], free: BATCH_AND_SPACE },
    {
      name: 'strides, dilations and uneven pads',
      inputs: [x(1, 2, 6, 5), x(2, 2, 3, 2)],
      attributes: { strides: [2, 1], dilations: [1, 2], pads: [1, 0, 2, 1] },
      free: BATCH_AND_SPACE,
    },
    {
      name: 'rows left over',
      inputs: [x(2, 1, 6, 6), x(2, 1, 3, 3)],
      attributes: { strides: [2, 2] },
      free: BATCH_AND_SPACE,
    },
    {
      name: 'groups',
      inputs: [x(2, 4, 3, 3), x(4, 2, 2, 2), x(4)],
      attributes: { group: 2 },
      free: BATCH_AND_SPACE,
    },
    {
      name: 'depthwise, two outputs a channel',
      inputs: [x(2, 2, 4, 4), x(4, 1, 3, 3)],
      attributes: { group: 2, pads: [1, 1, 1, 1] },
      free: BATCH_AND_SPACE,
    },
    {
      name: 'depthwise, stride 2',
      inputs: [x(1, 2, 5, 5), x(2, 1, 3, 3)],
      attributes: { group: 2, pads: [1, 1, 1, 1], strides: [2, 2] },
      free: BATCH_AND_SPACE,
    },
    { name: 'pointwise', inputs: [x(2, 3, 2, 2), x(2, 3, 1, 1), x(2)], free: BATCH_AND_SPACE },
    {
      name: 'pointwise, stride 2',
      inputs: [x(2, 3, 4, 3), x(2, 3, 1, 1)],
      attributes: { strides: [2, 2] },
      free: BATCH_AND_SPACE,
    },
    { name: 'many channels', inputs: [x(2, 8, 3, 2), x(2, 8, 2, 2)], free: BATCH_AND_SPACE },
    {
      name: 'many channels, groups, strides, dilations and pads',
      inputs: [x(1, 16, 4, 4), x(2, 8, 2, 1)],
      attributes: { group: 2, strides: [2, 1], dilations: [2, 1], pads: [1, 0, 0, 1] },
      free: BATCH_AND_SPACE,
    },
    {
      name: 'one axis, as long as the strides ask',
      inputs: [x(2, 2, 5), x(2, 2, 3)],
      attributes: { auto_pad: 'SAME_UPPER', strides: [2] },
      free: [0],
    },
    {
      name: 'even kernel, same length',
      inputs: [x(1, 1, 4, 4), x(1, 1, 2, 2)],
      attributes: { auto_pad: 'SAME_LOWER' },
      free: BATCH_AND_SPACE,
    },
    { name: 'three axes', inputs: [x(1, 1, 3, 3, 3), x(2, 1, 2, 2, 2)], free: BATCH_AND_SPACE },
    {
      name: 'pads wider than the kernel',
      inputs: [x(1, 1, 3, 3), x(1, 1, 2, 2)],
      attributes: { pads: [2, 2, 2, 2] },
      free: BATCH_AND_SPACE,
    },
  ],
  ConvTranspose: [
    { name: 'plain', inputs: [x(2, 2, 3, 3), x(2, 3, 2, 2), x(3)], free: BATCH_AND_SPACE },
    {
      name: 'strides, pads and output padding',
      inputs: [x(1, 2, 3, 2), x(2, 1, 3, 3)],
      attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] },
      free: BATCH_AND_SPACE,
    },
    {
      name: 'groups and dilations',
      inputs: [x(1, 4, 3, 3), x(4, 1, 2, 2), x(2)],
      attributes: { group: 2, dilations: [2, 1] },
      free: BATCH_AND_SPACE,
    },
    {
      name: 'many channels',
      inputs: [x(1, 2, 2, 2), x(2, 8, 2, 2)],
      attributes: { strides: [2, 2] },
      free: BATCH_AND_SPACE,
    },
    {
      name: 'output shape',
      inputs: [x(1, 1, 3, 3), x(1, 2, 3, 3)],
      attributes: { strides: [3, 2], output_shape: [10, 8] },
      free: [0],
    },
    {
      name: 'as long as the strides ask',
      inputs: [x(1, 1, 3, 3), x(1, 1, 3, 3)],
      attributes: { strides: [2, 2], auto_pad: 'SAME_UPPER' },
      free: [0],
    },
    {
      name: 'one axis',
      inputs: [x(1, 2, 4), x(2, 1, 3)],
      attributes: { strides: [2] },
      free: BATCH_AND_SPACE,
    },
  ],
  DeformConv: [
    {
      name: 'mask and bias',
      inputs: [x(1, 2, 4, 4), x(2, 2, 2, 2), x(1, 8, 3, 3), x(2), x(1, 4, 3, 3)],
      attributes: { kernel_shape: [2, 2], pads: [0, 0, 0, 0] },
    },
  ],
  CausalConvWithState: [
    { name: 'plain', inputs: [x(2, 3, 4), x(3, 1, 3)], outputs: 2, through: [0, 1], free: [0, 2] },
    {
      name: 'state and activation',
      inputs: [x(1, 2, 3), x(2, 1, 3), x(2), x(1, 2, 2)],
      attributes: { activation: 'silu' },
      outputs: 2,
      through: [0, 1],
      free: [0, 2],
    },
  ],
  Col2Im: [
    { name: 'plain', inputs: [x(1, 8, 6), held([3, 4]), held([2, 2])] },
    {
      name: 'strides and pads',
      inputs: [x(1, 4, 9), held([4, 4]), held([2, 2])],
      attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
    },
  ],
} satisfies CaseFamily;

/** Indices of an unpooled 2x2 image. */
export const INDICES = fed('int64', [5, 7, 13, 15], [1, 1, 2, 2]);
