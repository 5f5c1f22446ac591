/**
 * The attention block of the dense families: grouped queries, rotary embedding, on request biases, norms of heads and a
 * sliding window.
 *
 * 1. `groupedAttention` is the training form: whole rows, plain ops that differentiate.
 * 2. `cachedAttention` is the inference form: GroupQueryAttention over a cache that is updated in place. q, k and v are
 *    read as one matrix where they lie side by side.
 * 3. Both trace the same parameters by name: q_proj, k_proj, v_proj, o_proj, q_norm, k_norm.
 * 4. GroupQueryAttention rotates heads whose width is a multiple of 16 and takes multiples of 8 (ONNX Runtime 1.30 on
 *    CPU). Other heads are rotated before it, and padded with zeros to a multiple of 8, which changes no score.
 * Shapes: B batch, T positions (S new ones in a step), d width, H heads, K key heads, D head width, C cache length.
 */
import type { Builder, Value } from '../ops/builder.ts';
import { attend, causalMask, type RotaryTables, rotate, segmentMask } from './attention.ts';
import { linear, project } from './layers.ts';
import { canStack, type Init, type Scope, zeroInit } from './parameters.ts';

export interface AttentionBlock {
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  /** Width d of what it reads and writes. */
  readonly hiddenSize: number;
  /** Bias on q, k and v. */
  readonly bias?: boolean;
  /** Bias on the output. */
  readonly outputBias?: boolean;
  /** Norm over each head [B, T, n, D] of query and key. */
  readonly headNorm?: (scope: Scope, x: Value) => Value;
  /** Score scale; 1/√D when absent. */
  readonly scale?: number;
  /** Keys that a query sees, its own included; all when absent. The training form has it in its mask. */
  readonly window?: number;
  /** Init of the matrices that read the residual stream and of the one that writes to it. */
  readonly init: { readonly in: Init; readonly out: Init };
}

export interface AttentionRows {
  /** Additive, as `attend` takes it. */
  readonly mask: Value;
  /** [B, T], int64. */
  readonly positions: Value;
  readonly tables: RotaryTables;
}

/** Attention of h [B, T, d] over whole rows → [B, T, d]. */
export function groupedAttention(scope: Scope, a: AttentionBlock, h: Value, rows: AttentionRows): Value {
  const { heads, keyHeads } = a;
  const [q, k, v] = separate(scope, a, h);
  const turned = (x: Value, n: number) => rotate(x, rows.positions, rows.tables, n);
  const mixed = attend(turned(q, heads), turned(k, keyHeads), v, rows.mask, a);
  return output(scope, a, mixed);
}

/** Masks of rows of `ids` [B, T] for windows, each made once; `segments` [B, T] keeps attention within documents. */
export function rowMasks(ids: Value, segments?: Value): (window?: number) => Value {
  const index = rowIndex(ids.builder, ids);
  const made = new Map<number | undefined, Value>();
  return window => {
    const mask = made.get(window) ?? maskOf(index, segments, window);
    made.set(window, mask);
    return mask;
  };
}

const maskOf = (index: Value, segments?: Value, window?: number): Value =>
  segments ? segmentMask(segments, index, window) : causalMask(index, window);

export interface CachedStep {
  /** New token ids [B, S]. */
  readonly ids: Value;
  /** Length of each row after this step, minus 1 [B], int32. */
  readonly lastPosition: Value;
  /** Longest length after this step, a scalar, int32. */
  readonly total: Value;
}

export interface CachedAttention {
  /** [B, S, d]. */
  readonly output: Value;
  /** [B, K, C, W], W the `cacheWidth`. */
  readonly key: Value;
  readonly value: Value;
}

/** Attention of new positions h [B, S, d] over a cache: `past` are key and value [B, K, C, W]. */
export function cachedAttention(
  scope: Scope,
  a: AttentionBlock,
  h: Value,
  step: CachedStep,
  past: readonly [key: Value, value: Value],
  tables: RotaryTables,
): CachedAttention {
  const fused = a.headDim % ROTATED_HEADS === 0;
  const inputs = fused ? projections(scope, a, h) : prepared(separate(scope, a, h), a, step, tables);
  const rotation = fused ? [tables.cos, tables.sin] : [];
  const [mixed, key, value] = h.builder.ops(
    'com.microsoft.GroupQueryAttention',
    [...inputs, ...past, step.lastPosition, step.total, ...rotation],
    {
      num_heads: a.heads,
      kv_num_heads: a.keyHeads,
      do_rotary: fused ? 1 : 0,
      scale: scaleOf(a),
      local_window_size: a.window,
    },
    3,
  ) as [Value, Value, Value];
  return { output: output(scope, a, resized(mixed, a.heads, cacheWidth(a.headDim), a.headDim)), key, value };
}

/** The scale attribute, where the kernel's own of 1/√W is not the right one. */
function scaleOf({ headDim, scale }: AttentionBlock): number | undefined {
  if (scale === undefined && cacheWidth(headDim) === headDim) return undefined;
  return scale ?? 1 / Math.sqrt(headDim);
}

const ROTATED_HEADS = 16;
const ATTENDED_HEADS = 8;

/** Width of a head in the cache. */
export const cacheWidth = (headDim: number): number => Math.ceil(headDim / ATTENDED_HEADS) * ATTENDED_HEADS;

/** q, k and v rotated and padded, for heads that GroupQueryAttention does not rotate. */
function prepared(
  [q, k, v]: readonly [Value, Value, Value],
  { heads, keyHeads, headDim }: AttentionBlock,
  step: CachedStep,
  tables: RotaryTables,
): [Value, Value, Value] {
  const positions = stepPositions(step);
  const pad = (x: Value, n: number) => resized(x, n, headDim, cacheWidth(headDim));
  return [
    pad(rotate(q, positions, tables, heads), heads),
    pad(rotate(k, positions, tables, keyHeads), keyHeads),
    pad(v, keyHeads),
  ];
}

/** Positions [B, S] of the new tokens: they start at 0 in a prompt and otherwise end at the row's last position. */
export function stepPositions({ ids, lastPosition, total }: CachedStep): Value {
  const b = ids.builder;
  const steps = rowIndex(b, ids);
  const length = b.op('Shape', [ids], { start: 1, end: 2 });
  const past = lastPosition.cast('int64').add(1).sub(length);
  const start = b.where(total.cast('int64').equal(length), 0, past);
  return start
    .unsqueeze([1])
    .add(steps.unsqueeze([0]))
    .max(0);
}

/** 0 … T−1 as int64 [T] for ids [B, T], T possibly symbolic. */
function rowIndex(b: Builder, ids: Value): Value {
  const length = b.op('Shape', [ids], { start: 1, end: 2 }).squeeze([0]);
  return b.op('Range', [b.scalar(0, 'int64'), length, b.scalar(1, 'int64')], {});
}

/** Each head of x [B, S, heads·from] cut or padded with zeros to the width `to`. */
function resized(x: Value, heads: number, from: number, to: number): Value {
  if (from === to) return x;
  const split = x.reshape([0, 0, heads, from]);
  const padding = split.builder.ints([0, 0, 0, 0, 0, 0, 0, to - from]);
  return split.builder.op('Pad', [split, padding], {}).reshape([0, 0, heads * to]);
}

const NAMES = ['q_proj', 'k_proj', 'v_proj'] as const;

const rowsOf = ({ heads, keyHeads, headDim }: AttentionBlock): number[] =>
  [heads, keyHeads, keyHeads].map(n => n * headDim);

/**
 * What attention over a cache reads: all three as one [B, S, (H + 2K)·D], or q, k and v where heads are normed. Either way
 * they are one product where their matrices lie side by side.
 */
function projections(scope: Scope, a: AttentionBlock, h: Value): (Value | undefined)[] {
  const rows = rowsOf(a);
  const stacks = canStack(rows, a.hiddenSize) && (!a.bias || canStack(rows, 1));
  if (scope.trace.product || !stacks) return separate(scope, a, h);
  const product = stackedProduct(scope, a, h, rows);
  if (!a.headNorm) return [product, undefined, undefined];
  const [q, k, v] = h.builder.ops('Split', [product, h.builder.ints(rows)], { axis: -1 }, 3) as [
    Value,
    Value,
    Value,
  ];
  return normedHeads(scope, a, [q, k, v]);
}

/** q, k and v side by side, biases added. */
function stackedProduct(scope: Scope, a: AttentionBlock, h: Value, rows: readonly number[]): Value {
  const part = (kind: string) => NAMES.map(n => `${n}.${kind}`);
  const product = project(h, scope.stacked(part('weight'), rows, a.hiddenSize, a.init.in));
  return a.bias ? product.add(scope.stacked(part('bias'), rows, undefined, zeroInit)) : product;
}

/** q, k and v of h [B, T, d] as three, heads normed. */
function separate(scope: Scope, a: AttentionBlock, h: Value): [Value, Value, Value] {
  const rows = rowsOf(a);
  const [q, k, v] = NAMES.map((name, i) =>
    linear(scope.child(name), h, rows[i] as number, { bias: a.bias, init: a.init.in }),
  ) as [Value, Value, Value];
  return normedHeads(scope, a, [q, k, v]);
}

const normedHeads = (
  scope: Scope,
  a: AttentionBlock,
  [q, k, v]: readonly [Value, Value, Value],
): [Value, Value, Value] => {
  const qn = normed(scope.child('q_norm'), a, q, a.heads);
  return [qn, normed(scope.child('k_norm'), a, k, a.keyHeads), v];
};

/** The norm over each head of x [B, T, n·D]; x itself where there is none. */
function normed(scope: Scope, { headNorm, headDim }: AttentionBlock, x: Value, heads: number): Value {
  if (!headNorm) return x;
  return headNorm(scope, x.reshape([0, 0, heads, headDim])).reshape([0, 0, heads * headDim]);
}

const output = (scope: Scope, a: AttentionBlock, mixed: Value): Value =>
  linear(scope.child('o_proj'), mixed, a.hiddenSize, { bias: a.outputBias, init: a.init.out });
