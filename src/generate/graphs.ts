/**
 * Inference graphs of a model and of the module beside it that predicts one token further.
 *
 * 1. `select` picks hidden states before the vocabulary projection: one a row, so that a prefill computes B rows of logits
 *    and not B·S, or all of them, to check drafts.
 * 2. The module shares the model's embedding and head; its graph names the same parameters.
 * Shapes: B rows, S new positions, R chosen positions, C capacity, d width, V vocabulary.
 */
import type { Graph, ValueInfo } from '../graph/ir.ts';
import type { AheadModule, CausalModel, StepOutputs } from '../models/model.ts';
import { type ParameterSource, ParameterTrace } from '../nn/parameters.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { UsageError } from '../util/errors.ts';

export interface DecodeGraphOptions {
  /** Gives out the hidden states [B, S, d] of all new positions as well. */
  readonly hidden?: boolean;
}

/** Inputs: ids [B,S], select [R], last_position [B], total [], caches, weights; outputs: logits [R,V], present caches, hidden [B,S,d]. */
export function decodeGraph(
  model: CausalModel,
  source: ParameterSource = 'inputs',
  { hidden = false }: DecodeGraphOptions = {},
): Graph {
  const { b, inputs, select } = stepInputs('decode', model);
  const trace = new ParameterTrace(b, source);
  const step = model.step(trace.scope(), inputs);
  stepOutputs(model, trace, step, select);
  if (hidden) b.output(step.hidden, HIDDEN);
  return b.graph;
}

/**
 * The same of the module that predicts one token further, over its own caches: `previous` [B, S, d] is an input besides, the
 * model's hidden states of the tokens before `ids`.
 */
export function aheadGraph(model: CausalModel, source: ParameterSource = 'inputs'): Graph {
  const module = aheadOf(model);
  const ahead = aheadModel(model);
  const { b, inputs, select } = stepInputs('ahead', ahead);
  const previous = b.input(PREVIOUS, 'float32', ['B', 'S', module.hiddenSize]);
  const trace = new ParameterTrace(b, source);
  const step = module.step(trace.scope(), { ...inputs, previous });
  stepOutputs(ahead, trace, step, select);
  b.output(step.hidden, HIDDEN);
  return b.graph;
}

/** The model with the module's caches in place of its own. */
export const aheadModel = (model: CausalModel): CausalModel => ({
  ...model,
  cacheSlots: aheadOf(model).cacheSlots,
});

function aheadOf({ ahead, architecture }: CausalModel): AheadModule {
  if (ahead) return ahead;
  throw new UsageError(
    `this ${architecture} model has no module that predicts further (num_nextn_predict_layers); it cannot draft with one`,
  );
}

/** The model, when it has the module and the module's own weights are there. Throws a UsageError otherwise. */
export function checkedAhead(model: CausalModel, holds: (parameter: string) => boolean): CausalModel {
  const missing = aheadOf(model).parameters.find(({ name }) => !holds(name));
  if (!missing) return model;
  throw new UsageError(
    `the files of this ${model.architecture} model hold no module that predicts further ("${missing.name}" is missing); it cannot draft with one`,
  );
}

function stepInputs(name: string, model: CausalModel) {
  const b = new Builder(name);
  const int = (input: string, shape: readonly (string | number)[]) => b.input(input, 'int32', shape);
  const ids = int('ids', ['B', 'S']);
  const select = int('select', ['R']);
  const lastPosition = int('last_position', ['B']);
  const total = int('total', []);
  const cache = model.cacheSlots.map(s => b.input(s.name, s.dtype, ['B', s.heads, 'C', s.width]));
  return { b, select, inputs: { ids, lastPosition, total, cache } };
}

function stepOutputs(model: CausalModel, trace: ParameterTrace, step: StepOutputs, select: Value): void {
  const { builder: b } = trace;
  const width = step.hidden.shape[2] as number;
  const chosen = step.hidden.reshape([-1, width]).gather(select);
  b.output(model.logits(trace.scope(), chosen), 'logits');
  step.cache.forEach((value, i) => {
    b.output(value, presentName(model.cacheSlots[i]?.name as string));
  });
}

/** The inputs of a `decodeGraph` or an `aheadGraph` with weights as inputs that are weights. */
export function weightInputs(graph: Graph, { cacheSlots }: CausalModel): ValueInfo[] {
  const others = new Set([...STEP_INPUTS, ...cacheSlots.map(({ name }) => name)]);
  return graph.inputs.filter(({ name }) => !others.has(name));
}

/** Names of hidden states among outputs and inputs. */
export const HIDDEN = 'hidden';
export const PREVIOUS = 'previous';
const STEP_INPUTS = ['ids', 'select', 'last_position', 'total', PREVIOUS] as const;

export const presentName = (past: string): string => past.replace('past_key_values', 'present');
