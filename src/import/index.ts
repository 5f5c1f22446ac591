/**
 * Any ONNX model as commands work on it: today's op forms, constants as initializers, nothing that computes nothing.
 *
 * 1. Order: upgrade, defaults of inputs become constants, ops on integers become Q/DQ pairs; then folding, branches that are
 *    known, identities, equal and dead nodes until nothing changes; then BatchNormalization into the product before it.
 * 2. What the model computes stays: names of inputs and outputs, and values up to rounding in folded norms.
 * 3. A node that is not understood stays as it is and is named in the report; nothing is guessed.
 */
import { isFloat } from '../graph/dtype.ts';
import { type Graph, type Model, type Node, opKey, type Tensor, typeOf } from '../graph/ir.ts';
import { eliminateCommonSubexpressions, mergeEqualIntegers } from '../graph/passes/cse.ts';
import { eliminateDeadCode } from '../graph/passes/dce.ts';
import { bodiesOf } from '../graph/walk.ts';
import { GRADIENT_RULES } from '../ops/gradient/index.ts';
import { opsetOf } from '../ops/opset.ts';
import { isNone } from '../ops/rule.ts';
import { isOpType } from '../ops/schema.ts';
import { GaslawError } from '../util/errors.ts';
import { foldConstants } from './fold.ts';
import { foldBatchNorm } from './fold-norm.ts';
import { dropIdentities } from './identities.ts';
import { inlineConstantIfs } from './inline-if.ts';
import { qoperatorToQdq } from './qoperator.ts';
import { inferKnown } from './types.ts';
import { upgrade } from './upgrade.ts';

export interface ImportOptions {
  /** BatchNormalization into the Conv or Gemm before it (default true). Training and pruning by scale need norms as they are. */
  readonly foldNorms?: boolean;
  /** Ops on integers as Q/DQ pairs (default true). */
  readonly pairs?: boolean;
  /** Inputs that are constants from now on, by name: a sample rate that chooses a branch, for example. */
  readonly constants?: ReadonlyMap<string, Tensor>;
}

/** A node that stands in the way of something, with the reason. */
export interface Obstacle {
  readonly node: string;
  readonly op: string;
  readonly why: string;
}

export interface ImportReport {
  readonly nodesBefore: number;
  readonly nodesAfter: number;
  /** Names of nodes that were computed once and for all. */
  readonly folded: readonly string[];
  readonly identities: readonly string[];
  /** `If` nodes whose branch is known. */
  readonly branches: readonly string[];
  /** Ops on integers that are Q/DQ pairs now. */
  readonly pairs: readonly string[];
  /** Norms that are part of a product now. */
  readonly norms: readonly string[];
  /** Inputs that had a default: they are constants now. */
  readonly defaults: readonly string[];
  /** Nodes whose op is not in the op list: they are kept, and no pass looks into them. */
  readonly unknown: readonly Obstacle[];
  /** Nodes that no gradient goes through. */
  readonly notDifferentiable: readonly Obstacle[];
}

export interface Imported {
  readonly model: Model;
  readonly report: ImportReport;
}

const MOST_ROUNDS = 8;

/** Brings `model` (opset 7 to 27) into the form that commands work on; `model` itself stays as it was. Throws as `upgrade` does. */
export function importModel(model: Model, options: ImportOptions = {}): Imported {
  const { foldNorms = true, pairs: toPairs = true, constants = new Map() } = options;
  const imported = upgrade(model);
  const { graph } = imported;
  for (const [name, tensor] of constants) fixInput(graph, name, tensor);
  const defaults = fixDefaults(graph).filter(name => !constants.has(name));
  const pairs = toPairs ? qoperatorToQdq(graph) : [];
  const { folded, identities, branches } = simplify(graph);
  const norms = foldNorms ? foldBatchNorm(graph) : [];
  eliminateDeadCode(graph);
  inferKnown(graph);
  imported.opsets.set('', Math.max(imported.opsets.get('') ?? 1, opsetOf(graph)));
  const report = {
    nodesBefore: model.graph.nodes.length,
    nodesAfter: graph.nodes.length,
    folded,
    identities,
    branches,
    pairs,
    norms,
    defaults,
    unknown: unknownOps(graph),
    notDifferentiable: notDifferentiable(graph),
  };
  return { model: imported, report };
}

/** Inputs with an initializer of their name are weights listed twice. */
function fixDefaults(graph: Graph): string[] {
  const defaults = graph.inputs.map(input => input.name).filter(name => graph.initializers.has(name));
  graph.inputs = graph.inputs.filter(input => !graph.initializers.has(input.name));
  return defaults;
}

function fixInput(graph: Graph, name: string, tensor: Tensor): void {
  const input = graph.inputs.find(other => other.name === name);
  if (input?.dtype !== tensor.dtype)
    throw new GaslawError(
      input
        ? `input "${name}" is ${input.dtype}, the constant for it ${tensor.dtype}`
        : `the model has no input "${name}"; it has ${graph.inputs.map(other => other.name).join(', ')}`,
    );
  graph.initializers.set(name, tensor);
}

/** Passes that open ways for each other, until none finds anything. */
function simplify(graph: Graph): { folded: string[]; identities: string[]; branches: string[] } {
  const folded: string[] = [];
  const identities: string[] = [];
  const branches: string[] = [];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const before = folded.length + identities.length + branches.length;
    folded.push(...foldConstants(graph));
    branches.push(...inlineConstantIfs(graph));
    identities.push(...dropIdentities(graph));
    mergeEqualIntegers(graph);
    eliminateCommonSubexpressions(graph);
    eliminateDeadCode(graph);
    if (folded.length + identities.length + branches.length === before) break;
  }
  return { folded, identities, branches };
}

/** Throws a GaslawError that names the first node of an op that is not known: such a model is neither rewritten nor measured. */
export function assertKnown({ unknown }: ImportReport, file?: string): void {
  const [first] = unknown;
  if (!first) return;
  const place = file === undefined ? '' : `${file}: `;
  const more = unknown.length > 1 ? ` (and ${unknown.length - 1} more)` : '';
  throw new GaslawError(
    `${place}node "${first.node}"${more} is ${first.op}, which is no op that is known here, so the model cannot be measured or rewritten; replace it by ops of ONNX`,
  );
}

function unknownOps(graph: Graph): Obstacle[] {
  return graph.nodes.flatMap(node => [
    ...(isOpType(opKey(node)) ? [] : [{ node: node.name, op: opKey(node), why: 'the op is not known' }]),
    ...bodiesOf(node).flatMap(unknownOps),
  ]);
}

/** Nodes between float values that have no gradient. What is computed from constants alone needs none. */
function notDifferentiable(graph: Graph): Obstacle[] {
  return graph.nodes.flatMap(node => {
    const key = opKey(node);
    if (!isOpType(key)) return [{ node: node.name, op: key, why: 'the op is not known' }];
    const rule = GRADIENT_RULES[key];
    return isNone(rule) && carriesFloats(graph, node) ? [{ node: node.name, op: key, why: rule.none }] : [];
  });
}

function carriesFloats(graph: Graph, node: Node): boolean {
  const float = (name: string): boolean => {
    const type = typeOf(graph, name);
    return type === undefined || isFloat(type.dtype);
  };
  const named = (names: readonly string[]) => names.filter(name => name !== '');
  return named(node.inputs).some(float) && named(node.outputs).some(float);
}
