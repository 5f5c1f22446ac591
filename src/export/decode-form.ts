/**
 * An exported graph as the engine decodes it: caches updated in place, lengths given instead of a mask, logits of
 * the chosen positions alone. The nodes and weights in between are the file's own, so what is measured is what was written.
 */

import { presentName } from '../generate/graphs.ts';
import type { Graph, Model } from '../graph/ir.ts';
import { eliminateDeadCode } from '../graph/passes/dce.ts';
import { cloneGraph, sortTopologically } from '../graph/walk.ts';
import type { CausalModel } from '../models/model.ts';
import { Builder } from '../ops/builder.ts';
import { inferShapes } from '../ops/infer.ts';
import { assert, GaslawError } from '../util/errors.ts';
import { SEAMS_KEY, type Seams } from './graph.ts';

/** The graph of `decodeGraph` with the weights of an exported file. Throws when Gaslaw did not export it. */
export function decodeForm(exported: Model, model: CausalModel, origin = 'the model'): Graph {
  const seams = seamsOf(exported, origin);
  const graph = cloneGraph(exported.graph);
  inferShapes(graph);
  graph.inputs = [];
  graph.outputs = [];
  const b = new Builder(graph);
  const rename = (from: string, to: string) => {
    for (const node of graph.nodes) node.inputs = node.inputs.map(name => (name === from ? to : name));
  };
  const int = (name: string, shape: readonly string[]) => b.input(name, 'int32', shape);
  int('ids', ['B', 'S']);
  const select = int('select', ['R']);
  int('last_position', ['B']);
  int('total', []);
  graph.inputs.push(
    ...model.cacheSlots.map(s => ({ name: s.name, dtype: s.dtype, shape: ['B', s.heads, 'C', s.width] })),
  );
  rename(seams.ids, 'ids');
  rename(seams.lastPosition, 'last_position');
  rename(seams.total, 'total');
  selectRows(b, seams.hidden, select.name);
  graph.outputs = outputsOf(model);
  sortTopologically(graph);
  eliminateDeadCode(graph);
  graph.types.clear();
  inferShapes(graph);
  return graph;
}

const outputsOf = (model: CausalModel): Graph['outputs'] => [
  { name: 'logits', dtype: 'float32', shape: ['R', model.vocabSize] },
  ...model.cacheSlots.map(s => ({
    name: presentName(s.name),
    dtype: s.dtype,
    shape: ['B', s.heads, 'C', s.width],
  })),
];

/** Puts a choice of one position a row between the hidden states and what reads them. */
function selectRows(b: Builder, hidden: string, select: string): void {
  const readers = b.graph.nodes.filter(node => node.inputs.includes(hidden));
  const value = b.value(hidden);
  const row = value.reshape([-1, value.shape[2] as number]).gather(b.value(select));
  for (const node of readers) node.inputs = node.inputs.map(name => (name === hidden ? row.name : name));
}

function seamsOf({ metadata }: Model, origin: string): Seams {
  const text = metadata.get(SEAMS_KEY);
  assert(
    text,
    `${origin}: was not exported by Gaslaw (metadata "${SEAMS_KEY}" is missing), so it cannot be decoded here`,
  );
  try {
    return JSON.parse(text) as Seams;
  } catch {
    throw new GaslawError(`${origin}: metadata "${SEAMS_KEY}" is damaged; export the model again`);
  }
}
