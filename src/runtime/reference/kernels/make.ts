/** Ops that make values: constants, ranges, identity matrices, one-hot rows. */
import { dtypeOfCode } from '../../../graph/dtype.ts';
import { float32, int64, sizeOf, type Tensor, zeros } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { axisOf, offsets, stridesOf, take } from '../layout.ts';
import { doubles, elements, emptyElements, indices64, integers, pack, scalar, store } from '../tensor.ts';

const constant: Kernel = c => {
  const a = c.attributes;
  const tensor = a.tensor('value');
  if (tensor) return [tensor];
  if (a.has('value_float')) return [float32([], [a.float('value_float', 0)])];
  if (a.has('value_int')) return [int64([], [a.int('value_int', 0)])];
  if (a.has('value_string')) return [strings([], [a.string('value_string', '')])];
  return [constantVector(c)];
};

function constantVector(c: KernelContext): Tensor {
  const floats = c.attributes.floats('value_floats');
  if (floats) return float32([floats.length], floats);
  const ints = c.attributes.ints('value_ints');
  if (ints) return int64([ints.length], ints);
  const texts = c.attributes.strings('value_strings');
  return texts ? strings([texts.length], texts) : c.fail('it has none of the value attributes');
}

const strings = (dims: readonly number[], data: readonly string[]): Tensor => ({
  dtype: 'string',
  dims,
  data: [...data],
});

const constantOfShape: Kernel = c => {
  const dims = integers(c.input(0));
  const value = c.attributes.tensor('value') ?? zeros('float32', [1]);
  return [take(value, dims, new Int32Array(sizeOf(dims)))];
};

const rangeKernel: Kernel = c => {
  const [start, limit, delta] = [0, 1, 2].map(i => scalar(c.input(i)));
  if (delta === 0) c.fail('delta is 0');
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  return [
    store(
      c.input(0).dtype,
      [count],
      Float64Array.from({ length: count }, (_, i) => start + i * delta),
    ),
  ];
};

const eyeLike: Kernel = c => {
  const x = c.input(0);
  const [rows, columns] = x.dims;
  const dtype = dtypeOfCode(c.attributes.int('dtype', 0)) ?? x.dtype;
  const k = c.attributes.int('k', 0);
  const values = new Float64Array(rows * columns);
  for (let i = Math.max(0, -k); i < rows && i + k < columns; i++) values[i * columns + i + k] = 1;
  return [store(dtype, x.dims, values)];
};

/** values = [off, on]; indices outside [−depth, depth) give a row of `off`. */
const oneHot: Kernel = c => {
  const [indices, depth, values] = [c.input(0), scalar(c.input(1)), c.input(2)];
  const axis = axisOf(c, c.attributes.int('axis', -1), indices.dims.length + 1);
  const dims = [...indices.dims.slice(0, axis), depth, ...indices.dims.slice(axis)];
  const strides = stridesOf(dims);
  const bases = offsets(
    indices.dims,
    strides.filter((_, k) => k !== axis),
  );
  const [off, on] = elements(values);
  const out = emptyElements(values.dtype, sizeOf(dims)).fill(off);
  doubles(indices).forEach((index, i) => {
    const at = index < 0 ? index + depth : index;
    if (at >= 0 && at < depth) out[bases[i] + at * strides[axis]] = on;
  });
  return [pack(values.dtype, dims, out)];
};

/** int64 [rank, count]: the indices of the elements that are not zero, in row-major order. */
const nonZero: Kernel = c => {
  const x = c.input(0);
  const dims = x.dims.length === 0 ? [1] : x.dims;
  const strides = stridesOf(dims);
  const found: number[] = [];
  doubles(x).forEach((v, i) => {
    if (v !== 0) found.push(i);
  });
  const rows = dims.flatMap((n, axis) => found.map(i => Math.floor(i / strides[axis]) % n));
  return [indices64([dims.length, found.length], rows)];
};

export const MAKE = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: rangeKernel,
  EyeLike: eyeLike,
  OneHot: oneHot,
  NonZero: nonZero,
} as const satisfies KernelFamily;
