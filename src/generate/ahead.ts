/**
 * Drafting with the module that predicts one token further (multi-token prediction, DeepSeek-V3 §2.2 and §5.4.3), beside the
 * rows of an engine.
 *
 * 1. The module reads pairs: the model's hidden state h_i at a position, and the token x_{i+1} after it. So it is one pair
 *    behind: when the model has read n tokens and the next one is known, the module reads its position n − 1 and names a
 *    token for n + 1. What the model knows and the module has not read is kept with the job.
 * 2. It follows every row at every step, so that any row may be drafted at any time.
 * 3. Where more than one token is drafted, it goes on from its own hidden state in place of the model's. Those positions are
 *    read again from what the model says.
 * Shapes: n positions, d width, V vocabulary.
 */
import type { Random } from '../util/random.ts';
import type { Lane } from './decoder.ts';
import type { Distributions } from './distributions.ts';
import type { Rows } from './rows.ts';
import { type Draft, drawDraft, type SamplingOptions } from './sampling.ts';

/** Where the module is in a job's row. */
export interface Following {
  /** Positions that it holds. */
  held: number;
  /** The model's hidden states [n, d] at the positions after those. */
  pending: Float32Array;
}

/** What drafting reads of a job. */
export interface Followed {
  readonly request: SamplingOptions & { readonly prompt: readonly number[] };
  readonly random: Random;
  readonly ids: readonly number[];
  /** Positions that the model holds. */
  readonly length: number;
  readonly following: Following;
}

/** Sets a row of logits up for its request, `drafted` after the job's own ids. */
export type Prepare<J> = (
  job: J,
  distributions: Distributions,
  row: number,
  drafted?: readonly number[],
) => void;

export class Ahead {
  readonly #rows: Rows;
  readonly #vocabSize: number;

  /** @param rows the module's */
  constructor(rows: Rows, vocabSize: number) {
    this.#rows = rows;
    this.#vocabSize = vocabSize;
  }

  /**
   * Follows a lane that read `prompts` from their beginning, in rows from `firstRow` on.
   * @returns where the module is in each
   */
  async readTogether(
    firstRow: number,
    prompts: readonly (readonly number[])[],
    { hidden }: Lane,
  ): Promise<Following[]> {
    const length = Math.max(...prompts.map(p => p.length));
    if (length > 1) {
      const logits = new Float32Array(prompts.length * this.#vocabSize);
      using lane = this.#rows.prompt(firstRow, prompts.length, length, logits);
      prompts.forEach((prompt, r) => {
        lane.ids.set(prompt.slice(1), r * length);
        lane.lastPosition[r] = Math.max(0, prompt.length - 2);
      });
      lane.previous.set(hidden);
      await lane.run(); // what it makes of padding is written over
    }
    const width = hidden.length / (prompts.length * length);
    return prompts.map((prompt, r) => {
      const last = (r * length + prompt.length - 1) * width;
      return { held: prompt.length - 1, pending: hidden.slice(last, last + width) };
    });
  }

  /** Follows a lane that read a prompt up to position `end` in `row`; `before` is where the module was. */
  async readPiece(
    row: number,
    prompt: readonly number[],
    end: number,
    { hidden, ids }: Lane,
    before: Following,
  ): Promise<Following> {
    const width = hidden.length / ids.length;
    const known = joined(before.pending, hidden);
    const count = end - 1 - before.held;
    if (count > 0) {
      using lane = this.#rows.prompt(row, 1, count, new Float32Array(this.#vocabSize));
      lane.ids.set(prompt.slice(before.held + 1, end));
      lane.previous.set(known.subarray(0, count * width));
      lane.lastPosition[0] = end - 2;
      lane.total = end - 1;
      await lane.run();
    }
    return { held: before.held + count, pending: known.slice(count * width) };
  }

  /**
   * Reads what the model knows in the rows of `jobs`, the first ones, and drafts up to `most[r]` tokens for row r.
   * @returns the drafts of each row
   */
  async follow<J extends Followed>(
    jobs: readonly J[],
    most: readonly number[],
    prepare: Prepare<J>,
  ): Promise<Draft[][]> {
    const drafts = jobs.map((): Draft[] => []);
    let states = await this.#catchUp(jobs);
    for (let k = 0; k < Math.max(0, ...most); k++) {
      if (k > 0) {
        const ids = drafts.map(own => own.at(-1)?.token ?? 0);
        const positions = jobs.map(({ length }) => length + k - 1);
        states = await this.#step(ids, positions, states);
      }
      await this.#draft(jobs, drafts, r => k < (most[r] ?? 0), prepare);
    }
    return drafts;
  }

  /** Reads all pending pairs. Returns the module's hidden state of each row's last one; their logits are in the distributions. */
  async #catchUp(jobs: readonly Followed[]): Promise<Float32Array[]> {
    const [only] = jobs;
    const last = jobs.map(({ length, following: { held, pending } }) => {
      const width = pending.length / (length - held);
      return pending.subarray(pending.length - width);
    });
    const alone = jobs.length === 1 && only;
    const states = alone ? await this.#readPending(0, alone, alone.length) : undefined;
    if (!alone)
      for (const [row, job] of jobs.entries())
        if (job.length - 1 > job.following.held) await this.#readPending(row, job, job.length - 1);
    for (const { following, length } of jobs) {
      following.held = length;
      following.pending = NOTHING;
    }
    if (states) return [states];
    const positions = jobs.map(({ length }) => length - 1);
    return this.#step(
      jobs.map(job => idsOf(job, job.length, job.length + 1)[0] as number),
      positions,
      last,
    );
  }

  /** Reads one row's pending pairs before position `end`. Returns the last hidden state. */
  async #readPending(row: number, job: Followed, end: number): Promise<Float32Array> {
    const { held, pending } = job.following;
    const count = end - held;
    const lane = this.#rows.further(row, count);
    lane.ids.set(idsOf(job, held + 1, end + 1));
    lane.previous.set(pending.subarray(0, lane.previous.length));
    lane.lastPosition[0] = end - 1;
    lane.total = end;
    await lane.run();
    return lane.hidden.subarray(((count - 1) * lane.hidden.length) / count);
  }

  /** One pair a row. Returns the hidden states. */
  async #step(
    ids: readonly number[],
    positions: readonly number[],
    previous: readonly Float32Array[],
  ): Promise<Float32Array[]> {
    const lane = this.#rows.step(ids.length);
    const width = lane.previous.length / lane.rows;
    for (let r = 0; r < lane.rows; r++) {
      lane.ids[r] = ids[r] ?? 0;
      lane.lastPosition[r] = positions[r] ?? 0;
      if (previous[r]) lane.previous.set(previous[r] as Float32Array, r * width);
    }
    lane.total = Math.max(...positions) + 1;
    await lane.run();
    return ids.map((_, r) => lane.hidden.subarray(r * width, (r + 1) * width));
  }

  /** Draws a token for each row that `wants` one. */
  async #draft<J extends Followed>(
    jobs: readonly J[],
    drafts: readonly Draft[][],
    wants: (row: number) => boolean,
    prepare: Prepare<J>,
  ): Promise<void> {
    const distributions = this.#rows.distributionsFor(jobs.length);
    const size = this.#vocabSize;
    const drafting = jobs.flatMap((job, r) => (wants(r) ? [{ job, r, own: drafts[r] as Draft[] }] : []));
    for (const { job, r, own } of drafting)
      prepare(
        job,
        distributions,
        r,
        own.map(({ token }) => token),
      );
    // the likeliest token needs no probabilities
    const drawn = drafting.some(({ job }) => job.request.temperature !== 0);
    if (drawn) await distributions.run();
    const weights = drawn ? distributions.probabilities : distributions.logits;
    for (const { job, r, own } of drafting)
      own.push(drawDraft(weights, r * size, size, job.request, job.random));
  }
}

const NOTHING = new Float32Array(0);

/** Tokens of prompt and answer from place `from` to `to`. */
const idsOf = ({ request: { prompt }, ids }: Followed, from: number, to: number): number[] => [
  ...prompt.slice(from, to),
  ...ids.slice(Math.max(0, from - prompt.length), Math.max(0, to - prompt.length)),
];

function joined(a: Float32Array, b: Float32Array): Float32Array {
  const out = new Float32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
