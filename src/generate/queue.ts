/** What waits, and what of it is read in one pass. */

/** A request that waits, by its prompt. */
export interface Waiting {
  readonly request: { readonly prompt: readonly number[] };
}

export interface GroupLimits {
  /** Requests at most. */
  readonly free: number;
  /** Prompt positions at most, padding included. */
  readonly positions: number;
  /** Whether a prompt is read by itself. */
  readonly alone: (prompt: readonly number[]) => boolean;
}

/** Takes jobs off the front of the queue, grouped by equal prompts; a prompt that is read alone is the only group. */
export function takeGroups<J extends Waiting>(waiting: J[], { free, positions, alone }: GroupLimits): J[][] {
  const groups = new Map<string, J[]>();
  let longest = 0;
  let taken = 0;
  let single = false;
  for (const job of waiting) {
    if (taken === free) break;
    const { prompt } = job.request;
    const key = prompt.join();
    const length = Math.max(longest, prompt.length);
    const known = groups.get(key);
    if (!known && groups.size > 0) {
      if (single || (groups.size + 1) * length > positions || alone(prompt)) break;
    }
    if (groups.size === 0) single = alone(prompt);
    if (known) known.push(job);
    else groups.set(key, [job]);
    longest = length;
    taken++;
  }
  waiting.splice(0, taken);
  return [...groups.values()];
}
