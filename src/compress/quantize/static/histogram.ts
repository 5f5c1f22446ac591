/** Counts of values in equal bins between two ends. */
import type { Range } from './affine.ts';

export class Histogram {
  readonly range: Range;
  readonly counts: Float64Array;
  readonly #perUnit: number;

  constructor(range: Range, bins: number) {
    this.range = range;
    this.counts = new Float64Array(bins);
    this.#perUnit = range.high > range.low ? bins / (range.high - range.low) : 0;
  }

  /** Values outside go to the bins at the ends. */
  add(values: ArrayLike<number>): void {
    const { counts } = this;
    const { low } = this.range;
    const last = counts.length - 1;
    for (let i = 0; i < values.length; i++) {
      const bin = Math.floor(((values[i] as number) - low) * this.#perUnit);
      const at = Math.max(0, Math.min(bin, last));
      counts[at] = (counts[at] as number) + 1;
    }
  }

  get total(): number {
    return this.counts.reduce((sum, n) => sum + n, 0);
  }

  get binWidth(): number {
    return (this.range.high - this.range.low) / this.counts.length;
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
