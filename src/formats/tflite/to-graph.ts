/**
 * TFLite files as graphs: float ones plain, quantized ones with Q/DQ pairs, so that every pass works on them.
 *
 * 1. Inputs and outputs are float and in the file's order of axes (NHWC); integers behind them become a Q/DQ pair.
 * 2. Convolutions and pools read and write channels first; a value is transposed once, where somebody needs the other order,
 *    and gets a Q/DQ pair of its own there: without one ONNX Runtime 1.30 inserts one with a zero point of the wrong type.
 * 3. Weights keep their integers; a bias of int32 keeps its own, with the scale s_x s_w.
 */
import { float32, type Graph, type Tensor } from '../../graph/ir.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { GaslawError } from '../../util/errors.ts';
import { decodeTflite } from './decode.ts';
import { type Layout, permuted } from './lowering.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './model.ts';
import { ACTIVATIONS, type OperatorName, PADDINGS } from './schema.ts';

const TO_FIRST = [0, 3, 1, 2] as const;
const TO_LAST = [0, 2, 3, 1] as const;

/** Reads a `.tflite` file (float or quantized) as a graph. Throws a GaslawError naming `file` and what is not read. */
export const fromTflite = (bytes: Uint8Array, file = 'model.tflite'): Graph =>
  raise(decodeTflite(bytes, file), file);

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

/** `last` is the file's own order; `first` has channels before the plane. */
type Order = Layout | 'first';

class Raising {
  readonly builder = new Builder('tflite');
  readonly #model: TfliteModel;
  readonly #file: string;
  readonly #values = new Map<string, Value>();

  constructor(model: TfliteModel, file: string) {
    this.#model = model;
    this.#file = file;
  }

  tensor(i: number): TfliteTensor {
    const tensor = this.#model.tensors[i];
    if (!tensor)
      throw new GaslawError(`${this.#file}: tensor ${i} of ${this.#model.tensors.length} does not exist`);
    return tensor;
  }

  fail(o: TfliteOperator, message: string): never {
    throw new GaslawError(
      `${this.#file}: ${o.op} of "${this.tensor(o.outputs[0] as number).name}": ${message}`,
    );
  }

  input(i: number): void {
    const { name, shape, dtype } = this.tensor(i);
    const integer = dtype === 'int8' || dtype === 'uint8';
    const x = this.builder.input(name, integer ? 'float32' : dtype, shape);
    this.set(i, 'last', x);
  }

  /** Elements of a constant tensor. */
  numbers(o: TfliteOperator, input: number): number[] {
    const data = this.tensor(o.inputs[input] as number).data;
    if (!data) this.fail(o, `its input ${input} must be constant`);
    return Array.from(data as ArrayLike<number>, Number); // integers
  }

  /** Places what an operator made, through Q and DQ where the file stores integers. */
  set(i: number, order: Order, value: Value): void {
    this.#values.set(`${i} ${order}`, this.#quantized(this.tensor(i), value));
  }

  #quantized({ dtype, quantization }: TfliteTensor, x: Value): Value {
    if (!quantization || (dtype !== 'int8' && dtype !== 'uint8')) return x;
    const [s, z] = this.#parameters(dtype, quantization);
    return this.builder.op('DequantizeLinear', [this.builder.op('QuantizeLinear', [x, s, z], {}), s, z], {});
  }

  #parameters(
    dtype: 'int8' | 'uint8' | 'int32',
    q: NonNullable<TfliteTensor['quantization']>,
  ): [Value, Value] {
    const dims = q.scale.length === 1 ? [] : [q.scale.length];
    const arrays = { int8: Int8Array, uint8: Uint8Array, int32: Int32Array } as const;
    const zero: Tensor = { dtype, dims, data: arrays[dtype].from(q.zeroPoint) };
    return [this.builder.constant(float32(dims, q.scale)), this.builder.constant(zero)];
  }

  /** Whether a value stands with channels first already. */
  isFirst(i: number): boolean {
    return this.#values.has(`${i} first`);
  }

  value(i: number, order: Order): Value {
    const known = this.#values.get(`${i} ${order}`);
    if (known) return known;
    const other = this.#values.get(`${i} ${order === 'first' ? 'last' : 'first'}`);
    const made = other
      ? this.#quantized(this.tensor(i), other.transpose(order === 'first' ? TO_FIRST : TO_LAST))
      : this.stored(i, order === 'first' ? TO_FIRST : undefined);
    this.#values.set(`${i} ${order}`, made);
    return made;
  }

  /** A constant as floats, its axes exchanged. `scale` stands in where a bias has none. */
  stored(i: number, perm?: readonly number[], scale?: readonly number[]): Value {
    const tensor = this.tensor(i);
    if (!tensor.data)
      throw new GaslawError(`${this.#file}: tensor "${tensor.name}" is read before anything makes it`);
    const dims = perm ? perm.map(axis => tensor.shape[axis] as number) : tensor.shape;
    const data = perm ? permuted(tensor.data, tensor.shape, perm) : tensor.data;
    const value = this.builder.constant({ dtype: tensor.dtype, dims, data });
    const q = tensor.quantization ?? (scale && { scale, zeroPoint: scale.map(() => 0), axis: 0 });
    if (!q || (tensor.dtype !== 'int8' && tensor.dtype !== 'uint8' && tensor.dtype !== 'int32')) return value;
    const axis = perm && q.axis !== undefined ? perm.indexOf(q.axis) : (q.axis ?? 0);
    return this.builder.op(
      'DequantizeLinear',
      [value, ...this.#parameters(tensor.dtype, q)],
      q.scale.length > 1 ? { axis } : {},
    );
  }
}

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
    const x = r.value(first(o), 'first');
    const weight = o.inputs[1] as number;
    const w = r.stored(weight, depthwise ? [3, 0, 1, 2] : [0, 3, 1, 2]);
    const bias = biasOf(o, r, weight);
    const attributes = {
      ...padding(o),
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
    const whole = o.inputs.every(i => r.tensor(i).shape.length === 4);
    const order: Order = whole && o.inputs.some(i => r.isFirst(i)) ? 'first' : 'last';
    const inputs = o.inputs.map(i => r.value(i, order));
    r.set(made(o), order, activated(r, make(inputs, o, r), option(o, 'activation')));
  };

const binary = (op: 'Add' | 'Sub' | 'Mul' | 'Max' | 'Min'): Rule =>
  elementwise((inputs, _, r) => r.builder.op(op, inputs, {}));
const unary = (make: (x: Value, o: TfliteOperator, r: Raising) => Value): Rule =>
  elementwise(([x], o, r) => make(x as Value, o, r));

/** In the file's order of axes. */
const plain =
  (make: (x: Value, o: TfliteOperator, r: Raising) => Value): Rule =>
  (o, r) =>
    r.set(made(o), 'last', make(r.value(first(o), 'last'), o, r));

const reshape: Rule = plain((x, o, r) => x.reshape(r.tensor(made(o)).shape));

const pad = plain((x, o, r) => {
  const amounts = r.numbers(o, 1);
  const pads = [...amounts.filter((_, i) => i % 2 === 0), ...amounts.filter((_, i) => i % 2 === 1)];
  const value = o.inputs[2] === undefined ? undefined : r.stored(o.inputs[2]).reshape([]);
  return r.builder.op('Pad', [x, r.builder.ints(pads), value], { mode: 'constant' });
});

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

const slice = plain((x, o, r) => {
  const [starts, ends, steps] = [1, 2, 3].map(i => r.builder.ints(r.numbers(o, i)));
  const axes = r.builder.ints(x.shape.map((_, i) => i));
  return r.builder.op('Slice', [x, starts, ends, axes, steps], {});
});

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
  MEAN: plain((x, o, r) => x.mean(r.numbers(o, 1), option(o, 'keepDims') !== 0)),
  PAD: pad,
  PADV2: pad,
  RESIZE_BILINEAR: resize('linear'),
  RESIZE_NEAREST_NEIGHBOR: resize('nearest'),
  STRIDED_SLICE: slice,
};
