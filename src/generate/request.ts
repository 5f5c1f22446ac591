/** What is asked of an engine, what it answers, and what it keeps of a request meanwhile. */
import type { Random } from '../util/random.ts';
import type { Following } from './ahead.ts';
import type { SamplingOptions } from './sampling.ts';

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

export interface Job {
  readonly request: GenerateRequest;
  readonly random: Random;
  readonly ids: number[];
  readonly logProbs: number[];
  /** Positions held in the cache. */
  length: number;
  next: number;
  cachedTokens: number;
  /** Where the module that predicts further is in its row. */
  following: Following;
  readonly done: (completion: Completion) => void;
  readonly fail: (error: unknown) => void;
}

/** The ids at the positions that a job's row holds. */
export const heldIds = ({ request, ids, length }: Job): number[] =>
  [...request.prompt, ...ids].slice(0, length);
