/**
 * The inference graph of a causal language model as other programs expect it: transformers.js's inputs and outputs.
 *
 *   input_ids [batch_size, sequence_length], attention_mask [batch_size, total_sequence_length], both int64
 *   past_key_values.i.key|value [batch_size, heads, past_sequence_length, width]
 *   → logits [batch_size, sequence_length, vocabulary], present.i.key|value [batch_size, heads, total_sequence_length, width]
 *
 * 1. It is the model's own `step`: lengths come from the mask by plain ops, everything else is the graph that
 *    generation runs. Rows of a batch are padded on the right, as GroupQueryAttention wants them.
 * 2. The values in which both graphs meet are named in the metadata (`gaslaw.seams`), so that an exported file can be
 *    turned back into the in-place form and decoded by the same engine (see decode-form.ts).
 */

import { presentName } from '../generate/graphs.ts';
import { type Graph, type Model, type Tensor, zeros } from '../graph/ir.ts';
import type { CausalModel } from '../models/model.ts';
import { type ParameterStore, ParameterTrace } from '../nn/parameters.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { modelFor } from '../ops/opset.ts';

/** Names of the values that the in-place form replaces or taps. */
export interface Seams {
  /** Token ids, int32 [B, S]. */
  readonly ids: string;
  /** Length of each row minus 1, int32 [B]. */
  readonly lastPosition: string;
  /** Longest length, int32 scalar. */
  readonly total: string;
  /** Hidden states [B, S, d] before the vocabulary projection. */
  readonly hidden: string;
}

export const SEAMS_KEY = 'gaslaw.seams';

export interface ExportMetadata {
  /** Gaslaw's version. */
  readonly version?: string;
  /** Kind of tokenizer. */
  readonly tokenizer?: string;
}

/** The model's inference graph with its weights as initializers. */
export function exportGraph(
  model: CausalModel,
  weights: ParameterStore,
  metadata: ExportMetadata = {},
): Model {
  const b = new Builder('main');
  const inputIds = b.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  const mask = b.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length']);
  const cache = model.cacheSlots.map(slot =>
    b.input(slot.name, slot.dtype, ['batch_size', slot.heads, 'past_sequence_length', slot.width]),
  );
  const ids = b.scope('ids', () => inputIds.cast('int32'));
  const { lastPosition, total } = lengths(b, mask);
  const scope = new ParameterTrace(b, name => weights.tensor(name)).scope();
  const step = model.step(scope, { ids, lastPosition, total, cache });
  b.output(model.logits(scope, step.hidden), 'logits');
  step.cache.forEach((value, i) => void b.output(value, presentName(model.cacheSlots[i]?.name as string)));
  nameDims(b.graph, model);
  const seams: Seams = {
    ids: ids.name,
    lastPosition: lastPosition.name,
    total: total.name,
    hidden: step.hidden.name,
  };
  return modelFor(b.graph, metadataOf(model, metadata, seams));
}

/** From a mask of ones for every token in the cache and every new one. */
function lengths(b: Builder, mask: Value): { lastPosition: Value; total: Value } {
  const lastPosition = b.scope('last_position', () => mask.sum([1], false).sub(1).cast('int32'));
  const total = b.scope('total', () =>
    b.op('Shape', [mask], { start: 1, end: 2 }).squeeze([0]).cast('int32'),
  );
  return { lastPosition, total };
}

/** Declared shapes of the outputs; a shape rule cannot know that past and new positions make up the total. */
function nameDims(graph: Graph, model: CausalModel): void {
  const shapes = new Map<string, readonly (string | number)[]>([
    ['logits', ['batch_size', 'sequence_length', model.vocabSize]],
    ...model.cacheSlots.map(
      slot =>
        [presentName(slot.name), ['batch_size', slot.heads, 'total_sequence_length', slot.width]] as const,
    ),
  ]);
  graph.outputs = graph.outputs.map(output => ({
    ...output,
    shape: shapes.get(output.name) ?? output.shape,
  }));
  for (const { name, dtype, shape } of graph.outputs) graph.types.set(name, { dtype, shape });
}

const metadataOf = (
  model: CausalModel,
  { version, tokenizer }: ExportMetadata,
  seams: Seams,
): [string, string][] =>
  Object.entries({
    format: 'gaslaw causal language model',
    'gaslaw.version': version,
    architecture: model.architecture,
    tokenizer,
    [SEAMS_KEY]: JSON.stringify(seams),
  }).filter((entry): entry is [string, string] => entry[1] !== undefined);

/** The tensors of a first step: empty caches for `rows` rows. */
export const emptyCache = (model: CausalModel, rows: number): Record<string, Tensor> =>
  Object.fromEntries(model.cacheSlots.map(s => [s.name, zeros(s.dtype, [rows, s.heads, 0, s.width])]));
