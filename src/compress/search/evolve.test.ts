import { describe, expect, it } from 'vitest';
import { Random } from '../../util/random.ts';
import { evolve, type Genome } from './evolve.ts';
import { hypervolume, paretoFront } from './pareto.ts';

const SPACE = [4, 4, 4, 4, 4, 4];
/** Cost adds up, error falls with diminishing returns and an interaction of neighbours. */
const objectives = (genome: Genome): number[] => [
  genome.reduce((sum, g, i) => sum + g * (i + 1), 0),
  genome.reduce((sum, g, i) => sum + 1 / (1 + g) + 0.1 * Math.abs(g - (genome[i - 1] ?? g)), 0),
];
function* all(space: readonly number[]): Generator<number[]> {
  const [first, ...rest] = space;
  if (first === undefined) yield [];
  else for (let g = 0; g < first; g++) for (const tail of all(rest)) yield [g, ...tail];
}
const REFERENCE = [100, 10];

describe('evolve', () => {
  const options = { space: SPACE, seed: 1, population: 40, generations: 25 };
  const measure = (genome: Genome) => ({ objectives: objectives(genome) });

  it.each([1, 2, 3])('covers more of the true front than as many random draws (seed %d)', async seed => {
    const covered = (points: readonly number[][]) => hypervolume(points, REFERENCE);
    const truth = covered(paretoFront([...all(SPACE)].map(objectives), p => p));
    const first = [0, 3].map(value => SPACE.map(() => value));
    const { front, measured } = await evolve({ ...options, seed, first, measure });
    const random = new Random(seed);
    const drawn = measured.map(() => objectives(SPACE.map(values => random.int(values))));
    const share = covered(front.map(i => [...i.objectives])) / truth;
    expect(measured.length).toBeLessThan(0.26 * 4 ** SPACE.length);
    expect(share).toBeGreaterThan(covered(drawn) / truth);
    expect(share).toBeGreaterThan(0.97);
  });

  it('measures no genome twice and repeats itself for a seed', async () => {
    const seen: string[] = [];
    const counted = (genome: Genome) => {
      seen.push(genome.join());
      return measure(genome);
    };
    const first = await evolve({ ...options, generations: 5, measure: counted });
    expect(new Set(seen).size).toBe(seen.length);
    expect(await evolve({ ...options, generations: 5, measure })).toEqual(first);
    expect(await evolve({ ...options, generations: 5, seed: 2, measure })).not.toEqual(first);
  });

  it('keeps the front within the limit, and finds such genomes from ones far outside', async () => {
    const limited = (genome: Genome) => {
      const [cost = 0, error = 0] = objectives(genome);
      return { objectives: [cost, error], violation: Math.max(0, cost - 12) };
    };
    const first = Array.from({ length: 40 }, () => [3, 3, 3, 3, 3, 3]);
    const { front } = await evolve({ ...options, first, measure: limited });
    expect(front.length).toBeGreaterThan(3);
    for (const {
      objectives: [cost],
    } of front)
      expect(cost).toBeLessThanOrEqual(12);
  });

  it('tells the front after each generation', async () => {
    const sizes: number[] = [];
    await evolve({
      ...options,
      generations: 3,
      measure,
      onGeneration: (g, front) => sizes.push(g * front.length),
    });
    expect(sizes).toHaveLength(3);
    expect(Math.min(...sizes)).toBeGreaterThan(0);
  });
});
