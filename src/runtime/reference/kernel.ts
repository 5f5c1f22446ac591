/** What a kernel is: the meaning of one op on concrete tensors. */
import { type Graph, type Node, opKey, type Tensor } from '../../graph/ir.ts';
import { Attributes } from '../../ops/rule.ts';
import type { OpType } from '../../ops/schema.ts';
import { GaslawError } from '../../util/errors.ts';

export interface KernelContext {
  readonly attributes: Attributes;
  /** Inputs by position; undefined where an optional one is left out. */
  readonly inputs: readonly (Tensor | undefined)[];
  /** Number of outputs that the node names. */
  readonly outputCount: number;
  /** Node name, for messages. */
  readonly node: string;
  /** Input `i`. Throws when it is left out. */
  input(i: number): Tensor;
  /** Runs the body under attribute `name`, which also sees the values of the graph around it. */
  body(name: string, inputs: readonly Tensor[]): readonly Tensor[];
  /** Throws a GaslawError `node "x" (Op): message`. */
  fail(message: string): never;
}

/** Outputs by position. A kernel never writes to its inputs; an output may share an input's data. */
export type Kernel = (c: KernelContext) => readonly Tensor[];

/** The kernels of one family of ops. */
export type KernelFamily = { readonly [K in OpType]?: Kernel };

/** Runs a body on inputs by position. */
export type RunBody = (body: Graph, inputs: readonly Tensor[]) => readonly Tensor[];

export function kernelContext(
  node: Node,
  inputs: readonly (Tensor | undefined)[],
  runBody?: RunBody,
): KernelContext {
  const fail = (message: string): never => {
    throw new GaslawError(`node "${node.name}" (${opKey(node)}): ${message}`);
  };
  return {
    attributes: new Attributes(node.attributes),
    inputs,
    outputCount: node.outputs.length,
    node: node.name,
    body: (name, given) => {
      const attribute = node.attributes[name];
      if (attribute?.type !== 'graph') return fail(`attribute "${name}" is missing`);
      return runBody ? runBody(attribute.value, given) : fail('bodies run inside a graph only');
    },
    input: i => inputs[i] ?? fail(`input ${i} is missing`),
    fail,
  };
}
