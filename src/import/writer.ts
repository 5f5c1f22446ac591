/**
 * Writing nodes into a graph that is being rewritten: what upgrades and other rewrites of single nodes share.
 *
 * A rewrite gets a node and returns the nodes that stand in its place, in order. Outputs keep their names.
 */
import {
  type Attribute,
  type Graph,
  int64,
  type Node,
  type Tensor,
  type TensorType,
  typeOf,
} from '../graph/ir.ts';
import type { FreshNames } from '../graph/walk.ts';
import { constantTensor } from '../ops/shape/values.ts';
import { GaslawError } from '../util/errors.ts';

export type Rewrite = (node: Node, w: Writer) => Node[];

type Plain = number | string | readonly number[];

/** Attributes from plain values: whole numbers are ints; floats go in as `{ float }`. */
export function attributesOf(
  values: Readonly<Record<string, Plain | { readonly float: number } | undefined>>,
): Record<string, Attribute> {
  const entries = Object.entries(values).flatMap(([name, value]): [string, Attribute][] =>
    value === undefined ? [] : [[name, attributeOf(value)]],
  );
  return Object.fromEntries(entries);
}

function attributeOf(value: Plain | { readonly float: number }): Attribute {
  if (typeof value === 'number') return { type: 'int', value };
  if (typeof value === 'string') return { type: 'string', value };
  if ('float' in value) return { type: 'float', value: value.float };
  return { type: 'ints', value };
}

export class Writer {
  readonly graph: Graph;
  readonly #names: FreshNames;

  /** `root` is the outermost graph: names are fresh in all of it. */
  constructor(graph: Graph, names: FreshNames) {
    this.graph = graph;
    this.#names = names;
  }

  fresh(base: string): string {
    return this.#names.fresh(base);
  }

  /** A constant beside the node; returns its name. */
  constant(node: Node, what: string, tensor: Tensor): string {
    const name = this.fresh(`${node.name}/${what}`);
    this.graph.initializers.set(name, tensor);
    return name;
  }

  ints(node: Node, what: string, values: readonly number[]): string {
    return this.constant(node, what, int64([values.length], values));
  }

  /** A new node beside `node` that makes `outputs`, one of a fresh name when absent. */
  beside(
    node: Node,
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, Attribute> = {},
    outputs: readonly string[] = [this.fresh(`${node.name}/${opType}`)],
  ): Node {
    const name = this.fresh(`${node.name}/${opType}`);
    return { name, domain: '', opType, inputs: [...inputs], outputs: [...outputs], attributes };
  }

  typeOf(name: string): TensorType | undefined {
    return typeOf(this.graph, name);
  }

  /** The tensor of an initializer or Constant node. */
  tensorOf(name: string): Tensor | undefined {
    return constantTensor(this.graph, name);
  }

  /** Throws `node "x" (Op): message`. */
  fail(node: Node, message: string): never {
    throw new GaslawError(`node "${node.name}" (${node.opType}): ${message}`);
  }
}

/** `node` with inputs and attributes changed; attributes given as undefined are dropped. */
export function changed(
  node: Node,
  change: {
    readonly opType?: string;
    readonly domain?: string;
    readonly inputs?: readonly string[];
    readonly attributes?: Readonly<Record<string, Attribute | undefined>>;
  },
): Node {
  const attributes = Object.entries({ ...node.attributes, ...change.attributes }).filter(
    (entry): entry is [string, Attribute] => entry[1] !== undefined,
  );
  return {
    ...node,
    opType: change.opType ?? node.opType,
    domain: change.domain ?? node.domain,
    inputs: trimmed(change.inputs ?? node.inputs),
    attributes: Object.fromEntries(attributes),
  };
}

function trimmed(names: readonly string[]): string[] {
  let end = names.length;
  while (end > 0 && names[end - 1] === '') end--;
  return names.slice(0, end);
}
