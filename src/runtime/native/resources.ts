/**
 * What a program or binding holds in native memory: released once, by `dispose` or, as a safety net, after its owner was
 * garbage collected.
 *
 * 1. Release waits for runs that are still under way off the main thread.
 */
export class Resources {
  readonly #releases: (() => void)[] = [];
  /** JavaScript memory that native code points into. */
  #kept: unknown[] = [];
  #running = 0;
  #disposed = false;

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Has `release` called at the end; what was added last is released first. */
  add(release: () => void): void {
    this.#releases.push(release);
  }

  /** Keeps `value` from being collected until everything is released. */
  keep(value: unknown): void {
    this.#kept.push(value);
  }

  /** Keeps everything until `work` has settled. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      if (this.#disposed) this.#releaseAll();
    }
  }

  dispose(): void {
    this.#disposed = true;
    this.#releaseAll();
  }

  #releaseAll(): void {
    if (this.#running > 0) return;
    while (this.#releases.length > 0) this.#releases.pop()?.();
    this.#kept = [];
  }
}

const abandoned = new FinalizationRegistry<Resources>(resources => resources.dispose());

/** Disposes `resources` when `owner` is collected; nothing reachable from `resources` may refer to `owner`. */
export const disposeWith = (owner: object, resources: Resources): void =>
  abandoned.register(owner, resources);
