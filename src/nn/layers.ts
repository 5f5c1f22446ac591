/**
 * Layers: functions from a scope and symbolic tensors to symbolic tensors.
 *
 * 1. Weights are [out, in] as in PyTorch and Hugging Face files; y = x Wᵀ is one FusedMatMul.
 * 2. Training and inference trace the same functions. What has a fused kernel with a gradient rule uses it in both.
 * Shapes: B batch, T positions, d model width, H heads, D head width, V vocabulary.
 */
import { staticDims } from '../graph/ir.ts';
import type { Value } from '../ops/builder.ts';
import { type Init, normal, ones, type Scope, zeroInit } from './parameters.ts';

export interface LinearOptions {
  readonly bias?: boolean;
  readonly init?: Init;
}

/** x [..., in] Wᵀ (+ b): a product with a weight stored as [out, in]. */
export const project = (x: Value, weight: Value): Value =>
  x.builder.op('com.microsoft.FusedMatMul', [x, weight], { transB: 1 });

/** Linear layer [..., in] → [..., out], parameters `weight` [out, in] and, on request, `bias` [out]. */
export function linear(scope: Scope, x: Value, outFeatures: number, options: LinearOptions = {}): Value {
  const inFeatures = lastDim(x);
  const weight = scope.parameter('weight', [outFeatures, inFeatures], options.init ?? normal(0.02));
  const y = project(x, weight);
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

/**
 * y = x / sqrt(mean(x²) + ε) · g over the last axis (Zhang & Sennrich 2019). The second output, 1/sqrt(…) a row, is
 * asked for because the gradient reads it.
 */
export function rmsNorm(scope: Scope, x: Value, epsilon = 1e-6): Value {
  const gain = scope.parameter('weight', [lastDim(x)], ones);
  return x.builder.ops('SimplifiedLayerNormalization', [x, gain], { axis: -1, epsilon }, 2)[0] as Value;
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

/** SwiGLU feed-forward (Shazeer 2020): (SiLU(x Wgᵀ) ⊙ x Wuᵀ) Wdᵀ. */
export function swiglu(
  scope: Scope,
  x: Value,
  intermediateSize: number,
  init: { readonly in?: Init; readonly out?: Init } = {},
): Value {
  const gate = linear(scope.child('gate_proj'), x, intermediateSize, { init: init.in });
  const up = linear(scope.child('up_proj'), x, intermediateSize, { init: init.in });
  return linear(scope.child('down_proj'), silu(gate).mul(up), lastDim(x), { init: init.out });
}

/** The last dimension, which layers need as a number. */
export function lastDim(x: Value): number {
  const known = staticDims(x.shape.slice(-1));
  if (!known) throw new Error(`the last dimension of ${x.name} [${x.shape}] must be a number`);
  return known[0] as number;
}
