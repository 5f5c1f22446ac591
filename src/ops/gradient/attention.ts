/**
 * Gradients of attention ops, by decomposition: the plain ops that say the same are emitted and differentiated.
 *
 * 1. Grouped heads stay one product a key head: queries are [B, Hkv, G, S, D], keys [B, Hkv, 1, T, D].
 * 2. Only the training form has a gradient: no cache. Everything else says so.
 * 3. A rotation goes back by the rotation through the negative angle: the same op with −sin.
 */
import type { Value } from '../builder.ts';
import { type GradientContext, none } from '../rule.ts';
import { decomposed, extentOf, first, input, iota } from './common.ts';
import type { Family } from './family.ts';

const INFERENCE = none('it is an inference op; write training graphs with plain ops');

/** q [B, H, S, D], k [B, Hkv, T, D], v [B, Hkv, T, Dv]; bias is added to scores and broadcasts to [B, H, S, T]. */
interface Heads {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  readonly bias?: Value;
  readonly scale: number;
  /** Scores become softcap·tanh(scores/softcap) before the bias; 0 leaves them alone. */
  readonly softcap: number;
  readonly causal: boolean;
}

/** A mask or bias of rank ≤ 4 over [B, H, S, T] as one over [B, Hkv, G, S, T]. */
function groupedBias(bias: Value, groups: readonly [number, number]): Value {
  if (bias.rank < 3) return bias;
  const axis = bias.rank - 3;
  if (bias.shape[axis] === 1) return bias.unsqueeze([axis]);
  return bias.reshape([...bias.shape.slice(0, axis).map(() => 0), ...groups, ...splitTail(bias, axis + 1)]);
}

/** The dims from `axis` on as Reshape literals, one run-time dim at most. */
const splitTail = (v: Value, axis: number): number[] =>
  v.shape.slice(axis).map(d => (typeof d === 'number' ? d : -1));

/** 0 where key ≤ query, else a large negative number. [S, T] */
function causalBias(scores: Value): Value {
  const [s, t] = [scores.rank - 2, scores.rank - 1];
  const rows = iota(scores, extentOf(scores, s)).reshape([-1, 1]);
  const columns = iota(scores, extentOf(scores, t)).reshape([1, -1]);
  return scores.builder.where(columns.lessOrEqual(rows), scores.builder.scalar(0, scores.dtype), -1e9);
}

/** softmax(softcap(scale·q·kᵀ) + bias)·v as [B, Hkv, G, S, Dv]. */
function attend({ q, k, v, bias, scale, softcap, causal }: Heads): Value {
  const groups = [k.shape[1] as number, (q.shape[1] as number) / (k.shape[1] as number)] as const;
  const grouped = q.reshape([0, ...groups, ...splitTail(q, 2)]);
  const scores = q.builder.op('com.microsoft.FusedMatMul', [grouped, k.unsqueeze([2])], {
    alpha: scale,
    transB: 1,
  });
  const capped = softcap > 0 ? scores.div(softcap).tanh().mul(softcap) : scores;
  const biased = bias ? capped.add(groupedBias(bias, groups)) : capped;
  return (causal ? biased.add(causalBias(biased)) : biased).softmax(-1).matmul(v.unsqueeze([2]));
}

/** [B, S, H·D] as [B, H, S, D]. */
const splitHeads = (x: Value, heads: number): Value => {
  const width = x.shape[2];
  const tail = typeof width === 'number' ? width / heads : -1;
  return x.reshape([0, 0, heads, tail]).transpose([0, 2, 1, 3]);
};

/** [B, Hkv, G, S, Dv] as [B, S, H·Dv]. */
const joinHeads = (y: Value, width: number): Value => y.transpose([0, 3, 1, 2, 4]).reshape([0, 0, width]);

const numberDim = (c: GradientContext, x: Value, axis: number): number => {
  const d = x.shape[axis];
  return typeof d === 'number' ? d : c.fail(`has no gradient while dim ${axis} of "${x.name}" is symbolic`);
};

/** Booleans say what may be seen; other masks are added. */
const additive = (mask: Value | undefined, like: Value): Value | undefined =>
  mask?.dtype === 'bool' ? mask.builder.where(mask, mask.builder.scalar(0, like.dtype), -1e9) : mask;

function refuse(c: GradientContext, from: number, what: string): void {
  if (c.inputs.slice(from).some(v => v))
    c.fail(`has no gradient with ${what}; write training graphs with plain ops`);
}

function attention(c: GradientContext): Value {
  refuse(c, 4, 'a cache');
  const inputs = [input(c, 0), input(c, 1), input(c, 2)] as const;
  const flat = inputs[0].rank === 3;
  const names = ['q_num_heads', 'kv_num_heads', 'kv_num_heads'];
  const [q, k, v] = inputs.map((x, i) =>
    flat ? splitHeads(x, c.attributes.int(names[i] as string, 1)) : x,
  ) as [Value, Value, Value];
  const scale = c.attributes.float('scale', 1 / Math.sqrt(numberDim(c, q, 3)));
  const bias = additive(c.inputs[3], q);
  const softcap = c.attributes.float('softcap', 0);
  const y = attend({ q, k, v, bias, scale, softcap, causal: c.attributes.int('is_causal', 0) !== 0 });
  const [heads, width] = [numberDim(c, q, 1), numberDim(c, v, 3)];
  return flat ? joinHeads(y, heads * width) : y.reshape([0, heads, ...splitTail(q, 2).slice(0, 1), width]);
}

function multiHeadAttention(c: GradientContext): Value {
  if (c.inputs[3] || c.inputs[4]) c.fail('has no gradient with bias or key_padding_mask; write plain ops');
  refuse(c, 6, 'a cache');
  const heads = c.attributes.int('num_heads', 1);
  const [q, k, v] = [0, 1, 2].map(i => splitHeads(input(c, i), heads)) as [Value, Value, Value];
  const scale = c.attributes.float('scale', 0) || 1 / Math.sqrt(numberDim(c, q, 3));
  const causal = c.attributes.int('unidirectional', 0) !== 0;
  return joinHeads(
    attend({ q, k, v, bias: c.inputs[5], scale, softcap: 0, causal }),
    heads * numberDim(c, v, 3),
  );
}

function rotateBack(
  c: GradientContext,
  g: Value,
  order: (cos: Value, sin: Value) => (Value | undefined)[],
  at: number,
) {
  if (c.wants(at) || c.wants(at + 1))
    c.fail('has no gradient for its cos and sin caches; apply stopGradient to them');
  return [g, ...order(input(c, at), input(c, at + 1).neg())];
}

export const ATTENTION = {
  Attention: decomposed(attention),
  'com.microsoft.MultiHeadAttention': decomposed(multiHeadAttention),
  'com.microsoft.GroupQueryAttention': INFERENCE,
  RotaryEmbedding: first((c, g) => {
    const inputs = rotateBack(c, g, (cos, sin) => [cos, sin, c.inputs[3]], 1);
    const { interleaved, num_heads, rotary_embedding_dim } = rotaryAttributes(c);
    return [c.b.op('RotaryEmbedding', inputs, { interleaved, num_heads, rotary_embedding_dim })];
  }),
  'com.microsoft.RotaryEmbedding': first((c, g) => {
    const inputs = rotateBack(c, g, (cos, sin) => [input(c, 1), cos, sin], 2);
    const attributes = { ...rotaryAttributes(c), scale: c.attributes.float('scale', 1) };
    const is_packed_batching = c.attributes.int('is_packed_batching', 0);
    return [c.b.op('com.microsoft.RotaryEmbedding', inputs, { ...attributes, is_packed_batching })];
  }),
  'com.microsoft.MoE': INFERENCE,
} satisfies Family;

function rotaryAttributes(c: GradientContext) {
  return {
    interleaved: c.attributes.int('interleaved', 0),
    num_heads: c.attributes.int('num_heads', 0),
    rotary_embedding_dim: c.attributes.int('rotary_embedding_dim', 0),
  };
}
