/** Cases of pools. */
import { INDICES } from './convolution.ts';
import { apart, type CaseFamily, floats, within, x } from './types.ts';

const SMALL = { kernel_shape: [2, 2] };
const TILES = { kernel_shape: [2, 2], strides: [2, 2] };

export const POOLING = {
  MaxPool: [
    { name: 'tiles', inputs: [apart(2, 1, 4, 4)], attributes: TILES, free: [0, 1, 2, 3] },
    {
      name: 'overlapping, padded',
      inputs: [apart(1, 2, 4, 4)],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
      free: [0, 1, 2, 3],
    },
    { name: 'indices', inputs: [apart(1, 2, 4, 3)], attributes: SMALL, outputs: 2, free: [0, 1, 2, 3] },
    {
      name: 'dilated',
      inputs: [apart(1, 1, 4, 4)],
      attributes: { ...SMALL, dilations: [2, 2] },
      free: [0, 1, 2, 3],
    },
    {
      name: 'a last window over the edge',
      inputs: [apart(1, 1, 5, 5)],
      attributes: { ...TILES, ceil_mode: 1 },
      free: [0, 1],
    },
    {
      name: 'same length',
      inputs: [apart(1, 1, 5)],
      attributes: { kernel_shape: [2], auto_pad: 'SAME_UPPER' },
      free: [0, 1, 2],
    },
    {
      name: 'column-major indices',
      inputs: [apart(1, 1, 3, 4)],
      attributes: { ...SMALL, storage_order: 1 },
      outputs: 2,
      free: [0, 1],
    },
  ],
  AveragePool: [
    { name: 'tiles', inputs: [x(2, 2, 4, 4)], attributes: TILES, free: [0, 1, 2, 3] },
    { name: 'tiles with a rest', inputs: [x(1, 2, 5, 4)], attributes: TILES, free: [0, 1] },
    { name: 'overlapping', inputs: [x(2, 1, 4, 3)], attributes: SMALL, free: [0, 1, 2, 3] },
    {
      name: 'pads that do not count',
      inputs: [x(1, 2, 4, 4)],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
      free: [0, 1],
    },
    {
      name: 'pads that count',
      inputs: [x(1, 1, 4, 4)],
      attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 },
      free: [0, 1, 2, 3],
    },
    {
      name: 'a last window over the edge',
      inputs: [x(1, 1, 5, 5)],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 },
      free: [0, 1],
    },
    {
      name: 'one axis',
      inputs: [x(1, 2, 6)],
      attributes: { kernel_shape: [3], strides: [3] },
      free: [0, 1, 2],
    },
  ],
  LpPool: [
    { name: 'p 2', inputs: [x(1, 2, 4, 3)], attributes: SMALL, free: [0, 1, 2, 3] },
    { name: 'p 3, strides', inputs: [apart(1, 1, 4, 4)], attributes: { ...TILES, p: 3 }, free: [0, 1, 2, 3] },
  ],
  GlobalAveragePool: [{ name: 'plain', inputs: [x(2, 3, 2, 3)] }],
  GlobalMaxPool: [{ name: 'plain', inputs: [apart(2, 2, 2, 3)] }],
  GlobalLpPool: [
    { name: 'p 2', inputs: [x(2, 2, 2, 3)] },
    { name: 'p 1', inputs: [apart(1, 2, 2, 2)], attributes: { p: 1 } },
  ],
  MaxUnpool: [{ name: 'plain', inputs: [x(1, 1, 2, 2), INDICES], attributes: TILES, free: [] }],
  MaxRoiPool: [
    {
      name: 'two regions',
      inputs: [within(-1, 1, [1, 2, 6, 6]), floats([0, 0, 0, 3, 3, 0, 1, 2, 5, 5], [2, 5])],
      attributes: { pooled_shape: [2, 2] },
    },
  ],
} satisfies CaseFamily;
