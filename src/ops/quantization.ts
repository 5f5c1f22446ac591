/**
 * Where each op can be quantized: which inputs may be stored as integers, where QuantizeLinear/DequantizeLinear pairs
 * belong, and which integer kernels ONNX Runtime's CPU provider has. Passes read this table; it quantizes nothing.
 *
 * 1. Negative axes count from the back, others from the front: one entry serves every rank.
 * 2. An op without an integer kernel may still want Q/DQ pairs: accelerators run whole graphs in integers. Passes that
 *    aim at ONNX Runtime on a CPU look for a kernel first.
 * 3. `transparent` ops select or move elements: output scale and zero point are those of input 0.
 * Source: ONNX Runtime 1.30, its QDQ rewriting rules and contrib operator documentation.
 */
import { type Attributes, type None, none } from './rule.ts';
import type { OpType } from './schema.ts';

/** An input that may be a stored integer tensor when it is constant. */
export interface WeightPlace {
  readonly input: number;
  /** Axis of the output channels: one scale each. */
  readonly channelAxis: number;
  /** Axis that is summed over: what blocks of a block-wise scale are cut from. */
  readonly reductionAxis: number;
}

/** An integer form of the op. */
export interface IntegerKernel {
  /** static: calibrated scales around it; dynamic: scales measured at run time; weights: activations stay float. */
  readonly form: 'static' | 'dynamic' | 'weights';
  /** The op that runs. */
  readonly op: string;
  /** Widths that it takes. */
  readonly bits: readonly number[];
}

export interface QuantizationPlaces {
  /** Inputs that may be stored as integers, given the node's attributes. */
  readonly weights: (attributes: Attributes) => readonly WeightPlace[];
  /** Inputs that want a Q/DQ pair; `'all'` for a variadic op. */
  readonly activations: readonly number[] | 'all';
  /** The input that is an additive bias: int32 with the scale s_x s_w. */
  readonly bias?: number;
  /** Whether output 0 wants a Q/DQ pair. */
  readonly output: boolean;
  /** Bounds of output 0 known without calibration. */
  readonly outputRange?: readonly [number, number];
  /** Output 0 has the scale and zero point of input 0. */
  readonly transparent?: true;
  readonly kernel: readonly IntegerKernel[];
}

export type QuantizationRule = QuantizationPlaces | None;

const noWeights = (): readonly WeightPlace[] => [];

const byStatic = (op: string, bits: readonly number[] = [8]): IntegerKernel => ({ form: 'static', op, bits });
const byDynamic = (op: string, bits: readonly number[] = [8]): IntegerKernel => ({
  form: 'dynamic',
  op,
  bits,
});
const byWeights = (op: string, bits: readonly number[]): IntegerKernel => ({ form: 'weights', op, bits });

/** A float function of `activations` with at most static kernels. */
const float = (
  activations: readonly number[] | 'all' = [0],
  kernel: readonly IntegerKernel[] = [],
  outputRange?: readonly [number, number],
): QuantizationPlaces => ({ weights: noWeights, activations, output: true, outputRange, kernel });

const transparent = (op: string, bits: readonly number[] = [8, 16]): QuantizationPlaces => ({
  weights: noWeights,
  activations: [0],
  output: true,
  transparent: true,
  kernel: bits.length > 0 ? [byStatic(op, bits)] : [],
});

/** x, then affine parameters that stay float. */
const normalization = float();

/** Weight [..,K,N], or [..,N,K] when it is transposed. */
const matrixWeight =
  (input: number, transposed: (a: Attributes) => boolean = () => false) =>
  (a: Attributes): readonly WeightPlace[] => [
    transposed(a)
      ? { input, channelAxis: -2, reductionAxis: -1 }
      : { input, channelAxis: -1, reductionAxis: -2 },
  ];

const transB = (a: Attributes): boolean => a.int('transB', 0) !== 0;

const matmul: QuantizationPlaces = {
  weights: matrixWeight(1),
  activations: [0, 1],
  output: true,
  kernel: [
    byStatic('QLinearMatMul'),
    byDynamic('DynamicQuantizeMatMul'),
    byWeights('MatMulNBits', [2, 4, 8]),
  ],
};

/** MatMulNBits takes a Gemm's weight where transA = 0 and alpha = beta = 1. */
const gemm: QuantizationPlaces = {
  weights: matrixWeight(1, transB),
  activations: [0, 1],
  bias: 2,
  output: true,
  kernel: [byStatic('QGemm'), byWeights('MatMulNBits', [2, 4, 8])],
};

/** Experts' weights are [experts, out, in]. */
const experts: QuantizationPlaces = {
  weights: () => [2, 4, 6].map(input => ({ input, channelAxis: -2, reductionAxis: -1 })),
  activations: [0],
  output: true,
  kernel: [byWeights('QMoE', [4, 8])],
};

/** A table of rows [V,D]: a scale a row, or a block of a row. */
const gather: QuantizationPlaces = {
  weights: () => [{ input: 0, channelAxis: -2, reductionAxis: -1 }],
  activations: [0],
  output: true,
  transparent: true,
  kernel: [byStatic('Gather', [8, 16]), byWeights('GatherBlockQuantized', [4, 8])],
};

/** Weight [M,C/group,kernel..], or [C,M/group,kernel..] when the convolution is transposed. */
const convolution = (channelAxis: 0 | 1, kernel: readonly IntegerKernel[]): QuantizationPlaces => ({
  weights: () => [{ input: 1, channelAxis, reductionAxis: 1 - channelAxis }],
  activations: [0, 1],
  bias: 2,
  output: true,
  kernel,
});

/** W [dirs,gates·H,input] and R [dirs,gates·H,H]; gates and states stay float. */
const recurrent: QuantizationPlaces = {
  weights: () => [1, 2].map(input => ({ input, channelAxis: -2, reductionAxis: -1 })),
  activations: [0],
  output: true,
  kernel: [],
};

const BITS = none('computes on bits');
const SIGNALS = none('makes spectra, whose range spans decades: it stays float');
const BODIES = none('holds bodies: their nodes are quantized where they stand');
const LOGIC = none('computes on booleans or compares: there is nothing to scale');
const SHAPES = none('computes on shapes and positions, in integers already');
const MAKES = none('makes its value from attributes and shapes');
const QUANTIZED = none('is quantized already');
const LOSS = none('is part of training: losses stay in float');
const OWN = none('is removed before a graph is quantized');

export const QUANTIZATION_RULES: { readonly [K in OpType]: QuantizationRule } = {
  // elementwise, one input
  Abs: float(),
  Neg: float(),
  Sign: float([0], [], [-1, 1]),
  Exp: float(),
  Log: float(),
  Sqrt: float(),
  Reciprocal: float(),
  Sin: float([0], [], [-1, 1]),
  Cos: float([0], [], [-1, 1]),
  Tan: float(),
  Asin: float(),
  Acos: float([0], [], [0, Math.PI]),
  Atan: float([0], [], [-Math.PI / 2, Math.PI / 2]),
  Sinh: float(),
  Cosh: float(),
  Asinh: float(),
  Acosh: float(),
  Atanh: float(),
  Tanh: float([0], [], [-1, 1]),
  Sigmoid: float([0], [byStatic('QLinearSigmoid')], [0, 1]),
  Erf: float([0], [], [-1, 1]),
  Relu: float(),
  Softplus: float(),
  Softsign: float([0], [], [-1, 1]),
  Mish: float(),
  Floor: float(),
  Ceil: float(),
  Round: float(),
  Not: LOGIC,
  BitwiseNot: BITS,
  Identity: transparent('Identity', []),
  IsNaN: LOGIC,
  IsInf: LOGIC,
  LeakyRelu: float([0], [byStatic('QLinearLeakyRelu')]),
  Elu: float(),
  Selu: float(),
  Celu: float(),
  ThresholdedRelu: float(),
  Shrink: float(),
  HardSigmoid: float([0], [], [0, 1]),
  HardSwish: float(),
  Gelu: float(),
  Swish: float(),
  Cast: none('changes the dtype by itself'),
  CastLike: none('changes the dtype by itself'),
  BitCast: BITS,
  Clip: float(),
  // elementwise, two inputs and more
  Add: float([0, 1], [byStatic('QLinearAdd')]),
  Sub: float([0, 1]),
  Mul: float([0, 1], [byStatic('QLinearMul')]),
  Div: float([0, 1]),
  Pow: float(),
  Mod: SHAPES,
  PRelu: float(),
  Min: float('all'),
  Max: float('all'),
  Sum: float('all'),
  Mean: float('all'),
  Equal: LOGIC,
  Greater: LOGIC,
  GreaterOrEqual: LOGIC,
  Less: LOGIC,
  LessOrEqual: LOGIC,
  And: LOGIC,
  Or: LOGIC,
  Xor: LOGIC,
  BitwiseAnd: BITS,
  BitwiseOr: BITS,
  BitwiseXor: BITS,
  BitShift: BITS,
  Where: float([1, 2], [byStatic('QLinearWhere')]),
  // matrix products
  MatMul: matmul,
  Gemm: gemm,
  Einsum: float('all'),
  'com.microsoft.FusedMatMul': { ...matmul, weights: matrixWeight(1, transB), kernel: [] },
  Det: float(),
  // convolution and pooling
  Conv: convolution(0, [byStatic('QLinearConv'), byDynamic('ConvInteger')]),
  ConvTranspose: convolution(1, []),
  DeformConv: { ...convolution(0, []), bias: 3 },
  CausalConvWithState: { ...convolution(0, []), activations: [0, 1, 3] },
  Col2Im: float(),
  MaxPool: transparent('MaxPool', [8]),
  AveragePool: float([0], [byStatic('QLinearAveragePool')]),
  LpPool: float(),
  GlobalAveragePool: float([0], [byStatic('QLinearGlobalAveragePool')]),
  GlobalMaxPool: transparent('GlobalMaxPool', []),
  GlobalLpPool: float(),
  MaxUnpool: transparent('MaxUnpool', []),
  // reductions
  ReduceSum: float(),
  ReduceMean: float(),
  ReduceMax: transparent('ReduceMax', [8]),
  ReduceMin: transparent('ReduceMin', [8]),
  ReduceProd: float(),
  ReduceL1: float(),
  ReduceL2: float(),
  ReduceSumSquare: float(),
  ReduceLogSum: float(),
  ReduceLogSumExp: float(),
  ArgMax: { ...float([0], [byStatic('ArgMax')]), output: false },
  ArgMin: { ...float(), output: false },
  CumSum: float(),
  CumProd: float(),
  TopK: transparent('TopK', []),
  // softmax and normalization
  Softmax: float([0], [byStatic('QLinearSoftmax')], [0, 1]),
  LogSoftmax: float(),
  Hardmax: float([0], [], [0, 1]),
  NegativeLogLikelihoodLoss: LOSS,
  SoftmaxCrossEntropyLoss: LOSS,
  BatchNormalization: normalization,
  InstanceNormalization: normalization,
  GroupNormalization: normalization,
  MeanVarianceNormalization: normalization,
  LpNormalization: float([0], [], [-1, 1]),
  LRN: normalization,
  Dropout: transparent('Dropout', []),
  LayerNormalization: normalization,
  RMSNormalization: normalization,
  SimplifiedLayerNormalization: normalization,
  'com.microsoft.SkipLayerNormalization': float([0, 1]),
  'com.microsoft.SkipSimplifiedLayerNormalization': float([0, 1]),
  // fused activations
  'com.microsoft.Gelu': float(),
  'com.microsoft.FastGelu': float(),
  'com.microsoft.BiasGelu': float(),
  'com.microsoft.QuickGelu': float(),
  // shape and movement
  Shape: SHAPES,
  Size: SHAPES,
  Reshape: transparent('Reshape'),
  Flatten: transparent('Flatten'),
  Squeeze: transparent('Squeeze'),
  Unsqueeze: transparent('Unsqueeze'),
  Transpose: transparent('Transpose'),
  Expand: transparent('Expand'),
  Tile: transparent('Tile'),
  Concat: float('all', [byStatic('QLinearConcat')]),
  Split: transparent('Split', [8]),
  Slice: transparent('Slice'),
  Pad: float(),
  Trilu: transparent('Trilu', []),
  ReverseSequence: transparent('ReverseSequence', []),
  CenterCropPad: transparent('CenterCropPad', []),
  DepthToSpace: transparent('DepthToSpace', [8]),
  SpaceToDepth: transparent('SpaceToDepth', []),
  // sampling images
  Resize: transparent('Resize', [8]),
  GridSample: float(),
  AffineGrid: none('makes positions, which need more digits than 8 bits hold'),
  RoiAlign: float(),
  MaxRoiPool: transparent('MaxRoiPool', []),
  NonMaxSuppression: none('compares positions, which need more digits than 8 bits hold'),
  // recurrent networks
  RNN: recurrent,
  GRU: recurrent,
  LSTM: recurrent,
  // control flow
  If: BODIES,
  Loop: BODIES,
  Scan: BODIES,
  // signals
  DFT: SIGNALS,
  STFT: SIGNALS,
  HannWindow: MAKES,
  HammingWindow: MAKES,
  BlackmanWindow: MAKES,
  MelWeightMatrix: MAKES,
  // making values
  Constant: MAKES,
  ConstantOfShape: MAKES,
  Range: MAKES,
  EyeLike: MAKES,
  OneHot: MAKES,
  // indexing
  Gather: gather,
  GatherElements: transparent('GatherElements'),
  GatherND: transparent('GatherND', []),
  ScatterElements: float([0, 2]),
  ScatterND: float([0, 2]),
  TensorScatter: float([0, 1]),
  NonZero: SHAPES,
  Compress: transparent('Compress', []),
  Unique: transparent('Unique', []),
  // attention
  Attention: float([0, 1, 2]),
  RotaryEmbedding: float(),
  'com.microsoft.RotaryEmbedding': float(),
  'com.microsoft.GroupQueryAttention': float([0, 1, 2]),
  'com.microsoft.MultiHeadAttention': float([0, 1, 2]),
  'com.microsoft.MoE': experts,
  // quantization
  QuantizeLinear: QUANTIZED,
  DequantizeLinear: QUANTIZED,
  DynamicQuantizeLinear: QUANTIZED,
  MatMulInteger: QUANTIZED,
  ConvInteger: QUANTIZED,
  QLinearConv: QUANTIZED,
  QLinearMatMul: QUANTIZED,
  'com.microsoft.QLinearAdd': QUANTIZED,
  'com.microsoft.QLinearMul': QUANTIZED,
  'com.microsoft.QLinearSigmoid': QUANTIZED,
  'com.microsoft.QLinearLeakyRelu': QUANTIZED,
  'com.microsoft.QLinearConcat': QUANTIZED,
  'com.microsoft.QLinearAveragePool': QUANTIZED,
  'com.microsoft.QLinearGlobalAveragePool': QUANTIZED,
  'com.microsoft.QGemm': QUANTIZED,
  'com.microsoft.NhwcMaxPool': QUANTIZED,
  'com.microsoft.DynamicQuantizeMatMul': QUANTIZED,
  'com.microsoft.MatMulNBits': QUANTIZED,
  'com.microsoft.GatherBlockQuantized': QUANTIZED,
  // Gaslaw's own
  'gaslaw.StopGradient': OWN,
  'gaslaw.StraightThrough': OWN,
};
