/** An engine that owns its decoder: what commands and servers generate with. */
import type { Decoder } from './decoder.ts';
import { promptLookup } from './drafts.ts';
import { Engine } from './engine.ts';

export interface OpenOptions {
  /** Rows decoded together; 1 when absent. */
  readonly slots?: number;
  /** Positions of a row; the model's context when absent or larger. */
  readonly capacity?: number;
  /** Bytes for beginnings that were read before; 256 MiB when absent. */
  readonly prefixCacheBytes?: number;
  /** Tokens that are guessed by prompt lookup for a request that runs alone; none when absent. */
  readonly draft?: number;
}

const PREFIX_CACHE_BYTES = 2 ** 28;

export interface OpenEngine extends Disposable {
  readonly engine: Engine;
}

/** Disposing it disposes the decoder too. The weights must not change. */
export function openEngine(decoder: Decoder, options: OpenOptions = {}): OpenEngine {
  const { slots = 1, capacity = decoder.model.maxPositions, draft = 0 } = options;
  const { prefixCacheBytes = PREFIX_CACHE_BYTES } = options;
  const drafting = draft > 0 ? { drafter: promptLookup(), maxDraft: draft } : {};
  const engine = new Engine(decoder, { slots, capacity, prefixCacheBytes, ...drafting });
  return {
    engine,
    [Symbol.dispose]() {
      engine[Symbol.dispose]();
      decoder[Symbol.dispose]();
    },
  };
}
