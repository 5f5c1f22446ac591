/**
 * Mixture of experts.
 *
 * 1. Weights are stored [experts, out, in]: y = x · Wᵀ + b.
 * 2. Routing: softmax over all experts, the k largest, renormalized to 1 when `normalize_routing_weights` says so.
 * 3. SwiGLU: g·sigmoid(alpha·g)·(l + beta) after clamping; g and l are interleaved in FC1 (swiglu_fusion 1),
 *    side by side (2), or FC1 and FC3 (0).
 * Source: ONNX Runtime's contrib operator documentation (1.30).
 */
import { sizeOf } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { range } from '../layout.ts';
import { geluTanh, sigmoid } from '../math.ts';
import { doubles, store } from '../tensor.ts';

interface Linear {
  readonly weights: Float64Array;
  readonly bias: Float64Array | undefined;
  readonly out: number;
  readonly in: number;
}

function linearAt(c: KernelContext, weights: number, bias: number): Linear {
  const t = c.input(weights);
  const [, out, width] = t.dims;
  return { weights: doubles(t), bias: c.inputs[bias] && doubles(c.inputs[bias]), out, in: width };
}

/** x · W[expert]ᵀ + b[expert]. */
function apply(x: Float64Array, l: Linear, expert: number): Float64Array {
  return Float64Array.from({ length: l.out }, (_, o) => {
    const row = (expert * l.out + o) * l.in;
    let sum = l.bias?.[expert * l.out + o] ?? 0;
    for (let i = 0; i < l.in; i++) sum += x[i] * l.weights[row + i];
    return sum;
  });
}

const ACTIVATIONS: Record<string, (x: number) => number> = {
  relu: x => Math.max(0, x),
  // ONNX Runtime's kernel takes the tanh form.
  gelu: geluTanh,
  silu: x => x * sigmoid(x),
  identity: x => x,
};

type Hidden = (x: Float64Array, expert: number) => Float64Array;

/** The hidden layer of an expert: FC1, its activation and its gate. */
function hiddenLayer(c: KernelContext): Hidden {
  const fc1 = linearAt(c, 2, 3);
  const kind = c.attributes.string('activation_type', 'relu');
  if (kind === 'swiglu') return swigluLayer(c, fc1);
  const f = ACTIVATIONS[kind] ?? c.fail(`activation_type "${kind}" is not known`);
  const fc3 = c.inputs[6] && linearAt(c, 6, 7);
  return (x, expert) => {
    const gate = fc3 && apply(x, fc3, expert);
    return apply(x, fc1, expert).map((v, i) => f(v) * (gate?.[i] ?? 1));
  };
}

function swigluLayer(c: KernelContext, fc1: Linear): Hidden {
  const unit = swigluUnit(c);
  const fusion = c.attributes.int('swiglu_fusion', 0);
  if (fusion === 0) {
    const fc3 = linearAt(c, 6, 7);
    return (x, expert) => {
      const linear = apply(x, fc3, expert);
      return apply(x, fc1, expert).map((g, i) => unit(g, linear[i]));
    };
  }
  const half = fc1.out / 2;
  return (x, expert) => {
    const both = apply(x, fc1, expert);
    const at = (i: number) => (fusion === 1 ? [2 * i, 2 * i + 1] : [i, i + half]);
    return Float64Array.from(range(half), i => unit(both[at(i)[0]], both[at(i)[1]]));
  };
}

function swigluUnit(c: KernelContext): (g: number, l: number) => number {
  const [alpha, beta] = [c.attributes.float('activation_alpha', 1), c.attributes.float('activation_beta', 0)];
  const limit = c.attributes.float('swiglu_limit', Infinity);
  return (g, l) => {
    const gate = Math.min(g, limit);
    return gate * sigmoid(alpha * gate) * (Math.max(-limit, Math.min(limit, l)) + beta);
  };
}

interface Choice {
  readonly expert: number;
  readonly weight: number;
}

/** The k most probable experts and their weights. */
function route(logits: Float64Array, k: number, normalize: boolean): Choice[] {
  const top = Math.max(...logits);
  const e = logits.map(v => Math.exp(v - top));
  const best = range(e.length)
    .sort((i, j) => logits[j] - logits[i] || i - j)
    .slice(0, k);
  const total = normalize ? best.reduce((s, i) => s + e[i], 0) : e.reduce((a, b) => a + b, 0);
  return best.map(expert => ({ expert, weight: e[expert] / total }));
}

const mixture: Kernel = c => {
  const [x, router] = [c.input(0), c.input(1)];
  if (c.attributes.int('use_sparse_mixer', 0)) c.fail('the sparse mixer is not supported');
  const [width, experts] = [x.dims[x.dims.length - 1], router.dims[router.dims.length - 1]];
  const hidden = hiddenLayer(c);
  const fc2 = linearAt(c, 4, 5);
  const [values, logits] = [doubles(x), doubles(router)];
  const out = new Float64Array(sizeOf(x.dims));
  const k = c.attributes.int('k', 1);
  const normalize = c.attributes.int('normalize_routing_weights', 0) !== 0;
  for (let token = 0; token < values.length / width; token++) {
    const row = values.subarray(token * width, (token + 1) * width);
    for (const { expert, weight } of route(
      logits.subarray(token * experts, (token + 1) * experts),
      k,
      normalize,
    )) {
      apply(hidden(row, expert), fc2, expert).forEach((v, i) => {
        out[token * width + i] += weight * v;
      });
    }
  }
  return [store(x.dtype, x.dims, out)];
};

export const EXPERTS = { 'com.microsoft.MoE': mixture } as const satisfies KernelFamily;
