/**
 * Alarms: the ways small-model training goes wrong that people ask about most, told when they happen.
 * Each alarm is raised once until its condition has cleared; a loss that stays NaN ends the run.
 */
import { GaslawError } from '../util/errors.ts';
import { median } from '../util/statistics.ts';

export interface AlarmOptions {
  /** Gradient norm above this many times its running median is called exploding. */
  readonly normFactor?: number;
  /** Mean entropy (nats a token) under which the policy is called collapsed. */
  readonly minEntropy?: number;
  /** Share of groups with equal rewards above which a step teaches almost nothing. */
  readonly maxEqualGroups?: number;
  /** Steps in a row without a finite loss that end the run. */
  readonly patience?: number;
}

type Metrics = Readonly<Record<string, number>>;

const HISTORY = 101;

export class Alarms {
  readonly #o: Required<AlarmOptions>;
  readonly #norms: number[] = [];
  readonly #raised = new Set<string>();
  #broken = 0;

  constructor(options: AlarmOptions = {}) {
    this.#o = { normFactor: 20, minEntropy: 0.02, maxEqualGroups: 0.95, patience: 3, ...options };
  }

  /** Sentences for what went wrong at this step. Throws when the loss has not been finite for `patience` steps. */
  check(stage: string, step: number, metrics: Metrics): string[] {
    const at = `${stage}, step ${step}`;
    this.#countBroken(at, metrics);
    const norm = metrics.gradient_norm;
    const median = this.#median();
    if (norm !== undefined && Number.isFinite(norm)) this.#remember(norm);
    const { normFactor, minEntropy, maxEqualGroups } = this.#o;
    return [
      this.#when('nan', this.#broken > 0, `${at}: the loss is not a finite number; the update was skipped`),
      this.#when(
        'norm',
        norm !== undefined && median > 0 && norm > normFactor * median,
        `${at}: gradient norm ${norm?.toFixed(2)} is ${((norm ?? 0) / median).toFixed(0)} times its usual size; lower the learning rate`,
      ),
      this.#when(
        'entropy',
        (metrics.entropy ?? 1) < minEntropy,
        `${at}: entropy fell to ${metrics.entropy?.toFixed(4)} nats; the policy has collapsed, lower the rate or raise clipHigh`,
      ),
      this.#when(
        'groups',
        (metrics.equal_groups ?? 0) > maxEqualGroups,
        `${at}: ${((metrics.equal_groups ?? 0) * 100).toFixed(0)} % of groups have equal rewards; change the difficulty`,
      ),
    ].filter(message => message !== undefined);
  }

  #countBroken(at: string, metrics: Metrics): void {
    const finite = Number.isFinite(metrics.loss ?? 0) && Number.isFinite(metrics.gradient_norm ?? 0);
    this.#broken = finite ? 0 : this.#broken + 1;
    if (this.#broken >= this.#o.patience) {
      throw new GaslawError(
        `${at}: the loss has not been finite for ${this.#broken} steps; resume from the last checkpoint with a lower learning rate`,
      );
    }
  }

  #when(name: string, condition: boolean, message: string): string | undefined {
    if (!condition) {
      this.#raised.delete(name);
      return undefined;
    }
    if (this.#raised.has(name)) return undefined;
    this.#raised.add(name);
    return message;
  }

  #remember(norm: number): void {
    this.#norms.push(norm);
    if (this.#norms.length > HISTORY) this.#norms.shift();
  }

  #median(): number {
    return this.#norms.length < 10 ? 0 : median(this.#norms);
  }
}
