/** An engine that owns its decoder: what commands and servers generate with. */
import type { Decoder } from './decoder.ts';
import { promptLookup } from './drafts.ts';
import { Engine, type EngineOptions } from './engine.ts';

export interface OpenOptions {
  /** Rows decoded together; 1 when absent. */
  readonly slots?: number;
  /** Positions of a row; the model's context when absent or larger. */
  readonly capacity?: number;
  /** Bytes for beginnings that were read before; 256 MiB when absent. */
  readonly prefixCacheBytes?: number;
  /** How a request that runs alone is drafted; not when absent. */
  readonly draft?: Drafting;
}

/** Who drafts, and how many tokens at most: what the text so far has after the same words, or the decoder's own module. */
export interface Drafting {
  readonly by: 'lookup' | 'mtp';
  readonly tokens: number;
}

/** What an engine is told of it. */
export function draftOptions(drafting: Drafting | undefined): Pick<EngineOptions, 'drafter' | 'maxDraft'> {
  if (!drafting) return { maxDraft: 0 };
  const { by, tokens: maxDraft } = drafting;
  return by === 'mtp' ? { maxDraft } : { maxDraft, drafter: promptLookup() };
}

export interface DraftFigures {
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
  /** Share of the drafted tokens that were accepted. */
  readonly acceptance: number;
  /** Tokens that a pass of the model yields. */
  readonly tokensPerStep: number;
}

/** How an engine's drafts fared so far. */
export const draftFigures = ({ draftedTokens, acceptedTokens, steps }: Engine): DraftFigures => ({
  draftedTokens,
  acceptedTokens,
  acceptance: draftedTokens === 0 ? 0 : acceptedTokens / draftedTokens,
  tokensPerStep: steps === 0 ? 1 : 1 + acceptedTokens / steps,
});

const PREFIX_CACHE_BYTES = 2 ** 28;

export interface OpenEngine extends Disposable {
  readonly engine: Engine;
}

/** Disposing it disposes the decoder too. The weights must not change. */
export function openEngine(decoder: Decoder, options: OpenOptions = {}): OpenEngine {
  const { slots = 1, capacity = decoder.model.maxPositions, draft } = options;
  const { prefixCacheBytes = PREFIX_CACHE_BYTES } = options;
  const engine = new Engine(decoder, { slots, capacity, prefixCacheBytes, ...draftOptions(draft) });
  return {
    engine,
    [Symbol.dispose]() {
      engine[Symbol.dispose]();
      decoder[Symbol.dispose]();
    },
  };
}
