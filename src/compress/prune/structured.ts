/**
 * Structured pruning: whole channels, heads and neurons leave until the work or the size that is left meets a target.
 *
 * 1. Groups are ranked across dimensions by importance, the least important first; a dimension loses at most
 *    `maxShare` of its groups.
 * 2. What a dimension keeps is rounded up to a multiple of `align` channels, since a device computes whole blocks.
 * 3. How far down the ranking to go is found by bisection on the cost of the graph that is left.
 *    Where the last group is a large step (a head), it stays and the next ones go instead, if that comes closer.
 * 4. `uniform` takes the same share of every dimension, which suits networks whose layers should stay alike.
 */
import type { Graph } from '../../graph/ir.ts';
import { cloneGraph } from '../../graph/walk.ts';
import { bindDims } from '../../ops/bind-dims.ts';
import { graphCost } from '../../ops/cost.ts';
import { inferShapes } from '../../ops/infer.ts';
import { GaslawError } from '../../util/errors.ts';
import type { Compensation } from './compensate.ts';
import { type ChannelGroup, type PruningDimension, pruningDimensions } from './groups.ts';
import { normalizedScores } from './importance.ts';
import { removeGroups } from './remove.ts';

export interface PruneTarget {
  /** Share of the multiply-adds or of the weights that may be left, in (0, 1). */
  readonly keep: number;
  readonly of: 'macs' | 'parameters';
}

export interface StructuredOptions {
  readonly target: PruneTarget;
  readonly importance: (group: ChannelGroup) => number;
  /** Changes the weights that are left for those that go (`compensate.ts`). */
  readonly compensate?: Compensation;
  /** Channels kept are a multiple of this where a layer has as many. Default 1. */
  readonly align?: number;
  /** Largest share of a dimension's groups that goes. Default 0.9. */
  readonly maxShare?: number;
  /** `global` ranks across dimensions, `uniform` takes the same share of each. Default global. */
  readonly ranking?: 'global' | 'uniform';
  /** Numbers for symbolic dims in what is counted; 1 for the others. */
  readonly dims?: ReadonlyMap<string, number>;
  /** Prune also where an op takes statistics over the channels (a transformer's hidden size). Default false. */
  readonly mixing?: boolean;
}

export interface PrunedDimension {
  readonly name: string;
  readonly before: number;
  readonly after: number;
}

export interface PruneReport {
  readonly dimensions: readonly PrunedDimension[];
  readonly macsBefore: number;
  readonly macsAfter: number;
  readonly parametersBefore: number;
  readonly parametersAfter: number;
}

/** Prunes a graph with inferred types. Returns a new graph; throws when nothing can go, or the target cannot be met. */
export function pruneStructured(
  graph: Graph,
  options: StructuredOptions,
): { graph: Graph; report: PruneReport } {
  const { target } = options;
  if (!(target.keep > 0 && target.keep < 1))
    throw new GaslawError(`the share to keep is ${target.keep}; give a number between 0 and 1`);
  const dimensions = pruningDimensions(graph).filter(d => options.mixing || !d.mixing);
  if (dimensions.length === 0)
    throw new GaslawError(
      'nothing of this model can be pruned: every channel is seen from outside or mixed with others',
    );
  const plan = new Plan(graph, dimensions, options);
  const found = plan.closest();
  const left = options.compensate ? compensated(graph, found.removed, options.compensate) : found.graph;
  return { graph: left, report: reportOf([graph, left], dimensions, found.removed, options.dims) };
}

function compensated(graph: Graph, removed: Candidate['removed'], compensate: Compensation): Graph {
  const groups = removed.flatMap(set => [...set]);
  const copy = cloneGraph(graph);
  compensate(copy, groups);
  removeGroups(copy, groups);
  return copy;
}

interface Candidate {
  /** Index of the highest score that goes. */
  readonly level: number;
  readonly graph: Graph;
  readonly removed: readonly ReadonlySet<ChannelGroup>[];
}

class Plan {
  readonly #graph: Graph;
  readonly #dimensions: readonly PruningDimension[];
  readonly #options: StructuredOptions;
  /** For each dimension its groups, least important first, with their score. */
  readonly #ranked: readonly { group: ChannelGroup; score: number }[][];
  readonly #levels: readonly number[];
  /** Groups that stay because their removal would overshoot the target. */
  readonly #kept = new Set<ChannelGroup>();

  constructor(graph: Graph, dimensions: readonly PruningDimension[], options: StructuredOptions) {
    this.#graph = graph;
    this.#dimensions = dimensions;
    this.#options = options;
    this.#ranked = dimensions.map(d => {
      const scores = normalizedScores(d, options.importance);
      const ranked = d.groups.map((group, i) => ({ group, score: scores[i] as number }));
      ranked.sort((a, b) => a.score - b.score);
      return options.ranking === 'uniform'
        ? ranked.map(({ group }, i) => ({ group, score: (i + 1) / ranked.length }))
        : ranked;
    });
    this.#levels = [...new Set(this.#ranked.flat().map(r => r.score))].sort((a, b) => a - b);
  }

  /** The mildest level that meets the target; where its last step overshoots, levels beyond it without that step's groups. */
  closest(): Candidate {
    let best = this.bisect();
    for (let attempt = 0; attempt < MOST_ATTEMPTS && this.#overshoots(best); attempt++) {
      for (const group of this.#lastStep(best)) this.#kept.add(group);
      const other = this.#bisectIfPossible();
      if (!other) break;
      if (this.#measure(other.graph) > this.#measure(best.graph)) best = other;
    }
    return best;
  }

  #overshoots({ graph }: Candidate): boolean {
    if (this.#options.ranking === 'uniform') return false;
    const goal = this.#options.target.keep * this.#measure(this.#graph);
    return this.#measure(graph) < (1 - OVERSHOOT) * goal;
  }

  /** What the level of a candidate removes that the level before it does not. */
  #lastStep({ level }: Candidate): ChannelGroup[] {
    const score = this.#levels[level];
    return this.#ranked.flatMap(ranked => ranked.filter(r => r.score === score).map(r => r.group));
  }

  #bisectIfPossible(): Candidate | undefined {
    try {
      return this.bisect();
    } catch {
      return undefined; // without these groups the target is out of reach
    }
  }

  /** The mildest level that meets the target. */
  bisect(): Candidate {
    const goal = this.#options.target.keep * this.#measure(this.#graph);
    let [low, high] = [-1, this.#levels.length - 1];
    let best = this.#at(high);
    const least = this.#measure(best.graph);
    if (least > goal) throw new GaslawError(this.#shortfall(least));
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      const candidate = this.#at(middle);
      if (this.#measure(candidate.graph) <= goal) [high, best] = [middle, candidate];
      else low = middle;
    }
    return best;
  }

  #shortfall(least: number): string {
    const { target, maxShare = MAX_SHARE } = this.#options;
    const share = (least / this.#measure(this.#graph)).toFixed(2);
    return `pruning at most ${maxShare} of each dimension leaves ${share} of the ${target.of}, more than ${target.keep}; raise the share to keep or the largest share of a dimension`;
  }

  #at(level: number): Candidate {
    const threshold = this.#levels[level] as number;
    const removed = this.#ranked.map((ranked, i) => {
      const wanted = ranked.filter(r => r.score <= threshold && !this.#kept.has(r.group));
      const count = this.#allowed(this.#dimensions[i] as PruningDimension, wanted.length);
      return new Set(wanted.slice(0, count).map(r => r.group));
    });
    const graph = cloneGraph(this.#graph);
    removeGroups(
      graph,
      removed.flatMap(set => [...set]),
    );
    return { level, graph, removed };
  }

  /** How many of `wanted` groups may go, so that the rest is aligned and not too small. */
  #allowed({ groups, groupSize }: PruningDimension, wanted: number): number {
    const { align = 1, maxShare = MAX_SHARE } = this.#options;
    const atLeast = Math.max(1, Math.ceil(groups.length * (1 - maxShare)));
    const kept = Math.max(groups.length - wanted, atLeast);
    const step = Math.max(1, Math.ceil(align / groupSize));
    return groups.length - Math.min(groups.length, Math.ceil(kept / step) * step);
  }

  #measure(graph: Graph): number {
    return measureOf(graph, this.#options.target.of, this.#options.dims);
  }
}

const MAX_SHARE = 0.9;
/** Share of the target below it that a plan may end without looking for a closer one. */
const OVERSHOOT = 0.02;
const MOST_ATTEMPTS = 8;

/** Multiply-adds at a batch of one; symbolic dims without a number are 1. */
export function macsOf(graph: Graph, dims: ReadonlyMap<string, number> = new Map()): number {
  const bound = bindDims(graph, dims, 'all');
  inferShapes(bound);
  return graphCost(bound).macs;
}

/** What a target counts. */
export const measureOf = (graph: Graph, of: PruneTarget['of'], dims?: ReadonlyMap<string, number>): number =>
  of === 'macs' ? macsOf(graph, dims) : parametersOf(graph);

/** Elements of float initializers. */
export const parametersOf = (graph: Graph): number =>
  [...graph.initializers.values()]
    .filter(t => t.dtype.startsWith('float'))
    .reduce((sum, t) => sum + t.dims.reduce((a, b) => a * b, 1), 0);

function reportOf(
  [before, after]: readonly [Graph, Graph],
  dimensions: readonly PruningDimension[],
  removed: readonly ReadonlySet<ChannelGroup>[],
  dims?: ReadonlyMap<string, number>,
): PruneReport {
  return {
    dimensions: dimensions.map((d, i) => ({
      name: d.name,
      before: d.groups.length,
      after: d.groups.length - (removed[i] as ReadonlySet<ChannelGroup>).size,
    })),
    macsBefore: macsOf(before, dims),
    macsAfter: macsOf(after, dims),
    parametersBefore: parametersOf(before),
    parametersAfter: parametersOf(after),
  };
}
