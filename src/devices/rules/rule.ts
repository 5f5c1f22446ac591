/**
 * What a validator rule sees and says.
 *
 * 1. A rule looks at one node (or at the whole graph) of one device and answers nothing, or why it is in the way and what to do.
 * 2. Severities: `error`: the model does not deploy; `fallback`: the node runs on a slower unit beside the accelerator;
 *    `slow`: it runs, at a cost that the fix saves; `advice`: what has to be done anyway, or may be worth it.
 * 3. A violation may name a rewrite of `fixes/` that keeps what the graph computes.
 */
import { type Graph, type Node, staticDims, type Tensor, type TensorType, typeOf } from '../../graph/ir.ts';
import { ruleContext } from '../../ops/infer.ts';
import type { Qdq } from '../../ops/qdq.ts';
import type { RuleContext } from '../../ops/rule.ts';
import type { OpType } from '../../ops/schema.ts';
import { type Window, windowOf } from '../../ops/shape/window.ts';
import type { FixName } from '../fixes/index.ts';
import type { Confidence, DeviceProfile } from '../profile.ts';
import type { SourceKey } from '../sources.ts';

export const SEVERITIES = ['error', 'fallback', 'slow', 'advice'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Violation {
  /** One clause that names the value that breaks the rule. */
  readonly why: string;
  /** What to do. */
  readonly fix: string;
  /** The rewrite that does it. */
  readonly rewrite?: FixName;
}

export interface NodeRule {
  readonly ops: readonly OpType[] | 'all';
  readonly severity: Severity;
  readonly source: SourceKey;
  /** How far the source can be trusted; a document of the maker where it is left out. */
  readonly confidence?: Confidence;
  readonly test: (v: NodeView) => Violation | undefined;
}

export interface GraphRule {
  readonly severity: Severity;
  readonly source: SourceKey;
  readonly confidence?: Confidence;
  /** `node` and `op` of what it found; several of them where several are in the way. */
  readonly test: (v: GraphView) => readonly (Violation & { readonly node: string; readonly op: string })[];
}

export interface RuleSet {
  readonly nodes: readonly NodeRule[];
  readonly graphs?: readonly GraphRule[];
}

export interface GraphView {
  readonly graph: Graph;
  readonly device: DeviceProfile;
  readonly qdq: Qdq;
  /** ONNX opset of the file; undefined of a TFLite file. */
  readonly opset: number | undefined;
}

/** A node with what rules ask of it. */
export class NodeView {
  readonly graph: Graph;
  readonly device: DeviceProfile;
  readonly node: Node;
  readonly qdq: Qdq;
  readonly c: RuleContext;

  constructor({ graph, device, qdq }: GraphView, node: Node) {
    this.graph = graph;
    this.device = device;
    this.node = node;
    this.qdq = qdq;
    this.c = ruleContext(graph, node);
  }

  get key(): OpType {
    return this.c.key;
  }

  int(name: string, otherwise: number): number {
    return this.c.attributes.int(name, otherwise);
  }

  type(i: number): TensorType | undefined {
    return this.c.inputs[i];
  }

  /** Dims of input `i` when all are numbers. */
  dims(i = 0): readonly number[] | undefined {
    return staticDims(this.c.inputs[i]?.shape);
  }

  outDims(i = 0): readonly number[] | undefined {
    return staticDims(typeOf(this.graph, this.node.outputs[i] ?? '')?.shape);
  }

  /** The stored elements of input `i`: a constant, or the integers behind one. */
  stored(i: number): Tensor | undefined {
    return this.c.constant(i) ?? this.qdq.behind(this.node.inputs[i] ?? '')?.tensor;
  }

  /** Whether input `i` is computed, not stored. */
  variable(i: number): boolean {
    return this.node.inputs[i] !== undefined && this.node.inputs[i] !== '' && this.stored(i) === undefined;
  }

  /** The window of a convolution or pool with known ranks. */
  window(): Window | undefined {
    const rank = this.type(0)?.shape?.length;
    if (rank === undefined) return undefined;
    const weight = staticDims(this.type(1)?.shape);
    const kernel = weight?.length === rank ? weight.slice(2) : undefined;
    return kernel || this.c.attributes.has('kernel_shape') ? windowOf(this.c, rank - 2, kernel) : undefined;
  }

  /** Whether a convolution has one group a channel. */
  get depthwise(): boolean {
    return this.int('group', 1) > 1 && this.type(1)?.shape?.[1] === 1;
  }
}
