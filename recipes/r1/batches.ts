/** How the documents of recipe r1 become the batches of a step. */
import type { TokenDocument } from '../../src/data/document.ts';
import { PackedLoader, type PackedState, packAll } from '../../src/data/packing.ts';
import type { BatchSource } from '../../src/train/language-model.ts';
import { Random } from '../../src/util/random.ts';

/** Places of a gradient batch: about what keeps a small model's activations in the cache. */
export const MICRO_BATCH = 2048;

/** An endless packed stream as a batch source: `tokensPerStep` places a step in micro-batches. */
export function packedSource(
  source: (index: number) => TokenDocument,
  length: number,
  tokensPerStep: number,
  pad: number,
): BatchSource {
  const rows = Math.max(1, Math.floor(MICRO_BATCH / length));
  const shape = { rows, length, pad };
  let loader = new PackedLoader(source, shape);
  const count = Math.max(1, Math.round(tokensPerStep / (rows * length)));
  return {
    next: () => Array.from({ length: count }, () => loader.next()),
    state: () => ({ next: loader.state().next, waiting: [...loader.state().waiting] }),
    restore(state) {
      loader = new PackedLoader(source, shape, state as unknown as PackedState);
    },
  };
}

/** All steps of `epochs` passes over `documents`, each pass in its own order. */
export function epochBatches(
  documents: readonly TokenDocument[],
  epochs: number,
  length: number,
  tokensPerStep: number,
  seed: number,
  pad: number,
) {
  const random = new Random(seed).fork('epochs');
  const rows = Math.max(1, Math.floor(MICRO_BATCH / length));
  const perStep = Math.max(1, Math.round(tokensPerStep / (rows * length)));
  const batches = Array.from({ length: epochs }, (_, e) =>
    packAll(random.fork(e).shuffled(documents), { rows, length, pad }),
  ).flat();
  return Array.from({ length: Math.ceil(batches.length / perStep) }, (_, i) =>
    batches.slice(i * perStep, (i + 1) * perStep),
  );
}
