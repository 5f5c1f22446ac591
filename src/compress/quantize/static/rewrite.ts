/**
 * A plan carried out: QuantizeLinear and DequantizeLinear around every value that has integers.
 *
 * 1. A value that a planned node makes is read as integers by all, so that it need not exist as float; of any other value,
 *    planned nodes read the integers and the rest the floats.
 * 2. Constants are stored as integers behind a DequantizeLinear. Values of one group read the same scale.
 */
import { type Graph, int32, type Node, type Tensor, typeOf } from '../../../graph/ir.ts';
import { eliminateDeadCode } from '../../../graph/passes/dce.ts';
import { FreshNames, replaceUses, sortTopologically } from '../../../graph/walk.ts';
import { store } from '../../../runtime/reference/tensor.ts';
import { type Affine, codesOf, encode, type Scheme } from './affine.ts';
import type { Group, PlannedBias, PlannedWeight, QdqPlan } from './plan.ts';
import { type QuantizedTensor, storedTensors } from './weights.ts';

/** What the integers of a plan are. */
export interface Chosen {
  readonly activations: Scheme;
  /** Groups that are absent stay float. */
  readonly groups: ReadonlyMap<Group, Affine>;
  readonly weights: ReadonlyMap<PlannedWeight, QuantizedTensor>;
  /** The floats of biases; absent ones are the graph's own. */
  readonly biases: ReadonlyMap<PlannedBias, Float32Array>;
}

/** Rewrites `graph` in place; returns the names of each group's scale and zero point. */
export function writeQdq(
  graph: Graph,
  plan: QdqPlan,
  chosen: Chosen,
): ReadonlyMap<Group, readonly [string, string]> {
  const writer = new QdqWriter(graph, chosen);
  for (const weight of plan.weights) writer.weight(weight);
  for (const bias of plan.biases) writer.bias(bias, plan.groups.get(bias.activation));
  for (const [name, group] of plan.groups) {
    const affine = chosen.groups.get(group);
    if (affine) writer.value(name, affine, plan, group);
  }
  writer.finish();
  return writer.parameters;
}

class QdqWriter {
  readonly #graph: Graph;
  readonly #chosen: Chosen;
  readonly #names: FreshNames;
  /** Scale and zero point of each group. */
  readonly #parameters = new Map<Group, readonly [string, string]>();

  constructor(graph: Graph, chosen: Chosen) {
    this.#graph = graph;
    this.#chosen = chosen;
    this.#names = new FreshNames(graph);
  }

  get parameters(): ReadonlyMap<Group, readonly [string, string]> {
    return this.#parameters;
  }

  weight(weight: PlannedWeight): void {
    const q = this.#chosen.weights.get(weight);
    if (!q) return;
    const { codes, scale, zeroPoint } = storedTensors(q);
    const put = (part: string, tensor: Tensor) => this.#put(`${weight.name}_${part}`, tensor);
    const parameters = [put('scale', scale), put('zero_point', zeroPoint)] as const;
    const value = this.#dequantize(weight.name, put('quantized', codes), parameters, codes, q.axis);
    for (const { node, input } of weight.places) node.inputs[input] = value;
  }

  /** int32 with the scale of activation times weight; a bias that leaves int32 so stays float. */
  bias(bias: PlannedBias, group: Group | undefined): void {
    const x = group && this.#chosen.groups.get(group);
    const w = this.#chosen.weights.get(bias.weight);
    const values = this.#chosen.biases.get(bias) ?? (bias.tensor.data as Float32Array);
    const scales = w?.affine.map(a => Math.fround(a.scale * (x?.scale ?? 0)));
    const codes =
      scales && Array.from(values, (b, c) => Math.round(b / (scales[c % scales.length] as number)));
    if (!x || !w || !scales || !codes?.every(c => Math.abs(c) < 2 ** 31)) {
      if (this.#chosen.biases.has(bias))
        bias.node.inputs[bias.input] = this.#put(`${bias.name}_corrected`, { ...bias.tensor, data: values });
      return;
    }
    const dims = scales.length === 1 ? [] : [scales.length];
    const tensor = int32(bias.tensor.dims, codes);
    const scale = this.#put(`${bias.name}_scale`, store('float32', dims, Float64Array.from(scales)));
    const zero = this.#put(`${bias.name}_zero_point`, store('int32', dims, new Float64Array(scales.length)));
    const axis = scales.length === 1 ? undefined : 0;
    const name = this.#put(`${bias.name}_quantized`, tensor);
    bias.node.inputs[bias.input] = this.#dequantize(bias.name, name, [scale, zero], tensor, axis);
  }

  /** Gives the value `name` its integers, and its readers what they stand for. */
  value(name: string, affine: Affine, plan: QdqPlan, group: Group): void {
    const parameters = this.#parametersOf(group, name, affine);
    const constant = this.#constantOf(name, plan);
    if (constant) this.#constant(name, constant, affine, parameters, plan);
    else if (plan.made.has(name)) this.#made(name, parameters);
    else {
      const value = this.#pair(name, name, parameters, this.#names.fresh(`${name}_DequantizeLinear_Output`));
      for (const { node, input } of plan.reads.get(name) ?? []) node.inputs[input] = value;
    }
  }

  /** Takes out what nothing reads any more and puts nodes in order. */
  finish(): void {
    sortTopologically(this.#graph);
    eliminateDeadCode(this.#graph);
  }

  #constantOf(name: string, plan: QdqPlan): Tensor | undefined {
    if (plan.made.has(name)) return undefined;
    const maker = this.#graph.nodes.find(node => node.outputs.includes(name));
    const value = maker?.opType === 'Constant' ? maker.attributes.value : undefined;
    return this.#graph.initializers.get(name) ?? (value?.type === 'tensor' ? value.value : undefined);
  }

  #constant(
    name: string,
    tensor: Tensor,
    affine: Affine,
    parameters: readonly [string, string],
    plan: QdqPlan,
  ): void {
    const { activations } = this.#chosen;
    const codes = Float64Array.from(tensor.data as Float32Array, x =>
      encode(x, affine, codesOf(activations)),
    );
    const stored = store(activations.dtype, tensor.dims, codes);
    const value = this.#dequantize(name, this.#put(`${name}_quantized`, stored), parameters, stored);
    for (const { node, input } of plan.reads.get(name) ?? []) node.inputs[input] = value;
  }

  /** The graph's outputs keep their names: what makes one gets another. */
  #made(name: string, parameters: readonly [string, string]): void {
    const isOutput = this.#graph.outputs.some(output => output.name === name);
    const float = isOutput ? this.#names.fresh(`${name}_float`) : name;
    const value = isOutput ? name : this.#names.fresh(`${name}_DequantizeLinear_Output`);
    replaceUses(this.#graph, name, value);
    if (isOutput) {
      for (const node of this.#graph.nodes) node.outputs = node.outputs.map(o => (o === name ? float : o));
      const type = typeOf(this.#graph, name);
      if (type) this.#graph.types.set(float, type);
    }
    this.#pair(name, float, parameters, value);
  }

  /** float → Q → DQ → value. */
  #pair(base: string, float: string, parameters: readonly [string, string], value: string): string {
    const type = typeOf(this.#graph, float) ?? { dtype: 'float32' as const };
    const integers = this.#names.fresh(`${base}_QuantizeLinear_Output`);
    const { dtype } = this.#chosen.activations;
    this.#node('QuantizeLinear', base, [float, ...parameters], integers);
    this.#graph.types.set(integers, { ...type, dtype });
    this.#node('DequantizeLinear', base, [integers, ...parameters], value);
    this.#graph.types.set(value, type);
    return value;
  }

  #dequantize(
    base: string,
    codes: string,
    parameters: readonly [string, string],
    { dims }: Tensor,
    axis?: number,
  ): string {
    const value = this.#names.fresh(`${base}_DequantizeLinear_Output`);
    this.#node('DequantizeLinear', base, [codes, ...parameters], value, axis);
    this.#graph.types.set(value, { dtype: 'float32', shape: dims });
    return value;
  }

  #node(opType: string, base: string, inputs: string[], output: string, axis?: number): void {
    const attributes: Node['attributes'] = axis === undefined ? {} : { axis: { type: 'int', value: axis } };
    const name = this.#names.fresh(`${base}_${opType}`);
    this.#graph.nodes.push({ name, domain: '', opType, inputs, outputs: [output], attributes });
  }

  #parametersOf(group: Group, name: string, { scale, zeroPoint }: Affine): readonly [string, string] {
    const known = this.#parameters.get(group);
    if (known) return known;
    const { dtype } = this.#chosen.activations;
    const made = [
      this.#put(`${name}_scale`, store('float32', [], Float64Array.of(scale))),
      this.#put(`${name}_zero_point`, store(dtype, [], Float64Array.of(zeroPoint))),
    ] as const;
    this.#parameters.set(group, made);
    return made;
  }

  #put(base: string, tensor: Tensor): string {
    const name = this.#names.fresh(base);
    this.#graph.initializers.set(name, tensor);
    return name;
  }
}
