/**
 * Reverse-mode differentiation: a graph in, the same graph with gradients out.
 *
 * 1. Only nodes on a path from `wrt` to the outputs are visited, in reverse order; each adds plain ops through its
 *    rule (src/ops/gradient), so gradients of gradients are one more call.
 * 2. Several contributions to one value are added up in the order in which they come.
 * 3. Floats carry gradients, and so does what QuantizeLinear makes, since it stands for floats.
 * 4. Nodes that a rule emitted and nobody used are taken out again at the end.
 */
import { isFloat } from '../graph/dtype.ts';
import { type Graph, type Node, opKey } from '../graph/ir.ts';
import { usesOf } from '../graph/walk.ts';
import type { Builder, Value } from '../ops/builder.ts';
import { expandLike, filledLike, shaped } from '../ops/gradient/common.ts';
import { GRADIENT_RULES } from '../ops/gradient/index.ts';
import { ruleContext } from '../ops/infer.ts';
import { type GradientContext, isNone } from '../ops/rule.ts';
import { assert, GaslawError } from '../util/errors.ts';
import { Recomputation, type RecomputeChoice } from './recompute.ts';

export interface GradientOptions {
  /** Gradients of the outputs, in their shapes; ones where absent. */
  readonly seeds?: readonly (Value | undefined)[];
  /**
   * Regions whose activations are computed again in the backward pass instead of kept: scope prefixes, each a region
   * (`'layers.0'`), or a choice by node name where each unbroken run of chosen nodes is a region.
   */
  readonly recompute?: RecomputeChoice;
}

/**
 * Extends `b.graph` by the gradients of `outputs` (summed, when there are several) with respect to `wrt`.
 * Each result has its value's shape and dtype, is a value of its own, and is zero where no path leads.
 * Throws a GaslawError naming the first node on a path whose op has no gradient.
 * @example
 * const [dw] = gradients(b, loss, [w]);
 */
export function gradients(
  b: Builder,
  outputs: Value | readonly Value[],
  wrt: readonly Value[],
  options: GradientOptions = {},
): Value[] {
  const targets: readonly Value[] = Array.isArray(outputs) ? outputs : [outputs as Value];
  for (const v of wrt) {
    assert(isFloat(v.dtype), `"${v.name}" is ${v.dtype}: gradients are taken with respect to floats`);
  }
  const start = b.graph.nodes.length;
  const results = b.scope('grad', () => {
    const pass = new BackwardPass(b, wrt, 0, options.recompute);
    targets.forEach((y, i) => void pass.seed(y, options.seeds?.[i]));
    pass.run(start);
    return distinct(
      b,
      start,
      wrt.map(v => pass.total(v) ?? filledLike(v)),
    );
  });
  prune(b.graph, start, results);
  return results;
}

/** Results made by nodes of this call, each by its own: callers rename them one by one. */
function distinct(b: Builder, start: number, results: readonly Value[]): Value[] {
  const free = new Set(b.graph.nodes.slice(start).flatMap(n => n.outputs));
  return results.map(v => (free.delete(v.name) ? v : b.op('Identity', [v], {})));
}

/** Takes out nodes from `start` on that lead to none of `results`. */
function prune(graph: Graph, start: number, results: readonly Value[]): void {
  const used = new Set(results.map(v => v.name));
  for (const output of graph.outputs) used.add(output.name);
  const kept: Node[] = [];
  for (const node of graph.nodes.slice(start).reverse()) {
    if (!node.outputs.some(o => used.has(o))) {
      for (const o of node.outputs) graph.types.delete(o);
      continue;
    }
    for (const name of usesOf(node)) used.add(name);
    kept.push(node);
  }
  graph.nodes = [...graph.nodes.slice(0, start), ...kept.reverse()];
}

const carriesGradient = (b: Builder, node: Node, name: string): boolean =>
  name !== '' && (opKey(node) === 'QuantizeLinear' || isFloat(b.value(name).dtype));

/** One walk over nodes `from`… in reverse. */
class BackwardPass {
  readonly #b: Builder;
  readonly #from: number;
  /** Values that depend on `wrt` through gradients. */
  readonly #active: Set<string>;
  readonly #grads = new Map<string, Value>();
  readonly #recomputation: Recomputation | undefined;

  constructor(b: Builder, wrt: readonly Value[], from: number, recompute?: RecomputeChoice) {
    this.#b = b;
    this.#from = from;
    this.#active = activeValues(b, wrt, from);
    this.#recomputation = recompute && new Recomputation(b, recompute);
  }

  /** Starts from output `y` with its gradient, or with ones. */
  seed(y: Value, gradient: Value | undefined): void {
    if (!isFloat(y.dtype))
      throw new GaslawError(`output "${y.name}" is ${y.dtype}: only floats have gradients`);
    if (gradient && gradient.rank > y.rank) {
      throw new GaslawError(`the seed of output "${y.name}" has rank ${gradient.rank}, the output ${y.rank}`);
    }
    this.#add(y.name, gradient ? expandLike(gradient, y) : filledLike(y, 1));
  }

  /** Visits nodes before `end`, last first. */
  run(end: number): void {
    const nodes = this.#b.graph.nodes.slice(this.#from, end);
    for (const node of nodes.reverse()) {
      const onPath = node.inputs.some(i => this.#active.has(i));
      if (onPath && node.outputs.some(o => this.#active.has(o) && this.#grads.has(o))) this.#visit(node);
    }
  }

  /** The gradient of `v`; undefined when nothing flowed. */
  total(v: Value): Value | undefined {
    return this.#grads.get(v.name);
  }

  #add(name: string, g: Value): void {
    const before = this.#grads.get(name);
    this.#grads.set(name, before ? before.add(g) : g);
  }

  #visit(node: Node): void {
    this.#b.scope(node.name, () => {
      const context: GradientContext = this.#context(node);
      const rule = GRADIENT_RULES[context.key];
      if (isNone(rule)) {
        context.fail(`has no gradient: ${rule.none}; or cut the path with stopGradient`);
      }
      rule(context).forEach((g, i) => {
        const name = node.inputs[i];
        if (g && name && this.#active.has(name)) this.#add(name, shaped(g, this.#b.value(name).shape));
      });
    });
  }

  #context(node: Node): GradientContext {
    const b = this.#b;
    const grads = node.outputs.map(o => this.#grads.get(o));
    const renamed = this.#recomputation?.valuesFor(node, grads);
    const value = (name: string) => (name === '' ? undefined : b.value(renamed?.get(name) ?? name));
    const inputs = node.inputs.map(value);
    const wants = (i: number) => this.#active.has(node.inputs[i] ?? '');
    return {
      ...ruleContext(b.graph, node),
      b,
      inputs,
      outputs: node.outputs.map(value),
      grads,
      wants,
      differentiate: (forward, gs) => differentiate(b, inputs, wants, forward, gs),
    };
  }
}

/** Gradients of `inputs` through the nodes that `forward` emits. */
function differentiate(
  b: Builder,
  inputs: readonly (Value | undefined)[],
  wants: (i: number) => boolean,
  forward: () => readonly (Value | undefined)[],
  grads: readonly (Value | undefined)[],
): (Value | undefined)[] {
  const start = b.graph.nodes.length;
  const made = forward();
  const end = b.graph.nodes.length;
  const pass = new BackwardPass(
    b,
    inputs.filter((v, i): v is Value => v !== undefined && wants(i)),
    start,
  );
  made.forEach((y, i) => void (y && grads[i] && pass.seed(y, grads[i])));
  pass.run(end);
  return inputs.map((v, i) => (v && wants(i) ? pass.total(v) : undefined));
}

/** Forward walk: what depends on `wrt` through values that carry gradients. */
function activeValues(b: Builder, wrt: readonly Value[], from: number): Set<string> {
  const active = new Set(wrt.map(v => v.name));
  for (const node of b.graph.nodes.slice(from)) {
    if (opKey(node) === 'gaslaw.StopGradient' || !node.inputs.some(i => active.has(i))) continue;
    for (const o of node.outputs) if (carriesGradient(b, node, o)) active.add(o);
  }
  return active;
}
