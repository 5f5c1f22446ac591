/**
 * Rotary position embedding, both domains.
 *
 * 1. Pairs are (k, k + r/2) or, interleaved, (2k, 2k + 1) for k < r/2; elements from r on pass unchanged.
 * Source: Su et al. 2021, arXiv:2104.09864.
 */
import type { Tensor } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { doubles } from '../tensor.ts';
import { type Heads, headsOf, mergeHeads, storeHeads } from './heads.ts';

export interface Rotation {
  /** Row of the cos and sin tables for batch b, position s. */
  readonly row: (b: number, s: number) => number;
  readonly cos: Float64Array;
  readonly sin: Float64Array;
  /** Rotated elements per head. */
  readonly rotated: number;
  readonly interleaved: boolean;
  readonly scale: number;
}

/** (x, y) → (x·cos − y·sin, x·sin + y·cos) for every pair of every head. */
export function rotate({ dims, values }: Heads, r: Rotation): Heads {
  const [batch, heads, length, size] = dims;
  const out = values.slice();
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let s = 0; s < length; s++)
        rotateVector(out, ((b * heads + h) * length + s) * size, r.row(b, s), r);
    }
  }
  return { dims, values: out };
}

function rotateVector(out: Float64Array, at: number, row: number, r: Rotation): void {
  const half = r.rotated / 2;
  for (let k = 0; k < half; k++) {
    const [i, j] = r.interleaved ? [at + 2 * k, at + 2 * k + 1] : [at + k, at + k + half];
    const [cos, sin] = [r.scale * r.cos[row * half + k], r.scale * r.sin[row * half + k]];
    const [x, y] = [out[i], out[j]];
    out[i] = x * cos - y * sin;
    out[j] = x * sin + y * cos;
  }
}

/** Table rows for positions [batch, length], or counted from the only element of a [1] tensor. */
function positionRows(c: KernelContext, positions: Tensor, [, , length]: readonly number[], rows: number) {
  const ids = doubles(positions);
  const outside = ids.find(p => p < 0 || p >= rows);
  if (outside !== undefined) c.fail(`position ${outside} is outside a table of ${rows} rows`);
  if (positions.dims.length === 1) return (_: number, s: number) => ids[0] + s;
  return (b: number, s: number) => ids[b * length + s];
}

/** cos and sin are [rows, r/2], or [batch, length, r/2] without positions. */
function rotationOf(
  c: KernelContext,
  heads: Heads,
  [cos, sin]: readonly Tensor[],
  positions: Tensor | undefined,
): Rotation {
  const half = cos.dims[cos.dims.length - 1];
  const length = heads.dims[2];
  const asked = c.attributes.int('rotary_embedding_dim', 0);
  const rotated = asked > 0 ? asked : heads.dims[3];
  if (rotated !== 2 * half) c.fail(`the tables rotate ${2 * half} elements, the heads ${rotated}`);
  return {
    row: positions ? positionRows(c, positions, heads.dims, cos.dims[0]) : (b, s) => b * length + s,
    cos: doubles(cos),
    sin: doubles(sin),
    rotated,
    interleaved: c.attributes.int('interleaved', 0) !== 0,
    scale: c.attributes.float('scale', 1),
  };
}

function rotaryKernel(c: KernelContext, tables: readonly Tensor[], positions: Tensor | undefined): Tensor {
  const x = c.input(0);
  const asked = c.attributes.int('num_heads', 0);
  const width = tables[0].dims[tables[0].dims.length - 1] * 2;
  const heads = headsOf(c, x, asked > 0 ? asked : x.dims[x.dims.length - 1] / width);
  const turned = rotate(heads, rotationOf(c, heads, tables, positions));
  return x.dims.length === 4 ? storeHeads(turned, x.dtype) : mergeHeads(turned, x.dtype);
}

const onnxRotary: Kernel = c => [rotaryKernel(c, [c.input(1), c.input(2)], c.inputs[3])];

const microsoftRotary: Kernel = c => {
  if (c.attributes.int('is_packed_batching', 0)) c.fail('packed batches are not supported');
  return [rotaryKernel(c, [c.input(2), c.input(3)], c.input(1))];
};

export const ROTARY = {
  RotaryEmbedding: onnxRotary,
  'com.microsoft.RotaryEmbedding': microsoftRotary,
} as const satisfies KernelFamily;
