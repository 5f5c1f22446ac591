/**
 * Points that no other point beats in every objective. All objectives are made as small as possible.
 *
 * 1. Of equal points the first counts.
 * 2. Hypervolume by slicing along the last objective (Zitzler and Thiele 1999): exact, meant for fronts of a few hundred points.
 */
import { assert } from '../../util/errors.ts';

export type Objectives = readonly number[];

/** Whether `a` is nowhere worse than `b` and somewhere better. */
export function dominates(a: Objectives, b: Objectives): boolean {
  let better = false;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    if (x > y) return false;
    if (x < y) better = true;
  }
  return better;
}

const equal = (a: Objectives, b: Objectives): boolean => a.every((x, i) => x === b[i]);

/** The items whose objectives nothing dominates, by the first objective. Items with a NaN are left out. */
export function paretoFront<T>(items: readonly T[], objectives: (item: T) => Objectives): T[] {
  const points = items.map(item => ({ item, at: objectives(item) })).filter(p => !p.at.some(Number.isNaN));
  const kept = points.filter(
    (p, i) => !points.some((q, j) => dominates(q.at, p.at) || (j < i && equal(q.at, p.at))),
  );
  return kept.sort((p, q) => (p.at[0] as number) - (q.at[0] as number)).map(p => p.item);
}

/** Indices in ranks: rank 0 is the front, rank 1 the front of the rest, and so on (Deb et al. 2002). */
export function ranked(points: readonly Objectives[]): number[][] {
  const dominators = points.map(p => points.filter(q => dominates(q, p)).length);
  const ranks: number[][] = [];
  let rank = points.flatMap((_, i) => (dominators[i] === 0 ? [i] : []));
  while (rank.length > 0) {
    ranks.push(rank);
    const next: number[] = [];
    for (const i of rank) {
      points.forEach((p, j) => {
        if (!dominates(points[i] as Objectives, p)) return;
        dominators[j] = (dominators[j] as number) - 1;
        if (dominators[j] === 0) next.push(j);
      });
    }
    rank = next;
  }
  return ranks;
}

/** How lonely each point is: the sum over objectives of the gap between its neighbours; ends are infinitely lonely. */
export function crowding(points: readonly Objectives[]): number[] {
  const distance = points.map(() => 0);
  for (let k = 0; k < (points[0]?.length ?? 0); k++) {
    const at = (i: number) => points[i]?.[k] as number;
    const order = points.map((_, i) => i).sort((i, j) => at(i) - at(j));
    const [first, last] = [order[0] as number, order[order.length - 1] as number];
    const range = at(last) - at(first) || 1;
    for (let i = 1; i < order.length - 1; i++) {
      const gap = at(order[i + 1] as number) - at(order[i - 1] as number);
      distance[order[i] as number] = (distance[order[i] as number] as number) + gap / range;
    }
    distance[first] = Number.POSITIVE_INFINITY;
    distance[last] = Number.POSITIVE_INFINITY;
  }
  return distance;
}

/** The volume that lies between the points and `reference`, which is worse than all that counts. */
export function hypervolume(points: readonly Objectives[], reference: Objectives): number {
  assert(reference.length > 0, 'hypervolume: the reference has no objectives');
  for (const p of points)
    assert(p.length === reference.length, `hypervolume: ${p.length} objectives beside ${reference.length}`);
  const inside = points.filter(p => p.every((x, i) => x < (reference[i] as number)));
  return volume(inside, reference);
}

function volume(points: readonly Objectives[], reference: Objectives): number {
  const last = reference.length - 1;
  const end = reference[last] as number;
  if (points.length === 0) return 0;
  if (last === 0) return end - Math.min(...points.map(p => p[0] as number));
  const levels = [...points].sort((p, q) => (p[last] as number) - (q[last] as number));
  return levels.reduce((sum, level, i) => {
    const height = ((levels[i + 1]?.[last] as number | undefined) ?? end) - (level[last] as number);
    if (height === 0) return sum;
    const below = levels.slice(0, i + 1).map(p => p.slice(0, last));
    return sum + height * volume(below, reference.slice(0, last));
  }, 0);
}
