/** Gather and scatter in all their forms. */
import { sizeOf, type Tensor } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { axisOf, indexOf, listOffsets, offsets, range, sizeBetween, stridesOf, take } from '../layout.ts';
import { doubles, exact, FOLDS, type Fold, foldFor, integers, storeExact } from '../tensor.ts';

/** dims before axis + dims of indices + dims after axis. */
const gather: Kernel = c => {
  const [x, indices] = [c.input(0), c.input(1)];
  const axis = axisOf(c, c.attributes.int('axis', 0), x.dims.length);
  const list = doubles(indices).map(i => indexOf(c, i, x.dims[axis]));
  const lists = x.dims.map((n, k) => (k === axis ? list : range(n)));
  const dims = [...x.dims.slice(0, axis), ...indices.dims, ...x.dims.slice(axis + 1)];
  return [take(x, dims, listOffsets(lists, stridesOf(x.dims)))];
};

/** Offsets into `data` of every element of `indices`, whose value replaces the coordinate along `axis`. */
function elementOffsets(c: KernelContext, data: Tensor, indices: Tensor): Int32Array {
  const axis = axisOf(c, c.attributes.int('axis', 0), data.dims.length);
  const strides = stridesOf(data.dims);
  const at = offsets(
    indices.dims,
    strides.map((s, k) => (k === axis ? 0 : s)),
  );
  const list = doubles(indices);
  return at.map((base, i) => base + indexOf(c, list[i], data.dims[axis]) * strides[axis]);
}

const gatherElements: Kernel = c => {
  const [x, indices] = [c.input(0), c.input(1)];
  return [take(x, indices.dims, elementOffsets(c, x, indices))];
};

/** Start of the slice that each row of `indices` [.., q] names, `batch` leading axes being shared. */
function sliceStarts(c: KernelContext, dims: readonly number[], indices: Tensor, batch: number): number[] {
  const q = indices.dims[indices.dims.length - 1];
  const strides = stridesOf(dims);
  const list = integers(indices);
  const rows = sizeBetween(indices.dims, 0, indices.dims.length - 1);
  const perBatch = sizeBetween(indices.dims, batch, indices.dims.length - 1);
  const batchSize = sizeBetween(dims, batch, dims.length);
  return range(rows).map(row => {
    const tuple = list.slice(row * q, (row + 1) * q);
    const within = tuple.reduce((s, i, k) => s + indexOf(c, i, dims[batch + k]) * strides[batch + k], 0);
    return Math.floor(row / perBatch) * (batch > 0 ? batchSize : 0) + within;
  });
}

/** Every start followed by its slice of `size` consecutive elements. */
function spread(starts: readonly number[], size: number): Int32Array {
  const at = new Int32Array(starts.length * size);
  starts.forEach((start, i) => {
    for (let j = 0; j < size; j++) at[i * size + j] = start + j;
  });
  return at;
}

const gatherND: Kernel = c => {
  const [x, indices] = [c.input(0), c.input(1)];
  const batch = c.attributes.int('batch_dims', 0);
  const inner = x.dims.slice(batch + indices.dims[indices.dims.length - 1]);
  const at = spread(sliceStarts(c, x.dims, indices, batch), sizeOf(inner));
  return [take(x, [...indices.dims.slice(0, -1), ...inner], at)];
};

const REDUCTIONS: Record<string, Fold> = {
  none: { number: (_, b) => b, bigint: (_, b) => b },
  ...FOLDS,
};

/** A copy of `data` with `updates` folded in at `at`, in order. */
function scattered(c: KernelContext, data: Tensor, updates: Tensor, at: Int32Array): Tensor {
  const reduction = c.attributes.string('reduction', 'none');
  const fold = REDUCTIONS[reduction] ?? c.fail(`reduction "${reduction}" is not none, add, mul, max or min`);
  if (data.dtype !== updates.dtype) c.fail(`data and updates have dtypes ${data.dtype} and ${updates.dtype}`);
  const f = foldFor(fold, data.dtype);
  const out = exact(data).slice();
  const values = exact(updates);
  for (let i = 0; i < at.length; i++) out[at[i]] = f(out[at[i]], values[i]);
  return storeExact(data.dtype, data.dims, out);
}

const scatterElements: Kernel = c => [
  scattered(c, c.input(0), c.input(2), elementOffsets(c, c.input(0), c.input(1))),
];

const scatterND: Kernel = c => {
  const [data, indices] = [c.input(0), c.input(1)];
  const inner = sizeOf(data.dims.slice(indices.dims[indices.dims.length - 1]));
  return [scattered(c, data, c.input(2), spread(sliceStarts(c, data.dims, indices, 0), inner))];
};

/**
 * Writes `update` into `cache` along `axis`, starting per batch row at `write_indices` (0 when left out); `circular`
 * wraps around the end.
 */
const tensorScatter: Kernel = c => {
  const [cache, update] = [c.input(0), c.input(1)];
  const axis = axisOf(c, c.attributes.int('axis', -2), cache.dims.length);
  const circular = c.attributes.string('mode', 'linear') === 'circular';
  const starts = c.inputs[2] ? integers(c.inputs[2]) : new Array<number>(cache.dims[0]).fill(0);
  const strides = stridesOf(cache.dims);
  const at = starts.flatMap((start, row) => {
    const along = range(update.dims[axis]).map(j => wrapped(c, start + j, cache.dims[axis], circular));
    const lists = update.dims.map((n, k) => (k === 0 ? [row] : k === axis ? along : range(n)));
    return Array.from(listOffsets(lists, strides));
  });
  return [scattered(c, cache, update, Int32Array.from(at))];
};

function wrapped(c: KernelContext, index: number, count: number, circular: boolean): number {
  if (circular) return index % count;
  return index < count ? index : c.fail(`write index ${index} is outside a dimension of ${count}`);
}

export const INDEXING = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatterElements,
  ScatterND: scatterND,
  TensorScatter: tensorScatter,
} as const satisfies KernelFamily;
