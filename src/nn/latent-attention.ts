/**
 * Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434 §2.1): keys and values of all heads are products of one latent
 * of width r, positions sit in a rotary part that all keys share.
 *
 * 1. Plain form, for training: k_i = [W^UK_i c; k^R], v_i = W^UV_i c for every head, then ordinary attention.
 * 2. Absorbed form: (W^UK_i)ᵀ q_i meets the latents themselves, and W^UV_i is applied to the mixed latents. The same
 *    numbers, from a cache of r + D_R elements a token. Here over whole rows (for gradients) and over a cache.
 * 3. Over a cache it is GroupQueryAttention with one key head, whose key and value are the same buffer [c; k^R]: what
 *    comes out beyond the r latent columns is dropped.
 * 4. The norms of both latents keep ε = 1e-6, whatever the model's own (DeepSeek's code, and transformers).
 * Shapes: B batch, T positions (S new ones in a step), d width, H heads, N width without position, R rotated width,
 * V value width, r latent width, W the cached width.
 */
import { float32 } from '../graph/ir.ts';
import type { Builder, Value } from '../ops/builder.ts';
import { attend, type RotaryTables, rotate } from './attention.ts';
import {
  type AttentionRows,
  type CachedAttention,
  type CachedStep,
  cacheWidth,
  stepPositions,
} from './grouped-attention.ts';
import { linear, rmsNorm } from './layers.ts';
import type { Init, Scope } from './parameters.ts';

export interface LatentAttention {
  readonly heads: number;
  /** Width d of what it reads and writes. */
  readonly hiddenSize: number;
  /** Width of the queries' latent; queries are made from d directly when absent. */
  readonly qLoraRank?: number;
  readonly kvLoraRank: number;
  readonly qkNopeHeadDim: number;
  readonly qkRopeHeadDim: number;
  readonly vHeadDim: number;
  readonly scale: number;
  /** Biases on what reads and on what writes the residual stream. */
  readonly bias?: boolean;
  /** Rotate adjacent pairs, as DeepSeek's files want it, or halves. */
  readonly interleaved: boolean;
  /** Inits of matrices that read the residual stream, that read a latent of a width, and that write. */
  readonly init: { readonly in: Init; readonly latent: (width: number) => Init; readonly out: Init };
}

export type LatentForm = 'plain' | 'absorbed';

const EPSILON = 1e-6;

/** Elements a token in the cache, rounded up to what the kernel takes. */
export const latentCacheWidth = (a: Pick<LatentAttention, 'kvLoraRank' | 'qkRopeHeadDim'>): number =>
  cacheWidth(a.kvLoraRank + a.qkRopeHeadDim);

/** Attention of h [B, T, d] over whole rows → [B, T, d]. */
export function latentAttention(
  scope: Scope,
  a: LatentAttention,
  h: Value,
  rows: AttentionRows,
  form: LatentForm = 'plain',
): Value {
  const parts = projected(scope, a, h, rows.positions, rows.tables);
  const mixed = form === 'plain' ? plain(scope, a, parts, rows.mask) : absorbed(scope, a, parts, rows.mask);
  return linear(scope.child('o_proj'), mixed, a.hiddenSize, { bias: a.bias, init: a.init.out });
}

interface Parts {
  /** [B, T, H, N]. */
  readonly qNope: Value;
  /** [B, T, H, R], rotated. */
  readonly qRope: Value;
  /** [B, T, r], normed. */
  readonly latent: Value;
  /** [B, T, R], rotated. */
  readonly kRope: Value;
}

function projected(
  scope: Scope,
  a: LatentAttention,
  h: Value,
  positions: Value,
  tables: RotaryTables,
): Parts {
  const { heads, qkNopeHeadDim: nope, qkRopeHeadDim: rope, kvLoraRank } = a;
  const turned = (x: Value, n: number) => rotate(x, positions, tables, n, a.interleaved);
  const [qNope, q] = queries(scope, a, h)
    .reshape([0, 0, heads, nope + rope])
    .split([nope, rope]) as [Value, Value];
  const width = kvLoraRank + rope;
  const down = linear(scope.child('kv_a_proj_with_mqa'), h, width, { bias: a.bias, init: a.init.in });
  const [c, k] = down.split([kvLoraRank, rope]) as [Value, Value];
  return {
    qNope,
    qRope: turned(q.reshape([0, 0, heads * rope]), heads).reshape([0, 0, heads, rope]),
    latent: rmsNorm(scope.child('kv_a_layernorm'), c, EPSILON),
    kRope: turned(k, 1),
  };
}

/** [B, T, H·(N + R)]. */
function queries(scope: Scope, a: LatentAttention, h: Value): Value {
  const width = a.heads * (a.qkNopeHeadDim + a.qkRopeHeadDim);
  if (a.qLoraRank === undefined) return linear(scope.child('q_proj'), h, width, { init: a.init.in });
  const down = linear(scope.child('q_a_proj'), h, a.qLoraRank, { bias: a.bias, init: a.init.in });
  const normed = rmsNorm(scope.child('q_a_layernorm'), down, EPSILON);
  return linear(scope.child('q_b_proj'), normed, width, { init: a.init.latent(a.qLoraRank) });
}

/** [B, T, H·V]. */
function plain(scope: Scope, a: LatentAttention, parts: Parts, mask: Value): Value {
  const { heads, qkNopeHeadDim: nope, qkRopeHeadDim: rope, vHeadDim } = a;
  const b = scope.builder;
  const joined = upProduct(scope, a, parts.latent).reshape([0, 0, heads, nope + vHeadDim]);
  const [kNope, v] = joined.split([nope, vHeadDim]) as [Value, Value];
  const shared = parts.kRope.unsqueeze([2]).expandTo(b.ints([1, 1, heads, 1]));
  const flat = (x: Value, width: number) => x.reshape([0, 0, heads * width]);
  return attend(
    flat(b.concat([parts.qNope, parts.qRope], 3), nope + rope),
    flat(b.concat([kNope, shared], 3), nope + rope),
    flat(v, vHeadDim),
    mask,
    { heads, keyHeads: heads, headDim: nope + rope, valueDim: vHeadDim, scale: a.scale },
  );
}

const upProduct = (scope: Scope, a: LatentAttention, latent: Value): Value =>
  linear(scope.child('kv_b_proj'), latent, a.heads * (a.qkNopeHeadDim + a.vHeadDim), {
    init: a.init.latent(a.kvLoraRank),
  });

/** W^UK [H, N, r] and W^UV [H, V, r]. */
function upMatrices(scope: Scope, a: LatentAttention): [Value, Value] {
  const { heads, qkNopeHeadDim: nope, vHeadDim, kvLoraRank } = a;
  const up = upMatrix(scope, a).reshape([heads, nope + vHeadDim, kvLoraRank]);
  return up.split([nope, vHeadDim], 1) as [Value, Value];
}

/** kv_b_proj's matrix; under an adapter, what the product makes of the unit vectors. */
function upMatrix(scope: Scope, a: LatentAttention): Value {
  const { heads, qkNopeHeadDim, vHeadDim, kvLoraRank, init } = a;
  const dims = [heads * (qkNopeHeadDim + vHeadDim), kvLoraRank];
  if (!scope.trace.product)
    return scope.child('kv_b_proj').parameter('weight', dims, init.latent(kvLoraRank));
  return upProduct(scope, a, identity(scope.builder, kvLoraRank)).transpose([1, 0]);
}

const identity = (b: Builder, n: number): Value =>
  b.constant(
    float32(
      [n, n],
      Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
    ),
  );

/** [B, T, H·V], over whole rows. */
function absorbed(scope: Scope, a: LatentAttention, parts: Parts, mask: Value): Value {
  const b = scope.builder;
  const [upKey, upValue] = upMatrices(scope, a);
  const heads = (x: Value) => x.transpose([0, 2, 1, 3]);
  const query = b.concat([heads(parts.qNope).matmul(upKey), heads(parts.qRope)], 3);
  const key = b.concat([parts.latent, parts.kRope], 2).unsqueeze([1]);
  const scores = b.op('com.microsoft.FusedMatMul', [query, key], { transB: 1, alpha: a.scale });
  const masked = scores.add(mask.rank === 5 ? mask.squeeze([2]) : mask);
  const mixed = masked.softmax(-1).matmul(parts.latent.unsqueeze([1]));
  const values = b.op('com.microsoft.FusedMatMul', [mixed, upValue], { transB: 1 });
  return heads(values).reshape([0, 0, a.heads * a.vHeadDim]);
}

/** Attention of new positions h [B, S, d] over a cache [B, 1, C, W], given twice: as key and as value. */
export function cachedLatentAttention(
  scope: Scope,
  a: LatentAttention,
  h: Value,
  step: CachedStep,
  past: readonly [key: Value, value: Value],
  tables: RotaryTables,
): CachedAttention {
  const b = scope.builder;
  const { heads, kvLoraRank, qkRopeHeadDim: rope } = a;
  const width = latentCacheWidth(a);
  const parts = projected(scope, a, h, stepPositions(step), tables);
  const [upKey, upValue] = upMatrices(scope, a);
  const rowDims = step.ids.dims();
  const query = padded(b.concat([perHead(parts.qNope, upKey, a, rowDims), parts.qRope], 3), width);
  const key = padded(b.concat([parts.latent, parts.kRope], 2), width);
  const inputs = [query.reshape([0, 0, heads * width]), key, key, ...past, step.lastPosition, step.total];
  const attributes = { num_heads: heads, kv_num_heads: 1, do_rotary: 0, scale: a.scale };
  const outputs = b.ops('com.microsoft.GroupQueryAttention', inputs, attributes, 3);
  const [mixed, presentKey, presentValue] = outputs as [Value, Value, Value];
  const latents = mixed.reshape([0, 0, heads, width]).split([kvLoraRank, width - kvLoraRank])[0] as Value;
  const values = perHead(latents, upValue.transpose([0, 2, 1]), a, rowDims);
  const output = linear(scope.child('o_proj'), values.reshape([0, 0, heads * a.vHeadDim]), a.hiddenSize, {
    bias: a.bias,
    init: a.init.out,
  });
  return { output, key: presentKey, value: presentValue };

  function padded(x: Value, to: number): Value {
    const missing = to - kvLoraRank - rope;
    if (missing === 0) return x;
    const pads = Array.from({ length: 2 * x.rank }, (_, i) => (i === 2 * x.rank - 1 ? missing : 0));
    return b.op('Pad', [x, b.ints(pads)], {});
  }
}

/** x [B, S, H, n] times a matrix a head [H, n, m] → [B, S, H, m], one product a head for all rows. */
function perHead(x: Value, matrices: Value, { heads }: LatentAttention, rowDims: Value): Value {
  const b = x.builder;
  const [, from, to] = matrices.shape as [number, number, number];
  const product = x.reshape([-1, heads, from]).transpose([1, 0, 2]).matmul(matrices).transpose([1, 0, 2]);
  return product.reshapeTo(b.concat([rowDims, b.ints([heads, to])], 0));
}
