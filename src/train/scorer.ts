/**
 * Log-probabilities of given responses under a model, in one forward pass each: for references, recomputed old
 * policies, perplexity and teacher scores.
 */
import { lower } from '../autodiff/lower.ts';
import { batchesByLength } from '../data/by-length.ts';
import { float32, int32, modelOf } from '../graph/ir.ts';
import type { CausalModel } from '../models/model.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import type { Program, Runtime } from '../runtime/runtime.ts';
import { traceLoss } from './learner.ts';

export interface ScoredPair {
  readonly prompt: readonly number[];
  readonly response: readonly number[];
}

export class Scorer implements Disposable {
  readonly #program: Program;
  readonly #store: ParameterStore;
  readonly #names: readonly string[];

  private constructor(program: Program, store: ParameterStore, names: readonly string[]) {
    this.#program = program;
    this.#store = store;
    this.#names = names;
  }

  static async create(
    runtime: Runtime,
    model: CausalModel,
    store: ParameterStore,
    options: { temperature?: number; threads?: number } = {},
  ): Promise<Scorer> {
    const traced = traceLoss(model, c => ({
      loss: c.scores({ temperature: options.temperature, exact: true }).logProb,
    }));
    traced.b.output(traced.loss, 'log_prob');
    const program = await runtime.compile(modelOf(lower(traced.b.graph)), { threads: options.threads });
    return new Scorer(
      program,
      store,
      traced.trace.values().map(v => v.name),
    );
  }

  /** log p of each response token given the prompt and what came before it. */
  async logProbs(pairs: readonly ScoredPair[], maxPlaces = 8192): Promise<number[][]> {
    const documents = pairs.map(({ prompt, response }, index) => {
      const ids = [...prompt, ...response];
      return { ids, columns: { index: new Float32Array(ids.length).fill(index) } };
    });
    const out: number[][] = pairs.map(() => []);
    for (const batch of batchesByLength(documents, { maxPlaces })) {
      const dims = [batch.rows, batch.length];
      const result = new Float32Array(batch.rows * batch.length);
      using binding = this.#program.bind({
        ids: int32(dims, batch.ids),
        positions: int32(dims, batch.positions),
        targets: int32(dims, batch.targets),
        log_prob: float32([batch.rows * batch.length], result),
        ...Object.fromEntries(this.#names.map(n => [n, this.#store.tensor(n)])),
      });
      await binding.run();
      for (let r = 0; r < batch.rows; r++) {
        const at = r * batch.length;
        if ((batch.segments[at] ?? 0) === 0) continue; // an empty row
        const index = batch.columns.index?.[at] as number;
        const { prompt, response } = pairs[index] as ScoredPair;
        const start = at + prompt.length - 1;
        out[index] = Array.from(result.subarray(start, start + response.length));
      }
    }
    return out;
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
  }
}
