/**
 * Which values of a graph get integers, and which share theirs.
 *
 * 1. Ops come from the quantization table. `kernels` takes those that ONNX Runtime has integer kernels for, `products` only
 *    convolutions and matrix products, `all` every op that can work on integers (accelerators run whole graphs so).
 * 2. Ops that only move or bound elements (`transparent`, Pad, Relu, Clip) follow their input.
 * 3. A Relu or Clip that alone reads a result is one with the op before it: the value between stays float.
 * 4. Movers, Concat, Pad and what a device asks for share one scale between their values: a group. What is observed of
 *    a group are the values that go into it, since what is moved is not new.
 * 5. Constants that are added, multiplied or looked up are values like others, with one scale.
 */
import { type Graph, type Node, opKey, sizeOf, type Tensor, typeOf } from '../../../graph/ir.ts';
import { consumersOf } from '../../../graph/walk.ts';
import { QUANTIZATION_RULES, type QuantizationPlaces } from '../../../ops/quantization.ts';
import { Attributes, isNone } from '../../../ops/rule.ts';
import { isOpType } from '../../../ops/schema.ts';
import { constantTensor } from '../../../ops/shape/values.ts';
import type { Range } from './affine.ts';

export const COVERAGES = ['products', 'kernels', 'all'] as const;
export type Coverage = (typeof COVERAGES)[number];

export interface PlanOptions {
  readonly coverage: Coverage;
  /** Ops whose inputs, or input and output, must have one scale beside those that always have. */
  readonly unified?: readonly string[];
  /** Names of nodes that stay float. */
  readonly float?: ReadonlySet<string>;
}

/** Values with one scale and zero point. */
export interface Group {
  readonly members: Set<string>;
  /** Members whose values come from outside the group. */
  readonly sources: Set<string>;
  /** Known without looking. */
  bounds?: Range;
}

/** An input of a node. */
export interface Place {
  readonly node: Node;
  readonly input: number;
}

export interface PlannedWeight {
  readonly name: string;
  readonly tensor: Tensor;
  /** Of the output channels, counted from the front. */
  readonly channelAxis: number;
  readonly reductionAxis: number;
  readonly places: Place[];
}

/** An additive constant whose integers have the scale of activation times weight. */
export interface PlannedBias extends Place {
  readonly name: string;
  readonly tensor: Tensor;
  readonly activation: string;
  readonly weight: PlannedWeight;
}

export interface QdqPlan {
  readonly nodes: ReadonlySet<Node>;
  readonly weights: readonly PlannedWeight[];
  readonly biases: readonly PlannedBias[];
  /** Where planned nodes read each activation. */
  readonly reads: ReadonlyMap<string, readonly Place[]>;
  /** Values that planned nodes make and store as integers. */
  readonly made: ReadonlySet<string>;
  /** The group of each value. */
  readonly groups: ReadonlyMap<string, Group>;
}

const PRODUCTS: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'MatMul', 'Gemm']);
const BOUNDING: ReadonlySet<string> = new Set(['Relu', 'Clip']);

/** Plans the nodes of the top graph (types inferred, nodes in order); bodies of control flow stay float. */
export const planQdq = (graph: Graph, options: PlanOptions): QdqPlan => new Planner(graph, options).plan();

class Planner {
  readonly #graph: Graph;
  readonly #options: PlanOptions;
  readonly #consumers: ReadonlyMap<string, readonly Node[]>;
  readonly #outputs: ReadonlySet<string>;
  readonly #nodes = new Set<Node>();
  readonly #weights = new Map<string, PlannedWeight>();
  readonly #biases: PlannedBias[] = [];
  readonly #reads = new Map<string, Place[]>();
  readonly #made = new Set<string>();
  readonly #groups = new Map<string, Group>();
  /** Results that only an activation reads, which is one with their maker. */
  readonly #inner = new Set<string>();

  constructor(graph: Graph, options: PlanOptions) {
    this.#graph = graph;
    this.#options = options;
    this.#consumers = consumersOf(graph);
    this.#outputs = new Set(graph.outputs.map(output => output.name));
  }

  plan(): QdqPlan {
    for (const node of this.#graph.nodes) this.#visit(node);
    return {
      nodes: this.#nodes,
      weights: [...this.#weights.values()],
      biases: this.#biases,
      reads: this.#reads,
      made: this.#made,
      groups: this.#groups,
    };
  }

  #visit(node: Node): void {
    const key = opKey(node);
    const rule = isOpType(key) ? QUANTIZATION_RULES[key] : undefined;
    if (!rule || isNone(rule) || this.#options.float?.has(node.name)) return;
    if (!this.#isFloat(node.outputs[0] ?? '') || !this.#takes(node, key, rule)) return;
    this.#nodes.add(node);
    this.#inputs(node, rule);
    if (rule.output) this.#output(node, rule);
    this.#share(node, key, rule);
  }

  #takes(node: Node, key: string, rule: QuantizationPlaces): boolean {
    const input = node.inputs[0] ?? '';
    if (rule.transparent || key === 'Pad' || BOUNDING.has(key)) {
      const table = key === 'Gather' && this.#options.coverage !== 'products' && this.#constant(input);
      return this.#inner.has(input) || this.#groups.has(input) || Boolean(table && this.#isFloat(input));
    }
    if (this.#options.coverage === 'all') return true;
    if (this.#options.coverage === 'products') return PRODUCTS.has(key);
    return rule.kernel.some(kernel => kernel.form === 'static');
  }

  #inputs(node: Node, rule: QuantizationPlaces): void {
    const places = rule.transparent ? [] : rule.weights(new Attributes(node.attributes));
    const indices = rule.activations === 'all' ? node.inputs.map((_, i) => i) : rule.activations;
    const weights = new Map(places.map(place => [place.input, place]));
    for (const input of new Set([...indices, ...weights.keys()])) {
      const name = node.inputs[input] ?? '';
      if (name === '' || this.#inner.has(name) || !this.#isFloat(name)) continue;
      const place = weights.get(input);
      const tensor = this.#constant(name);
      if (place && tensor) this.#weight({ node, input }, name, tensor, place);
      else if (indices.includes(input)) this.#read({ node, input }, name);
    }
    if (rule.bias !== undefined) this.#bias(node, rule.bias);
  }

  #weight(
    place: Place,
    name: string,
    tensor: Tensor,
    axes: { channelAxis: number; reductionAxis: number },
  ): void {
    const rank = tensor.dims.length;
    const at = (axis: number) => (axis < 0 ? axis + rank : axis);
    const [channelAxis, reductionAxis] = [at(axes.channelAxis), at(axes.reductionAxis)];
    const key = `${name}/${channelAxis}`;
    const known = this.#weights.get(key);
    if (known) known.places.push(place);
    else this.#weights.set(key, { name, tensor, channelAxis, reductionAxis, places: [place] });
  }

  #bias(node: Node, input: number): void {
    const name = node.inputs[input] ?? '';
    const tensor = this.#constant(name);
    const weight = [...this.#weights.values()].find(w =>
      w.places.some(p => p.node === node && p.input === 1),
    );
    const activation = node.inputs[0] ?? '';
    if (!tensor || !weight || !this.#groups.has(activation) || !plainSum(node, tensor, weight)) return;
    this.#biases.push({ node, input, name, tensor, activation, weight });
  }

  #read(place: Place, name: string): void {
    this.#group(name, !this.#made.has(name));
    const places = this.#reads.get(name);
    if (places) places.push(place);
    else this.#reads.set(name, [place]);
  }

  #output(node: Node, rule: QuantizationPlaces): void {
    const results = rule.transparent
      ? node.outputs.filter(name => this.#isFloat(name))
      : node.outputs.slice(0, 1);
    for (const name of results) {
      if (!rule.transparent && this.#fused(name)) this.#inner.add(name);
      else {
        this.#made.add(name);
        const group = this.#group(name, true);
        if (rule.outputRange) group.bounds = { low: rule.outputRange[0], high: rule.outputRange[1] };
      }
    }
  }

  /** Whether the only reader of a result bounds it. */
  #fused(name: string): boolean {
    const [next, ...more] = this.#consumers.get(name) ?? [];
    if (!next || more.length > 0 || this.#outputs.has(name) || !BOUNDING.has(opKey(next))) return false;
    if (this.#options.float?.has(next.name)) return false;
    return (
      next.inputs[0] === name && next.inputs.slice(1).every(input => input === '' || this.#constant(input))
    );
  }

  #share(node: Node, key: string, rule: QuantizationPlaces): void {
    const inputs = node.inputs.filter(name => this.#groups.has(name) && this.#isFloat(name));
    const outputs = node.outputs.filter(name => this.#groups.has(name) && this.#isFloat(name));
    const moves = rule.transparent && !overshoots(node, key);
    const [first = ''] = inputs;
    if (moves || key === 'Concat' || padsWithZero(this.#graph, node)) {
      for (const name of outputs) this.#groups.get(name)?.sources.delete(name);
      for (const name of [...inputs, ...outputs])
        if (rule.activations === 'all' || name === first || outputs.includes(name)) this.#merge(first, name);
      return;
    }
    if (!this.#options.unified?.includes(key)) return;
    for (const name of inputs.length > 1 ? inputs : [...inputs, ...outputs]) this.#merge(first, name);
  }

  #group(name: string, source: boolean): Group {
    const known = this.#groups.get(name);
    if (known) return known;
    const group: Group = { members: new Set([name]), sources: new Set(source ? [name] : []) };
    this.#groups.set(name, group);
    return group;
  }

  #merge(a: string, b: string): void {
    const [kept, gone] = [this.#groups.get(a), this.#groups.get(b)];
    if (!kept || !gone || kept === gone) return;
    const bounds = [kept, gone].filter(g => g.sources.size > 0 || g.bounds).map(g => g.bounds);
    for (const name of gone.members) kept.members.add(name);
    for (const name of gone.sources) kept.sources.add(name);
    for (const name of gone.members) this.#groups.set(name, kept);
    kept.bounds = unionOf(bounds);
  }

  #constant(name: string): Tensor | undefined {
    return constantTensor(this.#graph, name);
  }

  #isFloat(name: string): boolean {
    return name !== '' && typeOf(this.#graph, name)?.dtype === 'float32';
  }
}

/** Bounds that hold for all, where all have some. */
function unionOf(bounds: readonly (Range | undefined)[]): Range | undefined {
  const known = bounds.filter(b => b !== undefined);
  if (known.length === 0 || known.length < bounds.length) return undefined;
  return { low: Math.min(...known.map(b => b.low)), high: Math.max(...known.map(b => b.high)) };
}

/** Whether the bias is one number a channel, added as it is. */
function plainSum(node: Node, bias: Tensor, { tensor, channelAxis }: PlannedWeight): boolean {
  const a = new Attributes(node.attributes);
  const group = opKey(node) === 'ConvTranspose' ? a.int('group', 1) : 1;
  const channels = (tensor.dims[channelAxis] as number) * group;
  return (
    a.float('alpha', 1) === 1 &&
    a.float('beta', 1) === 1 &&
    bias.dims.length === 1 &&
    sizeOf(bias.dims) === channels
  );
}

/** Cubic interpolation leaves the range of what goes in. */
const overshoots = (node: Node, key: string): boolean =>
  key === 'Resize' && new Attributes(node.attributes).string('mode', 'nearest') === 'cubic';

/** Padding with 0, or with values that are there. */
function padsWithZero(graph: Graph, node: Node): boolean {
  if (opKey(node) !== 'Pad') return false;
  if (new Attributes(node.attributes).string('mode', 'constant') !== 'constant') return true;
  const value = node.inputs[2] ?? '';
  return value === '' || Number(constantTensor(graph, value)?.data[0] ?? Number.NaN) === 0;
}
