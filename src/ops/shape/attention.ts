/**
 * Shapes of attention ops and of the experts layer. B batch, S query length, L key length, P past length, H query
 * heads, G key/value heads, D head size, V value head size.
 */
import type { Dim, Shape, TensorType } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import { input, requireKind, requireRank, type, unary, unify } from './common.ts';
import { addDims, divDims, maxDims, mulDims, showShape } from './dims.ts';

/** [B,heads,length,size] of a [B,S,heads*size] or already split operand. */
function heads(c: RuleContext, s: Shape, attribute: string): Shape {
  if (s.length === 4) return s;
  const count = c.attributes.int(attribute, 0);
  if (count <= 0) c.fail(`attribute ${attribute} is needed for inputs of rank 3`);
  return [s[0] as Dim, count, s[1] as Dim, divDims(s[2] as Dim, count)];
}

/** Attention-23: Y, present key, present value, scores. */
const attention: ShapeRule = c => {
  const dtype = requireKind(c, 0, 'float');
  const [q, k, v] = [0, 1, 2].map(i => requireRank(c, i, 3, 4));
  if (!q || !k || !v)
    return [{ dtype }, type(input(c, 1).dtype, undefined), type(input(c, 2).dtype, undefined), { dtype }];
  const Q = heads(c, q, 'q_num_heads');
  const [K, V] = [heads(c, k, 'kv_num_heads'), heads(c, v, 'kv_num_heads')];
  checkHeads(c, Q, K);
  const total = addDims(c.inputs[4]?.shape?.[2] ?? 0, K[2] as Dim);
  const [B, H, S] = Q as [Dim, Dim, Dim, Dim];
  const y = q.length === 4 ? [B, H, S, V[3] as Dim] : [B, S, mulDims(H, V[3] as Dim)];
  return [
    type(dtype, y),
    type(input(c, 1).dtype, [B, K[1] as Dim, total, K[3] as Dim]),
    type(input(c, 2).dtype, [B, V[1] as Dim, total, V[3] as Dim]),
    type(dtype, [B, H, S, total]),
  ];
};

function checkHeads(c: RuleContext, Q: Shape, K: Shape): void {
  unify(c, Q[3] as Dim, K[3] as Dim, () => `query head size ${Q[3]} and key head size ${K[3]} differ`);
  const [H, G] = [Q[1], K[1]];
  if (typeof H === 'number' && typeof G === 'number' && H % G !== 0) {
    c.fail(`${H} query heads are no multiple of ${G} key/value heads`);
  }
}

/** Key/value length after the step, [B,G,length,D]. */
function presentLength(c: RuleContext, past: Shape | undefined, added: Dim): Dim {
  if (!past) return added;
  const length = past[2] as Dim;
  const total = c.shapeValue(6)?.[0];
  if (total !== undefined) return maxDims(length, total);
  return length === 0 ? added : length;
}

/**
 * GroupQueryAttention: output, present key, present value, scores. Without a known total length a past buffer is
 * taken to be written in place: the present has its length.
 */
const groupQueryAttention: ShapeRule = c => {
  const dtype = requireKind(c, 0, 'float');
  const q = requireRank(c, 0, 3);
  if (!q) return [0, 1, 2, 3].map((): TensorType => ({ dtype }));
  const [H, G] = [c.attributes.int('num_heads', 0), c.attributes.int('kv_num_heads', 0)];
  if (H <= 0 || G <= 0 || H % G !== 0) c.fail(`num_heads ${H} must be a multiple of kv_num_heads ${G}`);
  const [B, S, width] = q as [Dim, Dim, Dim];
  const D = divDims(width, c.inputs[1] ? H : H + 2 * G);
  const length = presentLength(c, c.inputs[3]?.shape, S);
  const past = c.inputs[3];
  const cache = type(past?.dtype ?? dtype, [B, G, length, past?.shape?.[3] ?? D]); // 4-bit caches are half as wide
  return [type(dtype, [B, S, mulDims(D, H)]), cache, cache, type(dtype, [B, H, S, length])];
};

/** Key and value of MultiHeadAttention as lengths and sizes: [B,L,HD], packed [B,L,H,2,D] or past [B,H,L,D]. */
function keyLength(c: RuleContext, q: Shape): Dim {
  const key = c.inputs[1]?.shape;
  if (!key) return q[1] as Dim;
  return (key.length === 4 ? key[2] : key[1]) as Dim;
}

function valueWidth(c: RuleContext, q: Shape, H: number): Dim {
  if (q.length === 5) return mulDims(H, q[4] as Dim);
  const value = c.inputs[2]?.shape;
  if (value) return value.length === 4 ? mulDims(H, value[3] as Dim) : (value[2] as Dim);
  return q[2] as Dim;
}

/** MultiHeadAttention: output [B,S,HV], present key, present value, scores. Packed query is [B,S,H,3,D]. */
const multiHeadAttention: ShapeRule = c => {
  const dtype = requireKind(c, 0, 'float');
  const q = requireRank(c, 0, 3, 5);
  const H = c.attributes.int('num_heads', 0);
  if (H <= 0) c.fail('attribute num_heads is missing');
  if (!q) return [0, 1, 2, 3].map((): TensorType => ({ dtype }));
  const [B, S] = q as [Dim, Dim];
  const width = valueWidth(c, q, H);
  const total = addDims(c.inputs[6]?.shape?.[2] ?? 0, keyLength(c, q));
  const D = q.length === 5 ? (q[4] as Dim) : divDims(q[2] as Dim, H);
  const present = (size: Dim) => type(dtype, [B, H, total, size]);
  return [type(dtype, [B, S, width]), present(D), present(divDims(width, H)), type(dtype, [B, H, S, total])];
};

/** Router probabilities are [tokens, experts]; the output is like the input. */
const moe: ShapeRule = c => {
  requireKind(c, 0, 'float');
  const [router, weights] = [requireRank(c, 1, 2), requireRank(c, 2, 3)];
  if (router && weights) {
    const complaint = () =>
      `router probabilities ${showShape(router)} do not fit experts ${showShape(weights)}`;
    unify(c, router[1] as Dim, weights[0] as Dim, complaint);
  }
  return [input(c, 0)];
};

const rotary: ShapeRule = c => {
  requireRank(c, 0, 3, 4);
  return unary()(c);
};

export const ATTENTION = {
  Attention: attention,
  RotaryEmbedding: rotary,
  'com.microsoft.RotaryEmbedding': rotary,
  'com.microsoft.GroupQueryAttention': groupQueryAttention,
  'com.microsoft.MultiHeadAttention': multiHeadAttention,
  'com.microsoft.MoE': moe,
} satisfies Record<string, ShapeRule>;
