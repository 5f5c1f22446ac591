/**
 * Ops on integers as Q/DQ pairs around the float op: the form that passes, devices and gradients know.
 *
 * 1. Scales and zero points are the node's own. A bias of int32 has scale x·w and zero point 0.
 * 2. What MatMulInteger and ConvInteger make is exact in int32; as floats it is rounded to 24 bits, as the Cast that follows
 *    them in dynamically quantized models does.
 * 3. A form that pairs cannot say (scales by row of the left operand, channels last) stays as it is.
 */
import { float32, type Graph, type Node, sizeOf, staticDims, type Tensor, zeros } from '../graph/ir.ts';
import { consumersOf, FreshNames } from '../graph/walk.ts';
import { Attributes } from '../ops/rule.ts';
import { inferKnown } from './types.ts';
import { attributesOf, type Rewrite, Writer } from './writer.ts';

/** Rewrites in place and returns the names of the nodes that are gone. */
export function qoperatorToQdq(graph: Graph): string[] {
  const writer = new Writer(graph, new FreshNames(graph));
  const gone: string[] = [];
  graph.nodes = graph.nodes.flatMap(node => {
    const rewrite = REWRITES[`${node.domain === '' ? '' : `${node.domain}.`}${node.opType}`];
    const nodes = rewrite && settled(node, writer) ? rewrite(node, writer) : [node];
    if (nodes[0] !== node) gone.push(node.name);
    return nodes;
  });
  if (gone.length > 0) inferKnown(graph);
  return gone;
}

/** Whether it is known of all vectors among the inputs, which scales and zero points are, how long they are. */
const settled = (node: Node, w: Writer): boolean =>
  node.inputs.every(name => {
    const shape = name === '' ? [] : w.typeOf(name)?.shape;
    return shape !== undefined && (shape.length > 1 || staticDims(shape) !== undefined);
  });

/** The nodes written so far in place of one. */
class Pairs {
  readonly nodes: Node[] = [];
  readonly #node: Node;
  readonly #w: Writer;

  constructor(node: Node, w: Writer) {
    this.#node = node;
    this.#w = w;
  }

  input(i: number): string {
    return this.#node.inputs[i] ?? '';
  }

  /** The float value of the integers, scale and zero point at inputs `i`, `i + 1`, `i + 2`. */
  float(i: number, axis?: number): string {
    return this.#push(
      'DequantizeLinear',
      this.#affine(this.input(i), this.input(i + 1), this.input(i + 2)),
      axisOf(axis),
    );
  }

  /** int32 at scale x·w: undefined where scales are not constant. */
  bias(i: number, x: number, w: number): string | undefined {
    const [a, b] = [this.#w.tensorOf(this.input(x)), this.#w.tensorOf(this.input(w))];
    if (!a || !b || sizeOf(a.dims) !== 1) return undefined;
    const data = Float32Array.from(b.data as Float32Array, s => s * Number(a.data[0]));
    const scale = this.#w.constant(
      this.#node,
      'bias_scale',
      float32(data.length === 1 ? [] : [data.length], data),
    );
    return this.#push('DequantizeLinear', [this.input(i), scale], axisOf(data.length === 1 ? undefined : 0));
  }

  /** Integers without zero point as floats: scale 1. */
  shifted(i: number, zero: number, axis?: number): string {
    const count = countAt(this.#node, this.#w, zero);
    const scale = this.#w.constant(
      this.#node,
      'one',
      float32(count === 1 ? [] : [count], new Float32Array(count).fill(1)),
    );
    return this.#push(
      'DequantizeLinear',
      this.#affine(this.input(i), scale, this.input(zero)),
      axisOf(count === 1 ? undefined : axis),
    );
  }

  op(
    opType: string,
    inputs: readonly string[],
    attributes: Node['attributes'] = {},
    outputs?: readonly string[],
  ): string {
    return this.#push(opType, inputs, attributes, outputs);
  }

  /** The node's output: `value` as integers with scale and zero point at inputs `i` and `i + 1`. */
  done(value: string, i: number): Node[] {
    this.#push(
      'QuantizeLinear',
      this.#affine(value, this.input(i), this.input(i + 1)),
      {},
      this.#node.outputs,
    );
    return this.nodes;
  }

  /** A zero point has the dims of its scale. */
  #affine(value: string, scale: string, zero: string): string[] {
    const [s, z] = [this.#w.tensorOf(scale), this.#w.tensorOf(zero)];
    if (!s || !z || s.dims.join() === z.dims.join())
      return zero === '' ? [value, scale] : [value, scale, zero];
    const one = sizeOf(s.dims) === 1 && sizeOf(z.dims) === 1;
    const plain = one ? this.#w.constant(this.#node, 'scale', { ...s, dims: [] }) : scale;
    return [value, plain, this.#w.constant(this.#node, 'zero', stretched(z, one ? [] : s.dims))];
  }

  #push(
    opType: string,
    inputs: readonly string[],
    attributes: Node['attributes'] = {},
    outputs?: readonly string[],
  ): string {
    const made = this.#w.beside(this.#node, opType, inputs, attributes, outputs);
    this.nodes.push(made);
    return made.outputs[0] as string;
  }
}

const axisOf = (axis: number | undefined): Node['attributes'] =>
  axis === undefined ? {} : attributesOf({ axis });

/** One number everywhere. */
function stretched(tensor: Tensor, dims: readonly number[]): Tensor {
  if (sizeOf(tensor.dims) === sizeOf(dims)) return { ...tensor, dims };
  const out = zeros(tensor.dtype, dims);
  (out.data as Int32Array).fill(tensor.data[0] as number);
  return out;
}

/** How many scales or zero points there are at input `i`: 1 where it is left out. */
function countAt(node: Node, w: Writer, i: number): number {
  const name = node.inputs[i] ?? '';
  const dims = name === '' ? [] : staticDims(w.typeOf(name)?.shape);
  return sizeOf(dims ?? []);
}

const conv: Rewrite = (node, w) => {
  const p = new Pairs(node, w);
  const weight = p.float(3, countAt(node, w, 4) > 1 ? 0 : undefined);
  const bias = p.input(8) === '' ? [] : [p.bias(8, 1, 4)];
  if (bias[0] === undefined && bias.length > 0) return [node];
  return p.done(p.op('Conv', [p.float(0), weight, ...(bias as string[])], node.attributes), 6);
};

const matMul: Rewrite = (node, w) => {
  if (countAt(node, w, 1) > 1) return [node];
  const p = new Pairs(node, w);
  const right = p.float(3, countAt(node, w, 4) > 1 ? -1 : undefined);
  return p.done(p.op('MatMul', [p.float(0), right]), 6);
};

/** Two operands of three inputs each, then scale and zero point of the result. */
const binary =
  (opType: string): Rewrite =>
  (node, w) => {
    const p = new Pairs(node, w);
    return p.done(p.op(opType, [p.float(0), p.float(3)]), 6);
  };

const unary =
  (opType: string): Rewrite =>
  (node, w) => {
    const { channels_last: last, ...attributes } = node.attributes;
    if (last?.type === 'int' && Number(last.value) === 1) return [node];
    const p = new Pairs(node, w);
    return p.done(p.op(opType, [p.float(0)], attributes), 3);
  };

const concat: Rewrite = (node, w) => {
  const p = new Pairs(node, w);
  const parts = Array.from({ length: (node.inputs.length - 2) / 3 }, (_, i) => p.float(2 + 3 * i));
  return p.done(p.op('Concat', parts, node.attributes), 0);
};

const gemm: Rewrite = (node, w) => {
  const p = new Pairs(node, w);
  const a = new Attributes(node.attributes);
  const columns = a.int('transB', 0) === 1 ? 0 : 1;
  const bias = p.input(6) === '' ? [] : [p.bias(6, 1, 4)];
  if (a.float('alpha', 1) !== 1 || countAt(node, w, 1) > 1 || (bias.length > 0 && bias[0] === undefined))
    return [node];
  const inputs = [
    p.float(0),
    p.float(3, countAt(node, w, 4) > 1 ? columns : undefined),
    ...(bias as string[]),
  ];
  if (p.input(7) !== '') return p.done(p.op('Gemm', inputs, node.attributes), 7);
  p.op('Gemm', inputs, node.attributes, node.outputs);
  return p.nodes;
};

/** The exact product of shifted integers, as the floats that its Cast makes of it, and as int32 for other readers. */
const product =
  (opType: string, zeroAxis: number): Rewrite =>
  (node, w) => {
    if (countAt(node, w, 2) > 1) return [node];
    const p = new Pairs(node, w);
    const value = p.op(opType, [p.shifted(0, 2), p.shifted(1, 3, zeroAxis)], node.attributes);
    const [output] = node.outputs as [string];
    const readers = consumersOf(w.graph).get(output) ?? [];
    for (const reader of readers) if (isCastToFloat(reader)) reader.inputs = [value];
    const left =
      readers.some(reader => !isCastToFloat(reader)) || w.graph.outputs.some(o => o.name === output);
    if (left) p.op('Cast', [value], attributesOf({ to: 6 }), node.outputs);
    return p.nodes;
  };

const isCastToFloat = (node: Node): boolean =>
  node.opType === 'Cast' && new Attributes(node.attributes).int('to', 0) === 1;

const REWRITES: Readonly<Partial<Record<string, Rewrite>>> = {
  QLinearConv: conv,
  QLinearMatMul: matMul,
  MatMulInteger: product('MatMul', -1),
  ConvInteger: product('Conv', 0),
  'com.microsoft.QLinearAdd': binary('Add'),
  'com.microsoft.QLinearMul': binary('Mul'),
  'com.microsoft.QLinearSigmoid': unary('Sigmoid'),
  'com.microsoft.QLinearLeakyRelu': unary('LeakyRelu'),
  'com.microsoft.QLinearAveragePool': unary('AveragePool'),
  'com.microsoft.QLinearGlobalAveragePool': unary('GlobalAveragePool'),
  'com.microsoft.QLinearConcat': concat,
  'com.microsoft.QGemm': gemm,
};
