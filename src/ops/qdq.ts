/**
 * Reading quantization off a QDQ graph: which integers stand behind a float value.
 *
 * 1. A float value made by DequantizeLinear is those integers with that scale and zero point.
 * 2. A float value read by QuantizeLinear alone is stored as those integers; one read by others too is not.
 */
import type { DType } from '../graph/dtype.ts';
import { type Graph, type Node, sizeOf, type Tensor, typeOf } from '../graph/ir.ts';
import { cloneGraph, consumersOf, producersOf, removeNodes, replaceAllUses } from '../graph/walk.ts';
import { constantTensor } from './shape/values.ts';

/** real = scale (integer - zeroPoint), along `axis` where there is more than one scale. */
export interface AffineQuantization {
  readonly dtype: DType;
  readonly scale: readonly number[];
  /** As many as scales. */
  readonly zeroPoint: readonly number[];
  /** Of the channels; absent with one scale for all. */
  readonly axis?: number;
}

export interface Integers {
  /** The integer value's name. */
  readonly name: string;
  /** Its elements when it is constant. */
  readonly tensor?: Tensor;
  readonly quantization: AffineQuantization;
  /** The QuantizeLinear or DequantizeLinear node. */
  readonly node: Node;
}

export class Qdq {
  readonly #graph: Graph;
  readonly #producers: ReadonlyMap<string, Node>;
  readonly #consumers: ReadonlyMap<string, readonly Node[]>;
  readonly #outputs: ReadonlySet<string>;

  /** A view of the graph as it stands; make a new one after a rewrite. */
  constructor(graph: Graph) {
    this.#graph = graph;
    this.#producers = producersOf(graph);
    this.#consumers = consumersOf(graph);
    this.#outputs = new Set(graph.outputs.map(output => output.name));
  }

  /** The integers that DequantizeLinear makes the float value `name` from. */
  behind(name: string): Integers | undefined {
    const node = this.#producers.get(name);
    return node?.opType === 'DequantizeLinear' ? this.#read(node, node.inputs[0] as string) : undefined;
  }

  /** The integers that the float value `name` becomes, when nothing but one QuantizeLinear reads it. */
  becoming(name: string): Integers | undefined {
    const [node, ...more] = this.#consumers.get(name) ?? [];
    const alone = more.length === 0 && !this.#outputs.has(name);
    return alone && node?.opType === 'QuantizeLinear'
      ? this.#read(node, node.outputs[0] as string)
      : undefined;
  }

  /** What a QuantizeLinear node makes. */
  madeBy(node: Node): Integers | undefined {
    return this.#read(node, node.outputs[0] as string);
  }

  /** Whether the graph has any of it. */
  get quantized(): boolean {
    return this.#graph.nodes.some(node => node.opType === 'DequantizeLinear');
  }

  #read(node: Node, integer: string): Integers | undefined {
    const quantization = this.#quantization(node, integer);
    const tensor = constantTensor(this.#graph, integer);
    return quantization && { name: integer, quantization, node, ...(tensor && { tensor }) };
  }

  #quantization(node: Node, integer: string): AffineQuantization | undefined {
    const scale = constantTensor(this.#graph, node.inputs[1] ?? '');
    const zero = constantTensor(this.#graph, node.inputs[2] ?? '');
    if (!scale) return undefined;
    const dtype = zero?.dtype ?? typeOf(this.#graph, integer)?.dtype ?? 'uint8';
    const scales = Array.from(scale.data, Number);
    const zeroPoint = zero ? Array.from(zero.data, Number) : scales.map(() => 0);
    if (sizeOf(scale.dims) === 1) return { dtype, scale: scales, zeroPoint };
    const rank = typeOf(this.#graph, integer)?.shape?.length ?? 1;
    const axis = node.attributes.axis?.type === 'int' ? Number(node.attributes.axis.value) : 1;
    return { dtype, scale: scales, zeroPoint, axis: axis < 0 ? axis + rank : axis };
  }
}

/** The graph with its QuantizeLinear and DequantizeLinear nodes passed by: values lie once, as one integer each. */
export function withoutQdq(graph: Graph): Graph {
  const plain = cloneGraph(graph);
  const carriers = plain.nodes.filter(n => n.opType === 'QuantizeLinear' || n.opType === 'DequantizeLinear');
  const names = new Map<string, string>();
  const gone = new Set<Node>();
  for (const node of carriers) {
    const [input, output] = [node.inputs[0] as string, node.outputs[0] as string];
    names.set(output, names.get(input) ?? input);
    gone.add(node);
  }
  replaceAllUses(plain, names);
  plain.outputs = plain.outputs.map(output => ({ ...output, name: names.get(output.name) ?? output.name }));
  removeNodes(plain, gone);
  return plain;
}
