/**
 * Attention for training: plain ops that differentiate, one mask for all layers, fused rotary embedding.
 *
 * 1. Rotary angles come from tables [maxPositions, D/2] gathered by position, so packed rows restart at 0.
 * 2. Masks are additive (0 or −1e9) and made once a graph.
 * 3. Grouped queries share keys by broadcasting over the group axis; nothing is repeated in memory.
 * Shapes: B batch, T positions, H query heads, K key heads, G = H/K, D head width.
 */
import { float32 } from '../graph/ir.ts';
import type { Builder, Value } from '../ops/builder.ts';
import { type RopeOptions, ropeFrequencies } from './rope-scaling.ts';

const MASKED = -1e9;

export interface RotaryTables {
  /** [maxPositions, D/2]. */
  readonly cos: Value;
  readonly sin: Value;
}

export interface RotaryOptions extends RopeOptions {
  readonly maxPositions: number;
  /** Prefix of the tables' names, for models with several; `rotary` when absent. */
  readonly name?: string;
}

/** Cosines and sines of the angles t · f_i as constants of the graph. */
export function rotaryTables(b: Builder, options: RotaryOptions): RotaryTables {
  const { maxPositions, name = 'rotary' } = options;
  const { frequencies, attentionFactor } = ropeFrequencies(options);
  const half = frequencies.length;
  const cos = new Float32Array(maxPositions * half);
  const sin = new Float32Array(maxPositions * half);
  for (let t = 0; t < maxPositions; t++) {
    for (let i = 0; i < half; i++) {
      const angle = t * (frequencies[i] as number);
      cos[t * half + i] = attentionFactor * Math.cos(angle);
      sin[t * half + i] = attentionFactor * Math.sin(angle);
    }
  }
  const dims = [maxPositions, half];
  return {
    cos: b.initializer(`${name}.cos`, float32(dims, cos)),
    sin: b.initializer(`${name}.sin`, float32(dims, sin)),
  };
}

/** Rotates x [B, T, heads·D] by `positions` [B, T] (int64), halves layout or, if `interleaved`, adjacent pairs. */
export function rotate(
  x: Value,
  positions: Value,
  tables: RotaryTables,
  heads: number,
  interleaved = false,
): Value {
  return x.builder.op('com.microsoft.RotaryEmbedding', [x, positions, tables.cos, tables.sin], {
    num_heads: heads,
    interleaved: interleaved ? 1 : 0,
  });
}

/**
 * Causal mask [T, T] from row positions [T] that count up: 0 where query i may see key j: i − window < j ≤ i, or all
 * j ≤ i without a window.
 */
export function causalMask(index: Value, window?: number): Value {
  return index.builder.where(causal(index, window), 0, MASKED);
}

/** The same within segments [B, 1, 1, T, T]: `segments` [B, T], `index` [T] counting up. */
export function segmentMask(segments: Value, index: Value, window?: number): Value {
  const same = segments.unsqueeze([2]).equal(segments.unsqueeze([1]));
  const allowed = index.builder.op('And', [same, causal(index, window)], {});
  return index.builder.where(allowed, 0, MASKED).unsqueeze([1, 2]);
}

function causal(index: Value, window?: number): Value {
  const [query, key] = [index.unsqueeze([1]), index.unsqueeze([0])];
  const past = query.greaterOrEqual(key);
  return window === undefined ? past : index.builder.op('And', [past, query.sub(key).less(window)], {});
}

export interface AttentionShape {
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  /** Width of a head's values; D when absent. */
  readonly valueDim?: number;
  /** Score scale; 1/√D when absent. */
  readonly scale?: number;
}

/**
 * softmax(q kᵀ · scale + mask) v. q [B, T, H·D], k [B, T, K·D], v [B, T, K·Dv], mask broadcastable to
 * [B, K, G, T, T] (or [B, H, T, T] when K = H). Returns [B, T, H·Dv].
 */
export function attend(q: Value, k: Value, v: Value, mask: Value, shape: AttentionShape): Value {
  const { heads, keyHeads, headDim, valueDim = headDim } = shape;
  const scale = shape.scale ?? 1 / Math.sqrt(headDim);
  const grouped = keyHeads !== heads;
  const split = grouped ? groupHeads(q, keyHeads, heads / keyHeads, headDim) : splitHeads(q, heads, headDim);
  const keys = grouped ? groupHeads(k, keyHeads, 1, headDim) : splitHeads(k, heads, headDim);
  const values = grouped ? groupHeads(v, keyHeads, 1, valueDim) : splitHeads(v, heads, valueDim);
  const scores = q.builder.op('com.microsoft.FusedMatMul', [split, keys], { transB: 1, alpha: scale });
  const m = !grouped && mask.rank === 5 ? mask.squeeze([2]) : mask;
  const mixed = scores.add(m).softmax(-1).matmul(values);
  const back = grouped ? mixed.transpose([0, 3, 1, 2, 4]) : mixed.transpose([0, 2, 1, 3]);
  return back.reshape([0, 0, heads * valueDim]);
}

/** [B, T, H·D] → [B, H, T, D]. */
const splitHeads = (x: Value, heads: number, headDim: number): Value =>
  x.reshape([0, 0, heads, headDim]).transpose([0, 2, 1, 3]);

/** [B, T, K·G·D] → [B, K, G, T, D]. */
const groupHeads = (x: Value, keyHeads: number, group: number, headDim: number): Value =>
  x.reshape([0, 0, keyHeads, group, headDim]).transpose([0, 2, 3, 1, 4]);
