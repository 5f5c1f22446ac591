/**
 * Model-local functions, inlined: each call becomes the function's nodes.
 *
 * 1. A function sees its own names alone, bodies inside it included; each call's get a prefix that no name of the model has.
 * 2. Attributes that refer to the function's get the call's value, else the default, else they are left out.
 * 3. Refused by name: functions of another opset than the model's, calls in a circle, and calls of calls that make more than
 *    250,000 nodes (a short file must not claim all memory).
 */
import { GaslawError } from '../util/errors.ts';
import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
} from './onnx-schema.ts';

const MOST_NODES = 250_000;

/** The model's graph without calls of its functions. */
export function inlineFunctions(model: ModelProto, graph: GraphProto): GraphProto {
  const functions = model.functions ?? [];
  if (functions.length === 0) return graph;
  const version = versionOf(model.opsetImport);
  for (const f of functions) {
    const own = versionOf(f.opsetImport);
    if (own !== undefined && version !== undefined && own !== version)
      throw new GaslawError(
        `function "${f.name}" is of opset ${own}, the model of ${version}: inline it with onnx.inliner first`,
      );
  }
  return new Inliner(functions, namesOf(graph)).graph(graph, []);
}

const versionOf = (opsets: FunctionProto['opsetImport']): number | undefined => {
  const own = (opsets ?? []).find(o => (o.domain ?? '') === '' || o.domain === 'ai.onnx');
  return own && Number(own.version ?? 0);
};

const keyOf = (domain: string | undefined, name: string | undefined, overload: string | undefined): string =>
  JSON.stringify([domain === 'ai.onnx' ? '' : (domain ?? ''), name ?? '', overload ?? '']);

/** All names of values, bodies included. */
function namesOf(graph: GraphProto): Set<string> {
  const names = new Set<string>();
  const walk = (g: GraphProto): void => {
    for (const { name } of [...(g.input ?? []), ...(g.initializer ?? [])]) names.add(name ?? '');
    for (const node of g.node ?? []) {
      for (const name of node.output ?? []) names.add(name);
      for (const a of node.attribute ?? []) if (a.g) walk(a.g);
    }
  };
  walk(graph);
  return names;
}

class Inliner {
  readonly #functions: ReadonlyMap<string, FunctionProto>;
  readonly #names: ReadonlySet<string>;
  #calls = 0;
  #nodes = 0;

  constructor(functions: readonly FunctionProto[], names: ReadonlySet<string>) {
    this.#functions = new Map(functions.map(f => [keyOf(f.domain, f.name, f.overload), f]));
    this.#names = names;
  }

  graph(graph: GraphProto, stack: readonly string[]): GraphProto {
    return { ...graph, node: (graph.node ?? []).flatMap(node => this.#node(node, stack)) };
  }

  #node(node: NodeProto, stack: readonly string[]): NodeProto[] {
    const key = keyOf(node.domain, node.opType, node.overload);
    const f = this.#functions.get(key);
    if (f) return this.#call(node, f, key, stack);
    if (++this.#nodes > MOST_NODES)
      throw new GaslawError(`the model's functions make more than ${MOST_NODES} nodes when inlined`);
    const attribute = (node.attribute ?? []).map(a => (a.g ? { ...a, g: this.graph(a.g, stack) } : a));
    return [{ ...node, attribute }];
  }

  #call(node: NodeProto, f: FunctionProto, key: string, stack: readonly string[]): NodeProto[] {
    if (stack.includes(key))
      throw new GaslawError(`function "${f.name}" calls itself, over ${stack.length - 1} others`);
    const scope = new CallScope(node, f, this.#prefix(f.name ?? ''));
    const nodes = (f.node ?? []).flatMap((inner, i) => this.#node(scope.node(inner, i), [...stack, key]));
    return [...nodes, ...scope.passedOn()];
  }

  #prefix(name: string): string {
    for (;;) {
      const prefix = `${name}.${this.#calls++}`;
      if (![...this.#names].some(taken => taken.startsWith(`${prefix}/`))) return prefix;
    }
  }
}

/** Names and attributes of one call. */
class CallScope {
  readonly #names = new Map<string, string>();
  readonly #passed: NodeProto[] = [];
  readonly #given: ReadonlyMap<string, AttributeProto>;
  readonly #prefix: string;

  constructor(node: NodeProto, f: FunctionProto, prefix: string) {
    this.#prefix = prefix;
    const defaults = (f.attributeProto ?? []).map(a => [a.name ?? '', a] as const);
    this.#given = new Map([...defaults, ...(node.attribute ?? []).map(a => [a.name ?? '', a] as const)]);
    (f.input ?? []).forEach((name, i) => void this.#names.set(name, node.input?.[i] ?? ''));
    (f.output ?? []).forEach((name, i) => {
      const output = node.output?.[i] ?? '';
      if (output === '') return;
      if (!this.#names.has(name)) this.#names.set(name, output);
      else
        this.#passed.push({
          opType: 'Identity',
          input: [this.#to(name)],
          output: [output],
          name: `${prefix}/output_${i}`,
        });
    });
  }

  /** Outputs that are inputs, or named twice. */
  passedOn(): readonly NodeProto[] {
    return this.#passed;
  }

  node(node: NodeProto, index: number): NodeProto {
    return {
      ...node,
      name: `${this.#prefix}/${node.name || `${node.opType}_${index}`}`,
      input: (node.input ?? []).map(name => this.#to(name)),
      output: (node.output ?? []).map(name => this.#to(name)),
      attribute: (node.attribute ?? []).flatMap(a => this.#attribute(a)),
    };
  }

  #attribute(a: AttributeProto): AttributeProto[] {
    if (!a.refAttrName) return [a.g ? { ...a, g: this.#body(a.g) } : a];
    const given = this.#given.get(a.refAttrName);
    return given ? [{ ...given, name: a.name }] : [];
  }

  #body(graph: GraphProto): GraphProto {
    const renamed = <T extends { name?: string }>(list: readonly T[] | undefined): T[] =>
      (list ?? []).map(item => ({ ...item, name: this.#to(item.name ?? '') }));
    return {
      ...graph,
      node: (graph.node ?? []).map((node, i) => this.node(node, i)),
      input: renamed(graph.input),
      output: renamed(graph.output),
      valueInfo: renamed(graph.valueInfo),
      initializer: renamed<TensorProto>(graph.initializer),
      sparseInitializer: (graph.sparseInitializer ?? []).map(s => ({
        ...s,
        values: s.values && { ...s.values, name: this.#to(s.values.name ?? '') },
      })),
    };
  }

  #to(name: string): string {
    return name === '' ? '' : (this.#names.get(name) ?? `${this.#prefix}/${name}`);
  }
}
