/**
 * Opset upgrade: a model of opset 7 to 27 with every op in the form of the op list.
 *
 * 1. Each change of an op's form is one entry of `CHANGES`: below which opset it applies, and what it does to a node.
 *    An op without an entry has kept its meaning since opset 7.
 * 2. Types are inferred while going, since some changes depend on ranks; what cannot be inferred is left open.
 * 3. Contrib ops that only fuse or rename plain ones become plain (`FUSED`).
 * Source: the changelog of ONNX's operators (opsets 7 to 27); ONNX Runtime's contrib operator documentation (1.30).
 */
import { type Graph, IR_VERSION, type Model, type Node, opKey } from '../graph/ir.ts';
import { bodiesOf, cloneModel, FreshNames, walkNodes } from '../graph/walk.ts';
import { opsetOf } from '../ops/opset.ts';
import { isOpType } from '../ops/schema.ts';
import { GaslawError } from '../util/errors.ts';
import { ARGUMENT_CHANGES } from './changes-arguments.ts';
import { MEANING_CHANGES } from './changes-meaning.ts';
import { FUSED } from './fused.ts';
import { inferQuietly, lendTypes } from './types.ts';
import { type Rewrite, Writer } from './writer.ts';

/** What happened to an op at opset `since`: nodes of older models are rewritten. */
export interface Change {
  readonly since: number;
  readonly rewrite: Rewrite;
}

const OLDEST = 7;

const CHANGES: Readonly<Record<string, readonly Change[]>> = { ...ARGUMENT_CHANGES, ...MEANING_CHANGES };

/**
 * The model in the forms of the op list, with its opset set to the lowest that has them all. `model` is not changed.
 * Ops that are not in the list stay as they are. Throws a GaslawError for an opset below 7, and naming the node for a
 * form that has no equal today.
 */
export function upgrade(model: Model): Model {
  const version = model.opsets.get('') ?? 1;
  if (model.opsets.has('') && version < OLDEST)
    throw new GaslawError(
      `the model is of opset ${version}; opsets from ${OLDEST} on are read: convert it with onnx.version_converter first`,
    );
  const upgraded = cloneModel(model);
  upgradeGraph(upgraded.graph, version, new FreshNames(upgraded.graph));
  upgraded.opsets.set('', Math.max(opsetOf(upgraded.graph), newestUnknown(upgraded.graph, version)));
  upgraded.irVersion = Math.max(upgraded.irVersion, IR_VERSION);
  return upgraded;
}

/** The model's own opset where it has ops that the list does not know: only that one is sure to have them. */
function newestUnknown(graph: Graph, version: number): number {
  const unknown = [...walkNodes(graph)].some(({ node }) => node.domain === '' && !isOpType(opKey(node)));
  return unknown ? version : 0;
}

function upgradeGraph(graph: Graph, version: number, names: FreshNames): void {
  const writer = new Writer(graph, names);
  const nodes = graph.nodes;
  graph.nodes = [];
  for (const node of nodes) {
    for (const body of bodiesOf(node)) {
      lendTypes(graph, body);
      upgradeGraph(body, version, names);
    }
    for (const made of upgradedNode(node, version, writer)) {
      graph.nodes.push(made);
      inferQuietly(graph, made);
    }
  }
}

function upgradedNode(node: Node, version: number, writer: Writer): Node[] {
  if (node.domain !== '') return FUSED[`${node.domain}.${node.opType}`]?.(node, writer) ?? [node];
  const changes = (CHANGES[node.opType] ?? []).filter(change => version < change.since);
  return changes.reduce(
    (nodes, change) => nodes.flatMap(n => (n.opType === node.opType ? change.rewrite(n, writer) : [n])),
    [node],
  );
}
