/**
 * Constant folding: what follows from constants and known dims alone is computed once, by the reference interpreter.
 *
 * 1. Shape arithmetic is folded element by element as far as inference knows it, so that `Shape -> Gather -> Concat ->
 *    Reshape` becomes constant beside a symbolic batch; one unknown dim of a Reshape is written as -1.
 * 2. DequantizeLinear stays: it says how integers are stored. So do nodes that make graph outputs, random draws and loops.
 * 3. A result larger than 1 MiB stays a node where that is smaller: ConstantOfShape, Expand and Tile are cheap to run again,
 *    and a view of a weight that others read too (a tied table) would store it twice.
 *    What takes more than 2 GFLOP stays too.
 * 4. Initializers that are inputs too are defaults, not constants.
 */
import { byteLength, type DType } from '../graph/dtype.ts';
import {
  emptyGraph,
  type Graph,
  int64,
  type Node,
  opKey,
  sizeOf,
  staticDims,
  type Tensor,
} from '../graph/ir.ts';
import { bodiesOf, consumersOf, FreshNames, removeNodes, usesOf } from '../graph/walk.ts';
import { COST_RULES } from '../ops/cost.ts';
import { inferNode, ruleContext } from '../ops/infer.ts';
import { isOpType } from '../ops/schema.ts';
import { countsDims, type DimValues, valuesOf } from '../ops/shape/values.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { GaslawError } from '../util/errors.ts';
import { inferKnown } from './types.ts';

const KEPT: ReadonlySet<string> = new Set(['DequantizeLinear', 'Loop', 'Scan', 'If', 'Dropout']);
/** Ops whose results are no larger than their inputs, whatever those hold. */
const BOUNDED: ReadonlySet<string> = new Set(['NonZero', 'Unique', 'Compress', 'NonMaxSuppression']);
const MOST_GROWN_BYTES = 1 << 20;
const MOST_FLOPS = 2e9;

type Constants = (name: string) => Tensor | undefined;

/** Folds in place, bodies included, and returns the names of the nodes that are gone. Nodes must be in order. */
export function foldConstants(graph: Graph): string[] {
  inferKnown(graph);
  const names = new FreshNames(graph);
  const gone = foldGraph(graph, () => undefined, names);
  inferKnown(graph);
  return gone;
}

function foldGraph(graph: Graph, outer: Constants, names: FreshNames): string[] {
  const inputs = new Set(graph.inputs.map(input => input.name));
  const own: Constants = name => (inputs.has(name) ? undefined : graph.initializers.get(name));
  const constants: Constants = name => own(name) ?? outer(name);
  const outputs = new Set(graph.outputs.map(output => output.name));
  const consumers = consumersOf(graph);
  const freed = (name: string) => own(name) !== undefined && consumers.get(name)?.length === 1;
  const done = new Set<Node>();
  const inner: string[] = [];
  for (const node of graph.nodes) {
    for (const body of bodiesOf(node)) inner.push(...foldGraph(body, constants, names));
    const kept = node.outputs.some(name => outputs.has(name));
    const results = kept ? undefined : (computed(node, constants, freed) ?? knownValues(graph, node));
    if (results) {
      for (const [name, tensor] of results) graph.initializers.set(name, tensor);
      done.add(node);
    } else if (node.opType === 'Reshape') settleTarget(graph, node, constants, names);
  }
  removeNodes(graph, done);
  return [...inner, ...[...done].map(node => node.name)];
}

/** What inference knows of the node's outputs, when that is all of them. */
function knownValues(graph: Graph, node: Node): [string, Tensor][] | undefined {
  const made = node.outputs.filter(name => name !== '');
  const tensors = made.map(name => knownValue(graph, name));
  return tensors.every(t => t !== undefined)
    ? made.map((name, i) => [name, tensors[i] as Tensor])
    : undefined;
}

function knownValue(graph: Graph, name: string): Tensor | undefined {
  const type = graph.types.get(name);
  const dims = staticDims(type?.shape);
  if (!type || !dims || !countsDims(type)) return undefined;
  const values = valuesOf(graph, name);
  if (!values?.every(v => Number.isSafeInteger(v)) || values.length !== sizeOf(dims)) return undefined;
  return integers(type.dtype, dims, values as number[]);
}

function integers(dtype: DType, dims: readonly number[], values: readonly number[]): Tensor {
  if (dtype === 'int64') return int64(dims, values);
  return { dtype, dims, data: dtype === 'int32' ? Int32Array.from(values) : Uint8Array.from(values) };
}

/** The node's outputs where all that it reads is constant. `freed` names constants that nothing else reads. */
function computed(
  node: Node,
  constants: Constants,
  freed: (name: string) => boolean,
): [string, Tensor][] | undefined {
  if (KEPT.has(node.opType) || !isOpType(opKey(node)) || bodiesOf(node).length > 0) return undefined;
  const graph = emptyGraph('constant');
  for (const name of usesOf(node)) {
    const tensor = constants(name);
    if (!tensor) return undefined;
    graph.initializers.set(name, tensor);
  }
  if (graph.initializers.size === 0 && node.opType !== 'Constant') return undefined;
  graph.nodes = [node];
  const made = node.outputs.filter(name => name !== '');
  try {
    if (costsTooMuch(graph, node, freed)) return undefined;
    return Object.entries(evaluate(graph, {}, made));
  } catch (error) {
    if (error instanceof GaslawError) return undefined;
    throw error;
  }
}

function costsTooMuch(graph: Graph, node: Node, freed: (name: string) => boolean): boolean {
  if (node.opType === 'Constant' || BOUNDED.has(node.opType)) return false;
  const gone = [...graph.initializers].filter(([name]) => freed(name));
  const before = gone.reduce((sum, [, t]) => sum + bytesOf(t.dtype, t.dims), 0);
  const outputs = inferNode(graph, node);
  const after = outputs.reduce((sum, { dtype, shape }) => {
    const dims = staticDims(shape);
    return sum + (dims ? bytesOf(dtype, dims) : Number.POSITIVE_INFINITY);
  }, 0);
  if (after > MOST_GROWN_BYTES && after > before) return true;
  const context = ruleContext(graph, node);
  return COST_RULES[context.key]({ ...context, outputs }).flops > MOST_FLOPS;
}

const bytesOf = (dtype: DType, dims: readonly number[]): number =>
  dtype === 'string' ? 0 : byteLength(dtype, sizeOf(dims));

/** The target of a Reshape as a constant, where all of it is known but one dim at most: that one follows from the rest. */
function settleTarget(graph: Graph, node: Node, constants: Constants, names: FreshNames): void {
  const [data, target] = node.inputs as [string, string];
  const values = valuesOf(graph, target);
  if (constants(target) || !values || !settles(values)) return;
  const known = values.map(v => (typeof v === 'number' ? v : -1));
  const name = names.fresh(`${node.name}/shape`);
  graph.initializers.set(name, int64([known.length], known));
  node.inputs = [data, name];
}

const settles = (values: DimValues): boolean =>
  values.filter(v => typeof v === 'string' || v < 0).length === 1 && values.every(v => v !== 0);
