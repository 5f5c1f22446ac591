/** What decoders with a cache of keys and values have in common as a CausalModel. */
import { cacheWidth } from '../nn/grouped-attention.ts';
import { project } from '../nn/layers.ts';
import { type Init, type ParameterSpec, ParameterTrace, type Scope } from '../nn/parameters.ts';
import { Builder, type Value } from '../ops/builder.ts';
import type { DecoderShape } from './decoder-config.ts';
import type { CacheSlot, ForwardInputs, StepInputs } from './model.ts';

/** A key and a value slot for each layer. */
export const keyValueSlots = (
  c: Pick<DecoderShape, 'numHiddenLayers' | 'numKeyValueHeads' | 'headDim'>,
): CacheSlot[] =>
  Array.from({ length: c.numHiddenLayers }, (_, i) =>
    (['key', 'value'] as const).map(
      (part): CacheSlot => ({
        name: `past_key_values.${i}.${part}`,
        dtype: 'float32',
        heads: c.numKeyValueHeads,
        width: cacheWidth(c.headDim),
      }),
    ),
  ).flat();

/** The cache of layer `i`. */
export const pastOf = ({ cache }: StepInputs, i: number): readonly [key: Value, value: Value] => [
  cache[2 * i] as Value,
  cache[2 * i + 1] as Value,
];

/** Logits [..., V] of hidden states [..., d], by the embedding table where it is tied. */
export const vocabularyLogits = (
  scope: Scope,
  c: { readonly tieWordEmbeddings: boolean; readonly vocabSize: number; readonly hiddenSize: number },
  hidden: Value,
  init: Init,
): Value =>
  project(
    hidden,
    scope
      .child(c.tieWordEmbeddings ? 'model.embed_tokens' : 'lm_head')
      .parameter('weight', [c.vocabSize, c.hiddenSize], init),
  );

/** The parameters that a training form declares. */
export function tracedParameters(
  hidden: (scope: Scope, inputs: ForwardInputs) => Value,
  logits: (scope: Scope, hidden: Value) => Value,
): ParameterSpec[] {
  const b = new Builder('parameters');
  const trace = new ParameterTrace(b);
  const int = (name: string) => b.input(name, 'int32', ['B', 'T']);
  logits(trace.scope(), hidden(trace.scope(), { ids: int('ids'), positions: int('positions') }));
  return trace.specs;
}
