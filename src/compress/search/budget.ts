/**
 * One option of every group so that the losses' sum is smallest and each cost's sum stays within its budget: the multiple-choice
 * knapsack of bit widths, layer replacements and widths.
 *
 * 1. Exact, over real numbers: partial choices that another one beats in loss and in every cost are dropped (Nemhauser and
 *    Ullmann 1969), and those that cannot end within a budget. What is left at the end is the whole trade-off.
 * 2. The number of partial choices can grow with every group; beyond `limit` this says so instead of guessing.
 */
import { GaslawError } from '../../util/errors.ts';
import { dominates } from './pareto.ts';

export interface Option {
  readonly loss: number;
  /** As many as there are budgets, not negative. */
  readonly costs: readonly number[];
}

export interface Choice {
  /** Index of the option of each group. */
  readonly picks: readonly number[];
  readonly loss: number;
  readonly costs: readonly number[];
}

interface Partial {
  readonly loss: number;
  readonly costs: readonly number[];
  readonly pick: number;
  readonly before: Partial | undefined;
}

const LIMIT = 200_000;

/** The choice of least loss within the budgets; undefined when no choice is. */
export const solveBudget = (
  groups: readonly (readonly Option[])[],
  budgets: readonly number[],
  limit = LIMIT,
): Choice | undefined => budgetFront(groups, budgets, limit)[0];

/**
 * Every choice within the budgets that no other beats in loss and all costs, by loss.
 * Throws when a group is empty or the partial choices exceed `limit`.
 */
export function budgetFront(
  groups: readonly (readonly Option[])[],
  budgets: readonly number[],
  limit = LIMIT,
): Choice[] {
  groups.forEach((group, i) => {
    if (group.length === 0) throw new GaslawError(`budget: group ${i} has no option to choose from`);
  });
  const cheapest = leastCosts(groups, budgets.length);
  let partials: Partial[] = [{ loss: 0, costs: budgets.map(() => 0), pick: -1, before: undefined }];
  groups.forEach((group, i) => {
    const rest = cheapest[i + 1] as readonly number[];
    const grown = partials
      .flatMap(before => group.map((option, pick) => extended(before, option, pick)))
      .filter(p => p.costs.every((cost, k) => cost + (rest[k] as number) <= (budgets[k] as number)));
    partials = unbeaten(grown);
    if (partials.length > limit)
      throw new GaslawError(
        `budget: ${partials.length} partial choices after group ${i + 1} of ${groups.length}; give fewer options or round their costs`,
      );
  });
  return partials.map(({ loss, costs, ...last }) => ({
    picks: picksOf({ loss, costs, ...last }),
    loss,
    costs,
  }));
}

const extended = (before: Partial, option: Option, pick: number): Partial => ({
  loss: before.loss + option.loss,
  costs: before.costs.map((cost, k) => cost + (option.costs[k] as number)),
  pick,
  before,
});

/** By group, what all groups from it on cost at least; one entry more than there are groups. */
function leastCosts(groups: readonly (readonly Option[])[], count: number): number[][] {
  const sums = [new Array<number>(count).fill(0)];
  for (const group of [...groups].reverse()) {
    const after = sums[0] as number[];
    sums.unshift(after.map((sum, k) => sum + Math.min(...group.map(o => o.costs[k] as number))));
  }
  return sums;
}

/** Those that no other beats, by loss. */
function unbeaten(partials: Partial[]): Partial[] {
  partials.sort((a, b) => a.loss - b.loss || compare(a.costs, b.costs));
  const kept: Partial[] = [];
  for (const p of partials) if (!isBeaten(p, kept)) kept.push(p);
  return kept;
}

/** `kept` has no greater loss than p: p stands if some cost of it is lower than each one's. */
function isBeaten(p: Partial, kept: readonly Partial[]): boolean {
  const last = kept[kept.length - 1];
  // with one cost it falls from one kept choice to the next
  if (p.costs.length === 1) return last !== undefined && (last.costs[0] as number) <= (p.costs[0] as number);
  return kept.some(k => dominates(k.costs, p.costs) || compare(k.costs, p.costs) === 0);
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

function picksOf(last: Partial): number[] {
  const picks: number[] = [];
  for (let p: Partial | undefined = last; p?.before; p = p.before) picks.unshift(p.pick);
  return picks;
}
