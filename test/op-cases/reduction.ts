/** Cases of reductions, softmaxes, losses and normalizations. */
import { apart, type CaseFamily, fed, floats, held, positive, within, x } from './types.ts';

const reduction = (input = x) => [
  { name: 'last axis', inputs: [input(2, 4), held([-1])] },
  { name: 'two axes, dims dropped', inputs: [input(2, 3, 2), held([0, 2])], attributes: { keepdims: 0 } },
  { name: 'all', inputs: [input(2, 4)] },
  { name: 'no axes, no reduction', inputs: [input(2, 3), held([])], attributes: { noop_with_empty_axes: 1 } },
];
const positions = [
  { name: 'axis 0', inputs: [apart(3, 4)] },
  { name: 'last axis, dims dropped', inputs: [apart(3, 4)], attributes: { axis: -1, keepdims: 0 } },
  {
    name: 'last of ties',
    inputs: [floats([1, 2, 2, 1, 1, 2], [2, 3])],
    attributes: { axis: 1, select_last_index: 1 },
  },
];
const softmax = [
  { name: 'last axis', inputs: [x(2, 5)] },
  { name: 'inner axis', inputs: [x(2, 3, 2)], attributes: { axis: 1 } },
];
const labels = (...ids: number[]) => fed('int64', ids);

export const REDUCTION = {
  ReduceSum: reduction(),
  ReduceMean: reduction(),
  ReduceMax: reduction(apart),
  ReduceMin: reduction(apart),
  ReduceProd: [
    ...reduction(positive),
    { name: 'a zero', inputs: [floats([2, 0, 3, 0, 0, 4], [2, 3]), held([1])] },
  ],
  ReduceL1: reduction(apart),
  ReduceL2: reduction(),
  ReduceSumSquare: reduction(),
  ReduceLogSum: reduction(positive),
  ReduceLogSumExp: reduction(),
  ArgMax: positions,
  ArgMin: positions,
  TopK: [
    { name: 'largest', inputs: [apart(2, 5), held([2])], outputs: 2 },
    {
      name: 'smallest, axis 0',
      inputs: [apart(4, 3), held([2])],
      attributes: { axis: 0, largest: 0 },
      outputs: 2,
    },
  ],
  Softmax: softmax,
  LogSoftmax: softmax,
  Hardmax: [{ name: 'last axis', inputs: [apart(2, 4)] }],
  NegativeLogLikelihoodLoss: [
    { name: 'mean', inputs: [x(4, 5), labels(0, 4, 2, 1)] },
    { name: 'ignored label', inputs: [x(4, 5), labels(0, -1, 2, 1)], attributes: { ignore_index: -1 } },
    {
      name: 'class weights, sum',
      inputs: [x(4, 5), labels(0, 4, 2, 1), positive(5)],
      attributes: { reduction: 'sum' },
      wrt: [0],
    },
    {
      name: 'positions, none',
      inputs: [x(2, 4, 3), fed('int64', [0, 1, 2, 3, 0, 1], [2, 3])],
      attributes: { reduction: 'none' },
    },
  ],
  SoftmaxCrossEntropyLoss: [
    { name: 'mean', inputs: [x(4, 5), labels(0, 4, 2, 1)] },
    { name: 'ignored label', inputs: [x(4, 5), labels(0, -100, 2, 1)], attributes: { ignore_index: -100 } },
    {
      name: 'sum',
      inputs: [x(4, 5), labels(0, -1, 2, 1)],
      attributes: { ignore_index: -1, reduction: 'sum' },
    },
    { name: 'none', inputs: [x(4, 5), labels(0, 4, 2, 1)], attributes: { reduction: 'none' } },
    { name: 'class weights', inputs: [x(4, 5), labels(0, 4, 2, 1), positive(5)], wrt: [0] },
    {
      name: 'class weights and ignored label',
      inputs: [x(4, 5), labels(0, 4, 2, 1), positive(5)],
      attributes: { ignore_index: 4 },
      wrt: [0],
    },
    { name: 'positions', inputs: [x(2, 4, 3), fed('int64', [0, 1, 2, 3, 0, 1], [2, 3])] },
    { name: 'log probabilities', inputs: [x(4, 5), labels(0, 4, 2, 1)], outputs: 2, through: [0, 1] },
    { name: 'log probabilities alone', inputs: [x(4, 5), labels(0, 4, 2, 1)], outputs: 2, through: [1] },
  ],
  LayerNormalization: [
    { name: 'last axis', inputs: [x(2, 3, 4), x(4), x(4)] },
    { name: 'two axes', inputs: [x(2, 2, 4), x(2, 4), x(2, 4)], attributes: { axis: 1 } },
    { name: 'no bias', inputs: [x(3, 4), x(4)], attributes: { epsilon: 0.001 } },
    { name: 'statistics', inputs: [x(3, 4), x(4), x(4)], outputs: 3 },
  ],
  RMSNormalization: [
    { name: 'last axis', inputs: [x(2, 3, 4), x(4)] },
    { name: 'two axes', inputs: [x(2, 2, 4), x(2, 4)], attributes: { axis: 1, epsilon: 0.01 } },
  ],
  SimplifiedLayerNormalization: [
    { name: 'last axis', inputs: [x(2, 3, 4), x(4)], attributes: { axis: -1, epsilon: 1e-5 } },
    { name: 'statistics', inputs: [x(3, 4), x(4)], attributes: { axis: -1, epsilon: 1e-5 }, outputs: 2 },
  ],
  'com.microsoft.SkipLayerNormalization': [
    { name: 'plain', inputs: [x(1, 3, 4), x(1, 3, 4), x(4), x(4)], attributes: { epsilon: 1e-5 } },
    {
      name: 'bias and sum',
      inputs: [x(2, 3, 4), x(2, 3, 4), x(4), x(4), x(4)],
      attributes: { epsilon: 1e-5 },
      outputs: 4,
      through: [0, 3],
    },
  ],
  'com.microsoft.SkipSimplifiedLayerNormalization': [
    { name: 'plain', inputs: [x(1, 3, 4), x(1, 3, 4), x(4)], attributes: { epsilon: 1e-5 } },
    {
      name: 'bias and sum',
      inputs: [x(2, 3, 4), x(2, 3, 4), within(0.5, 1.5, [4]), x(4)],
      attributes: { epsilon: 1e-5 },
      outputs: 4,
      through: [0, 3],
    },
  ],
} satisfies CaseFamily;
