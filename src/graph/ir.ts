/**
 * The one program form: an ONNX graph.
 *
 * 1. Values are names, as in ONNX; every pass can be written, printed and read back without a second form.
 * 2. Attributes carry their ONNX kind, so that writing a file never guesses between int and float.
 * 3. A dimension is a number, a symbol (`'batch'`), or `undefined`-free: an unknown shape is the absence of a shape.
 * 4. Maps keep insertion order, which is the order in files.
 */
import { allocate, type DType, type TensorData } from './dtype.ts';

/** A dimension: a number, or the name of a symbolic one. */
export type Dim = number | string;
export type Shape = readonly Dim[];

export interface TensorType {
  readonly dtype: DType;
  /** Absent when the rank itself is unknown. */
  readonly shape?: Shape;
}

/** Concrete data. `dims` counts elements; 4-bit types are packed (see dtype.ts). */
export interface Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

export type Attribute =
  | { readonly type: 'int'; readonly value: number | bigint }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'tensor'; readonly value: Tensor }
  | { readonly type: 'graph'; readonly value: Graph }
  | { readonly type: 'ints'; readonly value: readonly (number | bigint)[] }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] };

export interface Node {
  /** Unique among the graph's nodes; used in messages. */
  name: string;
  /** `''` for ONNX's own ops, else for example `com.microsoft`. */
  domain: string;
  opType: string;
  /** Value names; `''` stands for an optional input or output that is left out. */
  inputs: string[];
  outputs: string[];
  attributes: Record<string, Attribute>;
}

export interface ValueInfo extends TensorType {
  readonly name: string;
}

export interface Graph {
  name: string;
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  initializers: Map<string, Tensor>;
  nodes: Node[];
  /** Types of values that are neither inputs nor initializers, as far as known. */
  types: Map<string, TensorType>;
}

export interface Model {
  irVersion: number;
  /** Domain to opset version; `''` is ONNX's own. */
  opsets: Map<string, number>;
  producer: string;
  metadata: Map<string, string>;
  graph: Graph;
}

export const ONNX_OPSET = 21;
export const IR_VERSION = 10;

export function emptyGraph(name: string): Graph {
  return { name, inputs: [], outputs: [], initializers: new Map(), nodes: [], types: new Map() };
}

/** A model around `graph` with the opsets that Gaslaw emits. */
export function modelOf(graph: Graph, metadata: Iterable<[string, string]> = []): Model {
  return {
    irVersion: IR_VERSION,
    opsets: new Map([
      ['', ONNX_OPSET],
      ['com.microsoft', 1],
    ]),
    producer: 'gaslaw',
    metadata: new Map(metadata),
    graph,
  };
}

/** The key of an op in the op tables: `Softmax`, `com.microsoft.FusedMatMul`. */
export const opKey = (node: Pick<Node, 'domain' | 'opType'>): string =>
  node.domain === '' || node.domain === 'ai.onnx' ? node.opType : `${node.domain}.${node.opType}`;

/** The type of a value by name, wherever the graph keeps it. */
export function typeOf(graph: Graph, name: string): TensorType | undefined {
  const initializer = graph.initializers.get(name);
  if (initializer) return { dtype: initializer.dtype, shape: initializer.dims };
  return graph.types.get(name) ?? graph.inputs.find(input => input.name === name);
}

/** Number of elements of concrete dims (1 for a scalar). */
export const sizeOf = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/** A zero-filled tensor. */
export const zeros = (dtype: DType, dims: readonly number[]): Tensor => ({
  dtype,
  dims,
  data: allocate(dtype, sizeOf(dims)),
});

export const float32 = (dims: readonly number[], data: Float32Array | readonly number[]): Tensor => ({
  dtype: 'float32',
  dims,
  data: data instanceof Float32Array ? data : Float32Array.from(data),
});

export const int32 = (dims: readonly number[], data: Int32Array | readonly number[]): Tensor => ({
  dtype: 'int32',
  dims,
  data: data instanceof Int32Array ? data : Int32Array.from(data),
});

export const int64 = (dims: readonly number[], values: readonly number[]): Tensor => ({
  dtype: 'int64',
  dims,
  data: BigInt64Array.from(values, v => BigInt(v)),
});

/** All dims numbers, or undefined when one is symbolic or the rank is unknown. */
export function staticDims(shape: Shape | undefined): readonly number[] | undefined {
  return shape?.every(d => typeof d === 'number') ? (shape as readonly number[]) : undefined;
}
