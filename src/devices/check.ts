/**
 * The validator: what of a model does not deploy on a device, or runs elsewhere, why, and what to do.
 *
 * 1. Rules see the model as commands deploy it (`import/`): today's op forms, constants folded, norms in the product before them,
 *    what does nothing gone. Nodes keep their names, so that findings name the file's.
 * 2. Findings stand in the order of the graph, errors of the whole model first, each node and reason once.
 * 3. Fixes that keep what the graph computes are applied by `fixed`, until nothing more can be.
 */
import { type Graph, type Model, type Node, opKey, staticDims, typeOf } from '../graph/ir.ts';
import { usesOf } from '../graph/walk.ts';
import { importModel } from '../import/index.ts';
import { upgrade } from '../import/upgrade.ts';
import { bindDims } from '../ops/bind-dims.ts';
import { Qdq } from '../ops/qdq.ts';
import { isOpType } from '../ops/schema.ts';
import { applyFixes, withOpset } from './fixes/apply.ts';
import type { FixName } from './fixes/index.ts';
import { type Estimate, estimate } from './latency/estimate.ts';
import type { Confidence, DeviceProfile } from './profile.ts';
import { activationBytes, weightBytes } from './rules/from-profile.ts';
import { rulesFor } from './rules/index.ts';
import { type GraphView, NodeView, SEVERITIES, type Severity } from './rules/rule.ts';
import { SOURCES, type SourceKey } from './sources.ts';
import { withoutTurns } from './turns.ts';

export interface Finding {
  /** Name of the node; empty for the model as a whole. */
  readonly node: string;
  readonly op: string;
  readonly severity: Severity;
  readonly why: string;
  readonly fix: string;
  /** Address of what says so. */
  readonly source: string;
  /** How far it can be trusted: `low` is from the literature or examples, not from a table of the maker. */
  readonly confidence: Confidence;
  /** The rewrite of `fixed` that removes it. */
  readonly rewrite?: FixName;
}

export interface CheckReport {
  readonly device: string;
  /** Whether no finding is an error. */
  readonly deploys: boolean;
  /** Milliseconds of one run; absent where nobody published measurements of such a device, or a dim is symbolic. */
  readonly estimatedMs?: number;
  /** How good the estimate is: the errors that rows had which the fit did not see. */
  readonly estimate?: Estimate;
  /** Most bytes of activations at once; absent where a dim is symbolic. */
  readonly activationBytes?: number;
  readonly weightBytes: number;
  readonly findings: readonly Finding[];
}

/** Checks a model of any opset from 7 on. Does not change it. */
export function check(model: Model, device: DeviceProfile): CheckReport {
  const tflite = model.metadata.get('format') === 'tflite';
  const opset = tflite ? undefined : (model.opsets.get('') ?? 1);
  const imported = importModel(model).model.graph;
  const graph = tflite ? withoutTurns(imported) : imported;
  const view: GraphView = { graph, device, opset, qdq: new Qdq(graph) };
  const findings = unique([...ofGraph(view), ...ofNodes(view)]);
  const activations = activationBytes(view);
  const time = estimate(graph, device);
  return {
    device: device.id,
    deploys: findings.every(finding => finding.severity !== 'error'),
    ...(time && { estimatedMs: time.ms, estimate: time }),
    ...(activations !== undefined && { activationBytes: activations }),
    weightBytes: weightBytes(view),
    findings,
  };
}

const address = (source: SourceKey): string => SOURCES[source].url;

function ofGraph(view: GraphView): Finding[] {
  const rules = rulesFor(view.device).graphs;
  const found = rules.flatMap(({ severity, source, confidence = 'vendor-doc', test }) =>
    test(view).map(violation => ({ severity, source: address(source), confidence, ...violation })),
  );
  return found.sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity)).map(ordered);
}

function ofNodes(view: GraphView): Finding[] {
  const rules = rulesFor(view.device).nodes;
  const folded = foldable(view.graph);
  return view.graph.nodes.flatMap(node => {
    const op = opKey(node);
    if (!isOpType(op) || folded.has(node)) return [];
    const v = new NodeView(view, node);
    return rules
      .filter(rule => rule.ops === 'all' || rule.ops.includes(op))
      .flatMap(({ severity, source, confidence = 'vendor-doc', test }) => {
        const violation = test(v);
        return violation
          ? [ordered({ node: node.name, op, severity, source: address(source), confidence, ...violation })]
          : [];
      });
  });
}

/** Nodes that compute from constants and fixed shapes alone: every compiler folds them. */
function foldable(graph: Graph): Set<Node> {
  const known = new Set(graph.initializers.keys());
  const nodes = new Set<Node>();
  for (const node of graph.nodes) {
    const shape = node.opType === 'Shape' && staticDims(typeOf(graph, node.inputs[0] ?? '')?.shape);
    if (!shape && (node.opType === 'DequantizeLinear' || !usesOf(node).every(name => known.has(name))))
      continue;
    nodes.add(node);
    for (const output of node.outputs) known.add(output);
  }
  return nodes;
}

/** Fields in the order in which they are printed. */
const ordered = ({ node, op, severity, why, fix, source, confidence, rewrite }: Finding): Finding => ({
  node,
  op,
  severity,
  why,
  fix,
  source,
  confidence,
  ...(rewrite && { rewrite }),
});

function unique(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ node, why }) => {
    const key = `${node}\n${why}`;
    return seen.has(key) ? false : seen.add(key);
  });
}

export interface Fixed {
  readonly model: Model;
  /** What was done, in order. */
  readonly applied: readonly Finding[];
}

const MOST_ROUNDS = 5;

/** The model with every safe fix applied; `dims` gives numbers for symbolic dims. */
export function fixed(
  model: Model,
  device: DeviceProfile,
  dims: ReadonlyMap<string, number> = new Map(),
): Fixed {
  const max = device.opset?.value.max ?? Number.POSITIVE_INFINITY;
  const applied: Finding[] = check(model, device).findings.filter(f => f.rewrite === 'set-opset');
  let current = withOpset(importModel(model).model, max);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const todo = check(current, device).findings.filter(f => f.rewrite !== undefined);
    const next = todo.some(f => f.rewrite === 'bind-dims')
      ? upgrade({ ...current, graph: bindDims(current.graph, dims, 'batch') })
      : current;
    const changed = withOpset(applyFixes(next, new Map(todo.map(f => [f.node, f.rewrite as FixName]))), max); // filtered
    const left = new Set(check(changed, device).findings.map(f => `${f.node}\n${f.why}`));
    const done = todo.filter(f => !left.has(`${f.node}\n${f.why}`));
    if (done.length === 0) break;
    applied.push(...done);
    current = changed;
  }
  return { model: current, applied };
}
