/**
 * Counts of values in equal bins between two ends, with the mean of each bin: values on a grid of their own (pixels, features
 * that were integers before) are then taken where they are, and a scale that hits them all has no error.
 */
import type { Range } from './affine.ts';

export class Histogram {
  readonly range: Range;
  readonly counts: Float64Array;
  readonly #sums: Float64Array;
  readonly #perUnit: number;

  constructor(range: Range, bins: number) {
    this.range = range;
    this.counts = new Float64Array(bins);
    this.#sums = new Float64Array(bins);
    this.#perUnit = range.high > range.low ? bins / (range.high - range.low) : 0;
  }

  /** Values outside go to the bins at the ends. */
  add(values: ArrayLike<number>): void {
    const { counts } = this;
    const { low } = this.range;
    const last = counts.length - 1;
    for (let i = 0; i < values.length; i++) {
      const x = values[i] as number;
      const bin = Math.floor((x - low) * this.#perUnit);
      const at = Math.max(0, Math.min(bin, last));
      counts[at] = (counts[at] as number) + 1;
      this.#sums[at] = (this.#sums[at] as number) + x;
    }
  }

  get total(): number {
    return this.counts.reduce((sum, n) => sum + n, 0);
  }

  get binWidth(): number {
    return (this.range.high - this.range.low) / this.counts.length;
  }

  /** The mean of a bin's values; there must be some. */
  mean(bin: number): number {
    return (this.#sums[bin] as number) / (this.counts[bin] as number);
  }

  /** Where a bin lies. */
  center(bin: number): number {
    return this.range.low + (bin + 0.5) * this.binWidth;
  }

  /** The value below which `share` of all values lie, linear within a bin. */
  quantile(share: number): number {
    let left = share * this.total;
    for (let bin = 0; bin < this.counts.length; bin++) {
      const count = this.counts[bin] as number;
      if (left <= count && count > 0) return this.range.low + (bin + left / count) * this.binWidth;
      left -= count;
    }
    return this.range.high;
  }

  /** Counts over [−m, m] with m the larger end, `2 half + 1` bins of which the middle one holds 0: for `entropyThreshold`. */
  centered(half: number): Float64Array {
    const m = Math.max(-this.range.low, this.range.high);
    const out = new Float64Array(2 * half + 1);
    const width = (2 * m) / out.length;
    this.counts.forEach((count, bin) => {
      const at = Math.min(out.length - 1, Math.max(0, Math.floor((this.center(bin) + m) / width)));
      out[at] = (out[at] as number) + count;
    });
    return out;
  }
}
