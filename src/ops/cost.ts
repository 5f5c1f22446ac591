/**
 * What one run of a node costs: floating-point operations and multiply-adds.
 *
 * 1. A multiply-add is 2 flops. Every other arithmetic operation, exp and sqrt included, is 1 an element: the counts
 *    below name the operations of the formula, so they compare programs, not instructions.
 * 2. Moving, reshaping, casting and indexing cost no flops.
 * 3. Integer products count as macs and flops like float ones.
 * 4. Attention counts both products and the softmax as a dense kernel computes them: a causal mask saves nothing here,
 *    though half of a causal kernel's work can be skipped.
 */
import { type Graph, typeOf } from '../graph/ir.ts';
import {
  at,
  attention,
  convolution,
  crossEntropy,
  deformConvolution,
  determinant,
  dft,
  dimsIn,
  dimsOut,
  dynamicQuantizeMatMul,
  einsum,
  flops,
  free,
  fusedMatMul,
  gatherBlockQuantized,
  gemm,
  gridSample,
  groupQueryAttention,
  macs,
  matmul,
  matmulNBits,
  mixtureOfExperts,
  multiHeadAttention,
  perInput,
  perOutput,
  pool,
  qgemm,
  qlinearConcat,
  recurrent,
  requantized,
  resize,
  rotary,
  SOFTMAX_FLOPS,
  size,
  stft,
  transposedConvolution,
  variadic,
} from './cost-rules.ts';
import { ruleContext } from './infer.ts';
import type { Cost, CostContext, CostRule } from './rule.ts';
import type { OpType } from './schema.ts';

/** Sums of the bodies' nodes. */
function bodyCost(c: CostContext, name: string): Cost {
  const body = c.attributes.graph(name) ?? c.fail(`attribute "${name}" is missing`);
  return graphCost(body);
}

/** Cost of all nodes of a graph with inferred types. Throws where a dim is symbolic. */
export function graphCost(graph: Graph): Cost {
  const costs = graph.nodes.map(node => {
    const context = ruleContext(graph, node);
    const outputs = node.outputs.map(name => typeOf(graph, name) ?? context.fail(`no type of "${name}"`));
    return COST_RULES[context.key]({ ...context, outputs });
  });
  return {
    flops: costs.reduce((n, one) => n + one.flops, 0),
    macs: costs.reduce((n, one) => n + one.macs, 0),
  };
}

const times = ({ flops: f, macs: m }: Cost, n: number): Cost => ({ flops: f * n, macs: m * n });

/** The dearer branch. */
const branches: CostRule = c => {
  const [yes, no] = [bodyCost(c, 'then_branch'), bodyCost(c, 'else_branch')];
  return yes.flops >= no.flops ? yes : no;
};

const loop: CostRule = c => {
  const rounds = c.shapeValue(0)?.[0];
  return typeof rounds === 'number'
    ? times(bodyCost(c, 'body'), rounds)
    : c.fail('the cost needs a constant number of rounds');
};

const scan: CostRule = c => {
  const scanned = c.inputs.length - c.attributes.int('num_scan_inputs', 1);
  const dims = dimsIn(c, scanned);
  return times(bodyCost(c, 'body'), at(dims, c.attributes.ints('scan_input_axes')?.[0] ?? 0));
};

export const COST_RULES: { readonly [K in OpType]: CostRule } = {
  // elementwise, one input
  Abs: perOutput(),
  Neg: perOutput(),
  Sign: perOutput(),
  Exp: perOutput(),
  Log: perOutput(),
  Sqrt: perOutput(),
  Reciprocal: perOutput(),
  Sin: perOutput(),
  Cos: perOutput(),
  Tan: perOutput(),
  Asin: perOutput(),
  Acos: perOutput(),
  Atan: perOutput(),
  Sinh: perOutput(),
  Cosh: perOutput(),
  Asinh: perOutput(),
  Acosh: perOutput(),
  Atanh: perOutput(),
  Tanh: perOutput(),
  Sigmoid: perOutput(3), // 1 / (1 + exp -x)
  Erf: perOutput(),
  Relu: perOutput(),
  Softplus: perOutput(3), // log(1 + exp x)
  Softsign: perOutput(3), // x / (1 + |x|)
  Mish: perOutput(5), // x tanh(log(1 + exp x))
  Floor: perOutput(),
  Ceil: perOutput(),
  Round: perOutput(),
  Not: perOutput(),
  BitwiseNot: perOutput(),
  Identity: free,
  IsNaN: perOutput(),
  IsInf: perOutput(),
  LeakyRelu: perOutput(2),
  Elu: perOutput(3),
  Selu: perOutput(4),
  Celu: perOutput(6),
  ThresholdedRelu: perOutput(),
  Shrink: perOutput(3),
  HardSigmoid: perOutput(4),
  HardSwish: perOutput(5),
  Gelu: perOutput(5), // x/2 (1 + erf(x/√2))
  Swish: perOutput(4), // x sigmoid(αx)
  Cast: free,
  CastLike: free,
  BitCast: free,
  Clip: perOutput(2),
  // elementwise, two inputs and more
  Add: perOutput(),
  Sub: perOutput(),
  Mul: perOutput(),
  Div: perOutput(),
  Pow: perOutput(),
  Mod: perOutput(),
  PRelu: perOutput(2),
  Min: variadic(),
  Max: variadic(),
  Sum: variadic(),
  Mean: variadic(1),
  Equal: perOutput(),
  Greater: perOutput(),
  GreaterOrEqual: perOutput(),
  Less: perOutput(),
  LessOrEqual: perOutput(),
  And: perOutput(),
  Or: perOutput(),
  Xor: perOutput(),
  BitwiseAnd: perOutput(),
  BitwiseOr: perOutput(),
  BitwiseXor: perOutput(),
  BitShift: perOutput(),
  Where: perOutput(),
  // matrix products
  MatMul: matmul,
  Gemm: gemm,
  Einsum: einsum,
  'com.microsoft.FusedMatMul': fusedMatMul,
  Det: determinant,
  // convolution and pooling
  Conv: convolution(1, 2),
  ConvTranspose: transposedConvolution,
  DeformConv: deformConvolution,
  CausalConvWithState: convolution(1, 2),
  Col2Im: perInput(),
  MaxPool: pool(1),
  AveragePool: pool(1),
  LpPool: pool(2),
  GlobalAveragePool: perInput(),
  GlobalMaxPool: perInput(),
  GlobalLpPool: perInput(2),
  MaxUnpool: free,
  // reductions
  ReduceSum: perInput(),
  ReduceMean: c => flops(size(dimsIn(c, 0)) + size(dimsOut(c))),
  ReduceMax: perInput(),
  ReduceMin: perInput(),
  ReduceProd: perInput(),
  ReduceL1: perInput(2),
  ReduceL2: c => flops(2 * size(dimsIn(c, 0)) + size(dimsOut(c))),
  ReduceSumSquare: perInput(2),
  ReduceLogSum: c => flops(size(dimsIn(c, 0)) + size(dimsOut(c))),
  ReduceLogSumExp: c => flops(4 * size(dimsIn(c, 0)) + 2 * size(dimsOut(c))), // max, subtract, exp, sum; log, add
  ArgMax: perInput(),
  ArgMin: perInput(),
  CumSum: perInput(),
  CumProd: perInput(),
  TopK: perInput(),
  // softmax and normalization
  Softmax: perInput(SOFTMAX_FLOPS),
  LogSoftmax: perInput(SOFTMAX_FLOPS),
  Hardmax: perInput(),
  NegativeLogLikelihoodLoss: c => flops(size(dimsIn(c, 1))),
  SoftmaxCrossEntropyLoss: crossEntropy,
  BatchNormalization: c => perInput(c.attributes.int('training_mode', 0) === 0 ? 2 : 7)(c),
  InstanceNormalization: perInput(7),
  GroupNormalization: perInput(7),
  MeanVarianceNormalization: perInput(5),
  LpNormalization: perInput(3),
  LRN: c => flops((2 * c.attributes.int('size', 1) + 4) * size(dimsIn(c, 0))),
  Dropout: perOutput(),
  LayerNormalization: perInput(7), // sum, subtract, square, sum, normalize, scale, shift
  RMSNormalization: perInput(4), // square, sum, normalize, scale
  SimplifiedLayerNormalization: perInput(4),
  'com.microsoft.SkipLayerNormalization': perInput(8),
  'com.microsoft.SkipSimplifiedLayerNormalization': perInput(5),
  // fused activations
  'com.microsoft.Gelu': perOutput(5),
  'com.microsoft.FastGelu': perOutput(8), // x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))
  'com.microsoft.BiasGelu': perOutput(6),
  'com.microsoft.QuickGelu': perOutput(5), // x sigmoid(αx)
  // shape and movement
  Shape: free,
  Size: free,
  Reshape: free,
  Flatten: free,
  Squeeze: free,
  Unsqueeze: free,
  Transpose: free,
  Expand: free,
  Tile: free,
  Concat: free,
  Split: free,
  Slice: free,
  Pad: free,
  Trilu: free,
  ReverseSequence: free,
  CenterCropPad: free,
  DepthToSpace: free,
  SpaceToDepth: free,
  // sampling images
  Resize: resize,
  GridSample: gridSample,
  AffineGrid: c => macs(size(dimsOut(c)) * at(dimsIn(c, 0), -1)),
  RoiAlign: c => flops(8 * size(dimsOut(c)) * Math.max(1, c.attributes.int('sampling_ratio', 0)) ** 2),
  MaxRoiPool: perInput(),
  NonMaxSuppression: perInput(10),
  // recurrent networks
  RNN: recurrent,
  GRU: recurrent,
  LSTM: recurrent,
  // control flow
  If: branches,
  Loop: loop,
  Scan: scan,
  // signals
  DFT: dft,
  STFT: stft,
  HannWindow: perOutput(4),
  HammingWindow: perOutput(4),
  BlackmanWindow: perOutput(7),
  MelWeightMatrix: perOutput(3),
  // making values
  Constant: free,
  ConstantOfShape: free,
  Range: perOutput(),
  EyeLike: free,
  OneHot: free,
  // indexing
  Gather: free,
  GatherElements: free,
  GatherND: free,
  ScatterElements: c =>
    c.attributes.string('reduction', 'none') === 'none' ? flops(0) : flops(size(dimsIn(c, 2))),
  ScatterND: c =>
    c.attributes.string('reduction', 'none') === 'none' ? flops(0) : flops(size(dimsIn(c, 2))),
  TensorScatter: free,
  NonZero: perInput(),
  Compress: free,
  Unique: perInput(),
  // attention
  Attention: attention,
  RotaryEmbedding: rotary,
  'com.microsoft.RotaryEmbedding': rotary,
  'com.microsoft.GroupQueryAttention': groupQueryAttention,
  'com.microsoft.MultiHeadAttention': multiHeadAttention,
  'com.microsoft.MoE': mixtureOfExperts,
  // quantization
  QuantizeLinear: perOutput(3), // divide, round, add the zero point
  DequantizeLinear: perOutput(2),
  DynamicQuantizeLinear: perInput(5), // min, max, then as QuantizeLinear
  MatMulInteger: matmul,
  ConvInteger: convolution(1),
  QLinearConv: c => requantized(convolution(3, 8), [])(c),
  QLinearMatMul: requantized(matmul, []),
  'com.microsoft.QLinearAdd': requantized(perOutput(), [0, 3]),
  'com.microsoft.QLinearMul': requantized(perOutput(), [0, 3]),
  'com.microsoft.QLinearSigmoid': requantized(perOutput(3), [0]),
  'com.microsoft.QLinearLeakyRelu': requantized(perOutput(2), [0]),
  'com.microsoft.QLinearConcat': qlinearConcat,
  'com.microsoft.QLinearAveragePool': requantized(pool(1), [0]),
  'com.microsoft.QLinearGlobalAveragePool': requantized(perInput(), [0]),
  'com.microsoft.QGemm': qgemm,
  'com.microsoft.NhwcMaxPool': pool(1),
  'com.microsoft.DynamicQuantizeMatMul': dynamicQuantizeMatMul,
  'com.microsoft.MatMulNBits': matmulNBits,
  'com.microsoft.GatherBlockQuantized': gatherBlockQuantized,
  // Gaslaw's own
  'gaslaw.StopGradient': free,
  'gaslaw.StraightThrough': free,
};
