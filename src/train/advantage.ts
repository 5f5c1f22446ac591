/**
 * From rewards to advantages and token weights: the choices that make GRPO, Dr. GRPO, DAPO and GDPO differ.
 */

export interface AdvantageOptions {
  /** Divide by the group's deviation (GRPO), the batch's, or nothing (Dr. GRPO). */
  readonly scale: 'group' | 'batch' | 'none';
  /** Several reward parts: add then normalize, or normalize each in its group then add (GDPO). */
  readonly parts: 'sum-then-normalize' | 'normalize-then-sum';
  /** Weight of each reward part; 1 where not named. */
  readonly weights?: Readonly<Record<string, number>>;
}

export type RewardParts = Readonly<Record<string, number>>;

export interface GroupStatistics {
  readonly mean: number;
  readonly deviation: number;
}

const EPSILON = 1e-4;

/** Mean and population standard deviation. */
export function statistics(values: readonly number[]): GroupStatistics {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance) };
}

/** Weighted sum of reward parts. */
export const totalReward = (parts: RewardParts, weights: Readonly<Record<string, number>> = {}): number =>
  Object.entries(parts).reduce((sum, [name, value]) => sum + value * (weights[name] ?? 1), 0);

/** Advantages of every response, group by group: A = (r − mean) / (deviation + 1e-4). */
export function advantages(groups: readonly (readonly RewardParts[])[], o: AdvantageOptions): number[][] {
  if (o.parts === 'normalize-then-sum') return groups.map(group => separately(group, o));
  const totals = groups.map(group => group.map(parts => totalReward(parts, o.weights)));
  const batch = statistics(totals.flat()).deviation;
  return totals.map(rewards => {
    const { mean, deviation } = statistics(rewards);
    const divisor = o.scale === 'none' ? 1 : (o.scale === 'batch' ? batch : deviation) + EPSILON;
    return rewards.map(r => (r - mean) / divisor);
  });
}

function separately(group: readonly RewardParts[], o: AdvantageOptions): number[] {
  const names = Object.keys(group[0] ?? {});
  const sums = group.map(() => 0);
  for (const name of names) {
    const values = group.map(parts => parts[name] as number);
    const { mean, deviation } = statistics(values);
    const divisor = o.scale === 'none' ? 1 : deviation + EPSILON;
    values.forEach((value, i) => {
      sums[i] = (sums[i] as number) + ((o.weights?.[name] ?? 1) * (value - mean)) / divisor;
    });
  }
  return sums;
}

/** How token losses become one number (verl's names; TRL's in parentheses). */
export type Aggregation =
  /** Σ over tokens / all response tokens (dapo, bnpo). */
  | 'token-mean'
  /** mean over responses of Σ over tokens. */
  | 'seq-mean-token-sum'
  /** mean over responses of their token mean (grpo). */
  | 'seq-mean-token-mean'
  /** Σ over tokens / (responses · longest allowed response) (dr_grpo). */
  | 'seq-mean-token-sum-norm';

/** The weight of every token of each response, given the lengths that count (0 for masked responses). */
export function tokenWeights(
  lengths: readonly number[],
  aggregation: Aggregation,
  maxLength: number,
): number[] {
  const counted = lengths.filter(n => n > 0).length;
  const tokens = lengths.reduce((a, b) => a + b, 0);
  const weights = {
    'token-mean': () => 1 / tokens,
    'seq-mean-token-sum': () => 1 / counted,
    'seq-mean-token-mean': (n: number) => 1 / (counted * n),
    'seq-mean-token-sum-norm': () => 1 / (counted * maxLength),
  } as const satisfies Record<Aggregation, (n: number) => number>;
  return lengths.map(n => (n === 0 ? 0 : weights[aggregation](n)));
}

/** DAPO's soft overlong penalty: 0 up to maxLength − cache, then falling linearly to −1 at maxLength. */
export function overlongPenalty(length: number, maxLength: number, cache: number): number {
  const excess = length - (maxLength - cache);
  return excess <= 0 ? 0 : Math.max(-1, -excess / cache);
}
