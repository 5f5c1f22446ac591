/**
 * What the stages of a run are to each other: their kinds, the roles that the report speaks of, costs, comparisons.
 *
 * 1. Kinds are read off the run: reward metrics mean reinforcement learning, a loss alone fine-tuning (or pretraining
 *    when there is nothing to start from, or distillation when the model is smaller than what it learns from), another
 *    file without training an export. Only a stage that took no step is known by its name.
 *    A classifier with a page of its own was compressed: its weights are its parent's, fewer of them.
 * 2. A right answer costs what one answer costs divided by pass@1: that many answers are expected until one is right.
 *    An answer's model FLOPs are 2 · active parameters a token (a multiply and an add each).
 * 3. The interval of a difference is Newcombe's (1998, method 10) from the two score intervals. It treats the two
 *    models as independent, which is on the safe side for models measured on the same problems.
 */
import type { Interval } from '../tasks/statistics.ts';
import type { ReportData, Stage } from './data.ts';
import { isNumber } from './format.ts';

export const KINDS = {
  pretrain: 'Pretraining',
  rl: 'Reinforcement learning',
  sft: 'Fine-tuning',
  distil: 'Distillation',
  export: 'Compression',
} as const;

export type Kind = keyof typeof KINDS;

export function kindOf(data: ReportData, stage: Stage): Kind {
  const own = data.metrics.filter(line => line.stage === stage.name);
  if (own.some(line => 'reward' in line) || (own.length === 0 && RL_NAME.test(stage.name))) return 'rl';
  const parents = data.stages.filter(other => stage.from.includes(other.name));
  if (stage.from.length === 0) return 'pretrain';
  if (stage.page !== undefined) return 'export';
  if (parents.some(parent => parent.parameters > stage.parameters)) return 'distil';
  const trained = own.length > 0 || stage.trainingFlops > 0;
  return !trained && stage.from.length === 1 && stage.bytes !== parents[0]?.bytes ? 'export' : 'sft';
}

const RL_NAME = /(?:^|-)(?:rl|zero)(?:-|$)/;

/** Whether the stage's weights come from `parent`; otherwise `parent` gave data. */
export const givesWeights = (stage: Stage, parent: Stage): boolean =>
  stage.from[0] === parent.name && (stage.page !== undefined || stage.parameters === parent.parameters);

/** Whether a stage that was to be trained took no step, so that its weights are those that it started from. */
export const tookNoStep = (data: ReportData, stage: Stage): boolean =>
  stage.page === undefined &&
  computeOf(stage) === 0 &&
  !data.metrics.some(line => line.stage === stage.name) &&
  kindOf(data, stage) !== 'export';

export interface Roles {
  readonly base?: Stage;
  /** Reinforcement learning straight from the base. */
  readonly zero?: Stage;
  /** The last trained model of the base's size. */
  readonly final?: Stage;
  readonly distilled?: Stage;
  /** The model of the distilled one's size that learned by reinforcement alone. */
  readonly rlOnly?: Stage;
  readonly exports: readonly Stage[];
}

export function rolesOf(data: ReportData): Roles {
  const { stages } = data;
  const kinds = new Map(stages.map(stage => [stage, kindOf(data, stage)]));
  const is = (stage: Stage, kind: Kind) => kinds.get(stage) === kind;
  const base = stages.find(stage => is(stage, 'pretrain'));
  const distilled = stages.find(stage => is(stage, 'distil'));
  const trained = stages.filter(
    stage => stage !== base && stage.parameters === base?.parameters && !is(stage, 'export'),
  );
  const startsAfresh = ({ from }: Stage): boolean =>
    from.every(name => stages.some(stage => stage.name === name && stage !== base && is(stage, 'pretrain')));
  return {
    base,
    zero: stages.find(stage => is(stage, 'rl') && stage.from[0] === base?.name),
    final: trained.at(-1),
    distilled,
    rlOnly: stages.find(
      stage => is(stage, 'rl') && distilled?.parameters === stage.parameters && startsAfresh(stage),
    ),
    exports: stages.filter(stage => is(stage, 'export')),
  };
}

export interface Cost {
  readonly seconds?: number;
  readonly flops?: number;
}

/** Expected cost of one right answer; Infinity for a model that gives none. */
export function costPerCorrect(stage: Stage): Cost {
  const { answerMs, passAt1, activeParameters, responseTokens } = stage;
  if (!isNumber(passAt1)) return {};
  return {
    seconds: isNumber(answerMs) ? answerMs / 1000 / passAt1 : undefined,
    flops: isNumber(responseTokens) ? (2 * activeParameters * responseTokens) / passAt1 : undefined,
  };
}

/** Total model FLOPs of a stage. */
export const computeOf = (stage: Stage): number => (stage.trainingFlops || 0) + (stage.samplingFlops || 0);

/** A share, or one less another. */
export interface Difference {
  readonly value: number;
  readonly interval: Interval;
}

/** What share of held-out problems or pictures a stage gets right, with its interval; NaN where it was judged by neither. */
export function shareOf({ passAt1, passAt1Interval, accuracy, accuracyInterval }: Stage): Difference {
  const value = passAt1 ?? accuracy;
  const interval = passAt1Interval ?? accuracyInterval;
  const share = isNumber(value) ? value : Number.NaN;
  return { value: share, interval: interval?.every(isNumber) ? interval : [share, share] };
}

/** A stage judged by answers. */
export type Measured = Stage & Required<Pick<Stage, 'passAt1' | 'passAt1Interval'>>;

/** Whether pass@1 is there and a number; JSON turns NaN into null. */
export const isMeasured = (stage: Stage | undefined): stage is Measured =>
  stage !== undefined && isNumber(stage.passAt1) && stage.passAt1Interval?.every(isNumber) === true;

/** pass@1 of `a` less that of `b`. */
export function differenceOf(a: Measured, b: Measured): Difference {
  const value = a.passAt1 - b.passAt1;
  const [aLow, aHigh] = a.passAt1Interval;
  const [bLow, bHigh] = b.passAt1Interval;
  const low = value - Math.hypot(a.passAt1 - aLow, bHigh - b.passAt1);
  const high = value + Math.hypot(aHigh - a.passAt1, b.passAt1 - bLow);
  return { value, interval: [low, high] };
}

/** Points that no other point beats: less x and more y. Sorted by x. */
export function paretoFront<T extends { readonly x: number; readonly y: number }>(points: readonly T[]): T[] {
  const sorted = [...points].sort((a, b) => a.x - b.x || b.y - a.y);
  let best = Number.NEGATIVE_INFINITY;
  return sorted.filter(point => {
    const better = point.y > best;
    if (better) best = point.y;
    return better;
  });
}
