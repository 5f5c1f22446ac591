/** Ranks of numbers. */

/** The middle value, of an even count the mean of the two middle ones; NaN of none. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The value at `share` of the sorted values, linear between the two around it; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)] ?? Number.NaN, sorted[Math.ceil(at)] ?? Number.NaN];
  return low + (high - low) * (at - Math.floor(at));
}
