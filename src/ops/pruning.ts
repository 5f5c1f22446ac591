/**
 * How channels of each op's inputs and outputs hang together: the edges of a pruner's dependency graph.
 * The formula and the types are in coupling/coupling.ts.
 *
 * `none` means that every axis of the inputs must keep its length.
 */
import { attended, groupAttended, multiHeadAttended, rotated, routed } from './coupling/attention.ts';
import type { PruningRule } from './coupling/coupling.ts';
import {
  axisStays,
  free,
  normalized,
  pass,
  positions,
  reduced,
  softmaxed,
  triangular,
} from './coupling/elementwise.ts';
import {
  cacheWritten,
  gathered,
  gatheredElements,
  gatheredND,
  scaled,
  scatteredElements,
  scatteredND,
} from './coupling/indexing.ts';
import {
  concatenated,
  expanded,
  padded,
  reshaped,
  sliced,
  splitUp,
  tiled,
  transposed,
} from './coupling/movement.ts';
import {
  blockwiseProduct,
  einsumProduct,
  fusedMatrixProduct,
  gemmProduct,
  matrixProduct,
} from './coupling/product.ts';
import { none } from './rule.ts';
import type { OpType } from './schema.ts';

const MAKES = none('makes its value from attributes and scalars');
const all = pass();
const first = pass([0]);

export const PRUNING_RULES: { readonly [K in OpType]: PruningRule } = {
  // elementwise, one input
  Abs: all,
  Neg: all,
  Sign: all,
  Exp: all,
  Log: all,
  Sqrt: all,
  Reciprocal: all,
  Sin: all,
  Cos: all,
  Tanh: all,
  Sigmoid: all,
  Erf: all,
  Relu: all,
  Softplus: all,
  Floor: all,
  Ceil: all,
  Round: all,
  Not: all,
  Identity: all,
  IsNaN: all,
  IsInf: all,
  LeakyRelu: all,
  Elu: all,
  HardSigmoid: all,
  HardSwish: all,
  Gelu: all,
  Swish: all,
  Cast: all,
  CastLike: first,
  Clip: first,
  // elementwise, two inputs and more
  Add: all,
  Sub: all,
  Mul: all,
  Div: all,
  Pow: all,
  Mod: all,
  PRelu: all,
  Min: all,
  Max: all,
  Sum: all,
  Mean: all,
  Equal: all,
  Greater: all,
  GreaterOrEqual: all,
  Less: all,
  LessOrEqual: all,
  And: all,
  Or: all,
  Xor: all,
  Where: all,
  // matrix products
  MatMul: matrixProduct(),
  Gemm: gemmProduct,
  Einsum: einsumProduct,
  'com.microsoft.FusedMatMul': fusedMatrixProduct,
  // reductions
  ReduceSum: reduced(false),
  ReduceMean: reduced(true),
  ReduceMax: reduced(true),
  ReduceMin: reduced(true),
  ReduceProd: reduced(true),
  ReduceL1: reduced(false),
  ReduceL2: reduced(false),
  ReduceSumSquare: reduced(false),
  ReduceLogSumExp: reduced(true),
  ArgMax: positions,
  ArgMin: positions,
  CumSum: first,
  TopK: axisStays(-1),
  // softmax and normalization
  Softmax: softmaxed,
  LogSoftmax: softmaxed,
  SoftmaxCrossEntropyLoss: none('is part of training: its classes are those of the labels'),
  LayerNormalization: normalized('axis'),
  RMSNormalization: normalized('axis'),
  SimplifiedLayerNormalization: normalized('axis'),
  'com.microsoft.SkipLayerNormalization': normalized('last'),
  'com.microsoft.SkipSimplifiedLayerNormalization': normalized('last'),
  // fused activations
  'com.microsoft.Gelu': all,
  'com.microsoft.FastGelu': all,
  'com.microsoft.BiasGelu': all,
  'com.microsoft.QuickGelu': all,
  // shape and movement
  Shape: free,
  Size: free,
  Reshape: reshaped([{ input: 1 }]),
  Flatten: reshaped(),
  Squeeze: reshaped(),
  Unsqueeze: reshaped(),
  Transpose: transposed,
  Expand: expanded,
  Tile: tiled,
  Concat: concatenated,
  Split: splitUp,
  Slice: sliced,
  Pad: padded,
  Trilu: triangular,
  // making values
  Constant: MAKES,
  ConstantOfShape: MAKES,
  Range: MAKES,
  EyeLike: none('makes a square matrix: its two axes are tied to positions'),
  OneHot: none('its new axis counts classes'),
  // indexing
  Gather: gathered,
  GatherElements: gatheredElements,
  GatherND: gatheredND,
  ScatterElements: scatteredElements,
  ScatterND: scatteredND,
  TensorScatter: cacheWritten,
  NonZero: none('its output holds positions'),
  // attention
  Attention: attended,
  RotaryEmbedding: rotated(3),
  'com.microsoft.RotaryEmbedding': rotated(1),
  'com.microsoft.GroupQueryAttention': groupAttended,
  'com.microsoft.MultiHeadAttention': multiHeadAttended,
  'com.microsoft.MoE': routed,
  // quantization
  QuantizeLinear: scaled,
  DequantizeLinear: scaled,
  DynamicQuantizeLinear: first,
  MatMulInteger: matrixProduct([3]),
  'com.microsoft.DynamicQuantizeMatMul': matrixProduct([2, 3, 4]),
  'com.microsoft.MatMulNBits': blockwiseProduct,
  'com.microsoft.GatherBlockQuantized': none('its rows are packed in blocks'),
  // Gaslaw's own
  'gaslaw.StopGradient': all,
  'gaslaw.StraightThrough': all,
};
