/** One rule an op: from a node of a QDQ graph to TFLite operators. Ops without a rule are refused by name. */
import { type Node, sizeOf } from '../../graph/ir.ts';
import { Attributes } from '../../ops/rule.ts';
import { padsFor, type Window, windowOf } from '../../ops/shape/window.ts';
import {
  asInt8,
  type Lowering,
  type Placed,
  permOf,
  permuted,
  type Quantization,
  storedAsInt8,
} from './lowering.ts';
import { ACTIVATIONS, type OperatorName, PADDINGS } from './schema.ts';

export type LoweringRule = (node: Node, l: Lowering) => void;

const out = (node: Node): string => node.outputs[0] as string;
const attributes = (node: Node): Attributes => new Attributes(node.attributes);

/** Outputs whose scale TFLite fixes. */
const FIXED: Readonly<Record<string, Quantization>> = {
  LOGISTIC: { scale: [1 / 256], zeroPoint: [-128] },
  SOFTMAX: { scale: [1 / 256], zeroPoint: [-128] },
  TANH: { scale: [1 / 128], zeroPoint: [0] },
};

function windowFor(
  node: Node,
  l: Lowering,
  plane: readonly number[],
  kernel?: readonly number[],
): { window: Window; pads: readonly number[] } {
  const window = windowOf({ attributes: attributes(node), fail: m => l.fail(node, m) }, plane.length, kernel);
  return { window, pads: padsFor(window, plane) };
}

/** `same` when the pads are those that TFLite computes, `valid` when there are none, else neither. */
function paddingOf(
  { kernel, strides, dilations }: Window,
  pads: readonly number[],
  plane: readonly number[],
): number | undefined {
  if (pads.every(p => p === 0)) return PADDINGS.valid;
  const matches = plane.every((size, i) => {
    const [stride, extent] = [
      strides[i] as number,
      ((kernel[i] as number) - 1) * (dilations[i] as number) + 1,
    ];
    const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + extent - size);
    return pads[i] === Math.floor(total / 2) && pads[i + plane.length] === Math.ceil(total / 2);
  });
  return matches ? PADDINGS.same : undefined;
}

/** The value with explicit zeros (or the least value) around its plane. */
function padded(node: Node, l: Lowering, x: Placed, pads: readonly number[], least = false): Placed {
  const [top, left, bottom, right] = pads as [number, number, number, number];
  const [n, c, h, w] = x.dims as [number, number, number, number];
  const amounts = l.list(`${node.name}/pads`, [0, 0, top, bottom, left, right, 0, 0], [4, 2]);
  const target = { ...x, dims: [n, c, h + top + bottom, w + left + right], name: `${node.name}/padded` };
  if (!least) return l.emit('PAD', [x.index, amounts], target);
  const value = l.tensor({
    name: `${node.name}/least`,
    dtype: 'int8',
    shape: [1],
    data: Int8Array.of(-128),
    quantization: x.quantization,
  });
  return l.emit('PADV2', [x.index, amounts, value], target);
}

const convolution: LoweringRule = (node, l) => {
  const stored = l.constant(node.inputs[1] as string);
  if (!stored?.quantization) return l.fail(node, 'its weight is not stored as integers: quantize it first');
  const { tensor } = stored;
  if (tensor.dims.length !== 4)
    return l.fail(
      node,
      `a weight of ${tensor.dims.length} axes; TFLite convolves planes: give it a second spatial axis`,
    );
  const weight = storedAsInt8(tensor, stored.quantization);
  if (weight.quantization.zeroPoint.some(z => z !== 0))
    return l.fail(node, 'its weight has a zero point; TFLite weights have none: quantize symmetrically');
  const x = l.inLayout(l.value(node, node.inputs[0] as string), 'last');
  const [outputs, perGroup] = tensor.dims as [number, number];
  const group = attributes(node).int('group', 1);
  if (group > 1 && perGroup !== 1)
    return l.fail(node, `${group} groups; TFLite has plain and depthwise convolutions`);
  const depthwise = group > 1;
  const perm = depthwise ? [1, 2, 3, 0] : [0, 2, 3, 1];
  const quantization =
    weight.quantization.scale.length > 1
      ? { ...weight.quantization, axis: depthwise ? 3 : 0 }
      : weight.quantization;
  const shape = perm.map(i => tensor.dims[i] as number);
  const w = l.tensor({
    name: `${node.name}/weight`,
    dtype: 'int8',
    shape,
    data: permuted(weight.data, tensor.dims, perm),
    quantization,
  });
  const plane = x.dims.slice(2);
  const { window, pads } = windowFor(node, l, plane, tensor.dims.slice(2));
  const padding = paddingOf(window, pads, plane);
  const input = padding === undefined ? padded(node, l, x, pads) : x;
  const { name, activation } = l.activated(out(node));
  const b = bias(node, l, node.inputs[2], outputs, x.quantization, quantization);
  const [strideH, strideW] = window.strides as [number, number];
  const [dilationH, dilationW] = window.dilations as [number, number];
  const common = { padding: padding ?? PADDINGS.valid, strideW, strideH, dilationW, dilationH, activation };
  const options = depthwise ? { ...common, depthMultiplier: outputs / group } : common;
  const placed = {
    name,
    layout: 'last',
    dims: l.dims(name),
    quantization: l.quantizationOf(node, name),
  } as const;
  l.set(name, l.emit(depthwise ? 'DEPTHWISE_CONV_2D' : 'CONV_2D', [input.index, w, b], placed, options));
};

/** int32 with scale s_x s_w, one a channel where weights have one; zeros when there is none. */
function bias(
  node: Node,
  l: Lowering,
  name: string | undefined,
  count: number,
  x: Quantization,
  w: Quantization,
): number {
  const stored = name ? l.constant(name) : undefined;
  if (name && !stored) return l.fail(node, 'its bias is computed; TFLite biases are constant');
  const scale = w.scale.map(s => s * (x.scale[0] as number));
  const q = stored?.quantization;
  const real = (i: number): number => {
    const value = Number(stored?.tensor.data[i] ?? 0);
    return q
      ? (value - (q.zeroPoint[i] ?? q.zeroPoint[0] ?? 0)) * (q.scale[i] ?? (q.scale[0] as number))
      : value;
  };
  const data = Int32Array.from({ length: count }, (_, i) =>
    Math.round(real(i) / (scale[i] ?? (scale[0] as number))),
  );
  const quantization = { scale, zeroPoint: scale.map(() => 0), ...(scale.length > 1 && { axis: 0 }) };
  return l.tensor({ name: `${node.name}/bias`, dtype: 'int32', shape: [count], data, quantization });
}

/** Gemm and MatMul with a stored weight [K,N] (or [N,K] with transB). */
const product: LoweringRule = (node, l) => {
  const a = attributes(node);
  if (a.float('alpha', 1) !== 1 || a.float('beta', 1) !== 1 || a.int('transA', 0) !== 0)
    return l.fail(node, 'transA, alpha and beta must be folded first (the safe fixes of a check do it)');
  const stored = l.constant(node.inputs[1] as string);
  if (!stored?.quantization || stored.tensor.dims.length !== 2)
    return l.fail(node, 'its second input must be a stored, quantized matrix');
  const weight = storedAsInt8(stored.tensor, stored.quantization);
  if (weight.quantization.zeroPoint.some(z => z !== 0))
    return l.fail(node, 'its weight has a zero point; quantize symmetrically');
  const rows = node.opType === 'Gemm' && a.int('transB', 0) === 1;
  const [first, second] = stored.tensor.dims as [number, number];
  const [outputs, inputs] = rows ? [first, second] : [second, first];
  const data = rows ? weight.data : permuted(weight.data, stored.tensor.dims, [1, 0]);
  const quantization =
    weight.quantization.scale.length > 1 ? { ...weight.quantization, axis: 0 } : weight.quantization;
  const w = l.tensor({
    name: `${node.name}/weight`,
    dtype: 'int8',
    shape: [outputs, inputs],
    data,
    quantization,
  });
  const x = l.inLayout(l.value(node, node.inputs[0] as string), 'plain');
  const { name, activation } = l.activated(out(node));
  const b = bias(node, l, node.inputs[2], outputs, x.quantization, quantization);
  const dims = l.dims(name);
  const placed = { name, layout: 'plain', dims, quantization: l.quantizationOf(node, name) } as const;
  l.set(
    name,
    l.emit('FULLY_CONNECTED', [x.index, w, b], placed, { activation, keepNumDims: dims.length > 2 ? 1 : 0 }),
  );
};

const pool =
  (op: 'MAX_POOL_2D' | 'AVERAGE_POOL_2D'): LoweringRule =>
  (node, l) => {
    const x = l.inLayout(l.value(node, node.inputs[0] as string), 'last');
    if (x.dims.length !== 4) return l.fail(node, 'TFLite pools planes: give it a second spatial axis');
    const plane = x.dims.slice(2);
    const { window, pads } = windowFor(node, l, plane);
    if (window.dilations.some(d => d !== 1)) return l.fail(node, 'dilated pools do not exist in TFLite');
    const counted = attributes(node).int('count_include_pad', 0) === 1;
    const same = paddingOf(window, pads, plane);
    const padding = op === 'AVERAGE_POOL_2D' && counted && same === PADDINGS.same ? undefined : same;
    if (padding === undefined && op === 'AVERAGE_POOL_2D' && !counted)
      return l.fail(node, `pads [${pads}] of an average that leaves them out do not exist in TFLite`);
    const input = padding === undefined ? padded(node, l, x, pads, op === 'MAX_POOL_2D') : x;
    const [strideH, strideW] = window.strides as [number, number];
    const [filterHeight, filterWidth] = window.kernel as [number, number];
    const options = { padding: padding ?? PADDINGS.valid, strideW, strideH, filterWidth, filterHeight };
    l.produce(node, op, [input.index], { name: out(node), layout: 'last', natural: x.quantization }, options);
  };

/** A mean over axes; the output may have its own scale. */
function mean(node: Node, l: Lowering, axes: readonly number[], keep: boolean): void {
  const given = l.value(node, node.inputs[0] as string);
  // without height and width, what is left stands in one order in both layouts
  const plane = axes.map(axis => (axis < 0 ? axis + given.dims.length : axis));
  const x = keep || [2, 3].every(axis => plane.includes(axis)) ? given : l.inLayout(given, 'plain');
  const place = x.layout === 'last' && x.dims.length === 4 ? [0, 3, 1, 2] : x.dims.map((_, i) => i);
  const list = l.list(
    `${node.name}/axes`,
    plane.map(axis => place[axis] as number),
  );
  const quantization = l.quantizationOf(node, out(node), x.quantization);
  const layout = keep ? x.layout : 'plain';
  l.set(
    out(node),
    l.emit(
      'MEAN',
      [x.index, list],
      { name: out(node), layout, dims: l.dims(out(node)), quantization },
      { keepDims: keep ? 1 : 0 },
    ),
  );
}

const reduceMean: LoweringRule = (node, l) => {
  const axes = Array.from(l.constant(node.inputs[1] ?? '')?.tensor.data ?? [], Number);
  if (axes.length === 0) return l.fail(node, 'its axes must be constant');
  mean(node, l, axes, attributes(node).int('keepdims', 1) === 1);
};

/** Two inputs in one layout; constants of lower rank get leading ones so that axes can be exchanged. */
const binary =
  (op: OperatorName): LoweringRule =>
  (node, l) => {
    const rank = l.dims(out(node)).length;
    const values = node.inputs.map(name => widened(l, l.value(node, name), rank));
    const layout = rank === 4 && values.some(v => v.layout === 'last') ? 'last' : 'plain';
    const [x, y] = values.map(v => l.inLayout(v, layout)) as [Placed, Placed];
    const { name, activation } = l.activated(out(node));
    const placed = { name, layout, dims: l.dims(name), quantization: l.quantizationOf(node, name) } as const;
    l.set(name, l.emit(op, [x.index, y.index], placed, { activation }));
  };

function widened(l: Lowering, value: Placed, rank: number): Placed {
  if (value.dims.length === rank || sizeOf(value.dims) === 1) return value;
  const dims = [...new Array<number>(rank - value.dims.length).fill(1), ...value.dims];
  return l.emit(
    'RESHAPE',
    [value.index, l.list('shape', dims)],
    { ...value, dims, layout: 'plain', name: `value${value.index}/wide` },
    { newShape: dims },
  );
}

/** An op of one input that keeps places; TFLite fixes the output's scale where FIXED has it. */
const unary =
  (op: OperatorName, options: (a: Attributes) => Record<string, number> = () => ({})): LoweringRule =>
  (node, l) => {
    const x = l.value(node, node.inputs[0] as string);
    const fixed = FIXED[op];
    if (fixed)
      l.produce(
        node,
        op,
        [x.index],
        { name: out(node), layout: x.layout, natural: fixed },
        options(attributes(node)),
      );
    else {
      const placed = {
        name: out(node),
        layout: x.layout,
        dims: x.dims,
        quantization: l.quantizationOf(node, out(node)),
      };
      l.set(out(node), l.emit(op, [x.index], placed, options(attributes(node))));
    }
  };

/** Along the last axis of the file. */
const softmax: LoweringRule = (node, l) => {
  const given = l.value(node, node.inputs[0] as string);
  const rank = given.dims.length;
  const axis = attributes(node).int('axis', -1);
  const last = (axis < 0 ? axis + rank : axis) === rank - 1;
  if (!last && !(rank === 4 && axis === 1))
    return l.fail(
      node,
      `axis ${axis}: TFLite sums along the last axis (the safe fixes of a check transpose)`,
    );
  const x = l.inLayout(given, last ? 'plain' : 'last');
  l.produce(
    node,
    'SOFTMAX',
    [x.index],
    { name: out(node), layout: x.layout, natural: FIXED.SOFTMAX as Quantization },
    { beta: 1 },
  );
};

const reshape: LoweringRule = (node, l) => {
  const x = l.inLayout(l.value(node, node.inputs[0] as string), 'plain');
  const dims = l.dims(out(node));
  l.produce(
    node,
    'RESHAPE',
    [x.index, l.list(`${node.name}/shape`, dims)],
    { name: out(node), layout: 'plain', natural: x.quantization },
    { newShape: dims },
  );
};

/** To channels first of what lies plain, or back: only the name of the layout changes. */
const transpose: LoweringRule = (node, l) => {
  const x = l.value(node, node.inputs[0] as string);
  const perm = permOf(node).join();
  const dims = l.dims(out(node));
  const free = x.layout === 'plain' ? perm === '0,3,1,2' : perm === '0,2,3,1';
  if (free && x.dims.length === 4) {
    const renamed: Placed = { ...x, dims, layout: x.layout === 'plain' ? 'last' : 'plain' };
    l.set(out(node), l.requantized(renamed, l.quantizationOf(node, out(node), x.quantization), out(node)));
    return;
  }
  const plain = l.inLayout(x, 'plain');
  l.produce(node, 'TRANSPOSE', [plain.index, l.list(`${node.name}/perm`, permOf(node))], {
    name: out(node),
    layout: 'plain',
    natural: x.quantization,
  });
};

const concat: LoweringRule = (node, l) => {
  const dims = l.dims(out(node));
  const values = node.inputs.map(name => l.value(node, name));
  const layout = dims.length === 4 && values.some(v => v.layout === 'last') ? 'last' : 'plain';
  const quantization = l.quantizationOf(node, out(node), values[0]?.quantization);
  const parts = values.map((v, i) =>
    l.requantized(l.inLayout(v, layout), quantization, node.inputs[i] as string),
  );
  const axis = attributes(node).int('axis', 0);
  const place = axis < 0 ? axis + dims.length : axis;
  const at = layout === 'last' ? ([0, 3, 1, 2][place] as number) : place;
  l.set(
    out(node),
    l.emit(
      'CONCATENATION',
      parts.map(p => p.index),
      { name: out(node), layout, dims, quantization },
      { axis: at },
    ),
  );
};

const resize: LoweringRule = (node, l) => {
  const a = attributes(node);
  const x = l.inLayout(l.value(node, node.inputs[0] as string), 'last');
  const [mode, where] = [
    a.string('mode', 'nearest'),
    a.string('coordinate_transformation_mode', 'half_pixel'),
  ];
  if (mode !== 'nearest' && mode !== 'linear')
    return l.fail(node, `mode ${mode}; TFLite has nearest and linear`);
  if (!['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'].includes(where))
    return l.fail(node, `coordinates ${where} do not exist in TFLite`);
  if (
    mode === 'nearest' &&
    where === 'asymmetric' &&
    a.string('nearest_mode', 'round_prefer_floor') !== 'floor'
  )
    return l.fail(
      node,
      'nearest with asymmetric coordinates rounds down in TFLite: nearest_mode must be floor',
    );
  const size = l.list(`${node.name}/size`, l.dims(out(node)).slice(2));
  const options = {
    alignCorners: where === 'align_corners' ? 1 : 0,
    halfPixelCenters: where.includes('half_pixel') ? 1 : 0,
  };
  l.produce(
    node,
    mode === 'linear' ? 'RESIZE_BILINEAR' : 'RESIZE_NEAREST_NEIGHBOR',
    [x.index, size],
    { name: out(node), layout: 'last', natural: x.quantization },
    options,
  );
};

/** Constant padding with zero. */
const pad: LoweringRule = (node, l) => {
  const x = l.value(node, node.inputs[0] as string);
  const amounts = Array.from(l.constant(node.inputs[1] ?? '')?.tensor.data ?? [], Number);
  const value = Number(l.constant(node.inputs[2] ?? '')?.tensor.data[0] ?? 0);
  const rank = x.dims.length;
  if (
    amounts.length !== 2 * rank ||
    value !== 0 ||
    attributes(node).string('mode', 'constant') !== 'constant'
  )
    return l.fail(node, 'only constant pads of zeros on all axes are written');
  const order = x.layout === 'last' && rank === 4 ? [0, 2, 3, 1] : x.dims.map((_, i) => i);
  const list = l.list(
    `${node.name}/pads`,
    order.flatMap(i => [amounts[i] as number, amounts[i + rank] as number]),
    [rank, 2],
  );
  l.produce(node, 'PAD', [x.index, list], { name: out(node), layout: x.layout, natural: x.quantization });
};

/** Constant starts, ends and steps; axes that are not named keep all. */
const slice: LoweringRule = (node, l) => {
  const x = l.value(node, node.inputs[0] as string);
  const list = (i: number): number[] =>
    Array.from(l.constant(node.inputs[i] ?? '')?.tensor.data ?? [], Number);
  const [starts, ends, steps] = [list(1), list(2), list(4)];
  const axes = node.inputs[3] ? list(3) : starts.map((_, i) => i);
  if (starts.length === 0 || axes.length !== starts.length || steps.some(s => s < 1))
    return l.fail(node, 'only constant starts, ends and positive steps are written');
  const bounds = x.dims.map((size, axis) => {
    const i = axes.findIndex(a => (a < 0 ? a + x.dims.length : a) === axis);
    const inside = (at: number): number => Math.max(0, Math.min(size, at < 0 ? at + size : at));
    return i < 0 ? [0, size, 1] : [inside(starts[i] as number), inside(ends[i] as number), steps[i] ?? 1];
  });
  const order = x.layout === 'last' && x.dims.length === 4 ? [0, 2, 3, 1] : x.dims.map((_, i) => i);
  const [begin, end, step] = [0, 1, 2].map(k =>
    l.list(
      `${node.name}/bounds${k}`,
      order.map(i => bounds[i]?.[k] as number),
    ),
  );
  const inputs = [x.index, begin as number, end as number, step as number];
  l.produce(node, 'STRIDED_SLICE', inputs, { name: out(node), layout: x.layout, natural: x.quantization });
};

/** A Relu or Clip that nothing took in. */
const activation: LoweringRule = (node, l) => {
  const kind = l.activationOf(node);
  const op = (Object.keys(ACTIVATIONS) as (keyof typeof ACTIVATIONS)[]).find(
    name => ACTIVATIONS[name] === kind,
  ); // its own keys
  if (!op || op === 'none')
    return l.fail(node, 'only bounds 0 and none, 0 and 6, and -1 and 1 exist in TFLite');
  unary(({ relu: 'RELU', relu6: 'RELU6', reluN1To1: 'RELU_N1_TO_1' } as const)[op])(node, l);
};

/** Integers to other integers: a Q that reads what a DQ made. */
const requantize: LoweringRule = (node, l) => {
  const x = l.value(node, node.inputs[0] as string);
  const made = l.qdq.madeBy(node);
  if (!made) return l.fail(node, 'its scale must be constant');
  l.set(out(node), l.requantized(x, asInt8(made.quantization), out(node)));
};

export const LOWERING: Readonly<Record<string, LoweringRule>> = {
  Conv: convolution,
  Gemm: product,
  MatMul: product,
  MaxPool: pool('MAX_POOL_2D'),
  AveragePool: pool('AVERAGE_POOL_2D'),
  GlobalAveragePool: (node, l) => mean(node, l, [2, 3], true),
  ReduceMean: reduceMean,
  Add: binary('ADD'),
  Sub: binary('SUB'),
  Mul: binary('MUL'),
  Max: binary('MAXIMUM'),
  Min: binary('MINIMUM'),
  Relu: activation,
  Clip: activation,
  Sigmoid: unary('LOGISTIC'),
  Tanh: unary('TANH'),
  HardSwish: unary('HARD_SWISH'),
  LeakyRelu: unary('LEAKY_RELU', a => ({ alpha: a.float('alpha', 0.01) })),
  Softmax: softmax,
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Transpose: transpose,
  Concat: concat,
  Resize: resize,
  Pad: pad,
  Slice: slice,
  QuantizeLinear: requantize,
  Identity: (node, l) => l.set(out(node), l.value(node, node.inputs[0] as string)),
};
