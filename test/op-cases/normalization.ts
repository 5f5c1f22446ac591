/** Cases of normalizations by channel. */
import { type CaseFamily, positive, within, x } from './types.ts';

const parameters = [positive(3), x(3), x(3), positive(3)];

export const NORMALIZATION = {
  BatchNormalization: [
    { name: 'inference', inputs: [x(2, 3, 2, 2), ...parameters], free: [0, 2, 3] },
    {
      name: 'inference, a matrix',
      inputs: [x(4, 3), ...parameters],
      attributes: { epsilon: 0.01 },
      free: [0],
    },
    {
      name: 'training',
      inputs: [x(2, 3, 2, 2), ...parameters],
      attributes: { training_mode: 1, momentum: 0.8 },
      outputs: 3,
      wrt: [0, 1, 2],
      free: [0, 2, 3],
    },
    {
      name: 'training, statistics of the batch',
      inputs: [x(2, 3, 2, 2), ...parameters],
      attributes: { training_mode: 1, momentum: 0, epsilon: 0.01 },
      outputs: 3,
      wrt: [0, 1, 2],
      free: [0, 2, 3],
    },
  ],
  InstanceNormalization: [{ name: 'plain', inputs: [x(2, 3, 2, 2), positive(3), x(3)], free: [0, 2, 3] }],
  GroupNormalization: [
    {
      name: 'two groups',
      inputs: [x(2, 4, 2, 2), positive(4), x(4)],
      attributes: { num_groups: 2 },
      free: [0, 2, 3],
    },
  ],
  MeanVarianceNormalization: [
    { name: 'default axes', inputs: [x(2, 2, 2, 2)] },
    { name: 'one axis', inputs: [x(3, 4)], attributes: { axes: [1] } },
  ],
  LpNormalization: [
    { name: 'p 2', inputs: [x(2, 4)] },
    { name: 'p 1, axis 0', inputs: [within(0.2, 1, [3, 2])], attributes: { axis: 0, p: 1 } },
  ],
  LRN: [
    {
      name: 'odd size',
      inputs: [x(1, 5, 2, 2)],
      attributes: { size: 3, alpha: 0.5, beta: 0.7, bias: 1.5 },
      free: [0, 2, 3],
    },
    { name: 'default factors', inputs: [x(2, 4, 1, 2)], attributes: { size: 5 }, free: [0, 2, 3] },
  ],
} satisfies CaseFamily;
