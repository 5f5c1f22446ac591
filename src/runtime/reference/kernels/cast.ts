/**
 * Cast and CastLike.
 *
 * 1. Float to integer truncates; what does not fit wraps. ONNX leaves that case undefined.
 * 2. 64-bit integers pass between integer types as BigInts, so none of their bits is lost.
 */
import { allocate, type DType, dtypeOfCode, isFloat, viewBytes } from '../../../graph/dtype.ts';
import type { Tensor } from '../../../graph/ir.ts';
import { encodeFloats, type PowerRounding, toFloat8e8m0 } from '../../../util/float16.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { doubles, isBig, store } from '../tensor.ts';

export function castTo(t: Tensor, dtype: DType, saturate = true, rounding: PowerRounding = 'up'): Tensor {
  if (t.dtype === dtype) return t;
  if (dtype === 'string') return { dtype, dims: t.dims, data: spelled(t) };
  if (t.dtype === 'string') return store(dtype, t.dims, Float64Array.from(t.data as string[], parse));
  if (isBig(t.dtype) && isBig(dtype)) return reinterpreted(t, dtype);
  if (isBig(t.dtype) && !isFloat(dtype) && dtype !== 'bool') return castTo(narrowed(t), dtype);
  if (dtype === 'float8e8m0') return toPowers(t, saturate, rounding);
  if (dtype.startsWith('float8')) return toFloat8(t, dtype as 'float8e5m2', saturate);
  return store(dtype, t.dims, doubles(t));
}

const SPECIAL: Record<string, number> = {
  inf: Infinity,
  '-inf': -Infinity,
  '+inf': Infinity,
  nan: Number.NaN,
};

const parse = (text: string): number => SPECIAL[text.trim().toLowerCase()] ?? Number(text);

const spelled = (t: Tensor): string[] =>
  isBig(t.dtype) ? Array.from(t.data as BigInt64Array, String) : Array.from(doubles(t), String);

function reinterpreted(t: Tensor, dtype: DType): Tensor {
  const data = allocate(dtype, t.data.length) as BigInt64Array;
  data.set(t.data as BigInt64Array);
  return { dtype, dims: t.dims, data };
}

/** The low 32 bits, from which every narrower integer follows. */
const narrowed = (t: Tensor): Tensor => ({
  dtype: 'int32',
  dims: t.dims,
  data: Int32Array.from(t.data as BigInt64Array, v => Number(BigInt.asIntN(32, v))),
});

const toFloat8 = (t: Tensor, dtype: 'float8e5m2', saturate: boolean): Tensor => ({
  dtype,
  dims: t.dims,
  data: Uint8Array.from(encodeFloats(doubles(t), dtype, saturate)),
});

const toPowers = (t: Tensor, saturate: boolean, rounding: PowerRounding): Tensor => ({
  dtype: 'float8e8m0',
  dims: t.dims,
  data: Uint8Array.from(doubles(t), v => toFloat8e8m0(v, rounding, saturate)),
});

function castWith(c: KernelContext, dtype: DType): Tensor {
  const rounding = c.attributes.string('round_mode', 'up');
  if (rounding !== 'up' && rounding !== 'down' && rounding !== 'nearest')
    c.fail(`round_mode "${rounding}" is not up, down or nearest`);
  return castTo(c.input(0), dtype, c.attributes.int('saturate', 1) !== 0, rounding);
}

const cast: Kernel = c => {
  const code = c.attributes.int('to', 0);
  const dtype = dtypeOfCode(code) ?? c.fail(`attribute to = ${code} names no dtype`);
  return [castWith(c, dtype)];
};

const castLike: Kernel = c => [castWith(c, c.input(1).dtype)];

/** The same bits under another dtype of the same width. */
const bitCast: Kernel = c => {
  const x = c.input(0);
  const dtype = dtypeOfCode(c.attributes.int('to', 0)) ?? c.fail('attribute to names no dtype');
  const { buffer, byteOffset, byteLength } = x.data as Uint8Array;
  return [{ dtype, dims: x.dims, data: viewBytes(dtype, new Uint8Array(buffer, byteOffset, byteLength)) }];
};

export const CAST = { Cast: cast, CastLike: castLike, BitCast: bitCast } as const satisfies KernelFamily;
