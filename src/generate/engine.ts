/**
 * Continuous batching: one engine for reinforcement learning, evaluation and serving.
 *
 * 1. Active rows are always the first rows of the cache. When a row finishes, the next waiting request takes its
 *    place at once; when none waits, the last row moves into the gap and the batch shrinks.
 * 2. Short prompts that wait together are read together; equal ones are read once and copied (a GRPO group shares its
 *    prompt). Long ones are read alone, in pieces. What another row holds already, or a finished one held, is not read again.
 * 3. Every request draws from a stream of its own, seeded by the request, so what it samples does not depend on its
 *    neighbours. (Logits may differ in the last bit between batch sizes: matrix products are not batch-invariant.)
 * 4. Requests may be drafted (see drafts.ts and ahead.ts): one that runs alone always, several where the decoder was made for
 *    it and no more than `draftRows` run, since many rows at once are faster as they are. Drafts that are drawn take random
 *    numbers too: at a temperature above 0 such a request's answer is another one than without drafts, of the same distribution.
 */
import { GaslawError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { Ahead, type Following, type Prepare } from './ahead.ts';
import type { Decoder } from './decoder.ts';
import type { Distributions } from './distributions.ts';
import type { Drafter } from './drafts.ts';
import { NOT_FOLLOWED, Prompts } from './prompts.ts';
import { takeGroups } from './queue.ts';
import type { Completion, GenerateRequest, Job } from './request.ts';
import { positionBytes, Rows } from './rows.ts';
import {
  checkSampling,
  choose,
  chooseDrafted,
  type Draft,
  inverseTemperature,
  penalize,
} from './sampling.ts';

export type { Completion, GenerateRequest } from './request.ts';

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
  /** Guesses for a request that runs alone; the decoder's module when absent. */
  readonly drafter?: Drafter;
  /** Tokens drafted at most; when absent 4, by the decoder's module 1. */
  readonly maxDraft?: number;
  /** Rows that are drafted at once at most, by a decoder with `several`; 1 when absent. */
  readonly draftRows?: number;
}

const DEFAULTS = {
  prefillPositions: 4096,
  prefillPiece: 256,
  maxCacheBytes: 2 ** 32,
  prefixCacheBytes: 0,
  draftRows: 1,
} as const;

const MAX_DRAFT = { guessed: 4, ahead: 1 } as const;

export class Engine implements Disposable {
  readonly #decoder: Decoder;
  readonly #options: EngineOptions & Required<Omit<EngineOptions, 'drafter'>>;
  readonly #capacity: number;
  readonly #rows: Rows;
  readonly #prompts: Prompts;
  readonly #ahead: Ahead | undefined;
  readonly #waiting: Job[] = [];
  readonly #active: Job[] = [];
  #loop: Promise<void> | undefined;
  /** Tokens sampled since the engine was made, and how many were drafted and accepted. */
  sampledTokens = 0;
  draftedTokens = 0;
  acceptedTokens = 0;
  /** Passes of the model over a row after its prompt; each yields one token and what was accepted. */
  steps = 0;

  /** Throws when not even a few positions fit `maxCacheBytes`. */
  constructor(decoder: Decoder, options: EngineOptions) {
    this.#decoder = decoder;
    const maxDraft = decoder.ahead && !options.drafter ? MAX_DRAFT.ahead : MAX_DRAFT.guessed;
    this.#options = { ...DEFAULTS, maxDraft, ...options };
    this.#capacity = Math.min(options.capacity, decoder.model.maxPositions, this.#affordable());
    this.#rows = new Rows(decoder, options.slots, this.#capacity);
    this.#ahead = this.#rows.ahead && new Ahead(this.#rows.ahead, decoder.model.vocabSize);
    const { prefillPiece, prefixCacheBytes } = this.#options;
    const active = this.#active;
    this.#prompts = new Prompts({
      decoder,
      rows: this.#rows,
      active,
      ahead: this.#ahead,
      prefillPiece,
      prefixCacheBytes,
    });
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
    return this.#prompts.keptBytes;
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
      const counts = { length: 0, next: 0, cachedTokens: 0, following: NOT_FOLLOWED };
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
    this.#prompts.forget();
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
        alone: prompt => this.#prompts.isReadAlone(prompt),
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
    const { taken, followings } = await this.#prompts.read(prompts, logits);
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
    const going = jobs.filter(({ job, row }, i) => {
      job.cachedTokens = taken;
      job.following = { ...(followings[row] as Following) };
      job.length = job.request.prompt.length;
      return !this.#sample(job, distributions.probabilities, i * size);
    });
    this.#seat(going, groups.length);
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
  readonly #prepare: Prepare<Job> = ({ request, ids }, distributions, r, drafted = []) => {
    distributions.inverseTemperature[r] = inverseTemperature(request);
    if ((request.repetitionPenalty ?? 1) === 1) return;
    const seen = [...request.prompt, ...ids, ...drafted];
    penalize(distributions.logits, r * this.#decoder.model.vocabSize, seen, request);
  };

  async #decode(): Promise<void> {
    const most = this.#mostDrafted();
    const longest = Math.max(...this.#active.map(job => job.length));
    this.#rows.reserve(longest + 1 + Math.max(0, ...most), this.#active.length);
    const drafts = await this.#draft(most);
    this.steps += this.#active.length;
    if (drafts.some(own => own.length > 0)) await this.#checkDrafts(drafts);
    else await this.#decodeAll();
  }

  /** Tokens to draft in each row at most; empty where none are. Several rows are checked over the same number of positions. */
  #mostDrafted(): number[] {
    const { drafter, maxDraft, draftRows } = this.#options;
    const several = this.#active.length > 1 ? this.#decoder.several : undefined;
    if (this.#active.length > 1 && (several === undefined || this.#active.length > draftRows)) return [];
    if (!drafter && !this.#ahead) return [];
    const room = Math.min(...this.#active.map(({ length }) => this.#capacity - length - 2));
    if (several !== undefined && room < several - 1) return [];
    const limit = Math.min(maxDraft, several === undefined ? room : several - 1);
    return this.#active.map(({ request, ids }) =>
      Math.max(0, Math.min(limit, request.maxTokens - ids.length - 1)),
    );
  }

  /** What may come next in each row. */
  async #draft(most: readonly number[]): Promise<readonly (readonly Draft[])[]> {
    const { drafter } = this.#options;
    const drafts = await this.#ahead?.follow(this.#active, drafter ? [] : most, this.#prepare);
    if (!drafter) return drafts ?? [];
    return most.map((count, r) => {
      const { request, ids } = this.#active[r] as Job;
      const guessed = count > 0 ? drafter.draft([...request.prompt, ...ids], count) : [];
      return guessed.slice(0, count).map(token => ({ token }));
    });
  }

  async #decodeAll(): Promise<void> {
    const count = this.#active.length;
    const lane = this.#rows.step(count);
    for (let r = 0; r < lane.rows; r++) {
      const job = this.#active[r];
      lane.ids[r] = job?.next ?? 0;
      lane.lastPosition[r] = job?.length ?? 0;
    }
    lane.total = Math.max(...this.#active.map(job => job.length + 1));
    await lane.run();
    const distributions = this.#rows.distributionsFor(count);
    await this.#distribute(this.#active, distributions);
    const size = this.#decoder.model.vocabSize;
    const width = lane.hidden.length / lane.rows;
    const finished: number[] = [];
    for (let r = 0; r < count; r++) {
      const job = this.#active[r] as Job;
      job.length++;
      if (this.#ahead) job.following.pending = lane.hidden.slice(r * width, (r + 1) * width);
      if (this.#sample(job, distributions.probabilities, r * size)) finished.push(r);
    }
    // from the back, so that the rows that move up are never finished ones
    for (const r of finished.reverse()) this.#vacate(r);
  }

  /** One pass over each row's next token and its drafts; samples as far as the samples are the drafts. */
  async #checkDrafts(drafts: readonly (readonly Draft[])[]): Promise<void> {
    const alone = this.#active.length === 1;
    const lane = alone
      ? this.#rows.check((drafts[0] as readonly Draft[]).length + 1)
      : this.#rows.several(this.#active.length, this.#decoder.several as number);
    const count = lane.ids.length / lane.rows;
    lane.ids.fill(0);
    lane.lastPosition.fill(count - 1);
    for (const [r, job] of this.#active.entries()) {
      lane.ids.set([job.next, ...(drafts[r] ?? []).map(({ token }) => token)], r * count);
      lane.lastPosition[r] = job.length + count - 1;
    }
    lane.total = Math.max(...this.#active.map(job => job.length)) + count;
    await lane.run();
    const distributions = this.#rows.exactly(lane.rows * count);
    for (const [r, job] of this.#active.entries()) {
      const tokens = (drafts[r] ?? []).map(({ token }) => token);
      for (let i = 0; i <= tokens.length; i++)
        this.#prepare(job, distributions, r * count + i, tokens.slice(0, i));
    }
    await distributions.run();
    const finished = [...this.#active.keys()].filter(r => {
      const hidden = lane.hidden.subarray((r * lane.hidden.length) / lane.rows);
      const states = hidden.subarray(0, lane.hidden.length / lane.rows);
      return this.#acceptDrafts(r, drafts[r] ?? [], distributions.probabilities, r * count, states);
    });
    for (const r of finished.reverse()) this.#vacate(r);
  }

  /**
   * Samples as far as the samples are a row's drafts; its distributions begin at number `first`.
   * @param states the hidden states of its new positions
   */
  #acceptDrafts(
    r: number,
    draft: readonly Draft[],
    probabilities: Float32Array,
    first: number,
    states: Float32Array,
  ): boolean {
    const job = this.#active[r] as Job;
    const { vocabSize } = this.#decoder.model;
    const before = job.length;
    this.draftedTokens += draft.length;
    let ended = false;
    for (let i = 0; i <= draft.length; i++) {
      job.length++;
      ended = this.#sample(job, probabilities, (first + i) * vocabSize, draft[i]);
      if (ended || job.next !== draft[i]?.token) break;
      this.acceptedTokens++;
    }
    if (this.#ahead)
      job.following.pending = states.slice(0, this.#decoder.hiddenSize * (job.length - before));
    return ended;
  }

  /** Samples the job's next token. Returns whether that ended it (and then reports it). */
  #sample(job: Job, probabilities: Float32Array, offset: number, draft?: Draft): boolean {
    const { request, random } = job;
    if (request.signal?.aborted) return this.#finish(job, 'aborted');
    const { vocabSize } = this.#decoder.model;
    const choice = draft
      ? chooseDrafted(probabilities, offset, vocabSize, draft, request, random)
      : choose(probabilities, offset, vocabSize, request, random);
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
    this.#prompts.keep(row);
    const last = this.#active.length - 1;
    const moved = this.#active[last] as Job;
    if (row !== last) {
      this.#rows.copy(last, row, moved.length);
      this.#active[row] = moved;
    }
    this.#active.pop();
  }

  [Symbol.dispose](): void {
    this.#rows[Symbol.dispose]();
  }
}
