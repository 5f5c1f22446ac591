/**
 * Couplings of matrix products Y = A B: the contracted axes of A and B shrink together and leave Y as it is; rows of A
 * and columns of B are rows and columns of Y.
 */
import type { Dim, Shape } from '../../graph/ir.ts';
import { labelsOf, parseEquation } from '../shape/matmul.ts';
import {
  aligned,
  alignedPlaces,
  type Coupling,
  countOf,
  couple,
  inputPlace,
  outputPlace,
  type Place,
  type PruningContext,
  type PruningRule,
  runs,
  SAME,
  same,
  shapeIn,
  shapeOut,
} from './coupling.ts';

/** The axes of an operand in the order [batch.., rows, columns]. */
type Order = readonly number[];

const inOrder = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i);

function ordered(rank: number, transBatch: boolean, trans: boolean): Order {
  const axes = inOrder(rank);
  if (rank < 2) return axes;
  const moved = transBatch && rank > 2 ? [...axes.slice(1, -1), 0, rank - 1] : axes;
  return trans ? [...moved.slice(0, -2), moved.at(-1) as number, moved.at(-2) as number] : moved;
}

const dimsOf = (shape: Shape, order: Order): Shape => order.map(axis => shape[axis] as Dim);

/** Couplings of [..,m,k] x [..,k,n] for operands 0 and 1; a vector has no rows (left) or no columns (right). */
function matrixCouplings(c: PruningContext, a: Order, b: Order): Coupling[] {
  const [A, B, Y] = [dimsOf(shapeIn(c, 0), a), dimsOf(shapeIn(c, 1), b), shapeOut(c)];
  const [inA, inB] = [
    (i: number) => inputPlace(0, a[i] as number),
    (i: number) => inputPlace(1, b[i] as number),
  ];
  const [rows, columns] = [A.length > 1 ? 1 : 0, B.length > 1 ? 1 : 0];
  const batch = Y.slice(0, Y.length - rows - columns);
  return [
    same(inA(A.length - 1), inB(Math.max(B.length - 2, 0))),
    ...(rows ? [same(inA(A.length - 2), outputPlace(batch.length))] : []),
    ...(columns ? [same(inB(B.length - 1), outputPlace(Y.length - 1))] : []),
    ...alignedPlaces(A.slice(0, -2), batch, inA, axis => outputPlace(axis)),
    ...alignedPlaces(B.slice(0, -2), batch, inB, axis => outputPlace(axis)),
  ];
}

const flag = (c: PruningContext, name: string): boolean => c.attributes.int(name, 0) !== 0;

/** A vector of one entry for each of Y's columns: scale, zero point, bias. */
function perColumn(c: PruningContext, i: number): Coupling[] {
  const shape = c.inputs[i]?.shape;
  if (!shape?.length || shape.at(-1) === 1) return [];
  return [same(inputPlace(i, shape.length - 1), outputPlace(shapeOut(c).length - 1))];
}

/** MatMul and its integer forms; `columns` are inputs with an entry for each column. */
export const matrixProduct =
  (columns: readonly number[] = []): PruningRule =>
  c => {
    const [a, b] = [inOrder(shapeIn(c, 0).length), inOrder(shapeIn(c, 1).length)];
    return couple('product', [...matrixCouplings(c, a, b), ...columns.flatMap(i => perColumn(c, i))]);
  };

export const fusedMatrixProduct: PruningRule = c => {
  const a = ordered(shapeIn(c, 0).length, flag(c, 'transBatchA'), flag(c, 'transA'));
  const b = ordered(shapeIn(c, 1).length, flag(c, 'transBatchB'), flag(c, 'transB'));
  return couple('product', matrixCouplings(c, a, b));
};

export const gemmProduct: PruningRule = c => {
  const product = matrixCouplings(
    c,
    ordered(2, false, flag(c, 'transA')),
    ordered(2, false, flag(c, 'transB')),
  );
  return couple('product', c.inputs[2] ? [...product, ...aligned(c, 2)] : product);
};

/** Places of each label that is not broadcast there. */
function labelPlaces(c: PruningContext): Map<string, Place[]> {
  const { terms, result } = parseEquation(c.attributes.string('equation', ''));
  const places = new Map<string, Place[]>();
  const add = (term: string, shape: Shape, place: (axis: number) => Place) => {
    for (const [axis, label] of labelsOf(term, shape.length).entries()) {
      if (shape[axis] !== 1) places.set(label, [...(places.get(label) ?? []), place(axis)]);
    }
  };
  terms.forEach((term, i) => {
    add(term, shapeIn(c, i), axis => inputPlace(i, axis));
  });
  add(result, shapeOut(c), axis => outputPlace(axis));
  return places;
}

export const einsumProduct: PruningRule = c =>
  couple(
    'product',
    [...labelPlaces(c).values()].flatMap(([first, ...rest]) =>
      rest.map(place => same(first as Place, place)),
    ),
  );

/** B is packed [N, blocks, bytes]: rows of it are columns of Y; K is cut into blocks and stays. */
export const blockwiseProduct: PruningRule = c => {
  const [A, Y] = [shapeIn(c, 0), shapeOut(c)];
  const column = outputPlace(Y.length - 1);
  const table = [1, 2, 3].filter(i => c.inputs[i]?.shape).map(i => rowsOfTable(c, column, i));
  const bias = perColumn(c, 5);
  return couple('product', [...aligned(c, 0).filter(p => p.from.axis < A.length - 1), ...table, ...bias], {
    fixed: [inputPlace(0, A.length - 1)],
    sizes: [{ attribute: 'N' }],
  });
};

/** Rows of a packed table, which scales and zero points may write as one flat vector. */
function rowsOfTable(c: PruningContext, column: Place, i: number): Coupling {
  const shape = shapeIn(c, i);
  const length = shape.length > 1 ? 1 : countOf(c, shape[0]) / c.attributes.int('N', 1);
  return { from: column, to: inputPlace(i, 0), map: length === 1 ? SAME : runs(length) };
}
