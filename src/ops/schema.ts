/**
 * The op list: every operator that Gaslaw knows, with its domain, version, arity and attributes.
 *
 * 1. Keys are ONNX's names; ops of `com.microsoft` carry the domain in the key, since some names exist in both.
 * 2. Attribute kinds are ONNX's. A rule table that misses an op of this list does not compile.
 * 3. `SimplifiedLayerNormalization` is ONNX Runtime's own, registered in ONNX's domain.
 * Source: the ONNX operator schemas (opset 24) and ONNX Runtime's contrib operator documentation (1.30).
 */
import type { Graph, Tensor } from '../graph/ir.ts';

export type AttributeKind = 'int' | 'float' | 'string' | 'tensor' | 'graph' | 'ints' | 'floats' | 'strings';

export interface OpSchema {
  /** First opset in which the form used here is valid; for `com.microsoft` always 1. */
  readonly since: number;
  /** Fewest and most inputs. */
  readonly inputs: readonly [number, number];
  readonly outputs: readonly [number, number];
  readonly attributes: Readonly<Record<string, AttributeKind>>;
}

const op = <const A extends Record<string, AttributeKind>>(
  since: number,
  inputs: readonly [number, number],
  outputs: readonly [number, number],
  attributes: A,
) => ({ since, inputs, outputs, attributes });

const MANY = Number.POSITIVE_INFINITY;
const unary = (since: number) => op(since, [1, 1], [1, 1], {});
const binary = (since: number) => op(since, [2, 2], [1, 1], {});
const variadic = (since: number) => op(since, [1, MANY], [1, 1], {});
const reduce = (since: number) => op(since, [1, 2], [1, 1], { keepdims: 'int', noop_with_empty_axes: 'int' });
const argReduce = op(13, [1, 1], [1, 1], { axis: 'int', keepdims: 'int', select_last_index: 'int' });
/** Attributes of ops that move a window over the axes behind the first two. */
const window = {
  auto_pad: 'string',
  dilations: 'ints',
  kernel_shape: 'ints',
  pads: 'ints',
  strides: 'ints',
} as const;
const convolution = { ...window, group: 'int' } as const;
const recurrent = {
  activation_alpha: 'floats',
  activation_beta: 'floats',
  activations: 'strings',
  clip: 'float',
  direction: 'string',
  hidden_size: 'int',
  layout: 'int',
} as const;
const signalWindow = op(17, [1, 1], [1, 1], { output_datatype: 'int', periodic: 'int' });
const ms = <const A extends Record<string, AttributeKind>>(
  inputs: readonly [number, number],
  outputs: readonly [number, number],
  attributes: A,
) => op(1, inputs, outputs, attributes);

export const OPS = {
  // elementwise, one input
  Abs: unary(13),
  Neg: unary(13),
  Sign: unary(13),
  Exp: unary(13),
  Log: unary(13),
  Sqrt: unary(13),
  Reciprocal: unary(13),
  Sin: unary(7),
  Cos: unary(7),
  Tan: unary(7),
  Asin: unary(7),
  Acos: unary(7),
  Atan: unary(7),
  Sinh: unary(9),
  Cosh: unary(9),
  Asinh: unary(9),
  Acosh: unary(9),
  Atanh: unary(9),
  Tanh: unary(13),
  Sigmoid: unary(13),
  Erf: unary(13),
  Relu: unary(14),
  Softplus: unary(1),
  Softsign: unary(1),
  Mish: unary(18),
  Floor: unary(13),
  Ceil: unary(13),
  Round: unary(11),
  Not: unary(1),
  BitwiseNot: unary(18),
  Identity: unary(21),
  IsNaN: unary(20),
  IsInf: op(20, [1, 1], [1, 1], { detect_negative: 'int', detect_positive: 'int' }),
  LeakyRelu: op(16, [1, 1], [1, 1], { alpha: 'float' }),
  Elu: op(6, [1, 1], [1, 1], { alpha: 'float' }),
  Selu: op(6, [1, 1], [1, 1], { alpha: 'float', gamma: 'float' }),
  Celu: op(12, [1, 1], [1, 1], { alpha: 'float' }),
  ThresholdedRelu: op(10, [1, 1], [1, 1], { alpha: 'float' }),
  Shrink: op(9, [1, 1], [1, 1], { bias: 'float', lambd: 'float' }),
  HardSigmoid: op(6, [1, 1], [1, 1], { alpha: 'float', beta: 'float' }),
  HardSwish: unary(14),
  Gelu: op(20, [1, 1], [1, 1], { approximate: 'string' }),
  Swish: op(24, [1, 1], [1, 1], { alpha: 'float' }),
  Cast: op(21, [1, 1], [1, 1], { to: 'int', saturate: 'int', round_mode: 'string' }),
  CastLike: op(21, [2, 2], [1, 1], { saturate: 'int', round_mode: 'string' }),
  BitCast: op(26, [1, 1], [1, 1], { to: 'int' }),
  Clip: op(13, [1, 3], [1, 1], {}),
  // elementwise, two inputs and more
  Add: binary(14),
  Sub: binary(14),
  Mul: binary(14),
  Div: binary(14),
  Pow: binary(15),
  Mod: op(13, [2, 2], [1, 1], { fmod: 'int' }),
  PRelu: binary(16),
  Min: variadic(13),
  Max: variadic(13),
  Sum: variadic(13),
  Mean: variadic(13),
  Equal: binary(19),
  Greater: binary(13),
  GreaterOrEqual: binary(16),
  Less: binary(13),
  LessOrEqual: binary(16),
  And: binary(7),
  Or: binary(7),
  Xor: binary(7),
  BitwiseAnd: binary(18),
  BitwiseOr: binary(18),
  BitwiseXor: binary(18),
  BitShift: op(11, [2, 2], [1, 1], { direction: 'string' }),
  Where: op(16, [3, 3], [1, 1], {}),
  // matrix products
  MatMul: binary(13),
  Gemm: op(13, [2, 3], [1, 1], { alpha: 'float', beta: 'float', transA: 'int', transB: 'int' }),
  Einsum: op(12, [1, MANY], [1, 1], { equation: 'string' }),
  Det: unary(11),
  'com.microsoft.FusedMatMul': ms([2, 2], [1, 1], {
    alpha: 'float',
    transA: 'int',
    transB: 'int',
    transBatchA: 'int',
    transBatchB: 'int',
  }),
  // convolution and pooling: batch and channels first
  Conv: op(11, [2, 3], [1, 1], convolution),
  ConvTranspose: op(11, [2, 3], [1, 1], { ...convolution, output_padding: 'ints', output_shape: 'ints' }),
  DeformConv: op(19, [3, 5], [1, 1], {
    dilations: 'ints',
    group: 'int',
    kernel_shape: 'ints',
    offset_group: 'int',
    pads: 'ints',
    strides: 'ints',
  }),
  CausalConvWithState: op(27, [2, 4], [2, 2], { activation: 'string' }),
  Col2Im: op(18, [3, 3], [1, 1], { dilations: 'ints', pads: 'ints', strides: 'ints' }),
  MaxPool: op(12, [1, 1], [1, 2], { ...window, ceil_mode: 'int', storage_order: 'int' }),
  AveragePool: op(19, [1, 1], [1, 1], { ...window, ceil_mode: 'int', count_include_pad: 'int' }),
  LpPool: op(18, [1, 1], [1, 1], { ...window, ceil_mode: 'int', p: 'int' }),
  GlobalAveragePool: unary(1),
  GlobalMaxPool: unary(1),
  GlobalLpPool: op(2, [1, 1], [1, 1], { p: 'int' }),
  MaxUnpool: op(11, [2, 3], [1, 1], { kernel_shape: 'ints', pads: 'ints', strides: 'ints' }),
  // reductions
  ReduceSum: reduce(13),
  ReduceMean: reduce(18),
  ReduceMax: reduce(20),
  ReduceMin: reduce(20),
  ReduceProd: reduce(18),
  ReduceL1: reduce(18),
  ReduceL2: reduce(18),
  ReduceSumSquare: reduce(18),
  ReduceLogSum: reduce(18),
  ReduceLogSumExp: reduce(18),
  ArgMax: argReduce,
  ArgMin: argReduce,
  CumSum: op(14, [2, 2], [1, 1], { exclusive: 'int', reverse: 'int' }),
  CumProd: op(26, [2, 2], [1, 1], { exclusive: 'int', reverse: 'int' }),
  TopK: op(11, [2, 2], [2, 2], { axis: 'int', largest: 'int', sorted: 'int' }),
  // softmax and normalization
  Softmax: op(13, [1, 1], [1, 1], { axis: 'int' }),
  LogSoftmax: op(13, [1, 1], [1, 1], { axis: 'int' }),
  Hardmax: op(13, [1, 1], [1, 1], { axis: 'int' }),
  NegativeLogLikelihoodLoss: op(13, [2, 3], [1, 1], { ignore_index: 'int', reduction: 'string' }),
  SoftmaxCrossEntropyLoss: op(13, [2, 3], [1, 2], { ignore_index: 'int', reduction: 'string' }),
  LayerNormalization: op(17, [2, 3], [1, 3], { axis: 'int', epsilon: 'float', stash_type: 'int' }),
  RMSNormalization: op(23, [2, 2], [1, 1], { axis: 'int', epsilon: 'float', stash_type: 'int' }),
  SimplifiedLayerNormalization: op(1, [2, 2], [1, 2], { axis: 'int', epsilon: 'float', stash_type: 'int' }),
  BatchNormalization: op(15, [5, 5], [1, 3], { epsilon: 'float', momentum: 'float', training_mode: 'int' }),
  InstanceNormalization: op(6, [3, 3], [1, 1], { epsilon: 'float' }),
  GroupNormalization: op(21, [3, 3], [1, 1], { epsilon: 'float', num_groups: 'int', stash_type: 'int' }),
  MeanVarianceNormalization: op(13, [1, 1], [1, 1], { axes: 'ints' }),
  LpNormalization: op(1, [1, 1], [1, 1], { axis: 'int', p: 'int' }),
  LRN: op(13, [1, 1], [1, 1], { alpha: 'float', beta: 'float', bias: 'float', size: 'int' }),
  Dropout: op(13, [1, 3], [1, 2], { seed: 'int' }),
  'com.microsoft.SkipLayerNormalization': ms([3, 5], [1, 4], { epsilon: 'float' }),
  'com.microsoft.SkipSimplifiedLayerNormalization': ms([3, 4], [1, 4], { epsilon: 'float' }),
  // fused activations
  'com.microsoft.Gelu': ms([1, 1], [1, 1], {}),
  'com.microsoft.FastGelu': ms([1, 2], [1, 1], {}),
  'com.microsoft.BiasGelu': ms([2, 2], [1, 1], {}),
  'com.microsoft.QuickGelu': ms([1, 1], [1, 1], { alpha: 'float' }),
  // shape and movement
  Shape: op(21, [1, 1], [1, 1], { start: 'int', end: 'int' }),
  Size: unary(21),
  Reshape: op(21, [2, 2], [1, 1], { allowzero: 'int' }),
  Flatten: op(21, [1, 1], [1, 1], { axis: 'int' }),
  Squeeze: op(21, [1, 2], [1, 1], {}),
  Unsqueeze: op(21, [2, 2], [1, 1], {}),
  Transpose: op(21, [1, 1], [1, 1], { perm: 'ints' }),
  Expand: op(13, [2, 2], [1, 1], {}),
  Tile: op(13, [2, 2], [1, 1], {}),
  Concat: op(13, [1, MANY], [1, 1], { axis: 'int' }),
  Split: op(18, [1, 2], [1, MANY], { axis: 'int', num_outputs: 'int' }),
  Slice: op(13, [3, 5], [1, 1], {}),
  Pad: op(21, [2, 4], [1, 1], { mode: 'string' }),
  Trilu: op(14, [1, 2], [1, 1], { upper: 'int' }),
  ReverseSequence: op(10, [2, 2], [1, 1], { batch_axis: 'int', time_axis: 'int' }),
  CenterCropPad: op(18, [2, 2], [1, 1], { axes: 'ints' }),
  DepthToSpace: op(13, [1, 1], [1, 1], { blocksize: 'int', mode: 'string' }),
  SpaceToDepth: op(13, [1, 1], [1, 1], { blocksize: 'int' }),
  // sampling images
  Resize: op(19, [1, 4], [1, 1], {
    antialias: 'int',
    axes: 'ints',
    coordinate_transformation_mode: 'string',
    cubic_coeff_a: 'float',
    exclude_outside: 'int',
    extrapolation_value: 'float',
    keep_aspect_ratio_policy: 'string',
    mode: 'string',
    nearest_mode: 'string',
  }),
  GridSample: op(20, [2, 2], [1, 1], { align_corners: 'int', mode: 'string', padding_mode: 'string' }),
  AffineGrid: op(20, [2, 2], [1, 1], { align_corners: 'int' }),
  RoiAlign: op(16, [3, 3], [1, 1], {
    coordinate_transformation_mode: 'string',
    mode: 'string',
    output_height: 'int',
    output_width: 'int',
    sampling_ratio: 'int',
    spatial_scale: 'float',
  }),
  MaxRoiPool: op(1, [2, 2], [1, 1], { pooled_shape: 'ints', spatial_scale: 'float' }),
  NonMaxSuppression: op(11, [2, 5], [1, 1], { center_point_box: 'int' }),
  // recurrent networks
  RNN: op(14, [3, 6], [1, 2], recurrent),
  GRU: op(14, [3, 6], [1, 2], { ...recurrent, linear_before_reset: 'int' }),
  LSTM: op(14, [3, 8], [1, 3], { ...recurrent, input_forget: 'int' }),
  // control flow
  If: op(16, [1, 1], [1, MANY], { else_branch: 'graph', then_branch: 'graph' }),
  Loop: op(16, [2, MANY], [1, MANY], { body: 'graph' }),
  Scan: op(16, [1, MANY], [1, MANY], {
    body: 'graph',
    num_scan_inputs: 'int',
    scan_input_axes: 'ints',
    scan_input_directions: 'ints',
    scan_output_axes: 'ints',
    scan_output_directions: 'ints',
  }),
  // signals
  DFT: op(20, [1, 3], [1, 1], { inverse: 'int', onesided: 'int' }),
  STFT: op(17, [2, 4], [1, 1], { onesided: 'int' }),
  HannWindow: signalWindow,
  HammingWindow: signalWindow,
  BlackmanWindow: signalWindow,
  MelWeightMatrix: op(17, [5, 5], [1, 1], { output_datatype: 'int' }),
  // making values
  Constant: op(21, [0, 0], [1, 1], {
    value: 'tensor',
    value_float: 'float',
    value_floats: 'floats',
    value_int: 'int',
    value_ints: 'ints',
    value_string: 'string',
    value_strings: 'strings',
  }),
  ConstantOfShape: op(21, [1, 1], [1, 1], { value: 'tensor' }),
  Range: op(11, [3, 3], [1, 1], {}),
  EyeLike: op(9, [1, 1], [1, 1], { dtype: 'int', k: 'int' }),
  OneHot: op(11, [3, 3], [1, 1], { axis: 'int' }),
  // indexing
  Gather: op(13, [2, 2], [1, 1], { axis: 'int' }),
  GatherElements: op(13, [2, 2], [1, 1], { axis: 'int' }),
  GatherND: op(13, [2, 2], [1, 1], { batch_dims: 'int' }),
  ScatterElements: op(18, [3, 3], [1, 1], { axis: 'int', reduction: 'string' }),
  ScatterND: op(18, [3, 3], [1, 1], { reduction: 'string' }),
  TensorScatter: op(24, [2, 3], [1, 1], { axis: 'int', mode: 'string' }),
  NonZero: unary(13),
  Compress: op(11, [2, 2], [1, 1], { axis: 'int' }),
  Unique: op(11, [1, 1], [1, 4], { axis: 'int', sorted: 'int' }),
  // attention
  Attention: op(23, [3, 7], [1, 4], {
    is_causal: 'int',
    kv_num_heads: 'int',
    q_num_heads: 'int',
    qk_matmul_output_mode: 'int',
    scale: 'float',
    softcap: 'float',
    softmax_precision: 'int',
  }),
  RotaryEmbedding: op(23, [3, 4], [1, 1], {
    interleaved: 'int',
    num_heads: 'int',
    rotary_embedding_dim: 'int',
  }),
  'com.microsoft.RotaryEmbedding': ms([4, 4], [1, 1], {
    interleaved: 'int',
    is_packed_batching: 'int',
    num_heads: 'int',
    rotary_embedding_dim: 'int',
    scale: 'float',
  }),
  'com.microsoft.GroupQueryAttention': ms([7, 14], [1, 4], {
    do_rotary: 'int',
    k_quant_type: 'string',
    kv_cache_bit_width: 'int',
    kv_num_heads: 'int',
    local_window_size: 'int',
    num_heads: 'int',
    rotary_interleaved: 'int',
    scale: 'float',
    smooth_softmax: 'int',
    softcap: 'float',
    v_quant_type: 'string',
  }),
  'com.microsoft.MultiHeadAttention': ms([1, 10], [1, 4], {
    mask_filter_value: 'float',
    num_heads: 'int',
    scale: 'float',
    unidirectional: 'int',
  }),
  // experts
  'com.microsoft.MoE': ms([5, 8], [1, 1], {
    activation_alpha: 'float',
    activation_beta: 'float',
    activation_type: 'string',
    k: 'int',
    normalize_routing_weights: 'int',
    swiglu_fusion: 'int',
    swiglu_limit: 'float',
    use_sparse_mixer: 'int',
  }),
  // quantization
  QuantizeLinear: op(21, [2, 3], [1, 1], {
    axis: 'int',
    block_size: 'int',
    output_dtype: 'int',
    precision: 'int',
    saturate: 'int',
  }),
  DequantizeLinear: op(21, [2, 3], [1, 1], { axis: 'int', block_size: 'int', output_dtype: 'int' }),
  DynamicQuantizeLinear: op(11, [1, 1], [3, 3], {}),
  MatMulInteger: op(10, [2, 4], [1, 1], {}),
  ConvInteger: op(10, [2, 4], [1, 1], convolution),
  QLinearMatMul: op(21, [8, 8], [1, 1], {}),
  QLinearConv: op(10, [8, 9], [1, 1], convolution),
  'com.microsoft.QLinearAdd': ms([7, 8], [1, 1], {}),
  'com.microsoft.QLinearMul': ms([7, 8], [1, 1], {}),
  'com.microsoft.QLinearSigmoid': ms([4, 5], [1, 1], {}),
  'com.microsoft.QLinearLeakyRelu': ms([4, 5], [1, 1], { alpha: 'float' }),
  'com.microsoft.QLinearConcat': ms([5, MANY], [1, 1], { axis: 'int' }),
  'com.microsoft.QLinearAveragePool': ms([4, 5], [1, 1], {
    auto_pad: 'string',
    ceil_mode: 'int',
    channels_last: 'int',
    count_include_pad: 'int',
    kernel_shape: 'ints',
    pads: 'ints',
    strides: 'ints',
  }),
  'com.microsoft.QLinearGlobalAveragePool': ms([5, 5], [1, 1], { channels_last: 'int' }),
  'com.microsoft.QGemm': ms([6, 9], [1, 1], { alpha: 'float', transA: 'int', transB: 'int' }),
  'com.microsoft.NhwcMaxPool': ms([1, 1], [1, 1], { ...window, ceil_mode: 'int' }),
  'com.microsoft.DynamicQuantizeMatMul': ms([3, 5], [1, 1], {}),
  'com.microsoft.MatMulNBits': ms([3, 6], [1, 1], {
    K: 'int',
    N: 'int',
    accuracy_level: 'int',
    bits: 'int',
    block_size: 'int',
  }),
  'com.microsoft.GatherBlockQuantized': ms([3, 4], [1, 1], {
    bits: 'int',
    block_size: 'int',
    gather_axis: 'int',
    quantize_axis: 'int',
  }),
  // Gaslaw's own: removed before a graph reaches a runtime
  'gaslaw.StopGradient': ms([1, 1], [1, 1], {}),
  /** Forward: input 0. Backward: the whole gradient goes to input 1, as if the output had been input 1. */
  'gaslaw.StraightThrough': ms([2, 2], [1, 1], {}),
} satisfies Record<string, OpSchema>;

export type OpType = keyof typeof OPS;

interface AttributeValues {
  int: number | bigint;
  float: number;
  string: string;
  tensor: Tensor;
  graph: Graph;
  ints: readonly (number | bigint)[];
  floats: readonly number[];
  strings: readonly string[];
}

/** What the builder accepts for op K: plain JavaScript values by attribute name. */
export type AttributesOf<K extends OpType> = {
  readonly [A in keyof (typeof OPS)[K]['attributes']]?: (typeof OPS)[K]['attributes'][A] extends AttributeKind
    ? AttributeValues[(typeof OPS)[K]['attributes'][A]]
    : never;
};

export const isOpType = (key: string): key is OpType => Object.hasOwn(OPS, key);

/** Splits an op key into ONNX's domain and op type. */
export function splitKey(key: string): { domain: string; opType: string } {
  const dot = key.lastIndexOf('.');
  return { domain: key.slice(0, Math.max(0, dot)), opType: key.slice(dot + 1) };
}
