/** Cases of recurrent cells: 3 steps, 2 samples, 2 inputs, hidden size 2. */
import { type CaseFamily, fed, x } from './types.ts';

const weights = (gates: number, directions = 1) => [
  x(directions, gates * 2, 2),
  x(directions, gates * 2, 2),
  x(directions, gates * 4),
];
const state = (directions = 1) => x(directions, 2, 2);
const lengths = fed('int32', [3, 2]);
const size = { hidden_size: 2 };
const BATCH = [1];

const common = (gates: number, states: number) => [
  { name: 'plain', inputs: [x(3, 2, 2), ...weights(gates).slice(0, 2)], attributes: size, free: BATCH },
  {
    name: 'everything, both directions',
    inputs: [x(3, 2, 2), ...weights(gates, 2), undefined, ...Array.from({ length: states }, () => state(2))],
    attributes: { ...size, direction: 'bidirectional' },
    outputs: 1 + states,
    through: states === 1 ? [0, 1] : [0, 1, 2],
    free: BATCH,
  },
  {
    name: 'reverse, unequal lengths',
    inputs: [x(3, 2, 2), ...weights(gates), lengths, ...Array.from({ length: states }, () => state())],
    attributes: { ...size, direction: 'reverse' },
    outputs: 1 + states,
    through: [0, 1],
    free: [],
  },
];

export const RECURRENT = {
  RNN: [
    ...common(1, 1),
    {
      name: 'other activation, clipped',
      inputs: [x(3, 2, 2), ...weights(1)],
      attributes: { ...size, activations: ['Softsign'], clip: 0.8 },
      free: BATCH,
      except: { gradient: 'Softsign and the clip have kinks near these values' },
    },
  ],
  GRU: [
    ...common(3, 1),
    {
      name: 'reset after the product',
      inputs: [x(3, 2, 2), ...weights(3)],
      attributes: { ...size, linear_before_reset: 1 },
      free: BATCH,
    },
  ],
  LSTM: [
    ...common(4, 2),
    {
      name: 'peepholes',
      inputs: [x(2, 2, 2), ...weights(4), undefined, state(), state(), x(1, 6)],
      attributes: size,
      outputs: 3,
      through: [0, 2],
      free: BATCH,
    },
    {
      name: 'coupled gates, hard activations',
      inputs: [x(2, 2, 2), ...weights(4)],
      attributes: {
        ...size,
        input_forget: 1,
        activations: ['HardSigmoid', 'Tanh', 'Tanh'],
        activation_alpha: [0.1],
        activation_beta: [0.5],
      },
      free: BATCH,
    },
    {
      name: 'batch first',
      inputs: [x(2, 3, 2), ...weights(4), undefined, x(2, 1, 2), x(2, 1, 2)],
      attributes: { ...size, layout: 1 },
      outputs: 3,
      through: [0, 1, 2],
      free: [0],
      except: {
        native: 'ONNX Runtime has no layout 1',
        web: 'ONNX Runtime has no layout 1',
      },
    },
  ],
} satisfies CaseFamily;
