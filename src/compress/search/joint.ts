/**
 * Search over the sizes of an elastic network and over what can be done to it after that, together: error against costs, within limits.
 *
 * 1. The last genes choose rewrites of the extracted network, one of each list: the size of its pictures, how many of its weights are
 *    0, float or integers. They are judged together with the widths, since a narrow network in float and a wide one in int8 compete
 *    for the same milliseconds.
 * 2. Error is measured on examples that neither trained nor calibrated anything.
 */
import type { Model } from '../../graph/ir.ts';
import type { Elastic, Genome } from './elastic.ts';
import { type Evolved, type EvolveOptions, evolve } from './evolve.ts';

/** What may be done to a network that was taken out. */
export interface Rewrite {
  /** For people; empty where it is nothing to speak of. */
  readonly name: string;
  readonly apply: (model: Model) => Promise<Model>;
}

export const nothing = (name: string): Rewrite => ({ name, apply: async model => model });

/** What a candidate costs and loses. Fields beside these are kept. */
export interface Judged {
  /** Made small: for example 1 − accuracy. */
  readonly error: number;
  /** Made small: milliseconds, multiply-adds, bytes; as many of every candidate. */
  readonly costs: readonly number[];
  /** By how much limits are broken, as a share of them; 0 within. */
  readonly violation: number;
}

export interface JointOptions<J extends Judged>
  extends Pick<EvolveOptions, 'seed' | 'population' | 'generations'> {
  /** One of each list, in this order. */
  readonly rewrites: readonly (readonly Rewrite[])[];
  readonly judge: (model: Model) => Promise<J>;
  readonly onGeneration?: (generation: number, front: readonly Found<J>[]) => void;
}

export interface Found<J extends Judged> {
  readonly genome: Genome;
  /** Names of the rewrites. */
  readonly precision: string;
  readonly judged: J;
}

/** The front of error and costs within limits, by error, and the nearest miss when nothing is within them. */
export async function searchJointly<J extends Judged>(
  elastic: Elastic,
  build: (genome: Genome) => Model,
  o: JointOptions<J>,
): Promise<{ front: Found<J>[]; nearest: Found<J>; judged: number }> {
  const known = new Map<string, Found<J>>();
  const measure = async (genome: Genome) => {
    const sizes = genome.slice(0, elastic.axes.length);
    const chosen = o.rewrites.map((list, i) => list[genome[sizes.length + i] as number] as Rewrite);
    let model = build(sizes);
    for (const { apply } of chosen) model = await apply(model);
    const judged = await o.judge(model);
    known.set(genome.join(), { genome: sizes, precision: namesOf(chosen), judged });
    return { objectives: [judged.error, ...judged.costs], violation: judged.violation };
  };
  const corners = [elastic.largest, elastic.smallest].flatMap(size =>
    cornersOf(o.rewrites).map(choices => [...size, ...choices]),
  );
  const found = (evolved: Evolved['front']) => evolved.map(i => known.get(i.genome.join()) as Found<J>);
  const { front, measured } = await evolve({
    ...o,
    space: [...elastic.space, ...o.rewrites.map(list => list.length)],
    first: corners.slice(0, o.population),
    measure,
    onGeneration: (generation, best) => o.onGeneration?.(generation, found(best)),
  });
  const [nearest] = [...measured].sort((a, b) => (a.violation ?? 0) - (b.violation ?? 0));
  return { front: found(front), nearest: found([nearest])[0], judged: measured.length };
}

export const namesOf = (rewrites: readonly Rewrite[]): string =>
  rewrites.flatMap(({ name }) => (name === '' ? [] : [name])).join(', ');

/** The first of every list, then each last one alone. */
function cornersOf(rewrites: readonly (readonly Rewrite[])[]): number[][] {
  const none = rewrites.map(() => 0);
  const single = rewrites.flatMap((list, i) =>
    list.length > 1 ? [none.map((_, at) => (at === i ? list.length - 1 : 0))] : [],
  );
  return [none, ...single];
}
