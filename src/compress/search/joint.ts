/**
 * Search over the sizes of an elastic network and the bits of its numbers together: error against cost, within limits.
 *
 * 1. The last gene chooses the bits: float, or integers by static quantization of the extracted network. Width and bits are
 *    judged together, since a narrow network in float and a wide one in int8 compete for the same milliseconds.
 * 2. Error is measured on examples that neither trained nor calibrated anything.
 */
import type { Model } from '../../graph/ir.ts';
import type { Elastic, Genome } from './elastic.ts';
import { type Evolved, type EvolveOptions, evolve } from './evolve.ts';

/** How a candidate's numbers are written: as they are, or after a rewrite (quantization). */
export interface Precision {
  readonly name: string;
  readonly apply: (model: Model) => Promise<Model>;
}

export const FLOAT: Precision = { name: 'float32', apply: async model => model };

/** What a candidate costs and loses. Fields beside these are kept. */
export interface Judged {
  /** Made small: for example 1 − accuracy. */
  readonly error: number;
  /** Made small: milliseconds, multiply-adds, bytes. */
  readonly cost: number;
  /** By how much limits are broken, as a share of them; 0 within. */
  readonly violation: number;
}

export interface JointOptions<J extends Judged>
  extends Pick<EvolveOptions, 'seed' | 'population' | 'generations'> {
  readonly precisions: readonly Precision[];
  readonly judge: (model: Model) => Promise<J>;
  readonly onGeneration?: (generation: number, front: readonly Found<J>[]) => void;
}

export interface Found<J extends Judged> {
  readonly genome: Genome;
  readonly precision: string;
  readonly judged: J;
}

/** The front of error and cost within limits, by error, and the nearest miss when nothing is within them. */
export async function searchJointly<J extends Judged>(
  elastic: Elastic,
  build: (genome: Genome) => Model,
  o: JointOptions<J>,
): Promise<{ front: Found<J>[]; nearest: Found<J>; judged: number }> {
  const known = new Map<string, Found<J>>();
  const measure = async (genome: Genome) => {
    const precision = o.precisions[genome[genome.length - 1]];
    const sizes = genome.slice(0, -1);
    const judged = await o.judge(await precision.apply(build(sizes)));
    known.set(genome.join(), { genome: sizes, precision: precision.name, judged });
    return { objectives: [judged.error, judged.cost], violation: judged.violation };
  };
  const corners = [elastic.largest, elastic.smallest].flatMap(size =>
    o.precisions.map((_, p) => [...size, p]),
  );
  const found = (evolved: Evolved['front']) => evolved.map(i => known.get(i.genome.join()) as Found<J>);
  const { front, measured } = await evolve({
    ...o,
    space: [...elastic.space, o.precisions.length],
    first: corners.slice(0, o.population),
    measure,
    onGeneration: (generation, best) => o.onGeneration?.(generation, found(best)),
  });
  const [nearest] = [...measured].sort((a, b) => (a.violation ?? 0) - (b.violation ?? 0));
  return { front: found(front), nearest: found([nearest])[0], judged: measured.length };
}
