/**
 * What reading a TFLite file keeps: the graph under construction, and each tensor in the orders of axes that somebody wants.
 *
 * A Pad with zeros that only convolutions without padding read becomes their padding.
 */
import { float32, type Tensor } from '../../graph/ir.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { GaslawError } from '../../util/errors.ts';
import { type Layout, permuted } from './lowering.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './model.ts';
import { PADDINGS } from './schema.ts';

export const TO_FIRST = [0, 3, 1, 2] as const;
export const TO_LAST = [0, 2, 3, 1] as const;

/** `last` is the file's own order; `first` has channels before the plane. */
export type Order = Layout | 'first';

/** [top, left, bottom, right] around tensor `from`. */
export interface Padded {
  readonly from: number;
  readonly pads: readonly number[];
}

export class Raising {
  readonly builder = new Builder('tflite');
  readonly #model: TfliteModel;
  readonly #file: string;
  readonly #values = new Map<string, Value>();
  readonly #padded = new Map<number, Padded>();

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

  /** The same for each output, in the file's order of axes. */
  setAll({ outputs }: TfliteOperator, values: readonly Value[]): void {
    for (const [i, value] of values.entries()) this.set(outputs[i] as number, 'last', value);
  }

  #quantized({ name, dtype, quantization }: TfliteTensor, x: Value): Value {
    if (quantization && dtype === 'int16')
      throw new GaslawError(`${this.#file}: tensor "${name}" holds 16-bit activations, which are not read`);
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
    return this.#values.has(`${i} first`) && this.tensor(i).shape.length === 4;
  }

  value(i: number, order: Order): Value {
    const known = this.#values.get(`${i} ${order}`);
    if (known) return known;
    const other = this.#values.get(`${i} ${order === 'first' ? 'last' : 'first'}`);
    const made = other
      ? this.#quantized(this.tensor(i), other.transpose(order === 'first' ? TO_FIRST : TO_LAST))
      : this.#constant(i, order);
    this.#values.set(`${i} ${order}`, made);
    return made;
  }

  /** Channels alone stand before a plane as [C, 1, 1]. */
  #constant(i: number, order: Order): Value {
    const { shape } = this.tensor(i);
    if (order === 'last') return this.stored(i);
    if (shape.length === 4) return this.stored(i, TO_FIRST);
    const value = this.stored(i);
    return shape.length === 1 && shape[0] !== 1 ? value.reshape([-1, 1, 1]) : value;
  }

  /** Whether a tensor can be read with channels first beside others that stand so. */
  goesFirst(i: number): boolean {
    const { shape, data } = this.tensor(i);
    return shape.length === 4 || (data !== undefined && shape.length < 2);
  }

  /** Remembers that tensor `to` is `from` with zeros around its plane; whether its readers take it in. */
  pad(from: number, to: number, pads: readonly number[]): boolean {
    const readers = this.#model.operators.filter(o => o.inputs.includes(to));
    const takes = (o: TfliteOperator) =>
      (o.op === 'CONV_2D' || o.op === 'DEPTHWISE_CONV_2D') &&
      Number(o.options.padding ?? 0) === PADDINGS.valid;
    const [a, b] = [this.tensor(from).quantization, this.tensor(to).quantization];
    const same = a?.scale.join() === b?.scale.join() && a?.zeroPoint.join() === b?.zeroPoint.join();
    if (!same || this.#model.outputs.includes(to) || !readers.every(takes)) return false;
    this.#padded.set(to, { from, pads });
    return true;
  }

  /** Of a tensor that is another with zeros around its plane: which, and how many before and after. */
  padded(i: number): Padded | undefined {
    return this.#padded.get(i);
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
