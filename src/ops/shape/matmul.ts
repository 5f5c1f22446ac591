/** Shapes of matrix products. */
import type { DType } from '../../graph/dtype.ts';
import type { Dim, Shape } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import {
  broadcast,
  input,
  requireKind,
  requireRank,
  sameDType,
  shapeAt,
  type,
  unify,
  withDim,
} from './common.ts';
import { showShape, surelyDiffer } from './dims.ts';

function checkInner(c: RuleContext, a: Shape, b: Shape, k: Dim, l: Dim): void {
  if (surelyDiffer(k, l)) {
    c.fail(`cannot multiply ${showShape(a)} by ${showShape(b)}: inner dimensions ${k} and ${l} differ`);
  }
}

/** numpy.matmul: [...,m,k] x [...,k,n] -> [...,m,n]; a vector stands for a row on the left, a column on the right. */
export function matmulShape(c: RuleContext, a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (!a || !b) return undefined;
  if (a.length === 0 || b.length === 0)
    c.fail(`cannot multiply ${showShape(a)} by ${showShape(b)}: a scalar`);
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  checkInner(c, a, b, left.at(-1) as Dim, right.at(-2) as Dim);
  const batch = broadcast(c, [left.slice(0, -2), right.slice(0, -2)]) as Shape;
  const rows = a.length === 1 ? [] : left.slice(-2, -1);
  const columns = b.length === 1 ? [] : right.slice(-1);
  return [...batch, ...rows, ...columns];
}

const matmul: ShapeRule = c => {
  requireKind(c, 0, 'number');
  return [type(sameDType(c, [0, 1]), matmulShape(c, shapeAt(c, 0), shapeAt(c, 1)))];
};

const product =
  (result: DType): ShapeRule =>
  c => [type(result, matmulShape(c, shapeAt(c, 0), shapeAt(c, 1)))];

const swapped = (s: Shape, swap: boolean): Shape =>
  swap ? [...s.slice(0, -2), s.at(-1) as Dim, s.at(-2) as Dim] : s;

/** y = alpha op(A) op(B) + beta C, matrices only; C broadcasts to [m,n]. */
const gemm: ShapeRule = c => {
  const a = requireRank(c, 0, 2);
  const b = requireRank(c, 1, 2);
  const dtype = sameDType(
    c,
    [0, 1, 2].filter(i => c.inputs[i]),
  );
  if (!a || !b) return [{ dtype }];
  const [m, k] = swapped(a, c.attributes.int('transA', 0) !== 0) as [Dim, Dim];
  const [l, n] = swapped(b, c.attributes.int('transB', 0) !== 0) as [Dim, Dim];
  checkInner(c, a, b, k, l);
  checkAddend(c, [m, n]);
  return [type(dtype, [m, n])];
};

function checkAddend(c: RuleContext, out: Shape): void {
  const addend = c.inputs[2]?.shape;
  if (!addend) return;
  const both = broadcast(c, [out, addend]) as Shape;
  if (both.length > 2 || both.some((d, i) => surelyDiffer(d, out[i] as Dim))) {
    c.fail(`input C ${showShape(addend)} does not broadcast to ${showShape(out)}`);
  }
}

/** FusedMatMul's transBatch: [m,b1,..,k] is read as [b1,..,m,k]; matrices stay as they are. */
const batchMoved = (s: Shape, move: boolean): Shape =>
  move && s.length > 2 ? [...s.slice(1, -1), s[0] as Dim, s.at(-1) as Dim] : s;

/** alpha op(A) op(B) with op = transBatch, then a transpose of the last two axes. */
const fusedMatMul: ShapeRule = c => {
  const flag = (name: string) => c.attributes.int(name, 0) !== 0;
  const side = (i: number, name: 'A' | 'B') => {
    const s = shapeAt(c, i);
    return s && s.length > 1 ? swapped(batchMoved(s, flag(`transBatch${name}`)), flag(`trans${name}`)) : s;
  };
  return [type(sameDType(c, [0, 1]), matmulShape(c, side(0, 'A'), side(1, 'B')))];
};

interface Equation {
  readonly terms: readonly string[];
  readonly result: string;
}

/** Splits `ab,bc->ac`; without an arrow the result is every label that occurs once, sorted, after `...`. */
export function parseEquation(equation: string): Equation {
  const [left, right] = equation.replaceAll(/\s/g, '').split('->');
  const terms = (left as string).split(',');
  if (right !== undefined) return { terms, result: right };
  const letters = [...(left as string).replaceAll(/[^A-Za-z]/g, '')];
  const once = letters.filter(l => letters.indexOf(l) === letters.lastIndexOf(l)).sort();
  return { terms, result: (left?.includes('...') ? '...' : '') + once.join('') };
}

/** Labels of a term for an input of `rank`; the axes of `...` are `.1`, `.2` counted from the right. */
export function labelsOf(term: string, rank: number): string[] {
  const [before, after = ''] = term.split('...') as [string, string?];
  const dots = Math.max(0, rank - before.length - after.length);
  return [
    ...before,
    ...(term.includes('...') ? Array.from({ length: dots }, (_, i) => `.${dots - i}`) : []),
    ...after,
  ];
}

function checkedLabels(c: RuleContext, term: string, rank: number): string[] {
  const labels = labelsOf(term, rank);
  return labels.length === rank
    ? labels
    : c.fail(`equation term "${term}" does not fit an input of rank ${rank}`);
}

function bindLabels(c: RuleContext, equation: Equation, shapes: readonly Shape[]): Map<string, Dim> {
  const bound = new Map<string, Dim>();
  equation.terms.forEach((term, i) => {
    const shape = shapes[i] as Shape;
    for (const [j, label] of checkedLabels(c, term, shape.length).entries()) {
      bound.set(label, bindLabel(c, label, bound.get(label), shape[j] as Dim));
    }
  });
  return bound;
}

function bindLabel(c: RuleContext, label: string, known: Dim | undefined, dim: Dim): Dim {
  if (known === undefined || known === 1) return dim;
  if (dim === 1) return known;
  return unify(c, known, dim, () => `label "${label}" stands for ${known} and for ${dim}`);
}

const einsum: ShapeRule = c => {
  const equation = parseEquation(c.attributes.string('equation', ''));
  const dtype = sameDType(
    c,
    c.inputs.map((_, i) => i),
  );
  if (equation.terms.length !== c.inputs.length) {
    c.fail(`the equation has ${equation.terms.length} terms for ${c.inputs.length} inputs`);
  }
  const shapes = c.inputs.map((_, i) => shapeAt(c, i));
  if (shapes.some(s => !s)) return [{ dtype }];
  const bound = bindLabels(c, equation, shapes as Shape[]);
  const dots = [...bound.keys()]
    .filter(l => l.startsWith('.'))
    .sort((a, b) => Number(b.slice(1)) - Number(a.slice(1)));
  const [before, after] = equation.result.split('...') as [string, string | undefined];
  const labels = [...before, ...(after === undefined ? [] : dots), ...(after ?? '')];
  return [
    type(
      dtype,
      labels.map(l => bound.get(l) ?? c.fail(`result label "${l}" is in no term`)),
    ),
  ];
};

/** QLinearMatMul(a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero): the output dtype is y_zero's. */
const qlinearMatMul: ShapeRule = c => [type(input(c, 7).dtype, matmulShape(c, shapeAt(c, 0), shapeAt(c, 3)))];

/** QGemm(a, a_scale, a_zero, b, b_scale, b_zero, bias?, y_scale?, y_zero?): floats without an output scale. */
const qgemm: ShapeRule = c => {
  const [a, b] = [requireRank(c, 0, 2), requireRank(c, 3, 2)];
  const dtype = c.inputs[8]?.dtype ?? (c.inputs[7] ? input(c, 0).dtype : 'float32');
  if (!a || !b) return [{ dtype }];
  const left = swapped(a, c.attributes.int('transA', 0) !== 0);
  const right = swapped(b, c.attributes.int('transB', 0) !== 0);
  return [type(dtype, matmulShape(c, left, right))];
};

/** Det: [.., n, n] -> [..]. */
const determinant: ShapeRule = c => {
  const s = requireRank(c, 0, 2, Infinity);
  if (s && surelyDiffer(s.at(-1) as Dim, s.at(-2) as Dim)) c.fail(`${showShape(s)} holds no square matrices`);
  return [type(requireKind(c, 0, 'float'), s?.slice(0, -2))];
};

/** MatMulNBits: A [...,K] by B packed [N, K/block_size, block_size*bits/8] -> [...,N]. */
const matmulNBits: ShapeRule = c => {
  const a = shapeAt(c, 0);
  const [k, n] = [c.attributes.int('K', 0), c.attributes.int('N', 0)];
  const dtype = requireKind(c, 0, 'float');
  if (!a) return [{ dtype }];
  checkInner(c, a, [k, n], a.at(-1) as Dim, k);
  return [type(dtype, withDim(a, a.length - 1, n))];
};

export const MATMUL = {
  MatMul: matmul,
  Gemm: gemm,
  Einsum: einsum,
  Det: determinant,
  QLinearMatMul: qlinearMatMul,
  'com.microsoft.QGemm': qgemm,
  MatMulInteger: product('int32'),
  'com.microsoft.FusedMatMul': fusedMatMul,
  'com.microsoft.DynamicQuantizeMatMul': product('float32'),
  'com.microsoft.MatMulNBits': matmulNBits,
} satisfies Record<string, ShapeRule>;
