/**
 * Values of small integer vectors while shapes are inferred, so that Shape -> Gather -> Concat -> Reshape keeps its dims.
 *
 * 1. A value is the flat list of elements, each a number or a symbolic dim; its rank is that of the value's type.
 * 2. Constants are followed to 1,024 elements, computed ones to 16.
 * 3. Values are kept per graph beside it, not in it: they are a by-product of inference and never written.
 */
import { DTYPE_CODES } from '../../graph/dtype.ts';
import type { Dim, Graph, Node, Shape, Tensor, TensorType } from '../../graph/ir.ts';
import type { RuleContext } from '../rule.ts';
import type { OpType } from '../schema.ts';
import {
  addDims,
  divDims,
  divideExactly,
  maxDims,
  minDims,
  mulDims,
  productOf,
  sameDim,
  subDims,
  surelyDiffer,
} from './dims.ts';
import { shapeRange } from './making.ts';
import { sliceLength } from './slicing.ts';

export type DimValues = readonly Dim[];

const MOST_COMPUTED = 16;
const MOST_CONSTANT = 1024;

interface Known {
  readonly values: Map<string, DimValues>;
  /** Tensors of Constant nodes. */
  readonly tensors: Map<string, Tensor>;
  /** Names whose producer was looked at, with or without success. */
  readonly asked: Set<string>;
}

const knownOf = new WeakMap<Graph, Known>();

function known(graph: Graph): Known {
  let k = knownOf.get(graph);
  if (!k) knownOf.set(graph, (k = { values: new Map(), tensors: new Map(), asked: new Set() }));
  return k;
}

/** Forgets what was inferred of `graph`, before it is inferred anew. */
export const forgetValues = (graph: Graph): boolean => knownOf.delete(graph);

/** The tensor of an initializer or of a Constant node. */
export function constantTensor(graph: Graph, name: string): Tensor | undefined {
  return graph.initializers.get(name) ?? known(graph).tensors.get(name);
}

/** Makes what `from` knows of a value known in a body that captures it. */
export function lendValue(from: Graph, body: Graph, name: string): void {
  const [tensor, values] = [constantTensor(from, name), known(from).values.get(name)];
  if (tensor) known(body).tensors.set(name, tensor);
  if (values) known(body).values.set(name, values);
  known(body).asked.add(name);
}

/** Whether nobody has asked for the value of `name` yet; from now on somebody has. */
export function isNew(graph: Graph, name: string): boolean {
  const { asked } = known(graph);
  const first = !asked.has(name);
  asked.add(name);
  return first;
}

/** Elements of the value called `name`, as far as they are known. */
export function valuesOf(graph: Graph, name: string): DimValues | undefined {
  const tensor = constantTensor(graph, name);
  return tensor ? tensorValues(tensor) : known(graph).values.get(name);
}

function tensorValues(tensor: Tensor): DimValues | undefined {
  const integer = tensor.dtype === 'int64' || tensor.dtype === 'int32' || tensor.dtype === 'bool';
  if (!integer || tensor.data.length > MOST_CONSTANT) return undefined;
  return Array.from(tensor.data as BigInt64Array | Int32Array | Uint8Array, Number);
}

/** Records what is known of the outputs of `node`, whose types the shape rule has just given. */
export function recordValues(graph: Graph, node: Node, c: RuleContext, outputs: readonly TensorType[]): void {
  for (const name of node.outputs) known(graph).asked.add(name);
  const tensor = c.key === 'Constant' ? constantOf(c) : undefined;
  if (tensor) known(graph).tensors.set(node.outputs[0] as string, tensor);
  const rule = VALUE_RULES[c.key];
  if (!rule || !countsDims(outputs[0])) return;
  const values = rule(c, outputs);
  values?.forEach((v, i) => {
    const name = node.outputs[i];
    if (name) known(graph).values.set(name, v);
  });
}

/** Whether a value of this type may be shape arithmetic. */
export function countsDims(type: TensorType | undefined): boolean {
  if (!type?.shape || type.shape.length > 1) return false;
  if (type.dtype !== 'int64' && type.dtype !== 'int32' && type.dtype !== 'bool') return false;
  const length = type.shape[0] ?? 1;
  return typeof length === 'number' && length <= MOST_COMPUTED;
}

function constantOf(c: RuleContext): Tensor | undefined {
  const { attributes } = c;
  if (attributes.has('value')) return attributes.tensor('value');
  const ints = attributes.ints('value_ints');
  if (ints) return { dtype: 'int64', dims: [ints.length], data: BigInt64Array.from(ints, BigInt) };
  const floats = attributes.floats('value_floats');
  if (floats) return { dtype: 'float32', dims: [floats.length], data: Float32Array.from(floats) };
  if (attributes.has('value_int')) {
    return { dtype: 'int64', dims: [], data: BigInt64Array.of(BigInt(attributes.int('value_int', 0))) };
  }
  if (!attributes.has('value_float')) return undefined;
  return { dtype: 'float32', dims: [], data: Float32Array.of(attributes.float('value_float', 0)) };
}

/** Values of the outputs in order, or undefined when nothing is known. */
type ValueRule = (c: RuleContext, outputs: readonly TensorType[]) => readonly DimValues[] | undefined;

/** One output, from the first input's values. */
const mapped =
  (f: (values: DimValues, c: RuleContext) => DimValues | undefined): ValueRule =>
  c => {
    const values = c.shapeValue(0);
    const result = values && f(values, c);
    return result && [result];
  };

const same = mapped(values => values);

/** Elementwise on vectors of one length, scalars stretched. */
const binary =
  (f: (a: Dim, b: Dim) => Dim | undefined): ValueRule =>
  c => {
    const [a, b] = [c.shapeValue(0), c.shapeValue(1)];
    if (!a || !b) return undefined;
    const out = stretched([a, b]).map(([x, y]) => f(x as Dim, y as Dim));
    return complete(out);
  };

const complete = (values: readonly (Dim | undefined)[]): readonly DimValues[] | undefined =>
  values.every(v => v !== undefined) ? [values as DimValues] : undefined;

/** Rows of elements that meet when vectors and single elements are broadcast. */
function stretched(vectors: readonly DimValues[]): Dim[][] {
  const length = vectors.some(v => v.length === 0) ? 0 : Math.max(...vectors.map(v => v.length));
  return Array.from({ length }, (_, i) => vectors.map(v => v[v.length === 1 ? 0 : i] as Dim));
}

const folded =
  (f: (a: Dim, b: Dim) => Dim): ValueRule =>
  c => {
    const all = c.inputs.map((_, i) => c.shapeValue(i));
    return all.every(v => v) ? [stretched(all as DimValues[]).map(row => row.reduce(f))] : undefined;
  };

/** 1 or 0 when a comparison is decided for every value of the symbols; symbols are never negative. */
const equalDims = (a: Dim, b: Dim): Dim | undefined => {
  if (sameDim(a, b)) return 1;
  const negative = (d: Dim) => typeof d === 'number' && d < 0;
  return surelyDiffer(a, b) || negative(a) || negative(b) ? 0 : undefined;
};

const quotient = (a: Dim, b: Dim): Dim | undefined => {
  if (b === 0) return undefined;
  return typeof a === 'number' && typeof b === 'number' ? Math.trunc(a / b) : divDims(a, b);
};

const remainder = (a: Dim, b: Dim): Dim | undefined => {
  if (b === 0) return undefined;
  if (typeof a === 'number' && typeof b === 'number') return a - b * Math.floor(a / b);
  return divideExactly(a, b) === undefined ? undefined : 0;
};

const shape: ValueRule = c => {
  const s = c.inputs[0]?.shape;
  return s && [s.slice(...shapeRange(c, s.length))];
};

const gather: ValueRule = c => {
  const [data, indices] = [c.shapeValue(0), c.shapeValue(1)];
  if (!data || !indices?.every(i => typeof i === 'number')) return undefined;
  return complete(indices.map(i => data.at(i as number)));
};

const concat: ValueRule = c => {
  const parts = c.inputs.map((_, i) => c.shapeValue(i));
  return parts.every(p => p) ? [(parts as DimValues[]).flat()] : undefined;
};

/** Slices of a vector with constant bounds. */
const slice: ValueRule = c => {
  const data = c.shapeValue(0);
  const [start, end, step] = [
    c.shapeValue(1)?.[0],
    c.shapeValue(2)?.[0],
    c.inputs[4] ? c.shapeValue(4)?.[0] : 1,
  ];
  if (!data || typeof start !== 'number' || typeof end !== 'number' || typeof step !== 'number')
    return undefined;
  const count = sliceLength({ start, end, step }, data.length) as number;
  const from = Math.min(
    Math.max(start < 0 ? start + data.length : start, 0),
    step < 0 ? data.length - 1 : data.length,
  );
  return [Array.from({ length: count }, (_, i) => data[from + i * step] as Dim)];
};

const split: ValueRule = (c, outputs) => {
  const data = c.shapeValue(0);
  if (!data) return undefined;
  let at = 0;
  return outputs.map(o => data.slice(at, (at += o.shape?.[0] as number)));
};

/** Reductions of a whole vector. */
const reduced = (f: (values: DimValues) => Dim): ValueRule => mapped(values => [f(values)]);

const constantOfShape: ValueRule = (c, outputs) => {
  const fill = c.attributes.tensor('value');
  const value = fill ? tensorValues(fill)?.[0] : undefined;
  const length = outputs[0]?.shape?.[0] ?? 1;
  return value !== undefined && typeof length === 'number' ? [new Array<Dim>(length).fill(value)] : undefined;
};

const where: ValueRule = c => {
  const [which, a, b] = [0, 1, 2].map(i => c.shapeValue(i));
  if (!which || !a || !b) return undefined;
  return complete(
    stretched([which, a, b]).map(([w, x, y]) => (typeof w === 'number' ? (w !== 0 ? x : y) : undefined)),
  );
};

const range: ValueRule = (c, outputs) => {
  const [start, delta] = [c.shapeValue(0)?.[0], c.shapeValue(2)?.[0]];
  const length = outputs[0]?.shape?.[0];
  if (start === undefined || delta === undefined || typeof length !== 'number') return undefined;
  return [Array.from({ length }, (_, i) => addDims(start, mulDims(i, delta)))];
};

/** A vector or scalar stretched to the output's length. */
const expand: ValueRule = (c, outputs) => {
  const values = c.shapeValue(0);
  const length = outputs[0]?.shape?.[0] ?? 1;
  if (!values || typeof length !== 'number') return undefined;
  return [Array.from({ length }, (_, i) => values[values.length === 1 ? 0 : i] as Dim)];
};

const INTEGER_CODES: readonly number[] = [DTYPE_CODES.int64, DTYPE_CODES.int32];

const VALUE_RULES: { readonly [K in OpType]?: ValueRule } = {
  Shape: shape,
  Size: c => c.inputs[0]?.shape && [[productOf(c.inputs[0].shape as Shape)]],
  Identity: same,
  Cast: mapped((values, c) => (INTEGER_CODES.includes(c.attributes.int('to', 0)) ? values : undefined)),
  Unsqueeze: same,
  Squeeze: same,
  Reshape: same,
  Flatten: same,
  Gather: gather,
  Concat: concat,
  Slice: slice,
  Split: split,
  Expand: expand,
  ConstantOfShape: constantOfShape,
  Range: range,
  Where: where,
  Equal: binary(equalDims),
  Add: binary(addDims),
  Sub: binary(subDims),
  Mul: binary(mulDims),
  Div: binary(quotient),
  Mod: binary(remainder),
  Max: folded(maxDims),
  Min: folded(minDims),
  Neg: mapped(values => values.map(v => mulDims(-1, v))),
  ReduceProd: reduced(productOf),
  ReduceSum: reduced(values => values.reduce(addDims, 0)),
};
