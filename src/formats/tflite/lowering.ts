/**
 * A QDQ graph becoming a TFLite model: where values lie, in which layout, with which integers.
 *
 * 1. A value is named by the integers that it is stored as; the float values around Q/DQ pairs are names of the same.
 * 2. Activations are int8: uint8 ones move their zero point by 128, which changes no real number.
 * 3. Four-dimensional values lie in `last` (NHWC) or `plain` (as ONNX has them); each op asks for what it needs, and what is
 *    not there is transposed once. An input that is transposed to channels first at once is taken as it is.
 */
import { allocate, type TensorData } from '../../graph/dtype.ts';
import { type Graph, int32, type Node, sizeOf, staticDims, type Tensor, typeOf } from '../../graph/ir.ts';
import { consumersOf } from '../../graph/walk.ts';
import { type AffineQuantization, Qdq } from '../../ops/qdq.ts';
import { constantTensor } from '../../ops/shape/values.ts';
import { GaslawError } from '../../util/errors.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './model.ts';
import { ACTIVATIONS, type OperatorName } from './schema.ts';

export type Layout = 'plain' | 'last';
export type Quantization = Omit<AffineQuantization, 'dtype'>;

/** A value of the file. */
export interface Placed {
  readonly index: number;
  readonly layout: Layout;
  /** In ONNX's order. */
  readonly dims: readonly number[];
  readonly quantization: Quantization;
}

/** What only moves elements. */
const MOVES: readonly string[] = ['Transpose', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Identity'];

const TO_LAST = [0, 2, 3, 1] as const;
const TO_PLAIN = [0, 3, 1, 2] as const;

/** Elements with axes exchanged: axis i of the result is axis perm[i] of the source. */
export function permuted(data: TensorData, dims: readonly number[], perm: readonly number[]): TensorData {
  const target = perm.map(axis => dims[axis] as number);
  const strides = dims.map((_, i) => sizeOf(dims.slice(i + 1)));
  const source = data as ArrayLike<number>; // numeric, as the caller's dtype says
  const out = data.slice() as unknown as number[]; // the same kind of array
  const count = sizeOf(target);
  const at = target.map(() => 0);
  for (let i = 0; i < count; i++) {
    const from = perm.reduce((sum, axis, k) => sum + (at[k] as number) * (strides[axis] as number), 0);
    out[i] = source[from] as number;
    for (let k = target.length - 1; k >= 0 && ++(at[k] as number) === target[k]; k--) at[k] = 0;
  }
  return out as unknown as TensorData;
}

/** The same reals as int8: scale kept, zero point moved. */
export function asInt8({ dtype, scale, zeroPoint, axis }: AffineQuantization): Quantization {
  if (dtype !== 'int8' && dtype !== 'uint8')
    throw new GaslawError(`activations of dtype ${dtype} are not written to int8 TFLite`);
  const shift = dtype === 'uint8' ? 128 : 0;
  return { scale, zeroPoint: zeroPoint.map(z => z - shift), ...(axis !== undefined && { axis }) };
}

export class Lowering {
  readonly graph: Graph;
  readonly qdq: Qdq;
  readonly #consumers: ReadonlyMap<string, readonly Node[]>;
  readonly #tensors: TfliteTensor[] = [];
  readonly #operators: TfliteOperator[] = [];
  readonly #values = new Map<string, Placed>();
  readonly #turned = new Map<number, Placed>();
  /** Nodes that went into another one. */
  readonly fused = new Set<Node>();

  constructor(graph: Graph) {
    this.graph = graph;
    this.qdq = new Qdq(graph);
    this.#consumers = consumersOf(graph);
  }

  fail(node: Node, message: string): never {
    throw new GaslawError(`node "${node.name}" (${node.opType}): ${message}`);
  }

  dims(name: string): readonly number[] {
    const shape = typeOf(this.graph, name)?.shape;
    const dims = staticDims(shape);
    if (!dims) {
      const [symbol = 'NAME'] = (shape ?? []).filter(dim => typeof dim === 'string');
      throw new GaslawError(
        `"${name}" has no fixed shape: TFLite files have fixed ones; give dimension ${symbol} a number`,
      );
    }
    return dims;
  }

  /** What value `name` is known by. */
  #key(name: string): string {
    return this.qdq.behind(name)?.name ?? this.qdq.becoming(name)?.name ?? name;
  }

  has(name: string): boolean {
    return this.#values.has(this.#key(name));
  }

  set(name: string, placed: Placed): void {
    this.#values.set(this.#key(name), placed);
  }

  /** A value that a node reads: computed before, or a constant that is quantized now. */
  value(node: Node, name: string): Placed {
    const known = this.#values.get(this.#key(name));
    if (known) return known;
    const constant = this.constant(name);
    if (constant) return this.#constantValue(name, constant);
    return this.fail(node, `its input "${name}" is float: give it Q/DQ pairs (quantizing writes them)`);
  }

  /** The stored elements behind `name`, with their quantization when they are integers. */
  constant(name: string): { tensor: Tensor; quantization?: AffineQuantization } | undefined {
    const behind = this.qdq.behind(name);
    if (behind?.tensor) return { tensor: behind.tensor, quantization: behind.quantization };
    const tensor = constantTensor(this.graph, name);
    return tensor && { tensor };
  }

  #constantValue(
    name: string,
    { tensor, quantization }: { tensor: Tensor; quantization?: AffineQuantization },
  ): Placed {
    const made = quantization ? storedAsInt8(tensor, quantization) : quantizedFloats(tensor);
    const index = this.tensor({
      name,
      dtype: 'int8',
      shape: tensor.dims,
      data: made.data,
      quantization: made.quantization,
    });
    const placed: Placed = { index, layout: 'plain', dims: tensor.dims, quantization: made.quantization };
    this.set(name, placed);
    return placed;
  }

  tensor(tensor: TfliteTensor): number {
    this.#tensors.push(tensor);
    return this.#tensors.length - 1;
  }

  /** A constant of int32, for perms, pads, axes and sizes. */
  list(name: string, values: readonly number[], dims: readonly number[] = [values.length]): number {
    return this.tensor({ name, dtype: 'int32', shape: dims, data: int32(dims, values).data });
  }

  /** The reals that the float output `name` is stored with: of its Q node, else `otherwise`. */
  quantizationOf(node: Node, name: string, otherwise?: Quantization): Quantization {
    const becoming = this.qdq.becoming(name);
    if (becoming) return asInt8(becoming.quantization);
    return (
      otherwise ??
      this.fail(node, `its output "${name}" is float: give it a Q/DQ pair (quantizing writes them)`)
    );
  }

  emit(
    op: OperatorName,
    inputs: readonly number[],
    out: Omit<Placed, 'index'> & { name: string },
    options: TfliteOperator['options'] = {},
  ): Placed {
    const { name, layout, dims, quantization } = out;
    const shape = layout === 'last' && dims.length === 4 ? TO_LAST.map(i => dims[i] as number) : dims;
    const index = this.tensor({ name, dtype: 'int8', shape, quantization });
    this.#operators.push({ op, inputs, outputs: [index], options });
    return { index, layout, dims, quantization };
  }

  /** Emits an op whose output has `natural` integers, then requantizes to what `name` wants, and places it. */
  produce(
    node: Node,
    op: OperatorName,
    inputs: readonly number[],
    out: { name: string; layout: Layout; natural: Quantization },
    options: TfliteOperator['options'] = {},
  ): void {
    const { name, layout, natural } = out;
    const wanted = this.quantizationOf(node, name, natural);
    const dims = this.dims(name);
    const made = this.emit(
      op,
      inputs,
      { name: same(wanted, natural) ? name : `${name}/raw`, layout, dims, quantization: natural },
      options,
    );
    this.set(name, this.requantized(made, wanted, name));
  }

  requantized(value: Placed, wanted: Quantization, name: string): Placed {
    if (same(value.quantization, wanted)) return value;
    return this.emit('QUANTIZE', [value.index], {
      ...value,
      quantization: wanted,
      name: `${name}/requantized`,
    });
  }

  /** The value in a layout, transposed when it is not in it. */
  inLayout(value: Placed, layout: Layout): Placed {
    if (value.dims.length !== 4 || value.layout === layout) return value;
    const known = this.#turned.get(value.index);
    if (known) return known;
    const turned = this.#turn(value, layout);
    this.#turned.set(value.index, turned);
    return turned;
  }

  /** Exchanging axes of length 1 moves nothing: a reshape does. Constants are transposed now. */
  #turn(value: Placed, layout: Layout): Placed {
    const source = this.#tensors[value.index] as TfliteTensor;
    const perm = layout === 'last' ? TO_LAST : TO_PLAIN;
    const shape = perm.map(i => source.shape[i] as number);
    if (source.data) {
      const index = this.tensor({ ...source, shape, data: permuted(source.data, source.shape, perm) });
      return { ...value, index, layout };
    }
    const [, channels, height, width] = value.dims as [number, number, number, number];
    const out = { ...value, layout, name: `${source.name}/${layout}` };
    return channels === 1 || height * width === 1
      ? this.emit('RESHAPE', [value.index, this.list(`${out.name}/shape`, shape)], out, { newShape: shape })
      : this.emit('TRANSPOSE', [value.index, this.list(`${out.name}/perm`, perm)], out);
  }

  /** A Relu or Clip that alone reads `name` and goes into its maker: the value's final name, and the activation. */
  activated(name: string): { name: string; activation: number } {
    const [next, ...more] = this.#consumers.get(name) ?? [];
    const alone = next && more.length === 0 && !this.graph.outputs.some(o => o.name === name);
    const activation = alone ? this.activationOf(next) : undefined;
    if (!alone || activation === undefined) return { name, activation: ACTIVATIONS.none };
    this.fused.add(next);
    return { name: next.outputs[0] as string, activation };
  }

  /** The fused activation that a node is, if any. */
  activationOf(node: Node): number | undefined {
    if (node.opType === 'Relu') return ACTIVATIONS.relu;
    if (node.opType !== 'Clip') return undefined;
    const bound = (i: number): number | undefined => {
      const tensor = constantTensor(this.graph, node.inputs[i] ?? '');
      return tensor && Number(tensor.data[0]);
    };
    const [low, high] = [bound(1), bound(2)];
    if (low === 0) return high === undefined ? ACTIVATIONS.relu : high === 6 ? ACTIVATIONS.relu6 : undefined;
    return low === -1 && high === 1 ? ACTIVATIONS.reluN1To1 : undefined;
  }

  /** Places a graph input. */
  input(name: string): void {
    const readers = this.#consumers.get(name) ?? [];
    const quantized =
      this.qdq.becoming(name) ?? this.#integerInput(name, readers) ?? this.#movedInput(name, readers);
    if (!quantized)
      throw new GaslawError(`input "${name}" is float: give it a Q/DQ pair (quantizing writes them)`);
    const dims = this.dims(name);
    const layout: Layout = dims.length === 4 && !this.#turnedAtOnce(quantized.name) ? 'last' : 'plain';
    const quantization = asInt8(quantized.quantization);
    const shape = layout === 'last' ? TO_LAST.map(i => dims[i] as number) : dims;
    const index = this.tensor({ name, dtype: 'int8', shape, quantization });
    this.#values.set(quantized.name, { index, layout, dims, quantization });
  }

  /** An input of integers that a DequantizeLinear reads. */
  #integerInput(
    name: string,
    readers: readonly Node[],
  ): { name: string; quantization: AffineQuantization } | undefined {
    const reader = readers.find(node => node.opType === 'DequantizeLinear');
    const behind = reader && this.qdq.behind(reader.outputs[0] as string);
    return behind && { name, quantization: behind.quantization };
  }

  /** A float input that is only moved before it is quantized: it is those integers before the move. */
  #movedInput(
    name: string,
    readers: readonly Node[],
  ): { name: string; quantization: AffineQuantization } | undefined {
    const [move, ...more] = readers;
    if (!move || more.length > 0 || !MOVES.includes(move.opType)) return undefined;
    const to = move.outputs[0] as string;
    const found = this.qdq.becoming(to) ?? this.#movedInput(to, this.#consumers.get(to) ?? []);
    return found && { name, quantization: found.quantization };
  }

  /** Whether all that reads it transposes it to channels first: then it is channels last already. */
  #turnedAtOnce(name: string): boolean {
    const readers = (this.#consumers.get(name) ?? []).flatMap(node =>
      node.opType === 'DequantizeLinear' ? (this.#consumers.get(node.outputs[0] as string) ?? []) : [node],
    );
    return (
      readers.length > 0 &&
      readers.every(node => node.opType === 'Transpose' && permOf(node).join() === TO_PLAIN.join())
    );
  }

  /** The finished model; outputs bear the graph's names. */
  model(description: string): TfliteModel {
    const names = this.graph.inputs.filter(i => !this.graph.initializers.has(i.name)).map(i => i.name);
    const inputs = names.map(name => this.#tensors.findIndex(tensor => tensor.name === name));
    const outputs = this.graph.outputs.map(({ name }) => this.#output(name));
    return { description, tensors: this.#tensors, operators: this.#operators, inputs, outputs };
  }

  #output(name: string): number {
    const placed = this.#values.get(this.#key(name));
    if (!placed)
      throw new GaslawError(`output "${name}" is float: give it a Q/DQ pair (quantizing writes them)`);
    this.#tensors[placed.index] = { ...(this.#tensors[placed.index] as TfliteTensor), name };
    return placed.index;
  }
}

export const permOf = (node: Node): readonly number[] =>
  node.attributes.perm?.type === 'ints' ? node.attributes.perm.value.map(Number) : [];

export const same = (a: Quantization, b: Quantization): boolean =>
  a.scale.join() === b.scale.join() && a.zeroPoint.join() === b.zeroPoint.join();

/** Stored int8 or uint8 elements as int8. */
export function storedAsInt8(
  tensor: Tensor,
  quantization: AffineQuantization,
): { data: Int8Array; quantization: Quantization } {
  const made = asInt8({ ...quantization, dtype: tensor.dtype });
  const shift = tensor.dtype === 'uint8' ? 128 : 0;
  return {
    data: Int8Array.from(tensor.data as ArrayLike<number>, x => Number(x) - shift),
    quantization: made,
  }; // int8 or uint8
}

/** A float constant as int8 over its own range, zero included. */
function quantizedFloats({ data, dims }: Tensor): { data: Int8Array; quantization: Quantization } {
  const values = Array.from(data as ArrayLike<number>, Number); // float
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const scale = high > low ? (high - low) / 255 : 1;
  const zero = Math.round(-128 - low / scale);
  const codes = allocate('int8', sizeOf(dims)) as Int8Array;
  codes.set(values.map(v => Math.max(-128, Math.min(127, Math.round(v / scale) + zero))));
  return { data: codes, quantization: { scale: [scale], zeroPoint: [zero] } };
}
