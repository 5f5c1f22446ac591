/**
 * Seeded random numbers: PCG-like quality from a counter, so a stream's whole state is two integers.
 *
 * 1. Counter-based (splitmix32 finalizer over key and counter): resuming a run restores two numbers, and
 *    `fork(label)` gives independent streams that do not depend on how many numbers others have drawn.
 */
const MIX = (h: number): number => {
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  return (h ^ (h >>> 15)) >>> 0;
};

/** FNV-1a over UTF-16 units, finalized: a stable 32-bit hash of a label. */
export function hash32(text: string, seed = 0): number {
  let h = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return MIX(h);
}

export interface RandomState {
  readonly key: number;
  readonly counter: number;
}

export class Random {
  #key: number;
  #counter: number;

  constructor(seed: number, counter = 0) {
    this.#key = seed >>> 0;
    this.#counter = counter;
  }

  static restore(state: RandomState): Random {
    return new Random(state.key, state.counter);
  }

  state(): RandomState {
    return { key: this.#key, counter: this.#counter };
  }

  /** An independent stream named by `label` (and this stream's key, not its position). */
  fork(label: string | number): Random {
    return new Random(hash32(String(label), this.#key));
  }

  /** 32 random bits. */
  bits(): number {
    const c = this.#counter++;
    const low = MIX(this.#key ^ Math.imul(c >>> 0, 0x9e3779b9));
    return MIX((low + Math.imul(Math.floor(c / 0x100000000) + 1, 0x85ebca6b)) ^ this.#key);
  }

  /** Uniform in [0, 1) with 53 bits. */
  uniform(): number {
    return ((this.bits() >>> 5) * 0x4000000 + (this.bits() >>> 6)) / 0x20000000000000;
  }

  /** Uniform integer in [0, n). */
  int(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Uniform integer in [low, high]. */
  between(low: number, high: number): number {
    return low + this.int(high - low + 1);
  }

  /** Standard normal (Box–Muller, cosine branch). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  pick<T>(items: readonly T[]): T {
    return items[this.int(items.length)] as T;
  }

  /** A shuffled copy (Fisher–Yates). */
  shuffled<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [out[i], out[j]] = [out[j] as T, out[i] as T];
    }
    return out;
  }
}
