/** Models of a few thousand parameters for the tests of stages. */
import { denseConfig, denseModel } from '../models/dense/index.ts';
import type { CausalModel } from '../models/model.ts';
import { ParameterStore } from '../nn/parameters.ts';
import { Random } from '../util/random.ts';
import type { Trainable } from './loop.ts';

export const TINY_VOCABULARY = 12;

export const tinyModel = (layers = 1): CausalModel =>
  denseModel(
    denseConfig({
      vocabSize: TINY_VOCABULARY,
      hiddenSize: 16,
      numHiddenLayers: layers,
      numAttentionHeads: 2,
      intermediateSize: 32,
      maxPositionEmbeddings: 32,
    }),
  );

export const tinyStore = (model: CausalModel, seed = 1): ParameterStore =>
  new ParameterStore(model.parameters).initialize(new Random(seed));

/** Everything that a checkpoint keeps of a stage. */
export const snapshot = (t: Trainable) => ({
  weights: t.store.flat.slice(),
  arrays: Object.entries(t.arrays).map(([name, array]) => [name, array.slice()] as const),
  state: JSON.stringify(t.state()),
});

/** Puts a snapshot of one stage into another. */
export function restoreSnapshot(t: Trainable, s: ReturnType<typeof snapshot>): void {
  t.store.flat.set(s.weights);
  for (const [name, array] of s.arrays) t.arrays[name]?.set(array);
  t.restore(JSON.parse(s.state));
}
