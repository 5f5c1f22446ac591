/**
 * What training, generation and export need to know of an architecture. Each folder of models/ makes one.
 * Shapes: B batch, T positions, S new positions in a step, d width, V vocabulary.
 */
import type { DType } from '../graph/dtype.ts';
import type { Tensor } from '../graph/ir.ts';
import type { ParameterSpec, ParameterStore, Scope } from '../nn/parameters.ts';
import type { Value } from '../ops/builder.ts';

export interface ForwardInputs {
  /** Token ids [B, T], int32. */
  readonly ids: Value;
  /** Position of each token in its document [B, T], int32. */
  readonly positions: Value;
  /** Document number of each token [B, T], int32; absent when every row is one document. */
  readonly segments?: Value;
}

/** One tensor that an inference step reads and writes in place, without its leading batch dimension. */
export interface CacheSlot {
  /** For example `past_key_values.0.key`. */
  readonly name: string;
  readonly dtype: DType;
  /** [heads, capacity, width]; capacity is the symbol `C`. */
  readonly heads: number;
  readonly width: number;
  /** Name of the slot before it whose memory this one is: a step reads and writes the same values through both. */
  readonly sameAs?: string;
}

/** Cache elements that one more position takes. */
export const elementsPerToken = (slots: readonly CacheSlot[]): number =>
  slots.reduce((sum, { heads, width, sameAs }) => sum + (sameAs ? 0 : heads * width), 0);

export interface StepInputs {
  /** New token ids [B, S], int32. */
  readonly ids: Value;
  /** Length of each row after this step, minus 1 [B], int32. */
  readonly lastPosition: Value;
  /** Longest length after this step, a scalar, int32. */
  readonly total: Value;
  /** Cache tensors [B, heads, C, width] in the order of `cacheSlots`. */
  readonly cache: readonly Value[];
}

export interface StepOutputs {
  /** [B, S, d] after the final norm. */
  readonly hidden: Value;
  readonly cache: readonly Value[];
}

/** How files name this model's tensors. */
export interface WeightNames {
  /** The parameter that a stored tensor of this name holds. */
  parameterOf(stored: string): string;
  /** Whether a stored tensor that is no parameter may be passed over. */
  isSpare(stored: string): boolean;
}

export interface TrainingInputs extends ForwardInputs {
  /** The token after each [B, T], int32. */
  readonly targets: Value;
}

/** What a training graph reads of a model besides logits. */
export interface TrainingForm {
  /** [B, T, d] after the final norm. */
  readonly hidden: Value;
  /** A scalar to add to a mean loss a token: what keeps experts balanced. */
  readonly balance?: Value;
  /** Tokens that went to each expert of each sparse layer [layers, E], float. */
  readonly loads?: Value;
  /** Hidden states [B, T, d] from which `logits` predicts the token after the next one. */
  readonly ahead?: Value;
}

export interface AheadInputs extends StepInputs {
  /** The main model's hidden states [B, S, d] of the tokens before `ids`. */
  readonly previous: Value;
}

/**
 * A module that drafts: from the main model's hidden state at a position and the token after it, the hidden state whose
 * `logits` are of the token after that one (multi-token prediction, DeepSeek-V3 §2.2).
 */
export interface AheadModule {
  /** Those that it has besides the main model's, whose embedding and head it shares. */
  readonly parameters: readonly ParameterSpec[];
  readonly cacheSlots: readonly CacheSlot[];
  /** d */
  readonly hiddenSize: number;
  step(scope: Scope, inputs: AheadInputs): StepOutputs;
}

/** The model with the module's parameters among its own, where files hold any of them. */
export function withAhead(model: CausalModel, holds: (parameter: string) => boolean): CausalModel {
  const known = new Set(model.parameters.map(({ name }) => name));
  const added = model.ahead?.parameters.filter(({ name }) => !known.has(name)) ?? [];
  if (!added.some(({ name }) => holds(name))) return model;
  return { ...model, parameters: [...model.parameters, ...added] };
}

export interface CausalModel {
  readonly architecture: string;
  readonly vocabSize: number;
  readonly maxPositions: number;
  /** Length of the rows it was trained on, where its context was stretched afterwards; `maxPositions` when absent. */
  readonly trainedPositions?: number;
  readonly layers: number;
  readonly cacheSlots: readonly CacheSlot[];
  /** Parameters in order of declaration. */
  readonly parameters: readonly ParameterSpec[];
  /** Parameters that one token's computation reads; all when absent. */
  readonly activeParameters?: number;
  /** What it reads besides the parameters and does not train, by name: the base model under an adapter. */
  readonly frozen?: ReadonlyMap<string, Tensor>;
  /** How files name the parameters; when absent they have their own names and files hold nothing else. */
  readonly weights?: WeightNames;
  /** Training form: hidden states [B, T, d] after the final norm. */
  hidden(scope: Scope, inputs: ForwardInputs): Value;
  /** Training form with what else a loss may read; `hidden` alone when absent. */
  training?(scope: Scope, inputs: TrainingInputs): TrainingForm;
  /** Weight of the loss on the token after the next one, where `training` gives `ahead`. */
  readonly aheadWeight?: number;
  /** What happens to the parameters after a step outside of its gradient, given the step's loads; returns metrics. */
  afterStep?(store: ParameterStore, loads: Float32Array): Record<string, number>;
  /** The module that predicts one token further, where the model has one. */
  readonly ahead?: AheadModule;
  /** Logits [..., V] of hidden states [..., d]. */
  logits(scope: Scope, hidden: Value): Value;
  /** Inference form over a cache. */
  step(scope: Scope, inputs: StepInputs): StepOutputs;
  /** FLOPs of one forward token that sees `context` positions on average. */
  forwardFlops(context: number): number;
  /** The object of its Hugging Face config.json. */
  toHuggingFace(): Record<string, unknown>;
}
