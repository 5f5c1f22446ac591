/**
 * Continuous batching: one engine for reinforcement learning, evaluation and serving.
 *
 * 1. Active rows are always the first rows of the cache. When a row finishes, the next waiting request takes its
 *    place at once; when none waits, the last row moves into the gap and the batch shrinks.
 * 2. Short prompts that wait together are read together; equal ones are read once and copied (a GRPO group shares its
 *    prompt). Long ones are read alone, in pieces. What another row holds already, or a finished one held, is not read again.
 * 3. Every request draws from a stream of its own, seeded by the request, so what it samples does not depend on its
 *    neighbours. (Logits may differ in the last bit between batch sizes: matrix products are not batch-invariant.)
 * 4. A request that runs alone may be drafted (see drafts.ts): several rows at once are faster as they are.
 */
import { GaslawError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import type { Decoder } from './decoder.ts';
import type { Distributions } from './distributions.ts';
import type { Drafter } from './drafts.ts';
import { commonLength, longest, PrefixCache } from './prefix-cache.ts';
import { takeGroups } from './queue.ts';
import { positionBytes, Rows } from './rows.ts';
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
  /** Tokens of the prompt that were taken over instead of read. */
  readonly cachedTokens: number;
}

interface Job {
  readonly request: GenerateRequest;
  readonly random: Random;
  readonly ids: number[];
  readonly logProbs: number[];
  /** Positions held in the cache. */
  length: number;
  next: number;
  cachedTokens: number;
  readonly done: (completion: Completion) => void;
  readonly fail: (error: unknown) => void;
}

export interface EngineOptions {
  /** Rows decoded together. */
  readonly slots: number;
  /** Positions a row can hold (prompt and answer). */
  readonly capacity: number;
  /** Most prompt positions read together in one pass, padding included; 4096 when absent. */
  readonly prefillPositions?: number;
  /** Positions of a longer prompt that are read in one pass; 256 when absent: attention looks at less that is masked. */
  readonly prefillPiece?: number;
  /** Bytes that keys and values of all rows may take; 4 GiB when absent. They are taken as rows grow. */
  readonly maxCacheBytes?: number;
  /** Bytes for beginnings that were read before; none when absent. Only where the weights do not change. */
  readonly prefixCacheBytes?: number;
  /** Guesses for a request that runs alone. */
  readonly drafter?: Drafter;
  /** Tokens drafted at most; 4 when absent. */
  readonly maxDraft?: number;
}

const DEFAULTS = {
  prefillPositions: 4096,
  prefillPiece: 256,
  maxCacheBytes: 2 ** 32,
  prefixCacheBytes: 0,
  maxDraft: 4,
} as const;

/** A shorter common beginning is read again. */
const LEAST_TAKEN_OVER = 8;

export class Engine implements Disposable {
  readonly #decoder: Decoder;
  readonly #options: EngineOptions & Required<Omit<EngineOptions, 'drafter'>>;
  readonly #capacity: number;
  readonly #rows: Rows;
  readonly #prefixes: PrefixCache;
  readonly #waiting: Job[] = [];
  readonly #active: Job[] = [];
  #loop: Promise<void> | undefined;
  /** Tokens sampled since the engine was made, and how many were drafted and accepted. */
  sampledTokens = 0;
  draftedTokens = 0;
  acceptedTokens = 0;

  /** Throws when not even a few positions fit `maxCacheBytes`. */
  constructor(decoder: Decoder, options: EngineOptions) {
    this.#decoder = decoder;
    this.#options = { ...DEFAULTS, ...options };
    this.#capacity = Math.min(options.capacity, decoder.model.maxPositions, this.#affordable());
    this.#rows = new Rows(decoder, options.slots, this.#capacity);
    this.#prefixes = new PrefixCache(this.#options.prefixCacheBytes);
  }

  /** Positions a row that `maxCacheBytes` pays for. */
  #affordable(): number {
    const { slots, maxCacheBytes } = this.#options;
    const bytes = slots * positionBytes(this.#decoder);
    const positions = Math.floor(maxCacheBytes / bytes);
    if (positions >= 2) return positions;
    throw new GaslawError(
      `one position of ${slots} rows takes ${bytes} bytes of cache, but maxCacheBytes is ${maxCacheBytes}; use fewer rows or raise it`,
    );
  }

  /** Bytes of the beginnings that are kept. */
  get prefixCacheBytes(): number {
    return this.#prefixes.bytes;
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
    if (prompt.length >= this.#capacity) return Promise.reject(new GaslawError(this.#tooLong(prompt.length)));
    return new Promise((done, fail) => {
      const random = new Random(request.seed);
      const counts = { length: 0, next: 0, cachedTokens: 0 };
      this.#waiting.push({ request, random, ids: [], logProbs: [], ...counts, done, fail });
      this.#loop ??= this.#run();
    });
  }

  #tooLong(length: number): string {
    const limited = this.#capacity < Math.min(this.#options.capacity, this.#decoder.model.maxPositions);
    const holder = limited
      ? `the cache of ${this.#options.slots} rows in ${this.#options.maxCacheBytes} bytes (maxCacheBytes)`
      : 'the context';
    const more = limited ? ', use fewer rows or allow more bytes' : '';
    return `the prompt has ${length} tokens but ${holder} holds ${this.#capacity}; shorten it by ${length - this.#capacity + 1} or more${more}`;
  }

  /** Takes over changed weights of a prepacked decoder. Nothing may be running. */
  async refresh(): Promise<void> {
    if (this.#waiting.length + this.#active.length > 0)
      throw new GaslawError('the engine is answering; refresh its weights when it is done');
    await this.#loop;
    this.#rows.dropLanes();
    this.#prefixes.clear();
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

  // ---- prompts ----

  /** Reads prompts of waiting requests into free rows. */
  async #admit(): Promise<void> {
    while (this.#waiting.length > 0 && this.#active.length < this.#options.slots) {
      const groups = takeGroups(this.#waiting, {
        free: this.#options.slots - this.#active.length,
        positions: this.#options.prefillPositions,
        alone: prompt => prompt.length > this.#options.prefillPiece || this.#known(prompt) !== undefined,
      });
      try {
        await this.#prefill(groups);
      } catch (error) {
        // these jobs are in neither queue now: fail them here, or their callers wait for ever
        for (const job of groups.flat()) job.fail(error);
        throw error;
      }
    }
  }

  /** Reads one prompt a group into the rows after the active ones and starts the groups' jobs. */
  async #prefill(groups: readonly Job[][]): Promise<void> {
    const prompts = groups.map(g => (g[0] as Job).request.prompt);
    const size = this.#decoder.model.vocabSize;
    const logits = new Float32Array(groups.length * size);
    this.#rows.reserve(Math.max(...prompts.map(p => p.length)), this.#active.length);
    const taken =
      prompts.length === 1
        ? await this.#readAlone(prompts[0] as readonly number[], logits)
        : await this.#readTogether(prompts, logits);
    // every job has a row of its own from here on: a penalty edits logits in place
    const jobs = groups.flatMap((group, row) => group.map(job => ({ job, row })));
    const distributions = this.#rows.distributionsFor(jobs.length);
    jobs.forEach(({ row }, i) => {
      distributions.logits.set(logits.subarray(row * size, (row + 1) * size), i * size);
    });
    await this.#distribute(
      jobs.map(({ job }) => job),
      distributions,
    );
    const going = jobs.filter(({ job }, i) => {
      job.cachedTokens = taken;
      job.length = job.request.prompt.length;
      return !this.#sample(job, distributions.probabilities, i * size);
    });
    this.#seat(going, groups.length);
  }

  /** Reads short prompts side by side, padded on the right. */
  async #readTogether(prompts: readonly (readonly number[])[], logits: Float32Array): Promise<number> {
    const length = Math.max(...prompts.map(p => p.length));
    using lane = this.#rows.prompt(this.#active.length, prompts.length, length, logits);
    prompts.forEach((prompt, r) => {
      lane.ids.set(prompt, r * length);
      lane.lastPosition[r] = prompt.length - 1;
    });
    await lane.run();
    return 0;
  }

  /** Takes over what is known of a prompt and reads the rest in pieces. Returns how much was known. */
  async #readAlone(prompt: readonly number[], logits: Float32Array): Promise<number> {
    const row = this.#active.length;
    const known = this.#known(prompt);
    known?.copyTo(row);
    for (let at = known?.length ?? 0; at < prompt.length; ) {
      const piece = prompt.slice(at, at + this.#options.prefillPiece);
      at += piece.length;
      using lane = this.#rows.prompt(row, 1, piece.length, logits);
      lane.ids.set(piece);
      lane.lastPosition[0] = at - 1;
      lane.total = at;
      await lane.run();
    }
    return known?.length ?? 0;
  }

  /** The longest beginning of a prompt, its last token excepted, that an active or a kept row holds. */
  #known(prompt: readonly number[]): { length: number; copyTo: (row: number) => void } | undefined {
    if (!this.#prefixes.enabled) return undefined;
    const before = prompt.slice(0, -1);
    const active = longest(this.#active.keys(), row =>
      commonLength(heldIds(this.#active[row] as Job), before),
    );
    const kept = this.#prefixes.find(before, LEAST_TAKEN_OVER);
    const length = Math.max(active?.length ?? 0, kept?.length ?? 0);
    if (length < LEAST_TAKEN_OVER) return undefined;
    const copyTo = (row: number) =>
      kept?.length === length
        ? this.#rows.restore(kept.kept, row, length)
        : this.#rows.copy(active?.item as number, row, length);
    return { length, copyTo };
  }

  /**
   * Gives jobs whose prompts were read rows of their own, the active ones. `row` is the group's, of `groups` after the
   * active rows: its first job stays there, others get copies.
   */
  #seat(jobs: readonly { readonly job: Job; readonly row: number }[], groups: number): void {
    const first = this.#active.length;
    const seats = new Array<Job | undefined>(groups).fill(undefined);
    const others = jobs.filter(({ job, row }) => {
      if (seats[row]) return true;
      seats[row] = job;
      return false;
    });
    for (const { job, row } of others) {
      const gap = seats.indexOf(undefined);
      const seat = gap < 0 ? seats.length : gap;
      this.#rows.copy(first + row, first + seat, job.length);
      seats[seat] = job;
    }
    for (let gap = seats.indexOf(undefined); gap >= 0; gap = seats.indexOf(undefined)) {
      const last = seats.pop();
      if (!last) continue;
      this.#rows.copy(first + seats.length, first + gap, last.length);
      seats[gap] = last;
    }
    this.#active.push(...(seats as Job[])); // gaps are closed
  }

  // ---- answers ----

  /** Turns the logits of `jobs`, a row each, into the distributions that they sample from. */
  async #distribute(jobs: readonly Job[], distributions: Distributions): Promise<void> {
    jobs.forEach((job, r) => void this.#prepare(job, distributions, r));
    await distributions.run();
  }

  /** Temperature and penalty of row `r`; `drafted` come after the job's own ids. */
  #prepare(
    { request, ids }: Job,
    distributions: Distributions,
    r: number,
    drafted: readonly number[] = [],
  ): void {
    distributions.inverseTemperature[r] = inverseTemperature(request);
    if ((request.repetitionPenalty ?? 1) === 1) return;
    const seen = [...request.prompt, ...ids, ...drafted];
    penalize(distributions.logits, r * this.#decoder.model.vocabSize, seen, request);
  }

  async #decode(): Promise<void> {
    const [first] = this.#active;
    const draft = this.#active.length === 1 && first ? this.#draft(first) : [];
    if (first && draft.length > 0) await this.#checkDraft(first, draft);
    else await this.#decodeAll();
  }

  async #decodeAll(): Promise<void> {
    const count = this.#active.length;
    const total = Math.max(...this.#active.map(job => job.length + 1));
    this.#rows.reserve(total, count);
    const lane = this.#rows.step(count);
    for (let r = 0; r < lane.rows; r++) {
      const job = this.#active[r];
      lane.ids[r] = job?.next ?? 0;
      lane.lastPosition[r] = job?.length ?? 0;
    }
    lane.total = total;
    await lane.run();
    const distributions = this.#rows.distributionsFor(count);
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

  #draft({ request, ids, length }: Job): readonly number[] {
    const { drafter, maxDraft } = this.#options;
    const most = Math.min(maxDraft, request.maxTokens - ids.length - 1, this.#capacity - length - 2);
    return drafter && most > 0 ? drafter.draft([...request.prompt, ...ids], most).slice(0, most) : [];
  }

  /** One pass over the next token and its draft; samples as far as the samples are the draft's. */
  async #checkDraft(job: Job, draft: readonly number[]): Promise<void> {
    const count = draft.length + 1;
    this.#rows.reserve(job.length + count, 1);
    const lane = this.#rows.check(count);
    lane.ids.set([job.next, ...draft]);
    lane.lastPosition[0] = job.length + count - 1;
    lane.total = job.length + count;
    await lane.run();
    const distributions = this.#rows.exactly(count);
    for (let i = 0; i < count; i++) this.#prepare(job, distributions, i, draft.slice(0, i));
    await distributions.run();
    this.draftedTokens += draft.length;
    for (let i = 0; i < count; i++) {
      job.length++;
      if (this.#sample(job, distributions.probabilities, i * this.#decoder.model.vocabSize))
        return this.#vacate(0);
      if (job.next !== draft[i]) return;
      this.acceptedTokens++;
    }
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
    const { ids, logProbs, cachedTokens } = job;
    job.done({ ids, logProbs, finishReason, cachedTokens });
    return true;
  }

  #vacate(row: number): void {
    this.#keep(row);
    const last = this.#active.length - 1;
    const moved = this.#active[last] as Job;
    if (row !== last) {
      this.#rows.copy(last, row, moved.length);
      this.#active[row] = moved;
    }
    this.#active.pop();
  }

  /** Keeps what a finished row holds for requests that begin like it. */
  #keep(row: number): void {
    if (!this.#prefixes.enabled) return;
    const ids = heldIds(this.#active[row] as Job);
    const bytes = ids.length * positionBytes(this.#decoder);
    this.#prefixes.add(ids, bytes, () => this.#rows.keep(row, ids.length));
  }

  [Symbol.dispose](): void {
    this.#rows[Symbol.dispose]();
  }
}

/** The ids at the positions that a job's row holds. */
const heldIds = ({ request, ids, length }: Job): number[] => [...request.prompt, ...ids].slice(0, length);
