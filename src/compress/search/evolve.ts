/**
 * Evolutionary search for a Pareto front (NSGA-II, Deb et al. 2002) over choices: gene i takes one of `space[i]` values.
 *
 * 1. Selection by rank, then by crowding, from parents and children together, so that the best is never lost.
 * 2. What breaks a limit loses against what does not, by how much it breaks it (Deb's constrained domination).
 * 3. Equal seeds give equal searches; no genome is measured twice.
 */
import { Random } from '../../util/random.ts';
import { crowding, type Objectives, paretoFront, ranked } from './pareto.ts';

export type Genome = readonly number[];

export interface Measured {
  /** Made as small as possible. */
  readonly objectives: Objectives;
  /** By how much limits are broken, in any unit; 0 within them. */
  readonly violation?: number;
}

export interface Individual extends Measured {
  readonly genome: Genome;
}

export interface EvolveOptions {
  /** Values of each gene. */
  readonly space: readonly number[];
  readonly measure: (genome: Genome) => Promise<Measured> | Measured;
  readonly seed: number;
  readonly population: number;
  readonly generations: number;
  /** Chance that a gene of a child is drawn anew; one gene a child when absent. */
  readonly mutation?: number;
  /** Genomes to begin with, for example all smallest and all largest; the others are drawn. */
  readonly first?: readonly Genome[];
  /** Called after each generation with what is known so far. */
  readonly onGeneration?: (generation: number, front: readonly Individual[]) => void;
}

/** All that was measured, and the front of what breaks no limit. */
export interface Evolved {
  readonly front: readonly Individual[];
  readonly measured: readonly Individual[];
}

export async function evolve(options: EvolveOptions): Promise<Evolved> {
  const random = new Random(options.seed).fork('evolve');
  const known = new Map<string, Individual>();
  const measure = async (genomes: readonly Genome[]) => {
    const made: Individual[] = [];
    for (const genome of genomes) {
      const key = genome.join();
      const individual = known.get(key) ?? { genome, ...(await options.measure(genome)) };
      known.set(key, individual);
      made.push(individual);
    }
    return made;
  };
  let parents = await measure(firstGenomes(options, random));
  for (let generation = 1; generation <= options.generations; generation++) {
    const children = await measure(offspring(parents, options, random, known));
    parents = survivors(distinct([...parents, ...children]), options.population);
    options.onGeneration?.(generation, frontOf(known.values()));
  }
  return { front: frontOf(known.values()), measured: [...known.values()] };
}

const frontOf = (all: Iterable<Individual>): Individual[] =>
  paretoFront(
    [...all].filter(i => (i.violation ?? 0) === 0),
    i => i.objectives,
  );

function firstGenomes({ space, population, first = [] }: EvolveOptions, random: Random): Genome[] {
  const drawn = Array.from({ length: Math.max(0, population - first.length) }, () =>
    space.map(values => random.int(values)),
  );
  return [...first, ...drawn];
}

/** Children that are new where the space still has some: a few draws, then what comes. */
function offspring(
  parents: readonly Individual[],
  { space, population, mutation = 1 / space.length }: EvolveOptions,
  random: Random,
  known: ReadonlyMap<string, Individual>,
): Genome[] {
  const better = tournament(parents, random);
  const child = (): Genome => {
    const [mother, father] = [better(), better()];
    return space.map((values, i) => {
      if (random.uniform() < mutation) return random.int(values);
      return (random.uniform() < 0.5 ? mother : father)[i] as number;
    });
  };
  return Array.from({ length: population }, () => {
    let made = child();
    for (let draw = 0; draw < 8 && known.has(made.join()); draw++) made = child();
    return made;
  });
}

/** Draws the better one of two. */
function tournament(parents: readonly Individual[], random: Random): () => Genome {
  const order = fitnessOrder(parents);
  const place = new Map(order.map((index, at) => [index, at]));
  return () => {
    const [a, b] = [random.int(parents.length), random.int(parents.length)];
    return (parents[(place.get(a) as number) <= (place.get(b) as number) ? a : b] as Individual).genome;
  };
}

const distinct = (all: readonly Individual[]): Individual[] => [
  ...new Map(all.map(i => [i.genome.join(), i])).values(),
];

const survivors = (all: readonly Individual[], count: number): Individual[] =>
  fitnessOrder(all)
    .slice(0, count)
    .map(index => all[index] as Individual);

/** Indices from best to worst: within limits by rank and loneliness, then by how much limits are broken. */
function fitnessOrder(all: readonly Individual[]): number[] {
  const violation = (i: number) => all[i]?.violation ?? 0;
  const indices = all.map((_, i) => i);
  const within = indices.filter(i => violation(i) === 0);
  const points = within.map(i => (all[i] as Individual).objectives);
  const ordered = ranked(points).flatMap(rank => {
    const lonely = crowding(rank.map(i => points[i] as Objectives));
    const byLoneliness = rank.map((i, at) => ({ i, lonely: lonely[at] as number }));
    byLoneliness.sort((a, b) => (a.lonely === b.lonely ? 0 : b.lonely - a.lonely));
    return byLoneliness.map(({ i }) => within[i] as number);
  });
  const outside = indices.filter(i => violation(i) > 0).sort((i, j) => violation(i) - violation(j));
  return [...ordered, ...outside];
}
