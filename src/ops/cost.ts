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
import { type Graph, type TensorType, typeOf } from '../graph/ir.ts';
import { ruleContext } from './infer.ts';
import type { Cost, CostContext, CostRule } from './rule.ts';
import type { OpType } from './schema.ts';
import { labelsOf, parseEquation } from './shape/matmul.ts';

/** Max, subtract, exp, sum, divide. */
const SOFTMAX_FLOPS = 5;

function numbers(c: CostContext, type: TensorType | undefined, what: string): readonly number[] {
  const shape = type?.shape ?? c.fail(`the cost needs the shape of ${what}`);
  const symbol = shape.find(d => typeof d === 'string');
  if (symbol !== undefined)
    c.fail(`the cost needs numbers, but ${what} has the dim "${symbol}"; bind it first`);
  return shape as readonly number[];
}

const dimsIn = (c: CostContext, i: number): readonly number[] => numbers(c, c.inputs[i], `input ${i}`);
const dimsOut = (c: CostContext, i = 0): readonly number[] => numbers(c, c.outputs[i], `output ${i}`);
const size = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);
const flops = (n: number): Cost => ({ flops: n, macs: 0 });
const macs = (n: number, more = 0): Cost => ({ flops: 2 * n + more, macs: n });
const at = (dims: readonly number[], i: number): number => dims.at(i) ?? 1;

const free: CostRule = () => flops(0);

/** `n` operations for each element of the output. */
const perOutput =
  (n = 1): CostRule =>
  c =>
    flops(n * size(dimsOut(c)));

/** `n` operations for each element of input 0. */
const perInput =
  (n = 1): CostRule =>
  c =>
    flops(n * size(dimsIn(c, 0)));

/** Sum of m inputs: m - 1 operations an element; `more` for a division at the end. */
const variadic =
  (more = 0): CostRule =>
  c =>
    flops((c.inputs.length - 1 + more) * size(dimsOut(c)));

/** [..,m,k] x [..,k,n]: one multiply-add for each element of the output and each k. */
const matmul: CostRule = c => macs(size(dimsOut(c)) * at(dimsIn(c, 0), -1));

const fusedMatMul: CostRule = c => {
  const a = dimsIn(c, 0);
  const rows = c.attributes.int('transBatchA', 0) !== 0 ? 0 : -2;
  const k = c.attributes.int('transA', 0) !== 0 ? at(a, rows) : at(a, -1);
  const scaled = c.attributes.float('alpha', 1) === 1 ? 0 : 1;
  const out = size(dimsOut(c));
  return macs(out * k, scaled * out);
};

const gemm: CostRule = c => {
  const k = at(dimsIn(c, 0), c.attributes.int('transA', 0) !== 0 ? 0 : 1);
  const scalings = ['alpha', 'beta'].filter(name => c.attributes.float(name, 1) !== 1).length;
  const out = size(dimsOut(c));
  return macs(out * k, (scalings + (c.inputs[2] ? 1 : 0)) * out);
};

/** Operands are joined in one loop over all labels: a multiply-add for each operand but the first. */
const einsum: CostRule = c => {
  const points = size(labelDims(c));
  return c.inputs.length === 1
    ? flops(points === size(dimsOut(c)) ? 0 : points)
    : macs(points * (c.inputs.length - 1));
};

function labelDims(c: CostContext): number[] {
  const { terms } = parseEquation(c.attributes.string('equation', ''));
  const sizes = new Map<string, number>();
  terms.forEach((term, i) => {
    const dims = dimsIn(c, i);
    for (const [j, label] of labelsOf(term, dims.length).entries()) {
      sizes.set(label, Math.max(sizes.get(label) ?? 1, dims[j] as number));
    }
  });
  return [...sizes.values()];
}

interface AttentionDims {
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly keySize: number;
  readonly valueSize: number;
}

/** QK' and PV as products; scaling, mask and softmax by the element of the scores. */
function attentionCost(d: AttentionDims): Cost {
  const scores = d.batch * d.heads * d.queries * d.keys;
  return macs(scores * (d.keySize + d.valueSize), scores * (2 + SOFTMAX_FLOPS));
}

/** Attention-23: operands [B,H,S,D] or [B,S,H*D]. */
const attention: CostRule = c => {
  const [q, k, v] = [dimsIn(c, 0), dimsIn(c, 1), dimsIn(c, 2)] as const;
  const split = q.length === 4;
  const heads = split ? at(q, 1) : c.attributes.int('q_num_heads', 1);
  const groups = split ? at(k, 1) : c.attributes.int('kv_num_heads', 1);
  const past = c.inputs[4] ? at(dimsIn(c, 4), 2) : 0;
  return attentionCost({
    batch: at(q, 0),
    heads,
    queries: at(q, -2),
    keys: past + at(k, -2),
    keySize: at(k, -1) / (split ? 1 : groups),
    valueSize: at(v, -1) / (split ? 1 : groups),
  });
};

/** com.microsoft.GroupQueryAttention: the present cache's whole length counts as keys. */
const groupQueryAttention: CostRule = c => {
  const [batch, queries, width] = dimsOut(c) as [number, number, number];
  const heads = c.attributes.int('num_heads', 1);
  const keys = c.outputs[1] ? at(dimsOut(c, 1), 2) : queries;
  return attentionCost({ batch, heads, queries, keys, keySize: width / heads, valueSize: width / heads });
};

/** com.microsoft.MultiHeadAttention: key is [B,L,H*D], packed [B,L,H,2,D] or [B,H,L,D]; packed query is [B,S,H,3,D]. */
const multiHeadAttention: CostRule = c => {
  const q = dimsIn(c, 0);
  const heads = c.attributes.int('num_heads', 1);
  const key = c.inputs[1] ? dimsIn(c, 1) : q;
  const past = c.inputs[6] ? at(dimsIn(c, 6), 2) : 0;
  return attentionCost({
    batch: at(q, 0),
    heads,
    queries: at(q, 1),
    keys: past + at(key, key.length === 4 ? 2 : 1),
    keySize: q.length === 5 ? at(q, -1) : at(q, -1) / heads,
    valueSize: at(dimsOut(c), -1) / heads,
  });
};

/** Every token goes through its k experts: both (with fc3, three) products and the activation. */
const mixtureOfExperts: CostRule = c => {
  const tokens = size(dimsIn(c, 0).slice(0, -1));
  const chosen = tokens * c.attributes.int('k', 1);
  const weights = [2, 4, 6].filter(i => c.inputs[i]).map(i => dimsIn(c, i));
  const perToken = weights.reduce((sum, w) => sum + at(w, -1) * at(w, -2), 0);
  return macs(chosen * perToken, chosen * at(weights[0] as number[], -2));
};

/** Rotating a pair takes 4 products and 2 sums: 3 an element. */
const rotary = perInput(3);

const matmulNBits: CostRule = c => macs(size(dimsOut(c)) * c.attributes.int('K', 0));

/** The product, the quantizing of A (3 an element) and the scaling of the result. */
const dynamicQuantizeMatMul: CostRule = c => {
  const [a, out] = [dimsIn(c, 0), size(dimsOut(c))];
  return macs(out * at(a, -1), 3 * size(a) + out * (c.inputs[4] ? 2 : 1));
};

/** Elements of the gathered rows: one product and one difference each. */
const gatherBlockQuantized = perOutput(2);

const crossEntropy = perInput(SOFTMAX_FLOPS);

/** Every output element of a convolution sums the weight's channels of its group times its kernel. */
const convolution =
  (weight: number, bias?: number): CostRule =>
  c => {
    const out = size(dimsOut(c));
    return macs(out * size(dimsIn(c, weight).slice(1)), bias !== undefined && c.inputs[bias] ? out : 0);
  };

/** Every input element is spread over the weight's outputs of its group times its kernel. */
const transposedConvolution: CostRule = c =>
  macs(size(dimsIn(c, 0)) * size(dimsIn(c, 1).slice(1)), c.inputs[2] ? size(dimsOut(c)) : 0);

/** As a convolution; each of its readings is interpolated: 4 products and 3 sums. */
const deformConvolution: CostRule = c => {
  const { flops: n, macs: m } = convolution(1, 3)(c);
  return { flops: n + 7 * m, macs: m };
};

/** `n` operations for each element of each window. */
const pool =
  (n: number): CostRule =>
  c =>
    flops(n * size(dimsOut(c)) * size(c.attributes.ints('kernel_shape') ?? []));

/** Weighted sums of 2, or 4 when cubic, neighbours along each resized axis in turn. */
const resize: CostRule = c => {
  const [from, to] = [dimsIn(c, 0), dimsOut(c)];
  const taps = { linear: 2, cubic: 4 }[c.attributes.string('mode', 'nearest')] ?? 0;
  const done = [...from];
  const steps = to.map((length, i) => {
    if (length === from[i]) return 0;
    done[i] = length;
    return size(done) * taps * 2;
  });
  return flops(steps.reduce((a, b) => a + b, 0));
};

/** Weighted sums of 2 or 4 neighbours in each spatial direction. */
const gridSample: CostRule = c => {
  const taps = { linear: 2, bilinear: 2, cubic: 4, bicubic: 4 }[c.attributes.string('mode', 'linear')] ?? 0;
  return flops(2 * size(dimsOut(c)) * taps ** (dimsIn(c, 0).length - 2));
};

/** Products with W and R for every step and gate; a dozen operations an element of state, as gates and state need. */
const recurrent: CostRule = c => {
  const [time, batch] = dimsIn(c, 0);
  const weights = size(dimsIn(c, 1)) + size(dimsIn(c, 2));
  const [directions, rows] = dimsIn(c, 1);
  const steps = (time as number) * (batch as number);
  return macs(steps * weights, 4 * steps * (directions as number) * (rows as number));
};

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

/** A plain transform: for every frequency and every sample a product of complex numbers, 4 multiply-adds. */
const dft: CostRule = c => {
  const [x, out] = [dimsIn(c, 0), dimsOut(c)];
  return macs(2 * size(out) * Math.max(...x.slice(1, -1)));
};

const stft: CostRule = c => {
  const width = c.shapeValue(3)?.[0] ?? c.inputs[2]?.shape?.[0];
  return typeof width === 'number'
    ? macs(2 * size(dimsOut(c)) * width)
    : c.fail('the cost needs a constant frame length');
};

/** Elimination of an n x n matrix: n³/3 multiply-adds. */
const determinant: CostRule = c => {
  const dims = dimsIn(c, 0);
  return macs(Math.round((size(dims) * at(dims, -1)) / 3));
};

/** The float op's cost, plus dequantizing (2) each input and quantizing (3) the output. */
const requantized =
  (rule: CostRule, inputs: readonly number[]): CostRule =>
  c => {
    const inner = rule(c);
    const around = inputs.reduce((n, i) => n + 2 * size(dimsIn(c, i)), 3 * size(dimsOut(c)));
    return { flops: inner.flops + around, macs: inner.macs };
  };

const qlinearConcat: CostRule = c =>
  flops(
    c.inputs.reduce(
      (n, _, i) => (i >= 2 && i % 3 === 2 ? n + 2 * size(dimsIn(c, i)) : n),
      3 * size(dimsOut(c)),
    ),
  );

const qgemm: CostRule = c =>
  macs(size(dimsOut(c)) * at(dimsIn(c, 0), c.attributes.int('transA', 0) !== 0 ? 0 : 1), size(dimsOut(c)));

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
