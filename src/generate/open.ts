/** An engine that owns its decoder: what commands and servers generate with. */
import type { Decoder } from './decoder.ts';
import { Engine } from './engine.ts';

export interface OpenOptions {
  /** Rows decoded together; 1 when absent. */
  readonly slots?: number;
  /** Positions of a row; the model's context when absent or larger. */
  readonly capacity?: number;
}

export interface OpenEngine extends Disposable {
  readonly engine: Engine;
}

/** Disposing it disposes the decoder too. */
export function openEngine(decoder: Decoder, { slots = 1, capacity }: OpenOptions = {}): OpenEngine {
  const engine = new Engine(decoder, { slots, capacity: capacity ?? decoder.model.maxPositions });
  return {
    engine,
    [Symbol.dispose]() {
      engine[Symbol.dispose]();
      decoder[Symbol.dispose]();
    },
  };
}
