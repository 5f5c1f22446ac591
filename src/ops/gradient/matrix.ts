/**
 * Gradients of matrix products, written as FusedMatMul so that no operand is ever transposed in memory.
 *
 * 1. A product [.., M, K] × [K, N] with a 2-D right operand gives dW as one product of flattened operands,
 *    [M*, K]ᵀ × [M*, N], never as a batch of products that a ReduceSum then adds.
 * 2. One formula serves MatMul, Gemm and FusedMatMul; FusedMatMul's gradients are FusedMatMuls again.
 */
import type { Value } from '../builder.ts';
import { type GradientContext, none } from '../rule.ts';
import { first, type Gradients, input, reshapeLike, sumTo } from './common.ts';
import type { Family } from './family.ts';

/** y = alpha · op(a) × op(b), op transposing the last two dims where asked. */
interface Product {
  readonly a: Value;
  readonly b: Value;
  readonly alpha: number;
  readonly transA: boolean;
  readonly transB: boolean;
}

/** alpha · op(a) × op(b) as the plainest op that does it. */
export function product({ a, b, alpha, transA, transB }: Product): Value {
  if (alpha === 1 && !transA && !transB) return a.matmul(b);
  const attributes = { alpha, transA: Number(transA), transB: Number(transB) };
  return a.builder.op('com.microsoft.FusedMatMul', [a, b], attributes);
}

/** a: α·g·op(b)ᵀ, or its transpose α·op(b)·gᵀ. */
const leftGradient = (p: Product, g: Value): Value =>
  p.transA
    ? product({ a: p.b, b: g, alpha: p.alpha, transA: p.transB, transB: true })
    : product({ a: g, b: p.b, alpha: p.alpha, transA: false, transB: !p.transB });

/** b: α·op(a)ᵀ·g, or its transpose α·gᵀ·op(a). */
function rightGradient(p: Product, grad: Value): Value {
  const flatten = p.b.rank === 2 && p.a.rank > 2 && !p.transA;
  const [a, g] = flatten ? [rows(p.a), rows(grad)] : [p.a, grad];
  return p.transB
    ? product({ a: g, b: a, alpha: p.alpha, transA: true, transB: p.transA })
    : product({ a, b: g, alpha: p.alpha, transA: !p.transA, transB: false });
}

/** [.., K] as [rows, K]. */
const rows = (x: Value): Value => x.builder.op('Flatten', [x], { axis: x.rank - 1 });

function productGradients(
  c: GradientContext,
  p: Product,
  grad: Value,
): [Value | undefined, Value | undefined] {
  // A vector operand is a matrix with one row (left) or one column (right).
  let g = grad;
  if (p.b.rank === 1) g = g.unsqueeze([g.rank]);
  if (p.a.rank === 1) g = g.unsqueeze([g.rank - 1]);
  const a = p.a.rank === 1 ? p.a.unsqueeze([0]) : p.a;
  const b = p.b.rank === 1 ? p.b.unsqueeze([1]) : p.b;
  const q = { ...p, a, b };
  return [
    c.wants(0) ? reshapeLike(sumTo(leftGradient(q, g), a), p.a) : undefined,
    c.wants(1) ? reshapeLike(sumTo(rightGradient(q, g), b), p.b) : undefined,
  ];
}

function productOf(c: GradientContext): Product {
  const flag = (name: string) => c.attributes.int(name, 0) !== 0;
  return {
    a: input(c, 0),
    b: input(c, 1),
    alpha: c.attributes.float('alpha', 1),
    transA: flag('transA'),
    transB: flag('transB'),
  };
}

function gemm(c: GradientContext, g: Value): Gradients {
  const bias = c.inputs[2];
  const beta = c.attributes.float('beta', 1);
  const dBias = bias && c.wants(2) ? sumTo(beta === 1 ? g : g.mul(beta), bias) : undefined;
  return [...productGradients(c, productOf(c), g), dBias];
}

function fused(c: GradientContext, g: Value): Gradients {
  const batch = ['transBatchA', 'transBatchB'].find(name => c.attributes.int(name, 0) !== 0);
  if (batch) c.fail(`has no gradient with ${batch}; write the Transpose as a node of its own`);
  return productGradients(c, productOf(c), g);
}

export const MATRIX = {
  // a·b: g·bᵀ and aᵀ·g
  MatMul: first((c, g) => productGradients(c, productOf(c), g)),
  // α·op(a)·op(b) + β·bias
  Gemm: first(gemm),
  'com.microsoft.FusedMatMul': first(fused),
  Det: none('it takes an inverse matrix, which no op computes'),
} satisfies Family;
