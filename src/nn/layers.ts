/**
 * Layers: functions from a scope and symbolic tensors to symbolic tensors.
 *
 * 1. Weights are [out, in] as in PyTorch and Hugging Face files; y = x Wᵀ is one FusedMatMul.
 * 2. Training and inference trace the same functions. What has a fused kernel with a gradient rule uses it in both.
 * Shapes: B batch, T positions, d model width, H heads, D head width, V vocabulary.
 */
import { staticDims } from '../graph/ir.ts';
import type { Value } from '../ops/builder.ts';
import { canStack, type Init, type LinearProduct, normal, ones, type Scope, zeroInit } from './parameters.ts';

export interface LinearOptions {
  readonly bias?: boolean;
  readonly init?: Init;
}

/** x [..., in] Wᵀ (+ b): a product with a weight stored as [out, in]. */
export const project = (x: Value, weight: Value): Value =>
  x.builder.op('com.microsoft.FusedMatMul', [x, weight], { transB: 1 });

const weighted: LinearProduct = (scope, x, outFeatures, init) =>
  project(x, scope.parameter('weight', [outFeatures, lastDim(x)], init));

/** Linear layer [..., in] → [..., out], parameters `weight` [out, in] and, on request, `bias` [out]. */
export function linear(scope: Scope, x: Value, outFeatures: number, options: LinearOptions = {}): Value {
  const product = scope.trace.product ?? weighted;
  const y = product(scope, x, outFeatures, options.init ?? normal(0.02));
  return options.bias ? y.add(scope.parameter('bias', [outFeatures], zeroInit)) : y;
}

/** Rows of `weight` [V, d] at integer ids [...] → [..., d]. */
export function embedding(
  scope: Scope,
  ids: Value,
  rows: number,
  width: number,
  init: Init = normal(0.02),
): Value {
  return scope.parameter('weight', [rows, width], init).gather(ids);
}

/** How a norm's weight is stored: the gain itself, or its distance from 1 (Gemma), so that weight decay pulls it there. */
export type GainForm = 'gain' | 'offset';

function normGain(scope: Scope, width: number, form: GainForm): Value {
  if (form === 'gain') return scope.parameter('weight', [width], ones);
  return scope.parameter('weight', [width], zeroInit).add(1);
}

/**
 * y = x / sqrt(mean(x²) + ε) · g over the last axis (Zhang & Sennrich 2019). The second output, 1/sqrt(…) a row, is
 * asked for because the gradient reads it.
 */
export function rmsNorm(scope: Scope, x: Value, epsilon = 1e-6, form: GainForm = 'gain'): Value {
  const gain = normGain(scope, lastDim(x), form);
  return x.builder.ops('SimplifiedLayerNormalization', [x, gain], { axis: -1, epsilon }, 2)[0] as Value;
}

/** rmsNorm(x + skip), and the sum itself, in one kernel; it has no gradient. */
export function skipRmsNorm(
  scope: Scope,
  x: Value,
  skip: Value,
  epsilon = 1e-6,
  form: GainForm = 'gain',
): { normed: Value; sum: Value } {
  const inputs = [x, skip, normGain(scope, lastDim(x), form)];
  const key = 'com.microsoft.SkipSimplifiedLayerNormalization';
  const outputs = x.builder.ops(key, inputs, { epsilon }, 4);
  return { normed: outputs[0] as Value, sum: outputs[3] as Value };
}

/** y = (x − mean) / sqrt(var + ε) · g (+ b) over the last axis (Ba et al. 2016). */
export function layerNorm(scope: Scope, x: Value, options: { epsilon?: number; bias?: boolean } = {}): Value {
  const width = lastDim(x);
  const gain = scope.parameter('weight', [width], ones);
  const bias = options.bias === false ? undefined : scope.parameter('bias', [width], zeroInit);
  return x.builder.op('LayerNormalization', [x, gain, bias], { axis: -1, epsilon: options.epsilon ?? 1e-5 });
}

/** SiLU: x · σ(x), one kernel. */
export const silu = (x: Value): Value => x.builder.op('com.microsoft.QuickGelu', [x], { alpha: 1 });

/** GELU, exact: x · Φ(x). */
export const gelu = (x: Value): Value => x.builder.op('com.microsoft.Gelu', [x], {});

/** GELU by tanh: x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))). */
export const geluTanh = (x: Value): Value => x.builder.op('com.microsoft.FastGelu', [x], {});

export interface FeedForwardOptions {
  /** Init of the matrices that read x. */
  readonly in?: Init;
  /** Init of the matrix that writes. */
  readonly out?: Init;
  /** Biases on all three matrices. */
  readonly bias?: boolean;
  /** Gate and up as one product where they lie side by side: for the inference form. */
  readonly joined?: boolean;
}

/** Gated feed-forward (Shazeer 2020): (act(x Wgᵀ) ⊙ x Wuᵀ) Wdᵀ. */
function gated(
  activation: (x: Value) => Value,
  scope: Scope,
  x: Value,
  intermediateSize: number,
  options: FeedForwardOptions,
): Value {
  const [gate, up] = gateAndUp(scope, x, intermediateSize, options);
  const { out, bias } = options;
  return linear(scope.child('down_proj'), activation(gate).mul(up), lastDim(x), { init: out, bias });
}

function gateAndUp(
  scope: Scope,
  x: Value,
  intermediateSize: number,
  { in: init = normal(0.02), bias, joined }: FeedForwardOptions,
): [Value, Value] {
  const rows = [intermediateSize, intermediateSize];
  if (joined && !bias && !scope.trace.product && canStack(rows, lastDim(x))) {
    const weight = scope.stacked(['gate_proj.weight', 'up_proj.weight'], rows, lastDim(x), init);
    const both = { axis: -1, num_outputs: 2 };
    return x.builder.ops('Split', [project(x, weight)], both, 2) as [Value, Value];
  }
  const part = (name: string) => linear(scope.child(name), x, intermediateSize, { init, bias });
  return [part('gate_proj'), part('up_proj')];
}

/** Gated feed-forward with SiLU. */
export const swiglu = (scope: Scope, x: Value, intermediateSize: number, options: FeedForwardOptions = {}) =>
  gated(silu, scope, x, intermediateSize, options);

/** Gated feed-forward with GELU by tanh. */
export const geglu = (scope: Scope, x: Value, intermediateSize: number, options: FeedForwardOptions = {}) =>
  gated(geluTanh, scope, x, intermediateSize, options);

/** The last dimension, which layers need as a number. */
export function lastDim(x: Value): number {
  const known = staticDims(x.shape.slice(-1));
  if (!known) throw new Error(`the last dimension of ${x.name} [${x.shape}] must be a number`);
  return known[0] as number;
}
