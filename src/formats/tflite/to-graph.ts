/**
 * TFLite files as graphs: float ones plain, quantized ones with Q/DQ pairs, so that every pass works on them.
 *
 * 1. Inputs and outputs are float and in the file's order of axes (NHWC); integers behind them become a Q/DQ pair.
 * 2. Convolutions and pools read and write channels first, and so do elementwise ops, pads and means behind them. A value
 *    is transposed once, where somebody needs the other order, and gets a Q/DQ pair of its own there: without one ONNX Runtime 1.30
 *    inserts one with a zero point of the wrong type.
 * 3. Weights keep their integers; a bias of int32 keeps its own, with the scale s_x s_w.
 */
import type { Graph } from '../../graph/ir.ts';
import type { Value } from '../../ops/builder.ts';
import { GaslawError } from '../../util/errors.ts';
import { decodeTflite } from './decode.ts';
import type { TfliteModel, TfliteOperator } from './model.ts';
import { Raising, TO_FIRST, TO_LAST } from './raising.ts';
import { ACTIVATIONS, type OperatorName, PADDINGS } from './schema.ts';

/** Reads a `.tflite` file (float or quantized) as a graph. Throws a GaslawError naming `file` and what is not read. */
export function fromTflite(bytes: Uint8Array, file = 'model.tflite'): Graph {
  const model = decodeTflite(bytes, file);
  try {
    return raise(model, file);
  } catch (error) {
    if (error instanceof GaslawError) throw error;
    throw new GaslawError(`${file}: broken TFLite file (${(error as Error).message})`); // inputs that do not fit the operator
  }
}

export function raise(model: TfliteModel, file: string): Graph {
  const r = new Raising(model, file);
  for (const i of model.inputs) r.input(i);
  // names of its own for what is made here: outputs bear the file's
  const outputs = r.builder.scope(unusedPrefix(model), () => {
    for (const operator of model.operators) RULES[operator.op](operator, r);
    return model.outputs.map(i => r.value(i, 'last'));
  });
  outputs.forEach((value, i) => {
    r.builder.output(value, r.tensor(model.outputs[i] as number).name);
  });
  return r.builder.graph;
}

function unusedPrefix({ tensors }: TfliteModel): string {
  let prefix = 'tflite';
  while (tensors.some(tensor => tensor.name.startsWith(`${prefix}/`))) prefix += '_';
  return prefix;
}

type Rule = (o: TfliteOperator, r: Raising) => void;

/** What a fused activation adds. */
function activated(r: Raising, x: Value, kind: unknown): Value {
  const clip = (low: number, high: number): Value =>
    r.builder.op('Clip', [x, r.builder.scalar(low), r.builder.scalar(high)], {});
  if (kind === ACTIVATIONS.relu) return r.builder.op('Relu', [x], {});
  if (kind === ACTIVATIONS.relu6) return clip(0, 6);
  return kind === ACTIVATIONS.reluN1To1 ? clip(-1, 1) : x;
}

const option = (o: TfliteOperator, name: string): number => Number(o.options[name] ?? 0);
const padding = (o: TfliteOperator) => ({
  auto_pad: option(o, 'padding') === PADDINGS.same ? 'SAME_UPPER' : 'VALID',
});
const first = (o: TfliteOperator): number => o.inputs[0] as number;
const made = (o: TfliteOperator): number => o.outputs[0] as number;

const convolution =
  (depthwise: boolean): Rule =>
  (o, r) => {
    const padded = r.padded(first(o));
    const x = r.value(padded?.from ?? first(o), 'first');
    const weight = o.inputs[1] as number;
    const w = r.stored(weight, depthwise ? [3, 0, 1, 2] : [0, 3, 1, 2]);
    const bias = biasOf(o, r, weight);
    const attributes = {
      ...(padded ? { pads: padded.pads } : padding(o)),
      strides: [option(o, 'strideH'), option(o, 'strideW')],
      dilations: [option(o, 'dilationH'), option(o, 'dilationW')],
      ...(depthwise && { group: Number(x.shape[1]) }),
    };
    r.set(
      made(o),
      'first',
      activated(r, r.builder.op('Conv', [x, w, bias], attributes), option(o, 'activation')),
    );
  };

function biasOf(o: TfliteOperator, r: Raising, weight: number): Value | undefined {
  const at = o.inputs[2];
  if (at === undefined || at < 0) return undefined;
  const [x, w] = [r.tensor(first(o)).quantization, r.tensor(weight).quantization];
  const scale = x && w?.scale.map(s => s * (x.scale[0] as number));
  return r.stored(at, undefined, scale);
}

const fullyConnected: Rule = (o, r) => {
  const { shape } = r.tensor(o.inputs[1] as number);
  const given = r.value(first(o), 'last');
  const flat = given.rank === 2 ? given : given.reshape([-1, shape[1] as number]);
  const product = r.builder.op(
    'Gemm',
    [flat, r.stored(o.inputs[1] as number), biasOf(o, r, o.inputs[1] as number)],
    { transB: 1 },
  );
  const out = r.tensor(made(o)).shape;
  r.set(
    made(o),
    'last',
    activated(r, out.length === 2 ? product : product.reshape(out), option(o, 'activation')),
  );
};

const pool =
  (op: 'MaxPool' | 'AveragePool'): Rule =>
  (o, r) => {
    const attributes = {
      ...padding(o),
      kernel_shape: [option(o, 'filterHeight'), option(o, 'filterWidth')],
      strides: [option(o, 'strideH'), option(o, 'strideW')],
    };
    const x = r.builder.op(op, [r.value(first(o), 'first')], attributes);
    r.set(made(o), 'first', activated(r, x, option(o, 'activation')));
  };

/** Elementwise, in the order in which the first input stands. */
const elementwise =
  (make: (inputs: readonly Value[], o: TfliteOperator, r: Raising) => Value): Rule =>
  (o, r) => {
    const order = o.inputs.every(i => r.goesFirst(i)) && o.inputs.some(i => r.isFirst(i)) ? 'first' : 'last';
    const inputs = o.inputs.map(i => r.value(i, order));
    r.set(made(o), order, activated(r, make(inputs, o, r), option(o, 'activation')));
  };

const binary = (op: 'Add' | 'Sub' | 'Mul' | 'Div' | 'Max' | 'Min'): Rule =>
  elementwise((inputs, _, r) => r.builder.op(op, inputs, {}));
const unary = (make: (x: Value, o: TfliteOperator, r: Raising) => Value): Rule =>
  elementwise(([x], o, r) => make(x as Value, o, r));

/** In the file's order of axes. */
const plain =
  (make: (x: Value, o: TfliteOperator, r: Raising) => Value): Rule =>
  (o, r) =>
    r.set(made(o), 'last', make(r.value(first(o), 'last'), o, r));

const reshape: Rule = plain((x, o, r) => x.reshape(r.tensor(made(o)).shape));

const pad: Rule = (o, r) => {
  const amounts = r.numbers(o, 1);
  const rank = amounts.length / 2;
  const order = rank === 4 && r.isFirst(first(o)) ? 'first' : 'last';
  const axes = order === 'first' ? TO_FIRST : Array.from({ length: rank }, (_, i) => i);
  const pads = [0, 1].flatMap(end => axes.map(axis => amounts[2 * axis + end] as number));
  const around = [2, 4, 3, 5].map(i => amounts[i] as number);
  const plane = rank === 4 && [0, 1, 6, 7].every(i => amounts[i] === 0);
  if (plane && o.inputs[2] === undefined && r.pad(first(o), made(o), around)) return;
  const value = o.inputs[2] === undefined ? undefined : r.stored(o.inputs[2]).reshape([]);
  const x = r.value(first(o), order);
  r.set(made(o), order, r.builder.op('Pad', [x, r.builder.ints(pads), value], { mode: 'constant' }));
};

const resize =
  (mode: 'linear' | 'nearest'): Rule =>
  (o, r) => {
    const where = option(o, 'alignCorners')
      ? 'align_corners'
      : option(o, 'halfPixelCenters')
        ? 'half_pixel'
        : 'asymmetric';
    const x = r.value(first(o), 'first');
    const sizes = r.builder.ints([...x.shape.slice(0, 2).map(Number), ...r.numbers(o, 1)]);
    const attributes = {
      mode,
      coordinate_transformation_mode: where,
      ...(mode === 'nearest' && { nearest_mode: where === 'asymmetric' ? 'floor' : 'round_prefer_ceil' }),
    };
    r.set(made(o), 'first', r.builder.op('Resize', [x, undefined, undefined, sizes], attributes));
  };

/** Past the end of any axis, in both directions. */
const BEYOND = 2 ** 31 - 1;

function sliced(
  x: Value,
  r: Raising,
  [starts, ends, steps]: readonly [readonly number[], readonly number[], readonly number[]],
): Value {
  const axes = x.shape.map((_, i) => i);
  return r.builder.op('Slice', [x, ...[starts, ends, axes, steps].map(list => r.builder.ints(list))], {});
}

const stridedSlice = plain((x, o, r) => {
  if (option(o, 'ellipsisMask') !== 0 || option(o, 'newAxisMask') !== 0)
    r.fail(o, 'an ellipsis or a new axis is not read');
  const has = (mask: string, i: number): boolean => ((option(o, mask) >> i) & 1) === 1;
  const [begin, end, given] = [r.numbers(o, 1), r.numbers(o, 2), r.numbers(o, 3)];
  const steps = given.map((step, i) => (has('shrinkAxisMask', i) ? 1 : step));
  const starts = begin.map((at, i) => (has('beginMask', i) ? ((steps[i] ?? 1) > 0 ? 0 : BEYOND) : at));
  const ends = end.map((at, i) => {
    const start = begin[i] ?? 0;
    if (has('shrinkAxisMask', i)) return start === -1 ? BEYOND : start + 1;
    if (!has('endMask', i)) return at;
    return (steps[i] ?? 1) > 0 ? BEYOND : -BEYOND;
  });
  const whole = sliced(x, r, [starts, ends, steps]);
  return option(o, 'shrinkAxisMask') === 0 ? whole : whole.reshape(r.tensor(made(o)).shape);
});

const slice = plain((x, o, r) => {
  const [begin, size] = [r.numbers(o, 1), r.numbers(o, 2)];
  const ends = size.map((n, i) => (n < 0 ? BEYOND : (begin[i] as number) + n));
  return sliced(x, r, [begin, ends, size.map(() => 1)]);
});

const reduction =
  (op: 'ReduceMean' | 'ReduceSum' | 'ReduceMax'): Rule =>
  (o, r) => {
    const keepdims = option(o, 'keepDims') === 0 ? 0 : 1;
    const axes = r.numbers(o, 1).map(axis => wrapped(axis, r.tensor(first(o)).shape.length));
    // what is left of the axes stands in the same order either way
    const same = axes.includes(3) || (axes.includes(1) && axes.includes(2));
    const order = r.isFirst(first(o)) && (keepdims === 1 || same) ? 'first' : 'last';
    const placed = order === 'first' ? axes.map(axis => TO_LAST[axis] as number) : axes;
    const x = r.builder.op(op, [r.value(first(o), order), r.builder.ints(placed)], { keepdims });
    r.set(made(o), keepdims === 1 ? order : 'last', x);
  };

const gather: Rule = (o, r) => {
  if (option(o, 'batchDims') !== 0) r.fail(o, 'batch dims are not read');
  const indices = r.value(o.inputs[1] as number, 'last');
  r.set(made(o), 'last', r.value(first(o), 'last').gather(indices, option(o, 'axis')));
};

/** Cuts input `from` along the axis that input `axis` holds, into the sizes of the outputs. */
const split =
  (from: number, axis: number): Rule =>
  (o, r) => {
    const x = r.value(o.inputs[from] as number, 'last');
    const at = wrapped(r.numbers(o, axis)[0] ?? 0, x.rank);
    const parts = x.split(
      o.outputs.map(i => r.tensor(i).shape[at] ?? 0),
      at,
    );
    r.setAll(o, parts);
  };

const wrapped = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

const pack: Rule = (o, r) => {
  const axis = wrapped(option(o, 'axis'), r.tensor(made(o)).shape.length);
  const parts = o.inputs.map(i => r.value(i, 'last').unsqueeze([axis]));
  r.set(made(o), 'last', r.builder.concat(parts, axis));
};

const unpack: Rule = (o, r) => {
  const x = r.value(first(o), 'last');
  const axis = wrapped(option(o, 'axis'), x.rank);
  const parts = x.split(
    o.outputs.map(() => 1),
    axis,
  );
  r.setAll(
    o,
    parts.map(part => part.squeeze([axis])),
  );
};

/** The slope has the channels last. */
const prelu: Rule = (o, r) => {
  const slope = r.value(o.inputs[1] as number, 'last');
  const turns = r.isFirst(first(o)) && slope.rank === 3;
  const order = turns ? 'first' : 'last';
  const placed = turns ? slope.transpose([2, 0, 1]) : slope;
  r.set(made(o), order, r.builder.op('PRelu', [r.value(first(o), order), placed], {}));
};

const blocks =
  (op: 'DepthToSpace' | 'SpaceToDepth'): Rule =>
  (o, r) => {
    const x = r.value(first(o), 'first');
    r.set(made(o), 'first', r.builder.op(op, [x], { blocksize: option(o, 'blockSize') }));
  };

/** Its inputs are the shape of its output, the weight and x. */
const transposedConvolution: Rule = (o, r) => {
  const weight = o.inputs[1] as number;
  const x = r.value(o.inputs[2] as number, 'first');
  const w = r.stored(weight, [3, 0, 1, 2]);
  const bias = biasOf({ ...o, inputs: [o.inputs[2] as number, weight, o.inputs[3] ?? -1] }, r, weight);
  const strides = [option(o, 'strideH'), option(o, 'strideW')];
  const surplus = strides.map((stride, i) => {
    const [input, kernel] = [Number(x.shape[2 + i]), Number(w.shape[2 + i])];
    return (input - 1) * stride + kernel - (r.tensor(made(o)).shape[1 + i] as number);
  });
  const before = surplus.map(n => Math.floor(Math.max(n, 0) / 2));
  const attributes = {
    strides,
    pads: [...before, ...surplus.map((n, i) => Math.max(n, 0) - (before[i] as number))],
    output_padding: surplus.map(n => Math.max(-n, 0)),
  };
  const y = r.builder.op('ConvTranspose', [x, w, bias], attributes);
  r.set(made(o), 'first', activated(r, y, option(o, 'activation')));
};

const batchMatmul: Rule = (o, r) => {
  const operand = (i: number, turned: string): Value => {
    const x = r.value(o.inputs[i] as number, 'last');
    const axes = x.shape.map((_, axis) => axis);
    return option(o, turned) === 0 ? x : x.transpose([...axes.slice(0, -2), x.rank - 1, x.rank - 2]);
  };
  r.set(made(o), 'last', operand(0, 'transposeX').matmul(operand(1, 'transposeY')));
};

const argMax = plain((x, o, r) =>
  r.builder
    .op('ArgMax', [x], { axis: wrapped(r.numbers(o, 1)[0] ?? 0, x.rank), keepdims: 0 })
    .cast(r.tensor(made(o)).dtype),
);

const concat: Rule = (o, r) => {
  const axis = option(o, 'axis');
  const rank = r.tensor(made(o)).shape.length;
  const whole = rank === 4 && o.inputs.some(i => r.isFirst(i));
  const place = axis < 0 ? axis + rank : axis;
  const inputs = o.inputs.map(i => r.value(i, whole ? 'first' : 'last'));
  const joined = r.builder.concat(inputs, whole ? ([0, 2, 3, 1][place] as number) : place);
  r.set(made(o), whole ? 'first' : 'last', activated(r, joined, option(o, 'activation')));
};

const RULES: { readonly [K in OperatorName]: Rule } = {
  ADD: binary('Add'),
  SUB: binary('Sub'),
  MUL: binary('Mul'),
  MAXIMUM: binary('Max'),
  MINIMUM: binary('Min'),
  AVERAGE_POOL_2D: pool('AveragePool'),
  MAX_POOL_2D: pool('MaxPool'),
  CONCATENATION: concat,
  CONV_2D: convolution(false),
  DEPTHWISE_CONV_2D: convolution(true),
  FULLY_CONNECTED: fullyConnected,
  DEQUANTIZE: unary(x => (x.dtype === 'float32' ? x : x.cast('float32'))),
  QUANTIZE: unary(x => x),
  LOGISTIC: unary(x => x.sigmoid()),
  TANH: unary(x => x.tanh()),
  RELU: unary((x, _, r) => activated(r, x, ACTIVATIONS.relu)),
  RELU6: unary((x, _, r) => activated(r, x, ACTIVATIONS.relu6)),
  RELU_N1_TO_1: unary((x, _, r) => activated(r, x, ACTIVATIONS.reluN1To1)),
  HARD_SWISH: unary((x, _, r) => r.builder.op('HardSwish', [x], {})),
  LEAKY_RELU: unary((x, o, r) => r.builder.op('LeakyRelu', [x], { alpha: option(o, 'alpha') })),
  SOFTMAX: plain((x, o) => (option(o, 'beta') === 1 ? x : x.mul(option(o, 'beta'))).softmax(-1)),
  RESHAPE: reshape,
  SQUEEZE: reshape,
  TRANSPOSE: plain((x, o, r) => x.transpose(r.numbers(o, 1))),
  MEAN: reduction('ReduceMean'),
  SUM: reduction('ReduceSum'),
  REDUCE_MAX: reduction('ReduceMax'),
  PAD: pad,
  PADV2: pad,
  RESIZE_BILINEAR: resize('linear'),
  RESIZE_NEAREST_NEIGHBOR: resize('nearest'),
  STRIDED_SLICE: stridedSlice,
  SLICE: slice,
  SPLIT: split(1, 0),
  SPLIT_V: split(0, 2),
  PACK: pack,
  UNPACK: unpack,
  EXPAND_DIMS: reshape,
  GATHER: gather,
  DIV: binary('Div'),
  SQUARED_DIFFERENCE: elementwise(([x, y]) => {
    const difference = (x as Value).sub(y as Value);
    return difference.mul(difference);
  }),
  ABS: unary(x => x.abs()),
  NEG: unary(x => x.neg()),
  EXP: unary(x => x.exp()),
  SQRT: unary(x => x.sqrt()),
  RSQRT: unary(x => x.sqrt().reciprocal()),
  ELU: unary((x, _, r) => r.builder.op('Elu', [x], {})),
  PRELU: prelu,
  CAST: unary((x, o, r) => x.cast(r.tensor(made(o)).dtype)),
  ARG_MAX: argMax,
  L2_NORMALIZATION: plain((x, o, r) =>
    activated(r, r.builder.op('LpNormalization', [x], { axis: -1, p: 2 }), option(o, 'activation')),
  ),
  DEPTH_TO_SPACE: blocks('DepthToSpace'),
  SPACE_TO_DEPTH: blocks('SpaceToDepth'),
  TRANSPOSE_CONV: transposedConvolution,
  BATCH_MATMUL: batchMatmul,
};
