import { describe, expect, it } from 'vitest';
import { Random } from '../../util/random.ts';
import { budgetFront, type Option, solveBudget } from './budget.ts';
import { paretoFront } from './pareto.ts';

const groupsOf = (seed: number, count: number, options: number, budgets: number): Option[][] => {
  const random = new Random(seed);
  return Array.from({ length: count }, () =>
    Array.from({ length: options }, () => ({
      loss: random.uniform(),
      costs: Array.from({ length: budgets }, () => random.int(20) + random.uniform()),
    })),
  );
};

/** Every choice there is. */
function* all(groups: readonly (readonly Option[])[]): Generator<number[]> {
  const [first, ...rest] = groups;
  if (!first) yield [];
  else for (let i = 0; i < first.length; i++) for (const picks of all(rest)) yield [i, ...picks];
}
const summed = (groups: readonly (readonly Option[])[], picks: readonly number[], budgets: number) => {
  const options = picks.map((pick, i) => groups[i]?.[pick] as Option);
  return {
    loss: options.reduce((sum, o) => sum + o.loss, 0),
    costs: Array.from({ length: budgets }, (_, k) => options.reduce((sum, o) => sum + (o.costs[k] ?? 0), 0)),
  };
};

describe.each([1, 2])('with %d budgets', budgets => {
  it.each([1, 2, 3, 4])('finds the best of all choices (problem %d)', seed => {
    const groups = groupsOf(seed, 6, 4, budgets);
    const limits = new Array<number>(budgets).fill(48);
    const within = [...all(groups)]
      .map(picks => summed(groups, picks, budgets))
      .filter(c => c.costs.every((cost, k) => cost <= (limits[k] as number)));
    const best = Math.min(...within.map(c => c.loss));
    const found = solveBudget(groups, limits);
    expect(found?.loss).toBeCloseTo(best, 12);
    expect(summed(groups, found?.picks ?? [], budgets).loss).toBeCloseTo(best, 12);
    expect(budgetFront(groups, limits).map(c => c.loss)).toEqual(
      paretoFront(within, c => [c.loss, ...c.costs]).map(c => expect.closeTo(c.loss, 10)),
    );
  });
});

describe('a budget', () => {
  const groups = [[{ loss: 1, costs: [2] }], [{ loss: 1, costs: [3] }]];
  it('may be met exactly', () => expect(solveBudget(groups, [5])?.picks).toEqual([0, 0]));
  it('that nothing meets has no choice', () => expect(solveBudget(groups, [4.9])).toBeUndefined());
  it('over an empty group is refused', () =>
    expect(() => solveBudget([[]], [1])).toThrow('budget: group 0 has no option'));
  it('whose trade-off is too long is refused, not guessed', () =>
    expect(() => solveBudget(groupsOf(9, 12, 4, 1), [1e9], 20)).toThrow('give fewer options or round'));
});

it('fifty layers of four widths are solved', () => {
  const groups = groupsOf(3, 50, 4, 1).map(group =>
    group.map(o => ({ loss: o.loss, costs: o.costs.map(c => Math.round(c * 10)) })),
  );
  const found = solveBudget(groups, [4000]);
  expect(found?.picks).toHaveLength(50);
  expect(found?.costs[0]).toBeLessThanOrEqual(4000);
});
