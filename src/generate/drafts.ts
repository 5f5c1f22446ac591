/**
 * Guesses of the next tokens that the model then checks in one pass (speculative decoding; Leviathan et al. 2023,
 * arXiv:2211.17192).
 *
 * 1. A drafter names tokens, not probabilities: its guess is a point mass, for which the rejection rule is to sample from the
 *    model and to keep the draft as far as the samples agree with it. So what is sampled, and with which random numbers, is
 *    what it is without drafts.
 * 2. `promptLookup` guesses that what followed the last few tokens before follows again (Saxena 2023): code, quotations and
 *    lists repeat themselves, and it costs nothing.
 */
export interface Drafter {
  /** Up to `most` tokens that may follow `ids`; none when it has no guess. */
  draft(ids: readonly number[], most: number): readonly number[];
}

/** Looks for the latest earlier place of the last `longest` … `shortest` tokens. */
export const promptLookup = (longest = 3, shortest = 2): Drafter => ({
  draft(ids, most) {
    for (let n = longest; n >= shortest; n--) {
      const at = lastPlace(ids, n);
      if (at >= 0) return ids.slice(at + n, at + n + most);
    }
    return [];
  },
});

/** Where the last `n` ids stood before, latest first; −1 when nowhere. */
function lastPlace(ids: readonly number[], n: number): number {
  const end = ids.length - n;
  for (let at = end - 1; at >= 0; at--) {
    let same = 0;
    while (same < n && ids[at + same] === ids[end + same]) same++;
    if (same === n) return at;
  }
  return -1;
}
