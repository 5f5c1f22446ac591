/**
 * Continuous batching: one engine for reinforcement learning, evaluation and serving.
 *
 * 1. Active rows are always the first rows of the cache. When a row finishes, the next waiting request takes its
 *    place at once; when none waits, the last row moves into the gap and the batch shrinks.
 * 2. Equal prompts that start together are read once and copied (a GRPO group shares its prompt).
 * 3. Every request draws from a stream of its own, seeded by the request, so what it samples does not depend on its
 *    neighbours. (Logits may differ in the last bit between batch sizes: matrix products are not batch-invariant.)
 * 4. Batch sizes are rounded up to a few sizes, each bound once.
 */
import type { Tensor } from '../graph/ir.ts';
import { GaslawError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { copyRow, type Decoder, type Lane } from './decoder.ts';
import type { Distributions } from './distributions.ts';
import { checkSampling, choose, inverseTemperature, penalize, type SamplingOptions } from './sampling.ts';

export interface GenerateRequest extends SamplingOptions {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly seed: number;
  /** Ids that end the answer (kept as its last id). */
  readonly stopIds?: readonly number[];
  /** Asked after every token; true ends the answer (stop strings are checked this way). */
  readonly stopWhen?: (ids: readonly number[]) => boolean;
  readonly onToken?: (id: number, logProb: number) => void;
  readonly signal?: AbortSignal;
}

export interface Completion {
  readonly ids: number[];
  /** log-probability of each id under the sampling temperature. */
  readonly logProbs: number[];
  readonly finishReason: 'stop' | 'length' | 'aborted';
}

interface Job {
  readonly request: GenerateRequest;
  readonly random: Random;
  readonly ids: number[];
  readonly logProbs: number[];
  /** Positions held in the cache. */
  length: number;
  next: number;
  readonly done: (completion: Completion) => void;
  readonly fail: (error: unknown) => void;
}

export interface EngineOptions {
  /** Rows decoded together. */
  readonly slots: number;
  /** Positions a row can hold (prompt and answer). */
  readonly capacity: number;
  /** Most prompt positions read in one pass. */
  readonly prefillPositions?: number;
}

export class Engine implements Disposable {
  readonly #decoder: Decoder;
  readonly #slots: number;
  readonly #capacity: number;
  readonly #prefillPositions: number;
  readonly #cache: Tensor[];
  readonly #lanes = new Map<number, Lane>();
  readonly #distributions = new Map<number, Distributions>();
  readonly #waiting: Job[] = [];
  readonly #active: Job[] = [];
  #loop: Promise<void> | undefined;
  /** Tokens sampled since the engine was made. */
  sampledTokens = 0;

  constructor(decoder: Decoder, options: EngineOptions) {
    this.#decoder = decoder;
    this.#slots = options.slots;
    this.#capacity = Math.min(options.capacity, decoder.model.maxPositions);
    this.#prefillPositions = options.prefillPositions ?? 4096;
    this.#cache = decoder.allocateCache(this.#slots, this.#capacity);
  }

  /** Completions in the order of the requests. */
  async generate(requests: readonly GenerateRequest[]): Promise<Completion[]> {
    return Promise.all(requests.map(r => this.submit(r)));
  }

  /** Queues one request. Rejects when the prompt does not fit the context. */
  submit(request: GenerateRequest): Promise<Completion> {
    checkSampling(request);
    const { prompt } = request;
    if (prompt.length === 0)
      return Promise.reject(new GaslawError('the prompt is empty; give at least one token'));
    if (prompt.length >= this.#capacity) {
      return Promise.reject(
        new GaslawError(
          `the prompt has ${prompt.length} tokens but the context holds ${this.#capacity}; shorten it by ${prompt.length - this.#capacity + 1} or more`,
        ),
      );
    }
    return new Promise((done, fail) => {
      this.#waiting.push({
        request,
        random: new Random(request.seed),
        ids: [],
        logProbs: [],
        length: 0,
        next: 0,
        done,
        fail,
      });
      this.#loop ??= this.#run();
    });
  }

  /** Takes over changed weights of a prepacked decoder. Nothing may be running. */
  async refresh(): Promise<void> {
    if (this.#loop) throw new GaslawError('the engine is answering; refresh its weights when it is done');
    this.#dropLanes();
    await this.#decoder.refresh();
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // let a caller queue all of its requests first
    try {
      while (this.#waiting.length > 0 || this.#active.length > 0) {
        await this.#admit();
        if (this.#active.length > 0) await this.#decode();
      }
    } catch (error) {
      for (const job of [...this.#active.splice(0), ...this.#waiting.splice(0)]) job.fail(error);
    } finally {
      this.#loop = undefined;
      if (this.#waiting.length > 0) this.#loop = this.#run();
    }
  }

  /** Reads prompts of waiting requests into free rows, as many at a time as the prefill budget allows. */
  async #admit(): Promise<void> {
    while (this.#waiting.length > 0 && this.#active.length < this.#slots) {
      const free = this.#slots - this.#active.length;
      const groups = takeGroups(this.#waiting, free, this.#prefillPositions);
      try {
        await this.#prefill(groups);
      } catch (error) {
        // these jobs are in neither queue now: fail them here, or their callers wait for ever
        for (const job of groups.flat()) job.fail(error);
        throw error;
      }
    }
  }

  async #prefill(groups: readonly Job[][]): Promise<void> {
    const prompts = groups.map(g => (g[0] as Job).request.prompt);
    const length = Math.max(...prompts.map(p => p.length));
    const cache = this.#decoder.allocateCache(groups.length, length);
    const size = this.#decoder.model.vocabSize;
    const logits = new Float32Array(groups.length * size);
    using lane = this.#decoder.lane(cache, groups.length, length, logits);
    prompts.forEach((prompt, r) => {
      lane.ids.set(prompt, r * length);
      lane.lastPosition[r] = prompt.length - 1;
    });
    lane.total = length;
    await lane.run();
    // every job has a row of its own from here on: a penalty edits logits in place
    const jobs = groups.flatMap((group, row) => group.map(job => ({ job, row })));
    const distributions = this.#distributionsFor(jobs.length);
    jobs.forEach(({ row }, i) => {
      distributions.logits.set(logits.subarray(row * size, (row + 1) * size), i * size);
    });
    await this.#distribute(
      jobs.map(({ job }) => job),
      distributions,
    );
    jobs.forEach(({ job, row }, i) => {
      this.#start(job, cache, row, distributions.probabilities, i * size);
    });
  }

  /** Gives a job whose prompt was read its first token and, unless that ends it, a row. */
  #start(job: Job, cache: readonly Tensor[], row: number, probabilities: Float32Array, offset: number): void {
    job.length = job.request.prompt.length;
    if (this.#sample(job, probabilities, offset)) return;
    copyRow(cache, row, this.#cache, this.#active.length, job.length);
    this.#active.push(job);
  }

  /** Turns the logits of `jobs`, a row each, into the distributions that they sample from. */
  async #distribute(jobs: readonly Job[], distributions: Distributions): Promise<void> {
    const size = this.#decoder.model.vocabSize;
    jobs.forEach(({ request, ids }, r) => {
      distributions.inverseTemperature[r] = inverseTemperature(request);
      if ((request.repetitionPenalty ?? 1) !== 1)
        penalize(distributions.logits, r * size, [...request.prompt, ...ids], request);
    });
    await distributions.run();
  }

  async #decode(): Promise<void> {
    const count = this.#active.length;
    const lane = this.#lane(count);
    let total = 1;
    for (let r = 0; r < lane.rows; r++) {
      const job = this.#active[r];
      lane.ids[r] = job?.next ?? 0;
      lane.lastPosition[r] = job?.length ?? 0;
      if (job && job.length + 1 > total) total = job.length + 1;
    }
    lane.total = total;
    await lane.run();
    const distributions = this.#distributionsFor(count);
    await this.#distribute(this.#active, distributions);
    const size = this.#decoder.model.vocabSize;
    const finished: number[] = [];
    for (let r = 0; r < count; r++) {
      const job = this.#active[r] as Job;
      job.length++;
      if (this.#sample(job, distributions.probabilities, r * size)) finished.push(r);
    }
    // from the back, so that the rows that move up are never finished ones
    for (const r of finished.reverse()) this.#vacate(r);
  }

  /** Samples the job's next token. Returns whether that ended it (and then reports it). */
  #sample(job: Job, probabilities: Float32Array, offset: number): boolean {
    const { request } = job;
    if (request.signal?.aborted) return this.#finish(job, 'aborted');
    const choice = choose(probabilities, offset, this.#decoder.model.vocabSize, request, job.random);
    job.ids.push(choice.token);
    job.logProbs.push(choice.logProb);
    job.next = choice.token;
    this.sampledTokens++;
    request.onToken?.(choice.token, choice.logProb);
    if (request.stopIds?.includes(choice.token) || request.stopWhen?.(job.ids))
      return this.#finish(job, 'stop');
    const full =
      job.ids.length >= request.maxTokens || request.prompt.length + job.ids.length >= this.#capacity;
    return full ? this.#finish(job, 'length') : false;
  }

  #finish(job: Job, finishReason: Completion['finishReason']): true {
    job.done({ ids: job.ids, logProbs: job.logProbs, finishReason });
    return true;
  }

  #vacate(row: number): void {
    const last = this.#active.length - 1;
    const moved = this.#active[last] as Job;
    if (row !== last) {
      copyRow(this.#cache, last, this.#cache, row, moved.length);
      this.#active[row] = moved;
    }
    this.#active.pop();
  }

  /** The smallest bound batch that holds `count` rows. */
  #lane(count: number): Lane {
    const { rows, logits } = this.#distributionsFor(count);
    const known = this.#lanes.get(rows);
    if (known) return known;
    const lane = this.#decoder.lane(this.#cache, rows, 1, logits);
    this.#lanes.set(rows, lane);
    return lane;
  }

  #distributionsFor(count: number): Distributions {
    const rows = Math.min(this.#slots, roundUp(count));
    const known = this.#distributions.get(rows);
    if (known) return known;
    const distributions = this.#decoder.distributions(rows);
    this.#distributions.set(rows, distributions);
    return distributions;
  }

  #dropLanes(): void {
    for (const lane of this.#lanes.values()) lane[Symbol.dispose]();
    this.#lanes.clear();
  }

  [Symbol.dispose](): void {
    this.#dropLanes();
    for (const bound of this.#distributions.values()) bound[Symbol.dispose]();
    this.#distributions.clear();
  }
}

/** 1, 2, 4, 8, then multiples of an eighth of the next power of two: at most 8 sizes a doubling. */
function roundUp(count: number): number {
  if (count <= 8) return 2 ** Math.ceil(Math.log2(count));
  const step = 2 ** Math.max(0, Math.ceil(Math.log2(count)) - 3);
  return Math.ceil(count / step) * step;
}

/** Takes up to `free` jobs off the queue, grouped by equal prompts, within `budget` padded positions. */
function takeGroups(waiting: Job[], free: number, budget: number): Job[][] {
  const groups = new Map<string, Job[]>();
  let longest = 0;
  let taken = 0;
  for (const job of waiting) {
    if (taken === free) break;
    const key = job.request.prompt.join();
    const length = Math.max(longest, job.request.prompt.length);
    const known = groups.get(key);
    if (!known && groups.size > 0 && (groups.size + 1) * length > budget) break;
    if (known) known.push(job);
    else groups.set(key, [job]);
    longest = length;
    taken++;
  }
  waiting.splice(0, taken);
  return [...groups.values()];
}
