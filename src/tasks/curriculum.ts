/**
 * A curriculum: the level rises when recent problems are mostly solved and falls when hardly any are.
 *
 * 1. A group teaches only when some samples pass and some fail, so the pass rate is kept between two bounds
 *    (the signal 1 - p^G - (1-p)^G is largest in the middle).
 * 2. Only results at the current level count, averaged over the last `window` of them; a change starts afresh.
 * 3. Some draws come from easier levels, so that those are not forgotten.
 * 4. The state is a level and a short list of numbers: saved and restored, it goes on bit for bit.
 */
import { GaslawError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';
import { difficultyAt, levelAt } from './task.ts';

export interface CurriculumConfig {
  /** How many levels the task has. */
  readonly levels: number;
  /** Level to start with. Default 0. */
  readonly start?: number;
  /** Hardest level to go to. Default the last. */
  readonly last?: number;
  /** Mean pass rate under which the level falls. Default 0.1. */
  readonly lower?: number;
  /** Mean pass rate above which the level rises. Default 0.7. */
  readonly upper?: number;
  /** Problems at the current level whose pass rates are averaged. Default 256. */
  readonly window?: number;
  /** Share of draws from easier levels, uniformly. Default 0.2. */
  readonly easierShare?: number;
}

export interface CurriculumState {
  readonly level: number;
  /** Pass rates at this level, oldest first. */
  readonly recent: readonly number[];
}

export type CurriculumChange = 'raised' | 'lowered' | 'kept';

export class Curriculum {
  readonly #config: Required<CurriculumConfig>;
  #level: number;
  #recent: number[];

  constructor(config: CurriculumConfig, state?: CurriculumState) {
    this.#config = withDefaults(config);
    this.#level = state?.level ?? this.#config.start;
    this.#recent = [...(state?.recent ?? [])];
  }

  get level(): number {
    return this.#level;
  }

  /** The difficulty of the next problem. */
  draw(random: Random): number {
    const easier = this.#level > 0 && random.uniform() < this.#config.easierShare;
    return difficultyAt(easier ? random.int(this.#level) : this.#level, this.#config.levels);
  }

  /** Takes the pass rate, 0 to 1, of a problem of the drawn `difficulty`; those of other levels do not count. */
  record(difficulty: number, passRate: number): CurriculumChange {
    if (levelAt(difficulty, this.#config.levels) !== this.#level) return 'kept';
    this.#recent.push(passRate);
    if (this.#recent.length < this.#config.window) return 'kept';
    const mean = this.#recent.reduce((a, b) => a + b, 0) / this.#recent.length;
    if (mean > this.#config.upper && this.#level < this.#config.last) return this.#move(1);
    if (mean < this.#config.lower && this.#level > 0) return this.#move(-1);
    this.#recent.shift();
    return 'kept';
  }

  state(): CurriculumState {
    return { level: this.#level, recent: [...this.#recent] };
  }

  #move(by: 1 | -1): CurriculumChange {
    this.#level += by;
    this.#recent = [];
    return by > 0 ? 'raised' : 'lowered';
  }
}

function withDefaults(config: CurriculumConfig): Required<CurriculumConfig> {
  const defaults = {
    start: 0,
    last: config.levels - 1,
    lower: 0.1,
    upper: 0.7,
    window: 256,
    easierShare: 0.2,
  };
  const full = { ...defaults, ...config };
  const { start, last, levels, lower, upper } = full;
  if (start < 0 || start > last || last >= levels)
    throw new GaslawError(`curriculum: levels ${start} to ${last} are not within 0 to ${levels - 1}`);
  if (lower >= upper) throw new GaslawError(`curriculum: lower ${lower} must be under upper ${upper}`);
  return full;
}
