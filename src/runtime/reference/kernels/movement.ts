/** Ops that only move elements or tell about shapes. */
import { sizeOf, type Tensor } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import {
  axisOf,
  broadcastDims,
  broadcastTo,
  offsets,
  range,
  reshaped,
  sizeBetween,
  stridesOf,
  take,
  takeAlong,
  takeLists,
  transposed,
} from '../layout.ts';
import { elements, emptyElements, indices64, integers, pack, scalar } from '../tensor.ts';

const shape: Kernel = c => {
  const { dims } = c.input(0);
  const sizes = dims.slice(c.attributes.int('start', 0), c.attributes.int('end', dims.length));
  return [indices64([sizes.length], sizes)];
};

const reshape: Kernel = c => {
  const x = c.input(0);
  const keepZero = c.attributes.int('allowzero', 0) !== 0;
  const asked = integers(c.input(1)).map((n, k) => (n === 0 && !keepZero ? x.dims[k] : n));
  const known = asked.filter(n => n !== -1).reduce((a, b) => a * b, 1);
  const total = sizeOf(x.dims);
  const dims = asked.map(n => (n === -1 ? (known === 0 ? 0 : total / known) : n));
  if (sizeOf(dims) !== total || dims.some(n => !Number.isInteger(n))) {
    c.fail(`[${x.dims.join(', ')}] cannot be reshaped to [${asked.join(', ')}]`);
  }
  return [reshaped(x, dims)];
};

const flatten: Kernel = c => {
  const x = c.input(0);
  const axis = c.attributes.int('axis', 1);
  const at = axis < 0 ? axis + x.dims.length : axis;
  return [reshaped(x, [sizeBetween(x.dims, 0, at), sizeBetween(x.dims, at, x.dims.length)])];
};

const squeeze: Kernel = c => {
  const x = c.input(0);
  const rank = x.dims.length;
  const ones = range(rank).filter(k => x.dims[k] === 1);
  const axes = c.inputs[1] ? integers(c.inputs[1]).map(a => axisOf(c, a, rank)) : ones;
  const wide = axes.find(k => x.dims[k] !== 1);
  if (wide !== undefined) c.fail(`axis ${wide} of [${x.dims.join(', ')}] is not 1`);
  return [
    reshaped(
      x,
      x.dims.filter((_, k) => !axes.includes(k)),
    ),
  ];
};

const unsqueeze: Kernel = c => {
  const x = c.input(0);
  const given = integers(c.input(1));
  const rank = x.dims.length + given.length;
  const axes = given.map(a => axisOf(c, a, rank));
  if (new Set(axes).size !== axes.length) c.fail(`axes [${given.join(', ')}] repeat`);
  const rest = [...x.dims];
  return [
    reshaped(
      x,
      range(rank).map(k => (axes.includes(k) ? 1 : (rest.shift() as number))),
    ),
  ];
};

const transpose: Kernel = c => {
  const x = c.input(0);
  return [transposed(x, c.attributes.ints('perm') ?? range(x.dims.length).reverse())];
};

/** Broadcasting in both directions: a 1 in the asked shape keeps the input's dim. */
const expand: Kernel = c => {
  const x = c.input(0);
  return [broadcastTo(x, broadcastDims(c, x.dims, integers(c.input(1))))];
};

const tile: Kernel = c => {
  const x = c.input(0);
  const repeats = integers(c.input(1));
  return [
    takeLists(
      x,
      x.dims.map((n, k) => range(n * repeats[k]).map(i => i % n)),
    ),
  ];
};

const concat: Kernel = c => {
  const inputs = c.inputs.map((_, i) => c.input(i));
  const first = inputs[0];
  const axis = axisOf(c, c.attributes.int('axis', 0), first.dims.length);
  for (const t of inputs) checkConcat(c, first, t, axis);
  const total = inputs.reduce((n, t) => n + t.dims[axis], 0);
  return [
    concatenated(
      inputs,
      axis,
      first.dims.map((n, k) => (k === axis ? total : n)),
    ),
  ];
};

function checkConcat(c: KernelContext, first: Tensor, t: Tensor, axis: number): void {
  const fits =
    t.dims.length === first.dims.length && t.dims.every((n, k) => k === axis || n === first.dims[k]);
  if (!fits) c.fail(`[${first.dims.join(', ')}] and [${t.dims.join(', ')}] differ outside axis ${axis}`);
  if (t.dtype !== first.dtype) c.fail(`inputs have dtypes ${first.dtype} and ${t.dtype}`);
}

export function concatenated(inputs: readonly Tensor[], axis: number, dims: readonly number[]): Tensor {
  const out = emptyElements(inputs[0].dtype, sizeOf(dims));
  const strides = stridesOf(dims);
  let start = 0;
  for (const t of inputs) {
    const from = elements(t);
    const at = offsets(t.dims, strides, start);
    for (let i = 0; i < at.length; i++) out[at[i]] = from[i];
    start += t.dims[axis] * strides[axis];
  }
  return pack(inputs[0].dtype, dims, out);
}

function splitSizes(c: KernelContext, total: number): number[] {
  if (c.inputs[1]) return integers(c.inputs[1]);
  const parts = c.attributes.int('num_outputs', c.outputCount);
  const size = Math.ceil(total / parts);
  return range(parts).map(i => Math.max(0, Math.min(size, total - i * size)));
}

const split: Kernel = c => {
  const x = c.input(0);
  const axis = axisOf(c, c.attributes.int('axis', 0), x.dims.length);
  const sizes = splitSizes(c, x.dims[axis]);
  if (sizes.reduce((a, b) => a + b, 0) !== x.dims[axis]) {
    c.fail(`parts [${sizes.join(', ')}] do not add up to ${x.dims[axis]}`);
  }
  let start = 0;
  return sizes.map(size => {
    const part = takeAlong(
      x,
      axis,
      range(size).map(i => start + i),
    );
    start += size;
    return part;
  });
};

const slice: Kernel = c => {
  const x = c.input(0);
  const [starts, ends] = [integers(c.input(1)), integers(c.input(2))];
  const axes = (c.inputs[3] ? integers(c.inputs[3]) : range(starts.length)).map(a =>
    axisOf(c, a, x.dims.length),
  );
  const steps = c.inputs[4] ? integers(c.inputs[4]) : starts.map(() => 1);
  const lists = x.dims.map(n => range(n));
  axes.forEach((axis, i) => {
    if (steps[i] === 0) c.fail('a step is 0');
    lists[axis] = sliced(x.dims[axis], starts[i], ends[i], steps[i]);
  });
  return [takeLists(x, lists)];
};

/** Indices start, start + step, … before end; negative bounds count from the end, all bounds are clamped. */
function sliced(count: number, start: number, end: number, step: number): number[] {
  const clamp = (i: number, low: number, high: number) =>
    Math.min(high, Math.max(low, i < 0 ? i + count : i));
  const [low, high] = step > 0 ? [0, count] : [-1, count - 1];
  const from = clamp(start, 0, high);
  const to = clamp(end, low, high);
  return range(Math.max(0, Math.ceil((to - from) / step))).map(i => from + i * step);
}

type PadMode = 'constant' | 'edge' | 'reflect' | 'wrap';

const PAD_INDEX: Record<PadMode, (i: number, n: number) => number> = {
  constant: () => -1,
  edge: (i, n) => Math.min(n - 1, Math.max(0, i)),
  wrap: (i, n) => ((i % n) + n) % n,
  reflect: (i, n) => {
    const period = Math.max(1, 2 * (n - 1));
    const k = ((i % period) + period) % period;
    return Math.min(k, period - k);
  },
};

const pad: Kernel = c => {
  const x = c.input(0);
  const mode = c.attributes.string('mode', 'constant');
  if (!Object.hasOwn(PAD_INDEX, mode)) c.fail(`mode "${mode}" is not constant, edge, reflect or wrap`);
  const at = PAD_INDEX[mode as PadMode];
  const pads = integers(c.input(1));
  const rank = x.dims.length;
  const axes = c.inputs[3] ? integers(c.inputs[3]).map(a => axisOf(c, a, rank)) : range(rank);
  const lists = x.dims.map((n, axis) => {
    const k = axes.indexOf(axis);
    const [before, after] = k < 0 ? [0, 0] : [pads[k], pads[k + axes.length]];
    return range(n + before + after).map(j =>
      j < before || j >= before + n ? at(j - before, n) : j - before,
    );
  });
  return [filled(takeLists(x, lists), lists, c.inputs[2])];
};

/** Elements without a source (−1 in a list) take the pad value, 0 when it is left out. */
function filled(t: Tensor, lists: readonly number[][], value: Tensor | undefined): Tensor {
  const fill = value ? elements(value)[0] : emptyElements(t.dtype, 1)[0];
  const data = elements(t);
  const strides = stridesOf(t.dims);
  range(sizeOf(t.dims)).forEach(i => {
    const outside = lists.some((list, axis) => list[Math.floor(i / strides[axis]) % list.length] < 0);
    if (outside) data[i] = fill;
  });
  return pack(t.dtype, t.dims, data);
}

/** Keeps the upper (or lower) triangle of the last two axes, k diagonals off; zero elsewhere. */
const trilu: Kernel = c => {
  const x = c.input(0);
  const upper = c.attributes.int('upper', 1) !== 0;
  const k = c.inputs[1] ? scalar(c.inputs[1]) : 0;
  const [rows, columns] = x.dims.slice(-2);
  const out = take(x, x.dims, Int32Array.from(range(sizeOf(x.dims))));
  const zero = emptyElements(x.dtype, 1)[0];
  const data = elements(out);
  for (let i = 0; i < data.length; i++) {
    const diagonal = (i % columns) - (Math.floor(i / columns) % rows);
    if (upper ? diagonal < k : diagonal > k) data[i] = zero;
  }
  return [pack(x.dtype, x.dims, data)];
};

/** The first `sequence_lens[b]` elements of each batch row along `time_axis` in reverse. */
const reverseSequence: Kernel = c => {
  const x = c.input(0);
  const [batchAxis, timeAxis] = [c.attributes.int('batch_axis', 1), c.attributes.int('time_axis', 0)];
  const lengths = integers(c.input(1));
  const strides = stridesOf(x.dims);
  const coordinate = (i: number, axis: number) => Math.floor(i / strides[axis]) % x.dims[axis];
  const at = Int32Array.from(range(sizeOf(x.dims)), i => {
    const [t, length] = [coordinate(i, timeAxis), lengths[coordinate(i, batchAxis)]];
    return t < length ? i + (length - 1 - 2 * t) * strides[timeAxis] : i;
  });
  return [take(x, x.dims, at)];
};

/** Cut, or filled with zeros, around the middle. */
const centerCropPad: Kernel = c => {
  const x = c.input(0);
  const axes = (c.attributes.ints('axes') ?? range(x.dims.length)).map(a => axisOf(c, a, x.dims.length));
  const lists = x.dims.map(n => range(n));
  integers(c.input(1)).forEach((length, k) => {
    const n = x.dims[axes[k]];
    const start = length < n ? Math.floor((n - length) / 2) : -Math.floor((length - n) / 2);
    lists[axes[k]] = range(length).map(i => (i + start >= 0 && i + start < n ? i + start : -1));
  });
  return [takeLists(x, lists)];
};

/** Channels laid out as blocks of pixels: DCR counts [block, block, channel], CRD [channel, block, block]. */
const depthToSpace: Kernel = c => {
  const x = c.input(0);
  const b = c.attributes.int('blocksize', 1);
  const mode = c.attributes.string('mode', 'DCR');
  if (mode !== 'DCR' && mode !== 'CRD') c.fail(`mode "${mode}" is not DCR or CRD`);
  const [n, channels, height, width] = x.dims;
  const depth = channels / (b * b);
  const split = mode === 'DCR' ? [n, b, b, depth, height, width] : [n, depth, b, b, height, width];
  const order = mode === 'DCR' ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3];
  return [reshaped(transposed(reshaped(x, split), order), [n, depth, height * b, width * b])];
};

const spaceToDepth: Kernel = c => {
  const x = c.input(0);
  const b = c.attributes.int('blocksize', 1);
  const [n, channels, height, width] = x.dims;
  const blocks = reshaped(x, [n, channels, height / b, b, width / b, b]);
  return [reshaped(transposed(blocks, [0, 3, 5, 1, 2, 4]), [n, channels * b * b, height / b, width / b])];
};

export const MOVEMENT = {
  Shape: shape,
  Size: c => [indices64([], [sizeOf(c.input(0).dims)])],
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Trilu: trilu,
  ReverseSequence: reverseSequence,
  CenterCropPad: centerCropPad,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
} as const satisfies KernelFamily;
