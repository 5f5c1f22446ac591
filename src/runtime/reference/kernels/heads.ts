/**
 * Attention on heads, shared by every attention op.
 *
 * 1. Heads are [batch, heads, length, size]. Queries may have a multiple of the key heads (grouped queries).
 * 2. scores = softcap(scale · q·kᵀ) + bias, where a bias of −∞ masks; softmax may have one more logit (a sink) that
 *    takes probability and gives nothing. A row that is masked throughout gives zeros.
 */
import { sizeOf, type Tensor } from '../../../graph/ir.ts';
import type { KernelContext } from '../kernel.ts';
import { broadcastOffsets, reshaped, transposed } from '../layout.ts';
import { doubles, store } from '../tensor.ts';

export type HeadDims = readonly [batch: number, heads: number, length: number, size: number];

export interface Heads {
  readonly dims: HeadDims;
  readonly values: Float64Array;
}

/** What is added to score [b, h, i, j]. */
export type Bias = (b: number, h: number, i: number, j: number) => number;

export interface AttentionCase {
  readonly q: Heads;
  readonly k: Heads;
  readonly v: Heads;
  readonly scale: number;
  /** No cap when 0. */
  readonly softcap: number;
  readonly bias: Bias;
  /** The sink's logit for head h; no sink when absent. */
  readonly sink?: (h: number) => number;
}

export interface AttentionResult {
  readonly output: Heads;
  /** [batch, heads, queries, keys], at each stage. */
  readonly scores: Float64Array;
  readonly capped: Float64Array;
  readonly biased: Float64Array;
  readonly probabilities: Float64Array;
}

const dot = (x: Float64Array, at: number, y: Float64Array, from: number, n: number): number => {
  let sum = 0;
  for (let k = 0; k < n; k++) sum += x[at + k] * y[from + k];
  return sum;
};

/** scale · q·kᵀ: [batch, heads, queries, keys]. */
function scaledScores({ q, k, scale }: AttentionCase): Float64Array {
  const [batch, heads, queries, size] = q.dims;
  const [, kvHeads, keys] = k.dims;
  const out = new Float64Array(batch * heads * queries * keys);
  for (let row = 0; row < batch * heads * queries; row++) {
    const source = kvSource(row, [batch, heads, queries, size], kvHeads) * keys;
    for (let j = 0; j < keys; j++) {
      out[row * keys + j] = scale * dot(q.values, row * size, k.values, (source + j) * size, size);
    }
  }
  return out;
}

/** Which [batch, kv head] matrix the query row (batch, head, query flattened) reads. */
function kvSource(row: number, [, heads, queries]: HeadDims, kvHeads: number): number {
  const head = Math.floor(row / queries);
  const b = Math.floor(head / heads);
  return b * kvHeads + Math.floor(((head % heads) * kvHeads) / heads);
}

function withBias(scores: Float64Array, { q, k, bias }: AttentionCase): Float64Array {
  const [, heads, queries] = q.dims;
  const keys = k.dims[2];
  return scores.map((s, at) => {
    const row = Math.floor(at / keys);
    const head = Math.floor(row / queries);
    const added = bias(Math.floor(head / heads), head % heads, row % queries, at % keys);
    return added === -Infinity ? -Infinity : s + added;
  });
}

function softmaxRows(scores: Float64Array, { q, k, sink }: AttentionCase): Float64Array {
  const [, heads, queries] = q.dims;
  const keys = k.dims[2];
  const out = new Float64Array(scores.length);
  for (let at = 0; at < scores.length; at += keys) {
    const extra = sink?.(Math.floor(at / keys / queries) % heads) ?? -Infinity;
    softmaxRow(scores.subarray(at, at + keys), out.subarray(at, at + keys), extra);
  }
  return out;
}

function softmaxRow(row: Float64Array, out: Float64Array, extra: number): void {
  const top = row.reduce((a, b) => Math.max(a, b), extra);
  if (top === -Infinity) return;
  let total = Math.exp(extra - top);
  for (let j = 0; j < row.length; j++) total += out[j] = Math.exp(row[j] - top);
  for (let j = 0; j < row.length; j++) out[j] /= total;
}

function weighted(probabilities: Float64Array, { q, k, v }: AttentionCase): Heads {
  const [batch, heads, queries] = q.dims;
  const [, kvHeads, keys, size] = v.dims;
  const out = new Float64Array(batch * heads * queries * size);
  for (let row = 0; row < batch * heads * queries; row++) {
    const source = kvSource(row, q.dims, kvHeads) * k.dims[2];
    for (let j = 0; j < keys; j++) {
      const p = probabilities[row * keys + j];
      if (p === 0) continue;
      for (let d = 0; d < size; d++) out[row * size + d] += p * v.values[(source + j) * size + d];
    }
  }
  return { dims: [batch, heads, queries, size], values: out };
}

export function attend(a: AttentionCase): AttentionResult {
  const scores = scaledScores(a);
  const capped = a.softcap > 0 ? scores.map(s => a.softcap * Math.tanh(s / a.softcap)) : scores;
  const biased = withBias(capped, a);
  const probabilities = softmaxRows(biased, a);
  return { output: weighted(probabilities, a), scores, capped, biased, probabilities };
}

/** [batch, length, heads · size] or [batch, heads, length, size] as heads. */
export function headsOf(c: KernelContext, t: Tensor, heads: number): Heads {
  if (t.dims.length === 4) return { dims: t.dims as HeadDims, values: doubles(t) };
  const [batch, length, width] = t.dims;
  if (t.dims.length !== 3 || !(heads > 0) || width % heads !== 0) {
    c.fail(`[${t.dims.join(', ')}] cannot be split into ${heads} heads`);
  }
  const split = reshaped(t, [batch, length, heads, width / heads]);
  return { dims: [batch, heads, length, width / heads], values: doubles(transposed(split, [0, 2, 1, 3])) };
}

/** Heads as [batch, length, heads · size]. */
export function mergeHeads({ dims, values }: Heads, dtype: Tensor['dtype']): Tensor {
  const [batch, heads, length, size] = dims;
  const turned = transposed({ dtype: 'float64', dims, data: values }, [0, 2, 1, 3]);
  return store(dtype, [batch, length, heads * size], doubles(turned));
}

export const storeHeads = ({ dims, values }: Heads, dtype: Tensor['dtype']): Tensor =>
  store(dtype, dims, values);

/** `past` followed by `next` along the length. */
export function appendHeads(past: Heads | undefined, next: Heads): Heads {
  if (!past) return next;
  const [batch, heads, , size] = next.dims;
  const [before, added] = [past.dims[2] * size, next.dims[2] * size];
  const values = new Float64Array(batch * heads * (before + added));
  for (let h = 0; h < batch * heads; h++) {
    values.set(past.values.subarray(h * before, (h + 1) * before), h * (before + added));
    values.set(next.values.subarray(h * added, (h + 1) * added), h * (before + added) + before);
  }
  return { dims: [batch, heads, past.dims[2] + next.dims[2], size], values };
}

/**
 * A bias tensor broadcast to [batch, heads, queries, keys]; bool masks with false. Keys beyond its last axis are masked.
 */
export function tensorBias(t: Tensor, [batch, heads, queries]: readonly number[]): Bias {
  const width = t.dims[t.dims.length - 1];
  const target = [batch, heads, queries, width];
  const at = broadcastOffsets(t.dims, target);
  const values = t.dtype === 'bool' ? doubles(t).map(v => (v ? 0 : -Infinity)) : doubles(t);
  if (at.length !== sizeOf(target)) throw new Error('a bias did not broadcast');
  return (b, h, i, j) => (j < width ? values[at[((b * heads + h) * queries + i) * width + j]] : -Infinity);
}

export const addBias =
  (...parts: readonly (Bias | undefined)[]): Bias =>
  (b, h, i, j) =>
    parts.reduce((sum, part) => (part ? sum + part(b, h, i, j) : sum), 0);
