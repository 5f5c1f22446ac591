import { describe, expect, it } from 'vitest';
import { Random } from '../../util/random.ts';
import { crowding, dominates, hypervolume, paretoFront, ranked } from './pareto.ts';

const identity = (p: readonly number[]) => p;
const points = (seed: number, count: number, objectives: number) => {
  const random = new Random(seed);
  return Array.from({ length: count }, () => Array.from({ length: objectives }, () => random.int(8)));
};

describe('paretoFront', () => {
  it('keeps what nothing beats, in order of the first objective, equal points once', () => {
    const given = [
      [3, 1],
      [1, 3],
      [2, 2],
      [2, 3],
      [1, 3],
      [Number.NaN, 0],
    ];
    expect(paretoFront(given, identity)).toEqual([
      [1, 3],
      [2, 2],
      [3, 1],
    ]);
  });

  it.each([2, 3])('of %d objectives: every point is on the front or beaten by one that is', objectives => {
    const given = points(objectives, 60, objectives);
    const front = paretoFront(given, identity);
    for (const p of given)
      expect(front.some(f => dominates(f, p) || f.every((x, i) => x === p[i]))).toBe(true);
    for (const a of front) for (const b of front) expect(dominates(a, b)).toBe(false);
  });
});

describe('ranked', () => {
  it('peels front after front', () => {
    const given = points(5, 50, 2);
    let rest = given.map((p, i) => ({ p, i }));
    for (const rank of ranked(given)) {
      const front = rest.filter(a => !rest.some(b => dominates(b.p, a.p)));
      expect([...rank].sort((x, y) => x - y)).toEqual(front.map(f => f.i));
      rest = rest.filter(a => !rank.includes(a.i));
    }
    expect(rest).toEqual([]);
  });
});

describe('crowding', () => {
  it('is infinite at the ends and the neighbours’ normalized gap between', () => {
    const got = crowding([
      [0, 10],
      [1, 6],
      [4, 0],
      [2, 5],
    ]);
    expect(got[0]).toBe(Number.POSITIVE_INFINITY);
    expect(got[2]).toBe(Number.POSITIVE_INFINITY);
    expect(got[1]).toBeCloseTo(2 / 4 + 5 / 10, 12);
    expect(got[3]).toBeCloseTo(3 / 4 + 6 / 10, 12);
  });
});

describe('hypervolume', () => {
  it('of one point is the box to the reference', () => {
    expect(hypervolume([[1, 2, 3]], [4, 4, 4])).toBe(3 * 2 * 1);
  });

  it('of a staircase is its area', () => {
    const stairs = [
      [1, 3],
      [2, 2],
      [3, 1],
    ];
    expect(hypervolume(stairs, [4, 4])).toBe(3 + 2 + 1);
    expect(hypervolume([...stairs, [3, 3], [5, 0]], [4, 4])).toBe(6);
  });

  it.each([2, 3, 4])('of %d objectives counts the unit cells that a point dominates', objectives => {
    const given = points(20 + objectives, 12, objectives);
    const cells = Array.from({ length: 8 ** objectives }, (_, n) =>
      Array.from({ length: objectives }, (_, k) => Math.floor(n / 8 ** k) % 8),
    );
    const covered = cells.filter(cell => given.some(p => p.every((x, i) => x <= (cell[i] as number))));
    expect(hypervolume(given, new Array(objectives).fill(8))).toBe(covered.length);
  });
});
