/**
 * Writing graphs: `Value` is a symbolic tensor whose methods add nodes, `Builder` owns the graph being written.
 *
 * 1. Every node gets its output types at once from the shape rules, so a mistake is reported where it is made.
 * 2. Equal constants are stored once. Plain numbers become scalars of the other operand's dtype.
 * 3. The same surface serves model code and gradient rules: there is no second way to add a node.
 */
import { DTYPE_CODES, type DType, type TensorData } from '../graph/dtype.ts';
import {
  type Attribute,
  emptyGraph,
  type Graph,
  int64,
  type Node,
  type Shape,
  sizeOf,
  staticDims,
  type Tensor,
  type TensorType,
} from '../graph/ir.ts';
import { GaslawError } from '../util/errors.ts';
import { inferNode } from './infer.ts';
import { type AttributeKind, type AttributesOf, OPS, type OpType, splitKey } from './schema.ts';

export type Operand = Value | number;

/** A symbolic tensor of a graph under construction. */
export class Value {
  readonly builder: Builder;
  readonly name: string;
  readonly dtype: DType;
  /** Dims; symbolic ones are strings. */
  readonly shape: Shape;

  constructor(builder: Builder, name: string, dtype: DType, shape: Shape) {
    this.builder = builder;
    this.name = name;
    this.dtype = dtype;
    this.shape = shape;
  }

  get rank(): number {
    return this.shape.length;
  }

  #binary(op: 'Add' | 'Sub' | 'Mul' | 'Div' | 'Pow' | 'Max' | 'Min', y: Operand): Value {
    return this.builder.op(op, [this, this.builder.operand(y, this.dtype)], {});
  }
  #compare(op: 'Equal' | 'Greater' | 'GreaterOrEqual' | 'Less' | 'LessOrEqual', y: Operand): Value {
    return this.builder.op(op, [this, this.builder.operand(y, this.dtype)], {});
  }
  #reduce(
    op: 'ReduceSum' | 'ReduceMean' | 'ReduceMax' | 'ReduceMin',
    axes?: readonly number[],
    keepdims = true,
  ): Value {
    const inputs = axes ? [this, this.builder.ints(axes)] : [this];
    return this.builder.op(op, inputs, { keepdims: keepdims ? 1 : 0 });
  }

  add = (y: Operand): Value => this.#binary('Add', y);
  sub = (y: Operand): Value => this.#binary('Sub', y);
  mul = (y: Operand): Value => this.#binary('Mul', y);
  div = (y: Operand): Value => this.#binary('Div', y);
  pow = (y: Operand): Value => this.#binary('Pow', y);
  max = (y: Operand): Value => this.#binary('Max', y);
  min = (y: Operand): Value => this.#binary('Min', y);
  equal = (y: Operand): Value => this.#compare('Equal', y);
  greater = (y: Operand): Value => this.#compare('Greater', y);
  greaterOrEqual = (y: Operand): Value => this.#compare('GreaterOrEqual', y);
  less = (y: Operand): Value => this.#compare('Less', y);
  lessOrEqual = (y: Operand): Value => this.#compare('LessOrEqual', y);

  neg = (): Value => this.builder.op('Neg', [this], {});
  exp = (): Value => this.builder.op('Exp', [this], {});
  log = (): Value => this.builder.op('Log', [this], {});
  sqrt = (): Value => this.builder.op('Sqrt', [this], {});
  abs = (): Value => this.builder.op('Abs', [this], {});
  reciprocal = (): Value => this.builder.op('Reciprocal', [this], {});
  sigmoid = (): Value => this.builder.op('Sigmoid', [this], {});
  tanh = (): Value => this.builder.op('Tanh', [this], {});
  not = (): Value => this.builder.op('Not', [this], {});
  stopGradient = (): Value => this.builder.op('gaslaw.StopGradient', [this], {});

  matmul = (y: Value): Value => this.builder.op('MatMul', [this, y], {});
  softmax = (axis = -1): Value => this.builder.op('Softmax', [this], { axis });
  logSoftmax = (axis = -1): Value => this.builder.op('LogSoftmax', [this], { axis });

  /** Reductions over `axes` (all when absent), keeping reduced dims as 1 unless `keepdims` is false. */
  sum = (axes?: readonly number[], keepdims = true): Value => this.#reduce('ReduceSum', axes, keepdims);
  mean = (axes?: readonly number[], keepdims = true): Value => this.#reduce('ReduceMean', axes, keepdims);
  reduceMax = (axes?: readonly number[], keepdims = true): Value => this.#reduce('ReduceMax', axes, keepdims);

  /** New dims; 0 keeps the dim at that position, one -1 is inferred (ONNX Reshape, allowzero = 0). */
  reshape = (dims: readonly number[]): Value =>
    this.builder.op('Reshape', [this, this.builder.ints(dims)], {});
  /** Reshape to run-time dims held in an int64 vector. */
  reshapeTo = (dims: Value): Value => this.builder.op('Reshape', [this, dims], {});
  transpose = (perm: readonly number[]): Value => this.builder.op('Transpose', [this], { perm });
  unsqueeze = (axes: readonly number[]): Value =>
    this.builder.op('Unsqueeze', [this, this.builder.ints(axes)], {});
  squeeze = (axes: readonly number[]): Value =>
    this.builder.op('Squeeze', [this, this.builder.ints(axes)], {});
  expandTo = (dims: Value): Value => this.builder.op('Expand', [this, dims], {});
  cast = (dtype: DType): Value =>
    dtype === this.dtype ? this : this.builder.op('Cast', [this], { to: DTYPE_CODES[dtype] });
  gather = (indices: Value, axis = 0): Value => this.builder.op('Gather', [this, indices], { axis });
  slice = (axis: number, start: number, end: number, step = 1): Value => {
    const i = (n: number) => this.builder.ints([n]);
    return this.builder.op('Slice', [this, i(start), i(end), i(axis), i(step)], {});
  };
  /** Splits along `axis` into parts of the given sizes. */
  split = (sizes: readonly number[], axis = -1): Value[] =>
    this.builder.ops('Split', [this, this.builder.ints(sizes)], { axis }, sizes.length);

  /** Dims as an int64 vector: a constant when they are all known, else a Shape node. */
  dims = (): Value => {
    const known = staticDims(this.shape);
    return known ? this.builder.ints(known) : this.builder.op('Shape', [this], {});
  };
}

const float16Bits = (x: number): number => {
  const f = new Float32Array([x]);
  const u = new Uint32Array(f.buffer)[0] as number;
  const exponent = ((u >>> 23) & 255) - 112;
  if (exponent <= 0 || exponent >= 31) return x === 0 ? 0 : fail(`${x} is no normal float16 constant`);
  return ((u >>> 16) & 0x8000) | (exponent << 10) | ((u >>> 13) & 0x3ff);
};

function fail(message: string): never {
  throw new GaslawError(message);
}

function scalarData(dtype: DType, x: number): TensorData {
  switch (dtype) {
    case 'float32':
      return Float32Array.of(x);
    case 'float64':
      return Float64Array.of(x);
    case 'int64':
      return BigInt64Array.of(BigInt(x));
    case 'int32':
      return Int32Array.of(x);
    case 'int8':
      return Int8Array.of(x);
    case 'uint8':
    case 'bool':
      return Uint8Array.of(x);
    case 'float16':
      return Uint16Array.of(float16Bits(x));
    default:
      return fail(`a plain number cannot stand beside a tensor of dtype ${dtype}`);
  }
}

export function toAttribute(kind: AttributeKind, value: unknown): Attribute {
  // The kind comes from the op's schema and AttributesOf ties the value's type to it.
  return { type: kind, value } as Attribute;
}

export class Builder {
  readonly graph: Graph;
  readonly #counts = new Map<string, number>();
  readonly #constants = new Map<string, Value>();
  /** Names that outputs have taken over: values made before still go by the old ones. */
  readonly #renamed = new Map<string, string>();
  readonly #scope: string[] = [];

  constructor(graph: Graph | string = 'main') {
    this.graph = typeof graph === 'string' ? emptyGraph(graph) : graph;
    this.#reserveNames();
  }

  /** Names inside `body` are prefixed with `name/`. */
  scope<T>(name: string, body: () => T): T {
    this.#scope.push(name);
    try {
      return body();
    } finally {
      this.#scope.pop();
    }
  }

  input(name: string, dtype: DType, shape: Shape): Value {
    if (this.#counts.has(name)) fail(`graph "${this.graph.name}": the name "${name}" is taken`);
    this.#counts.set(name, 1);
    this.graph.inputs.push({ name, dtype, shape });
    return new Value(this, name, dtype, shape);
  }

  /** A named initializer (a weight of an exported graph). */
  initializer(name: string, tensor: Tensor): Value {
    if (this.#counts.has(name)) fail(`graph "${this.graph.name}": the name "${name}" is taken`);
    this.#counts.set(name, 1);
    this.graph.initializers.set(name, tensor);
    return new Value(this, name, tensor.dtype, tensor.dims);
  }

  /** Declares `value` an output; with `name`, under that name. */
  output(value: Value, name?: string): Value {
    const current = this.#nameOf(value);
    const known = current === value.name ? value : this.value(current);
    const named = name === undefined || name === current ? known : this.#rename(known, name);
    this.graph.outputs.push({ name: named.name, dtype: named.dtype, shape: named.shape });
    return named;
  }

  /** A constant, stored once however often it is asked for. */
  constant(tensor: Tensor): Value {
    const key = sizeOf(tensor.dims) <= 64 ? `${tensor.dtype}[${tensor.dims}]${[...tensor.data].join()}` : '';
    const known = key && this.#constants.get(key);
    if (known) return known;
    const name = this.fresh('constant');
    this.graph.initializers.set(name, tensor);
    const value = new Value(this, name, tensor.dtype, tensor.dims);
    if (key) this.#constants.set(key, value);
    return value;
  }

  scalar(x: number, dtype: DType = 'float32'): Value {
    return this.constant({ dtype, dims: [], data: scalarData(dtype, x) });
  }

  /** An int64 vector constant. */
  ints(values: readonly number[]): Value {
    return this.constant(int64([values.length], values));
  }

  operand(x: Operand, dtype: DType): Value {
    return typeof x === 'number' ? this.scalar(x, dtype) : x;
  }

  /** Adds a node with one output. Optional inputs are left out with undefined. */
  op<K extends OpType>(key: K, inputs: readonly (Value | undefined)[], attributes: AttributesOf<K>): Value {
    return this.ops(key, inputs, attributes, 1)[0] as Value;
  }

  /** Adds a node with `count` outputs. */
  ops<K extends OpType>(
    key: K,
    inputs: readonly (Value | undefined)[],
    attributes: AttributesOf<K>,
    count: number,
  ): Value[] {
    const { domain, opType } = splitKey(key);
    const base = this.fresh(opType);
    const outputs = Array.from({ length: count }, (_, i) => (i === 0 ? base : `${base}:${i}`));
    const kinds: Record<string, AttributeKind> = OPS[key].attributes;
    const node: Node = {
      name: base,
      domain,
      opType,
      inputs: trimmed(inputs.map(v => (v ? this.#nameOf(v) : ''))),
      outputs,
      attributes: Object.fromEntries(
        Object.entries(attributes)
          .filter(([, v]) => v !== undefined)
          .map(([k, v]) => [k, toAttribute(kinds[k] as AttributeKind, v)]),
      ),
    };
    return this.#push(node, inputs);
  }

  concat(values: readonly Value[], axis: number): Value {
    return this.op('Concat', values, { axis });
  }

  /** where(condition, x, y) with plain numbers taking the other branch's dtype. */
  where(condition: Value, x: Operand, y: Operand): Value {
    const dtype = typeof x !== 'number' ? x.dtype : typeof y !== 'number' ? y.dtype : 'float32';
    return this.op('Where', [condition, this.operand(x, dtype), this.operand(y, dtype)], {});
  }

  /** The value of that name in this graph. Throws when its type is not known. */
  value(name: string): Value {
    const t = this.#typeOf(name);
    if (!t?.shape) fail(`graph "${this.graph.name}": the type of "${name}" is not known; infer shapes first`);
    return new Value(this, name, t.dtype, t.shape);
  }

  /** A name that nothing has yet. */
  fresh(stem: string): string {
    const scoped = [...this.#scope, stem].join('/');
    for (;;) {
      const n = this.#counts.get(scoped) ?? 0;
      this.#counts.set(scoped, n + 1);
      const name = n === 0 ? scoped : `${scoped}_${n}`;
      if (n === 0 || !this.#counts.has(name)) {
        this.#counts.set(name, Math.max(1, this.#counts.get(name) ?? 0));
        return name;
      }
    }
  }

  #push(node: Node, inputs: readonly (Value | undefined)[]): Value[] {
    const types = inferNode(
      this.graph,
      node,
      inputs.map(v => v && { dtype: v.dtype, shape: v.shape }),
    );
    this.graph.nodes.push(node);
    return node.outputs.map((name, i) => {
      const type = types[i] as TensorType;
      this.graph.types.set(name, type);
      if (!type.shape) fail(`node "${node.name}" (${node.opType}): the rank of output ${i} is not known`);
      return new Value(this, name, type.dtype, type.shape);
    });
  }

  #rename(value: Value, name: string): Value {
    const producer = this.graph.nodes.find(n => n.outputs.includes(value.name));
    if (!producer || this.graph.outputs.some(o => o.name === value.name) || this.#counts.has(name)) {
      if (this.#counts.has(name)) fail(`graph "${this.graph.name}": the name "${name}" is taken`);
      const copy = this.op('Identity', [value], {});
      return this.#rename(copy, name);
    }
    producer.outputs = producer.outputs.map(o => (o === value.name ? name : o));
    for (const n of this.graph.nodes) n.inputs = n.inputs.map(i => (i === value.name ? name : i));
    this.graph.types.delete(value.name);
    this.graph.types.set(name, { dtype: value.dtype, shape: value.shape });
    this.#counts.set(name, 1);
    this.#renamed.set(value.name, name);
    return new Value(this, name, value.dtype, value.shape);
  }

  #nameOf(value: Value): string {
    return this.#renamed.get(value.name) ?? value.name;
  }

  #typeOf(name: string): TensorType | undefined {
    const initializer = this.graph.initializers.get(name);
    if (initializer) return { dtype: initializer.dtype, shape: initializer.dims };
    return this.graph.types.get(name) ?? this.graph.inputs.find(i => i.name === name);
  }

  #reserveNames(): void {
    const { inputs, initializers, nodes } = this.graph;
    const names = [
      ...inputs.map(i => i.name),
      ...initializers.keys(),
      ...nodes.flatMap(n => [n.name, ...n.outputs]),
    ];
    for (const name of names) this.#counts.set(name, 1);
  }
}

function trimmed(names: string[]): string[] {
  let end = names.length;
  while (end > 0 && names[end - 1] === '') end--;
  return names.slice(0, end);
}
