/**
 * What answers problems while a policy learns: an engine over a decoder that takes the policy's weights over before each step.
 *
 * 1. Weights are prepacked, which pays for itself within a few hundred decoding steps.
 * 2. A cache of few bits needs the ranges of keys and values, and those move with the weights: before each step a second
 *    decoder, with a float cache and weights in place, answers a few problems and reads the answers. What is measured
 *    depends on weights and requests alone, so that a resumed run measures the same.
 */
import { type CacheDType, type CacheFormat, measureCache, quantizeCache } from '../generate/cache-format.ts';
import { Decoder, type DecoderOptions } from '../generate/decoder.ts';
import { Engine, type GenerateRequest } from '../generate/engine.ts';
import type { CausalModel } from '../models/model.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import type { Runtime } from '../runtime/runtime.ts';

export interface RolloutOptions {
  /** Rows decoded together. */
  readonly slots: number;
  /** Keys and values; float32 when absent. */
  readonly cache?: CacheDType;
  readonly threads?: number;
}

/** Decodes with a float cache, to see how large keys and values are. */
interface Ranges {
  readonly bits: 4 | 8;
  readonly decoder: Decoder;
  format: CacheFormat;
}

export class Rollouts implements Disposable {
  readonly engine: Engine;
  readonly #decoder: Decoder;
  readonly #ranges: Ranges | undefined;

  private constructor(decoder: Decoder, slots: number, ranges: Ranges | undefined) {
    this.#decoder = decoder;
    this.#ranges = ranges;
    this.engine = new Engine(decoder, { slots, capacity: decoder.model.maxPositions });
  }

  static async create(
    runtime: Runtime,
    model: CausalModel,
    store: ParameterStore,
    { slots, cache = 'f32', threads }: RolloutOptions,
  ): Promise<Rollouts> {
    const fixed: DecoderOptions = { threads, prepacked: true };
    if (cache === 'f32')
      return new Rollouts(await Decoder.create(runtime, model, store, fixed), slots, undefined);
    const bits = cache === 'int8' ? 8 : 4;
    const plain = await Decoder.create(runtime, model, store, { threads });
    const ranges: Ranges = { bits, decoder: plain, format: await measureCache(plain, [[0]], bits) };
    const rewrite: DecoderOptions['rewrite'] = (graph, whole) => quantizeCache(graph, whole, ranges.format);
    return new Rollouts(await Decoder.create(runtime, model, store, { ...fixed, rewrite }), slots, ranges);
  }

  /** Takes over the weights as they are now. `probe` makes the requests whose answers show the ranges. Nothing may be running. */
  async refresh(probe: () => readonly GenerateRequest[]): Promise<void> {
    if (this.#ranges) this.#ranges.format = await this.#measured(this.#ranges, probe());
    await this.engine.refresh();
  }

  async #measured({ decoder, bits }: Ranges, requests: readonly GenerateRequest[]): Promise<CacheFormat> {
    using engine = new Engine(decoder, { slots: requests.length, capacity: decoder.model.maxPositions });
    const answers = await engine.generate(requests);
    return measureCache(
      decoder,
      answers.map((answer, i) => [...(requests[i] as GenerateRequest).prompt, ...answer.ids]),
      bits,
    );
  }

  [Symbol.dispose](): void {
    this.engine[Symbol.dispose]();
    this.#decoder[Symbol.dispose]();
    this.#ranges?.decoder[Symbol.dispose]();
  }
}
