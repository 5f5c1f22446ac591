/**
 * How much a group of channels matters.
 *
 *   magnitude    Σ w²                       over the group's weights (Li et al. 2017, as grouped by DepGraph)
 *   taylor       E_batch[(Σ g w)²]          first-order change of the loss when the group goes (Molchanov et al. 2019)
 *   scale        Σ |γ|                      of the batch normalizations that the group runs through (Liu et al. 2017)
 *   activation   ‖E_batch |x|‖              what flows through the group, forward only (Muralidharan et al. 2024, Minitron)
 *
 * 1. Scores of a dimension are divided by their mean, so that dimensions can be ranked against each other.
 */
import { type Graph, opKey, type Tensor } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import type { ChannelGroup, ChannelRun, PruningDimension } from './groups.ts';

/** One number a channel of an axis: Σ over everything else. */
export type ChannelSums = (run: Pick<ChannelRun, 'value' | 'axis'>) => Float64Array | undefined;

/** Σ of `terms` of a tensor's elements, for every channel of an axis. */
export function sumsAlong(
  { dims, data }: Tensor,
  axis: number,
  term: (v: number, i: number) => number,
): Float64Array {
  const length = dims[axis] as number;
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const sums = new Float64Array(length);
  const values = data as Float32Array;
  for (let i = 0; i < values.length; i++) {
    const c = Math.floor(i / inner) % length;
    sums[c] = (sums[c] as number) + term(values[i] as number, i);
  }
  return sums;
}

/** Sums by channel of what `terms` gives for each weight; cached by value and axis. */
export function weightSums(graph: Graph, term: (name: string, v: number, i: number) => number): ChannelSums {
  const known = new Map<string, Float64Array>();
  return ({ value, axis }) => {
    const tensor = graph.initializers.get(value);
    if (tensor?.dtype !== 'float32') return undefined;
    const key = `${value}\0${axis}`;
    const sums = known.get(key) ?? sumsAlong(tensor, axis, (v, i) => term(value, v, i));
    known.set(key, sums);
    return sums;
  };
}

const total = (runs: readonly ChannelRun[], sums: ChannelSums): number => {
  let sum = 0;
  for (const run of runs) {
    const of = sums(run);
    if (of) for (const c of run.channels) sum += of[c] as number;
  }
  return sum;
};

export const magnitude = (graph: Graph): ((group: ChannelGroup) => number) => {
  const sums = weightSums(graph, (_, v) => v * v);
  return group => total(group.weights, sums);
};

/** `gradients`: one map of gradients by weight name for every batch. */
export function taylor(
  graph: Graph,
  gradients: readonly ReadonlyMap<string, Float32Array>[],
): (group: ChannelGroup) => number {
  if (gradients.length === 0)
    throw new GaslawError('importance taylor needs gradients of labelled data; give data, or use magnitude');
  const batches = gradients.map(g => weightSums(graph, (name, v, i) => v * (g.get(name)?.[i] ?? 0)));
  return group => batches.reduce((sum, b) => sum + total(group.weights, b) ** 2, 0) / batches.length;
}

/** Scales of the batch normalizations; groups without one take their magnitude. */
export function scale(graph: Graph): (group: ChannelGroup) => number {
  const scales = new Set(
    graph.nodes.filter(n => opKey(n) === 'BatchNormalization').map(n => n.inputs[1] as string),
  );
  if (scales.size === 0)
    throw new GaslawError(
      'importance scale needs batch normalizations, which this model lacks; use magnitude',
    );
  const sums = weightSums(graph, (_, v) => Math.abs(v));
  return group =>
    total(
      group.weights.filter(w => scales.has(w.value)),
      sums,
    );
}

/** `means`: E|x| by channel of each activation, by value and axis (see activations.ts). */
export const activation =
  (means: ChannelSums): ((group: ChannelGroup) => number) =>
  group =>
    Math.sqrt(
      group.activations.reduce((sum, run) => {
        const of = means(run);
        return of ? sum + run.channels.reduce((s, c) => s + (of[c] as number) ** 2, 0) : sum;
      }, 0),
    );

/** Scores of every group of a dimension, with mean 1. */
export function normalizedScores(
  dimension: PruningDimension,
  score: (group: ChannelGroup) => number,
): number[] {
  const scores = dimension.groups.map(score);
  const mean = scores.reduce((a, b) => a + b, 0) / scores.length;
  return mean > 0 ? scores.map(s => s / mean) : scores;
}
