/**
 * Matrices that are frozen in few bits: blocks of integer codes with one scale each, as MatMulNBits reads them. The product
 * has a gradient for its activation, so that adapters train on top (QLoRA; Dettmers et al. 2023, arXiv:2305.14314).
 */
import type { Tensor } from '../graph/ir.ts';
import type { Value } from '../ops/builder.ts';

/** W [rows, columns]; products sum over columns. */
export interface PackedMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly bits: 2 | 4 | 8;
  readonly blockSize: number;
  /** [rows, blocks, blockSize · bits / 8], uint8, low bits first. */
  readonly codes: Tensor;
  /** [rows · blocks], float32. */
  readonly scales: Tensor;
  /** Packed as the codes are, uint8; the middle code means 0 when absent. */
  readonly zeros?: Tensor;
}

export type PackedPart = 'codes' | 'scales' | 'zeros';

/** The tensors of a packed matrix, by part. */
export const partsOf = ({ codes, scales, zeros }: PackedMatrix): (readonly [PackedPart, Tensor])[] => [
  ['codes', codes],
  ['scales', scales],
  ...(zeros ? [['zeros', zeros] as const] : []),
];

/** Computes in float32: the codes are what is rounded, and nothing else. */
const FLOAT32_LEVEL = 1;

/** x [..., columns] Wᵀ → [..., rows]; `part` makes a value of each of the matrix's tensors. */
export function packedProduct(
  x: Value,
  matrix: PackedMatrix,
  part: (name: PackedPart, tensor: Tensor) => Value,
): Value {
  const values = partsOf(matrix).map(([name, tensor]) => part(name, tensor));
  return x.builder.op('com.microsoft.MatMulNBits', [x, ...values], {
    K: matrix.columns,
    N: matrix.rows,
    bits: matrix.bits,
    block_size: matrix.blockSize,
    accuracy_level: FLOAT32_LEVEL,
  });
}
