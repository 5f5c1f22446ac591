/**
 * A quantized graph while its weights are still being chosen: activations go through their pairs, weights and biases are
 * floats that can be replaced one at a time.
 */
import { float32, type Graph, type Model, type Tensor } from '../../../graph/ir.ts';
import { cloneGraph, FreshNames } from '../../../graph/walk.ts';
import type { CompileOptions, Program, Runtime } from '../../../runtime/runtime.ts';
import type { Affine, Scheme } from './affine.ts';
import { tapped } from './observe.ts';
import { resultsOf } from './outputs.ts';
import { type Group, type PlanOptions, planQdq, type QdqPlan } from './plan.ts';
import { type Chosen, writeQdq } from './rewrite.ts';

export class Simulation {
  readonly #model: Model;
  readonly #options: CompileOptions;
  /** A plan of its own, in the order of the plan that was given. */
  readonly plan: QdqPlan;
  readonly #weights: string[];
  readonly #biases: string[];

  /** `groups` are those of a plan of `model`'s graph with the same options, in its order; absent ones stay float. */
  constructor(
    model: Model,
    options: PlanOptions,
    groups: readonly (Affine | undefined)[],
    activations: Scheme,
  ) {
    this.#options = optionsOf(activations);
    const graph = cloneGraph(model.graph);
    this.plan = planQdq(graph, options);
    const known = new Map<Group, Affine>();
    groupsOf(this.plan).forEach((group, i) => {
      const affine = groups[i];
      if (affine) known.set(group, affine);
    });
    writeQdq(graph, this.plan, { activations, groups: known, weights: new Map(), biases: new Map() });
    this.#weights = this.plan.weights.map(w => ownInitializer(graph, w.name, w.tensor, w.places));
    this.#biases = this.plan.biases.map(b => ownInitializer(graph, b.name, b.tensor, [b]));
    this.#model = { ...model, graph };
  }

  /** Weight `i` of the plan has these values from now on. */
  setWeight(i: number, values: Float32Array): void {
    this.#set(this.#weights[i], values);
  }

  setBias(i: number, values: Float32Array): void {
    this.#set(this.#biases[i], values);
  }

  #set(name: string, data: Float32Array): void {
    const { initializers } = this.#model.graph;
    initializers.set(name, float32((initializers.get(name) as Tensor).dims, data));
  }

  /** What weight `i`'s node reads: the stand-in of its activation. */
  inputOf(i: number): string {
    return this.plan.weights[i].places[0].node.inputs[0];
  }

  /** As it is now, with `outputs` in place of the graph's own. */
  compile(runtime: Runtime, outputs?: readonly string[]): Promise<Program> {
    const { graph } = this.#model;
    const model = outputs ? { ...this.#model, graph: tapped(graph, outputs) } : this.#model;
    return runtime.compile(model, this.#options);
  }
}

/** ONNX Runtime fuses activations of 4 bits into kernels that do not take them. */
const optionsOf = ({ dtype }: Scheme): CompileOptions =>
  dtype.endsWith('int4') ? { optimization: 'basic' } : {};

/** A choice for `plan` as one for `own`, a plan of a copy of its graph with the same options. */
export function chosenFor(own: QdqPlan, plan: QdqPlan, chosen: Chosen): Chosen {
  const moved = <K, V>(from: readonly K[], to: readonly K[], values: ReadonlyMap<K, V>): Map<K, V> =>
    new Map(from.flatMap((key, i) => (values.has(key) ? [[to[i], values.get(key) as V] as const] : [])));
  return {
    activations: chosen.activations,
    groups: moved(groupsOf(plan), groupsOf(own), chosen.groups),
    weights: moved(plan.weights, own.weights, chosen.weights),
    biases: moved(plan.biases, own.biases, chosen.biases),
  };
}

/** `model` with a choice carried out, for its results (outputs.ts). `plan` is of its graph with `options`. */
export function compileChosen(
  runtime: Runtime,
  model: Model,
  options: PlanOptions,
  plan: QdqPlan,
  chosen: Chosen,
): Promise<Program> {
  const graph = cloneGraph(model.graph);
  const own = planQdq(graph, options);
  writeQdq(graph, own, chosenFor(own, plan, chosen));
  return runtime.compile({ ...model, graph: tapped(graph, resultsOf(graph)) }, optionsOf(chosen.activations));
}

export const groupsOf = (plan: QdqPlan): Group[] => [...new Set(plan.groups.values())];

/** The places read a new initializer of these values. */
function ownInitializer(
  graph: Graph,
  base: string,
  tensor: Tensor,
  places: readonly { node: { inputs: string[] }; input: number }[],
): string {
  const name = new FreshNames(graph).fresh(`${base}_simulated`);
  graph.initializers.set(name, tensor);
  for (const { node, input } of places) node.inputs[input] = name;
  return name;
}
