/**
 * What a rule sees and returns. One exhaustive table per kind of rule: shape/, gradient/, cost.ts,
 * quantization.ts, pruning.ts (and runtime/reference/kernels/ for what an op computes).
 */
import type { Attribute, Dim, Graph, Tensor, TensorType } from '../graph/ir.ts';
import type { Builder, Value } from './builder.ts';
import type { OpType } from './schema.ts';

/** Attributes by name with ONNX's defaults written where they are read. */
export class Attributes {
  readonly #values: Readonly<Record<string, Attribute>>;

  constructor(values: Readonly<Record<string, Attribute>>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined;
  }

  int(name: string, otherwise: number): number {
    const a = this.#values[name];
    return a?.type === 'int' ? Number(a.value) : otherwise;
  }

  float(name: string, otherwise: number): number {
    const a = this.#values[name];
    return a?.type === 'float' || a?.type === 'int' ? Number(a.value) : otherwise;
  }

  string(name: string, otherwise: string): string {
    const a = this.#values[name];
    return a?.type === 'string' ? a.value : otherwise;
  }

  ints(name: string): readonly number[] | undefined {
    const a = this.#values[name];
    return a?.type === 'ints' ? a.value.map(Number) : undefined;
  }

  floats(name: string): readonly number[] | undefined {
    const a = this.#values[name];
    return a?.type === 'floats' ? a.value : undefined;
  }

  tensor(name: string): Tensor | undefined {
    const a = this.#values[name];
    return a?.type === 'tensor' ? a.value : undefined;
  }

  graph(name: string): Graph | undefined {
    const a = this.#values[name];
    return a?.type === 'graph' ? a.value : undefined;
  }

  strings(name: string): readonly string[] | undefined {
    const a = this.#values[name];
    return a?.type === 'strings' ? a.value : undefined;
  }
}

/** What every rule sees of its node. */
export interface RuleContext {
  /** Op key, for example `com.microsoft.FusedMatMul`. */
  readonly key: OpType;
  /** Node name, for messages. */
  readonly node: string;
  readonly attributes: Attributes;
  /** Types of the inputs; undefined where an optional input is left out or nothing is known. */
  readonly inputs: readonly (TensorType | undefined)[];
  /** Number of outputs that the node names. */
  readonly outputCount: number;
  /** The value of input `i` when it is a constant of the graph. */
  constant(i: number): Tensor | undefined;
  /** Elements of integer input `i` as numbers and symbolic dims, when shape arithmetic tells them. */
  shapeValue(i: number): readonly Dim[] | undefined;
  /** Types of what the body under attribute `name` makes when its inputs have these types. */
  body(name: string, inputs: readonly TensorType[]): readonly TensorType[];
  /** Throws a GaslawError `node "x" (Op): message`. */
  fail(message: string): never;
}

/** Types of the outputs, in order. Throws through `fail` when inputs contradict each other. */
export type ShapeRule = (c: RuleContext) => readonly TensorType[];

/** "Has none", with the reason that reports and messages show. */
export interface None {
  readonly none: string;
}
export const none = (reason: string): None => ({ none: reason });
export const isNone = (rule: unknown): rule is None =>
  typeof rule === 'object' && rule !== null && 'none' in rule;

export interface GradientContext extends Omit<RuleContext, 'inputs'> {
  /** Adds nodes to the graph being differentiated. */
  readonly b: Builder;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly (Value | undefined)[];
  /** Gradients of the outputs; undefined where nothing flows back. At least one is present. */
  readonly grads: readonly (Value | undefined)[];
  /** Whether the gradient of input `i` is needed: rules may skip work for those that are not. */
  wants(i: number): boolean;
  /** Gradients of the inputs through the ops that `forward` emits, given the gradients `g` of what it returns. */
  differentiate(
    forward: () => readonly (Value | undefined)[],
    g: readonly (Value | undefined)[],
  ): readonly (Value | undefined)[];
}

/** Gradients of the inputs, by position; undefined where none flows. */
export type GradientRule = ((c: GradientContext) => readonly (Value | undefined)[]) | None;

export interface CostContext extends RuleContext {
  readonly outputs: readonly TensorType[];
}

/**
 * Floating-point operations of one run (a multiply-add counts 2) and how many of them are multiply-adds
 * of a matrix product or convolution. Dims must be numbers.
 */
export interface Cost {
  readonly flops: number;
  readonly macs: number;
}
export type CostRule = (c: CostContext) => Cost;
