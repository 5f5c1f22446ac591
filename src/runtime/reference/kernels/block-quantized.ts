/**
 * Weights in blocks of 2, 4 or 8 bits: MatMulNBits and GatherBlockQuantized.
 *
 * 1. Codes are packed low bits first. Without zero points the middle of the range, 2^(bits − 1), means 0;
 *    4-bit dtypes in GatherBlockQuantized have 0 at 0.
 * Source: ONNX Runtime's contrib operator documentation (1.30).
 */
import type { Tensor } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { axisOf, indexOf, listOffsets, range, stridesOf, take } from '../layout.ts';
import { doubles, store, unpackBits } from '../tensor.ts';
import { product } from './matmul.ts';

interface BlockLayout {
  readonly n: number;
  readonly k: number;
  readonly block: number;
  readonly bits: number;
  /** Blocks per row of K. */
  readonly blocks: number;
}

function blockLayout(c: KernelContext): BlockLayout {
  const [n, k] = [c.attributes.int('N', 0), c.attributes.int('K', 0)];
  const [block, bits] = [c.attributes.int('block_size', 0), c.attributes.int('bits', 4)];
  if (![2, 4, 8].includes(bits)) c.fail(`bits = ${bits} is not 2, 4 or 8`);
  return { n, k, block, bits, blocks: Math.ceil(k / block) };
}

/** Zero point of every block [N, blocks]: packed row by row in bytes, or plain numbers. */
function zeroPoints(t: Tensor | undefined, { n, blocks, bits }: BlockLayout): Float64Array {
  if (!t) return new Float64Array(n * blocks).fill(2 ** (bits - 1));
  if (t.dtype !== 'uint8') return doubles(t);
  const codes = unpackBits(t.data as Uint8Array, bits);
  const rowCodes = codes.length / n;
  return Float64Array.from(
    { length: n * blocks },
    (_, i) => codes[Math.floor(i / blocks) * rowCodes + (i % blocks)],
  );
}

/** The weights as [K, N]: (code − zero) · scale of the block. */
function weightsOf(c: KernelContext, layout: BlockLayout): Float64Array {
  const { n, k, block, bits, blocks } = layout;
  const codes = unpackBits(c.input(1).data as Uint8Array, bits);
  const scales = doubles(c.input(2));
  const zeros = zeroPoints(c.inputs[3], layout);
  if (codes.length !== n * blocks * block) c.fail(`B holds ${codes.length} codes, not ${n * blocks * block}`);
  const out = new Float64Array(k * n);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < k; i++) {
      const at = row * blocks + Math.floor(i / block);
      out[i * n + row] = (codes[row * blocks * block + i] - zeros[at]) * scales[at];
    }
  }
  return out;
}

/** A [.., K] times the dequantized weights [K, N], plus bias. */
const matMulNBits: Kernel = c => {
  const a = c.input(0);
  if (c.inputs[4]) c.fail('g_idx is not supported');
  const layout = blockLayout(c);
  const { dims, values } = product(c, a.dims, doubles(a), [layout.k, layout.n], weightsOf(c, layout));
  const bias = c.inputs[5] && doubles(c.inputs[5]);
  return [store(a.dtype, dims, bias ? values.map((v, i) => v + bias[i % layout.n]) : values)];
};

/** Codes with one slot each, as doubles, and their dims: uint8 bytes hold 8 / bits codes along the last axis. */
function codesOf(t: Tensor, bits: number): { dims: number[]; values: Float64Array } {
  const dims = [...t.dims];
  if (t.dtype !== 'uint8' || bits === 8) return { dims, values: doubles(t) };
  dims[dims.length - 1] *= 8 / bits;
  return { dims, values: Float64Array.from(unpackBits(t.data as Uint8Array, bits)) };
}

/** Gathers along `gather_axis` of the data dequantized in blocks along `quantize_axis`. */
const gatherBlockQuantized: Kernel = c => {
  const [data, indices, scales] = [c.input(0), c.input(1), c.input(2)];
  const { dims, values } = dequantized(c, data, scales);
  const axis = axisOf(c, c.attributes.int('gather_axis', 0), dims.length);
  const list = doubles(indices).map(i => indexOf(c, i, dims[axis]));
  const lists = dims.map((n, k) => (k === axis ? list : range(n)));
  const target = [...dims.slice(0, axis), ...indices.dims, ...dims.slice(axis + 1)];
  const all = store(scales.dtype, dims, values);
  return [take(all, target, listOffsets(lists, stridesOf(dims)))];
};

function dequantized(
  c: KernelContext,
  data: Tensor,
  scales: Tensor,
): { dims: number[]; values: Float64Array } {
  const bits = c.attributes.int('bits', 4);
  const block = c.attributes.int('block_size', 128);
  const { dims, values } = codesOf(data, bits);
  const axis = axisOf(c, c.attributes.int('quantize_axis', 1), dims.length);
  const lists = dims.map((n, k) => range(n).map(i => (k === axis ? Math.floor(i / block) : i)));
  const s = doubles(scales);
  const at = listOffsets(lists, stridesOf(scales.dims));
  const zero = c.inputs[3] && codesOf(c.inputs[3], bits);
  const atZero = zero && listOffsets(lists, stridesOf(zero.dims));
  const middle = data.dtype === 'uint8' ? 2 ** (bits - 1) : 0;
  const shift = (i: number) => (zero && atZero ? zero.values[atZero[i]] : middle);
  return { dims, values: values.map((v, i) => (v - shift(i)) * s[at[i]]) };
}

export const BLOCK_QUANTIZED = {
  'com.microsoft.MatMulNBits': matMulNBits,
  'com.microsoft.GatherBlockQuantized': gatherBlockQuantized,
} as const satisfies KernelFamily;
