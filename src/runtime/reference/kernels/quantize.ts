/**
 * Linear quantization: per tensor, per axis and in blocks.
 *
 * 1. x / scale is divided in float32 (unless x is float64) and rounded half to even, so that ties fall as in ONNX.
 * 2. Zero points are added before saturation.
 */
import { type DType, dtypeOfCode } from '../../../graph/dtype.ts';
import type { Tensor } from '../../../graph/ir.ts';
import { encodeFloats, roundHalfEven } from '../../../util/float16.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { axisOf, broadcastOffsets, listOffsets, range, stridesOf } from '../layout.ts';
import { doubles, pack, store } from '../tensor.ts';
import { product, shifted } from './matmul.ts';

export const INTEGER_RANGES: Partial<Record<DType, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
  uint4: [0, 15],
  int4: [-8, 7],
  uint2: [0, 3],
  int2: [-2, 1],
};

/** Offsets into a scale (or zero point) for every element of x: scalar, along `axis`, or one per block of it. */
function parameterOffsets(c: KernelContext, x: Tensor, scale: Tensor): Int32Array {
  const count = scale.dims.reduce((a, b) => a * b, 1);
  if (count === 1 && scale.dims.length <= 1) return broadcastOffsets([], x.dims);
  const axis = axisOf(c, c.attributes.int('axis', 1), x.dims.length);
  const block = c.attributes.int('block_size', 0);
  if (block === 0) {
    if (count !== x.dims[axis]) c.fail(`${count} scales do not fit axis ${axis} of [${x.dims.join(', ')}]`);
    return broadcastOffsets([count, ...x.dims.slice(axis + 1).map(() => 1)], x.dims);
  }
  if (scale.dims[axis] !== Math.ceil(x.dims[axis] / block)) {
    c.fail(`scales [${scale.dims.join(', ')}] do not fit [${x.dims.join(', ')}] in blocks of ${block}`);
  }
  const lists = x.dims.map((n, k) => range(n).map(i => (k === axis ? Math.floor(i / block) : i)));
  return listOffsets(lists, stridesOf(scale.dims));
}

export const saturated = (x: number, [low, high]: readonly [number, number]): number =>
  Math.min(high, Math.max(low, x));

const quantizeLinear: Kernel = c => {
  const [x, scale, zero] = [c.input(0), c.input(1), c.inputs[2]];
  const dtype = zero?.dtype ?? dtypeOfCode(c.attributes.int('output_dtype', 0)) ?? 'uint8';
  const at = parameterOffsets(c, x, scale);
  const [s, z] = [doubles(scale), zero ? doubles(zero) : undefined];
  const divide =
    x.dtype === 'float64' ? (a: number, b: number) => a / b : (a: number, b: number) => Math.fround(a / b);
  const quotients = doubles(x).map((v, i) => divide(v, s[at[i]]));
  if (dtype.startsWith('float')) return [quantizedFloat(c, dtype, x.dims, quotients)];
  const bounds = INTEGER_RANGES[dtype];
  if (!bounds) return c.fail(`it cannot quantize to ${dtype}`);
  const codes = quotients.map((q, i) => saturated(roundHalfEven(q) + (z?.[at[i]] ?? 0), bounds));
  return [store(dtype, x.dims, codes)];
};

function quantizedFloat(
  c: KernelContext,
  dtype: DType,
  dims: readonly number[],
  values: Float64Array,
): Tensor {
  // The caller has seen that the name starts with float: only narrow floats are quantized to.
  const codes = encodeFloats(values, dtype as 'float8e5m2', c.attributes.int('saturate', 1) !== 0);
  return pack(dtype, dims, Uint8Array.from(codes) as unknown as number[]);
}

/** (x − zero) · scale in the scale's dtype. */
const dequantizeLinear: Kernel = c => {
  const [x, scale, zero] = [c.input(0), c.input(1), c.inputs[2]];
  const at = parameterOffsets(c, x, scale);
  const [s, z] = [doubles(scale), zero ? doubles(zero) : undefined];
  return [
    store(
      scale.dtype,
      x.dims,
      doubles(x).map((v, i) => (v - (z?.[at[i]] ?? 0)) * s[at[i]]),
    ),
  ];
};

interface DynamicQuantized {
  readonly codes: Float64Array;
  readonly scale: number;
  readonly zero: number;
}

/** uint8 codes over the range that holds 0 and all values, in float32 arithmetic. */
function dynamicQuantize(x: Float64Array): DynamicQuantized {
  const low = x.reduce((a, b) => Math.min(a, b), 0);
  const high = x.reduce((a, b) => Math.max(a, b), 0);
  const scale = high === low ? 1 : Math.fround(Math.fround(high - low) / 255);
  const zero = saturated(roundHalfEven(Math.fround(-low / scale)), [0, 255]);
  const codes = x.map(v => saturated(roundHalfEven(Math.fround(v / scale)) + zero, [0, 255]));
  return { codes, scale, zero };
}

const dynamicQuantizeLinear: Kernel = c => {
  const x = c.input(0);
  const { codes, scale, zero } = dynamicQuantize(doubles(x));
  return [
    store('uint8', x.dims, codes),
    store('float32', [], Float64Array.of(scale)),
    store('uint8', [], Float64Array.of(zero)),
  ];
};

/** A quantized on the fly, times a quantized B, in int32; then scaled, plus bias. */
const dynamicQuantizeMatMul: Kernel = c => {
  const [a, b] = [c.input(0), c.input(1)];
  const { codes, scale, zero } = dynamicQuantize(doubles(a));
  const { dims, values } = product(
    c,
    a.dims,
    codes.map(v => v - zero),
    b.dims,
    shifted(c, b, c.inputs[3], -1),
  );
  const [s, atS] = [doubles(c.input(2)), broadcastOffsets(c.input(2).dims, dims)];
  const bias = c.inputs[4] && doubles(c.inputs[4]);
  const columns = dims[dims.length - 1];
  return [
    store(
      a.dtype,
      dims,
      values.map((v, i) => v * scale * s[atS[i]] + (bias?.[i % columns] ?? 0)),
    ),
  ];
};

export const QUANTIZE = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: dynamicQuantizeLinear,
  'com.microsoft.DynamicQuantizeMatMul': dynamicQuantizeMatMul,
} as const satisfies KernelFamily;
