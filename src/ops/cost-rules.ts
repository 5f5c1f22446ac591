/** Cost rules that more than one op share, and those of products, attention, convolution, sampling and signals. */
import type { TensorType } from '../graph/ir.ts';
import type { Cost, CostContext, CostRule } from './rule.ts';
import { labelsOf, parseEquation } from './shape/matmul.ts';

/** Max, subtract, exp, sum, divide. */
export const SOFTMAX_FLOPS = 5;

function numbers(c: CostContext, type: TensorType | undefined, what: string): readonly number[] {
  const shape = type?.shape ?? c.fail(`the cost needs the shape of ${what}`);
  const symbol = shape.find(d => typeof d === 'string');
  if (symbol !== undefined)
    c.fail(`the cost needs numbers, but ${what} has the dim "${symbol}"; bind it first`);
  return shape as readonly number[];
}

export const dimsIn = (c: CostContext, i: number): readonly number[] => numbers(c, c.inputs[i], `input ${i}`);
export const dimsOut = (c: CostContext, i = 0): readonly number[] => numbers(c, c.outputs[i], `output ${i}`);
export const size = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);
export const flops = (n: number): Cost => ({ flops: n, macs: 0 });
export const macs = (n: number, more = 0): Cost => ({ flops: 2 * n + more, macs: n });
export const at = (dims: readonly number[], i: number): number => dims.at(i) ?? 1;

export const free: CostRule = () => flops(0);

/** `n` operations for each element of the output. */
export const perOutput =
  (n = 1): CostRule =>
  c =>
    flops(n * size(dimsOut(c)));

/** `n` operations for each element of input 0. */
export const perInput =
  (n = 1): CostRule =>
  c =>
    flops(n * size(dimsIn(c, 0)));

/** Sum of m inputs: m - 1 operations an element; `more` for a division at the end. */
export const variadic =
  (more = 0): CostRule =>
  c =>
    flops((c.inputs.length - 1 + more) * size(dimsOut(c)));

/** [..,m,k] x [..,k,n]: one multiply-add for each element of the output and each k. */
export const matmul: CostRule = c => macs(size(dimsOut(c)) * at(dimsIn(c, 0), -1));

export const fusedMatMul: CostRule = c => {
  const a = dimsIn(c, 0);
  const rows = c.attributes.int('transBatchA', 0) !== 0 ? 0 : -2;
  const k = c.attributes.int('transA', 0) !== 0 ? at(a, rows) : at(a, -1);
  const scaled = c.attributes.float('alpha', 1) === 1 ? 0 : 1;
  const out = size(dimsOut(c));
  return macs(out * k, scaled * out);
};

export const gemm: CostRule = c => {
  const k = at(dimsIn(c, 0), c.attributes.int('transA', 0) !== 0 ? 0 : 1);
  const scalings = ['alpha', 'beta'].filter(name => c.attributes.float(name, 1) !== 1).length;
  const out = size(dimsOut(c));
  return macs(out * k, (scalings + (c.inputs[2] ? 1 : 0)) * out);
};

/** Operands are joined in one loop over all labels: a multiply-add for each operand but the first. */
export const einsum: CostRule = c => {
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
export const attention: CostRule = c => {
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
export const groupQueryAttention: CostRule = c => {
  const [batch, queries, width] = dimsOut(c) as [number, number, number];
  const heads = c.attributes.int('num_heads', 1);
  const keys = c.outputs[1] ? at(dimsOut(c, 1), 2) : queries;
  return attentionCost({ batch, heads, queries, keys, keySize: width / heads, valueSize: width / heads });
};

/** com.microsoft.MultiHeadAttention: key is [B,L,H*D], packed [B,L,H,2,D] or [B,H,L,D]; packed query is [B,S,H,3,D]. */
export const multiHeadAttention: CostRule = c => {
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
export const mixtureOfExperts: CostRule = c => {
  const tokens = size(dimsIn(c, 0).slice(0, -1));
  const chosen = tokens * c.attributes.int('k', 1);
  const weights = [2, 4, 6].filter(i => c.inputs[i]).map(i => dimsIn(c, i));
  const perToken = weights.reduce((sum, w) => sum + at(w, -1) * at(w, -2), 0);
  return macs(chosen * perToken, chosen * at(weights[0] as number[], -2));
};

/** Rotating a pair takes 4 products and 2 sums: 3 an element. */
export const rotary = perInput(3);

export const matmulNBits: CostRule = c => macs(size(dimsOut(c)) * c.attributes.int('K', 0));

/** The product, the quantizing of A (3 an element) and the scaling of the result. */
export const dynamicQuantizeMatMul: CostRule = c => {
  const [a, out] = [dimsIn(c, 0), size(dimsOut(c))];
  return macs(out * at(a, -1), 3 * size(a) + out * (c.inputs[4] ? 2 : 1));
};

/** Elements of the gathered rows: one product and one difference each. */
export const gatherBlockQuantized = perOutput(2);

export const crossEntropy = perInput(SOFTMAX_FLOPS);

/** Every output element of a convolution sums the weight's channels of its group times its kernel. */
export const convolution =
  (weight: number, bias?: number): CostRule =>
  c => {
    const out = size(dimsOut(c));
    return macs(out * size(dimsIn(c, weight).slice(1)), bias !== undefined && c.inputs[bias] ? out : 0);
  };

/** Every input element is spread over the weight's outputs of its group times its kernel. */
export const transposedConvolution: CostRule = c =>
  macs(size(dimsIn(c, 0)) * size(dimsIn(c, 1).slice(1)), c.inputs[2] ? size(dimsOut(c)) : 0);

/** As a convolution; each of its readings is interpolated: 4 products and 3 sums. */
export const deformConvolution: CostRule = c => {
  const { flops: n, macs: m } = convolution(1, 3)(c);
  return { flops: n + 7 * m, macs: m };
};

/** `n` operations for each element of each window. */
export const pool =
  (n: number): CostRule =>
  c =>
    flops(n * size(dimsOut(c)) * size(c.attributes.ints('kernel_shape') ?? []));

/** Weighted sums of 2, or 4 when cubic, neighbours along each resized axis in turn. */
export const resize: CostRule = c => {
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
export const gridSample: CostRule = c => {
  const taps = { linear: 2, bilinear: 2, cubic: 4, bicubic: 4 }[c.attributes.string('mode', 'linear')] ?? 0;
  return flops(2 * size(dimsOut(c)) * taps ** (dimsIn(c, 0).length - 2));
};

/** Products with W and R for every step and gate; a dozen operations an element of state, as gates and state need. */
export const recurrent: CostRule = c => {
  const [time, batch] = dimsIn(c, 0);
  const weights = size(dimsIn(c, 1)) + size(dimsIn(c, 2));
  const [directions, rows] = dimsIn(c, 1);
  const steps = (time as number) * (batch as number);
  return macs(steps * weights, 4 * steps * (directions as number) * (rows as number));
};

/** A plain transform: for every frequency and every sample a product of complex numbers, 4 multiply-adds. */
export const dft: CostRule = c => {
  const [x, out] = [dimsIn(c, 0), dimsOut(c)];
  return macs(2 * size(out) * Math.max(...x.slice(1, -1)));
};

export const stft: CostRule = c => {
  const width = c.shapeValue(3)?.[0] ?? c.inputs[2]?.shape?.[0];
  return typeof width === 'number'
    ? macs(2 * size(dimsOut(c)) * width)
    : c.fail('the cost needs a constant frame length');
};

/** Elimination of an n x n matrix: n³/3 multiply-adds. */
export const determinant: CostRule = c => {
  const dims = dimsIn(c, 0);
  return macs(Math.round((size(dims) * at(dims, -1)) / 3));
};

/** The float op's cost, plus dequantizing (2) each input and quantizing (3) the output. */
export const requantized =
  (rule: CostRule, inputs: readonly number[]): CostRule =>
  c => {
    const inner = rule(c);
    const around = inputs.reduce((n, i) => n + 2 * size(dimsIn(c, i)), 3 * size(dimsOut(c)));
    return { flops: inner.flops + around, macs: inner.macs };
  };

export const qlinearConcat: CostRule = c =>
  flops(
    c.inputs.reduce(
      (n, _, i) => (i >= 2 && i % 3 === 2 ? n + 2 * size(dimsIn(c, i)) : n),
      3 * size(dimsOut(c)),
    ),
  );

export const qgemm: CostRule = c =>
  macs(size(dimsOut(c)) * at(dimsIn(c, 0), c.attributes.int('transA', 0) !== 0 ? 0 : 1), size(dimsOut(c)));
