/**
 * Replacing a network's blocks by smaller ones: each replacement is scored alone, and the choice of one for every block is exact.
 *
 * 1. A block is a residual layer with the channels within it, or a dimension of channels outside of all layers. It may stay
 *    whole, keep a share of its channels, or (a layer) go.
 * 2. Score of a replacement: divergence of the network's answers with it alone from the whole network's: KL where outputs are
 *    classes, else relative squared error. Scores and costs are taken to add up; what was chosen is measured as a whole.
 * Source: Puzzle (Bercovich et al. 2024, arXiv:2411.19146), for replace-one-block scores and a solver over them.
 */
import type { Examples } from '../../data/examples/examples.ts';
import type { Graph, Model, Tensor } from '../../graph/ir.ts';
import { cloneGraph } from '../../graph/walk.ts';
import { doubles } from '../../runtime/reference/tensor.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { logitsName } from '../../train/graph-learner.ts';
import { GaslawError } from '../../util/errors.ts';
import { forEachBatch } from '../evaluate.ts';
import { layerBranches, type ResidualBranch, withoutBranches } from '../prune/depth.ts';
import { type ChannelGroup, type PruningDimension, pruningDimensions } from '../prune/groups.ts';
import { removeGroups } from '../prune/remove.ts';
import { budgetFront, type Choice, type Option } from './budget.ts';
import { type ElasticOptions, groupsKept } from './elastic.ts';

export interface Replacement {
  /** Share of the block's channels that stays: 0 for a layer that goes, 1 for the whole. */
  readonly kept: number;
  readonly groups: readonly ChannelGroup[];
  readonly branches: readonly ResidualBranch[];
}

export interface Block {
  readonly name: string;
  /** Smallest first; the last is the whole. */
  readonly replacements: readonly Replacement[];
}

const WHOLE: Replacement = { kept: 1, groups: [], branches: [] };

/** The blocks of a graph (types inferred). Throws when it has none. */
export function blocksOf(graph: Graph, options: Omit<ElasticOptions, 'kernels'>): Block[] {
  const layers = options.depth ? layerBranches(graph) : [];
  const free = new Set(pruningDimensions(graph).filter(d => !d.mixing));
  const blocks = layers.map(branch => {
    const left = withoutBranches(graph, [branch]).initializers;
    const inside = [...free].filter(d => d.groups[0]?.weights.every(w => !left.has(w.value)));
    for (const dimension of inside) free.delete(dimension);
    return blockOf(branch.sum, inside, options, [branch]);
  });
  const others = [...free].map(dimension => blockOf(dimension.name, [dimension], options));
  const found = [...blocks, ...others].filter(b => b.replacements.length > 1);
  if (found.length > 0) return found;
  throw new GaslawError(`graph "${graph.name}": no block of it can be made smaller; allow widths or depth`);
}

function blockOf(
  name: string,
  dimensions: readonly PruningDimension[],
  { widths = [], align = 1, importance }: ElasticOptions,
  branches: readonly ResidualBranch[] = [],
): Block {
  const shares = [...new Set(widths)].filter(share => share < 1).sort((a, b) => a - b);
  const narrow = shares.map(kept => ({
    kept,
    branches: [],
    groups: dimensions.flatMap(d => least(d, groupsKept(d, kept, align), importance)),
  }));
  // alignment may leave nothing to take, or what another share takes
  const distinct = narrow.filter(
    (r, i) => r.groups.length > 0 && narrow[i + 1]?.groups.length !== r.groups.length,
  );
  const out = branches.length > 0 ? [{ kept: 0, groups: [], branches }] : [];
  return { name, replacements: [...out, ...distinct, WHOLE] };
}

/** The least important groups, all but `kept` of them. */
function least(
  { groups }: PruningDimension,
  kept: number,
  importance: (group: ChannelGroup) => number,
): ChannelGroup[] {
  const order = groups.map(group => ({ group, score: importance(group) }));
  return order
    .sort((a, b) => a.score - b.score)
    .slice(0, groups.length - kept)
    .map(({ group }) => group);
}

/** `graph` with the replacement that is picked for each block. */
export function withReplacements(graph: Graph, blocks: readonly Block[], picks: readonly number[]): Graph {
  const chosen = blocks.map((block, i) => {
    const replacement = block.replacements[picks[i] ?? -1];
    if (replacement) return replacement;
    throw new GaslawError(`block "${block.name}" has no replacement ${picks[i]}`);
  });
  const smaller = cloneGraph(graph);
  removeGroups(
    smaller,
    chosen.flatMap(r => r.groups),
  );
  return withoutBranches(
    smaller,
    chosen.flatMap(r => r.branches),
  );
}

export interface ScoredBlocks {
  readonly blocks: readonly Block[];
  /** By block and replacement: what it loses, and what it costs beyond the block's cheapest. */
  readonly options: readonly (readonly Option[])[];
  /** What the network costs with the cheapest replacement of every block. */
  readonly least: readonly number[];
}

/** Scores every replacement alone on the examples; `cost` tells what a model costs, as numbers that add up. */
export async function scoreBlocks(
  runtime: Runtime,
  model: Model,
  blocks: readonly Block[],
  examples: Examples,
  cost: (model: Model) => readonly number[],
  onScore?: (done: number, of: number) => void,
): Promise<ScoredBlocks> {
  const whole = await answersOf(runtime, model, examples);
  const full = cost(model);
  const total = blocks.reduce((sum, b) => sum + b.replacements.length - 1, 0);
  let done = 0;
  const raw: { loss: number; costs: readonly number[] }[][] = [];
  for (const [i, block] of blocks.entries()) {
    const scores: { loss: number; costs: readonly number[] }[] = [];
    for (const pick of block.replacements.keys()) {
      if (pick === block.replacements.length - 1) {
        scores.push({ loss: 0, costs: full });
        continue;
      }
      const picks = blocks.map((b, k) => (k === i ? pick : b.replacements.length - 1));
      const alone = { ...model, graph: withReplacements(model.graph, blocks, picks) };
      const answers = await answersOf(runtime, alone, examples);
      scores.push({ loss: divergenceOf(whole, answers), costs: cost(alone) });
      onScore?.(++done, total);
    }
    raw.push(scores);
  }
  const cheapest = raw.map(scores => full.map((_, k) => Math.min(...scores.map(s => s.costs[k] as number))));
  return {
    blocks,
    options: raw.map((scores, i) =>
      scores.map(s => ({
        loss: s.loss,
        costs: s.costs.map((c, k) => c - (cheapest[i]?.[k] as number)),
      })),
    ),
    least: full.map((c, k) => cheapest.reduce((sum, low) => sum - (c - (low[k] as number)), c)),
  };
}

/** Every choice within `budgets` (of the network's cost) that no other beats, by loss; costs are the network's. */
export function chooseBlocks({ options, least }: ScoredBlocks, budgets: readonly number[]): Choice[] {
  const left = budgets.map((budget, k) => budget - (least[k] as number));
  return budgetFront(options, left).map(choice => ({
    ...choice,
    costs: choice.costs.map((c, k) => c + (least[k] as number)),
  }));
}

interface Answers {
  /** Logarithms of probabilities in rows, or values as they are. */
  readonly rows: readonly Float64Array[];
  readonly kind: 'classes' | 'values';
}

/** The first output over all examples. */
async function answersOf(runtime: Runtime, model: Model, examples: Examples): Promise<Answers> {
  const output = model.graph.outputs[0]?.name as string;
  const isProbability = logitsName(model.graph, output) !== output;
  const rows: Float64Array[] = [];
  let kind: Answers['kind'] = 'values';
  await forEachBatch(runtime, model, examples, {}, (outputs, indices) => {
    const y = outputs[output] as Tensor;
    const values = doubles(y);
    const used = values.subarray(0, (values.length / (y.dims[0] as number)) * indices.length);
    const classes = y.dims.at(-1) as number;
    if (y.dims.length < 2 || y.dims.length > 3 || classes < 2) {
      rows.push(Float64Array.from(used));
      return;
    }
    kind = 'classes';
    for (let at = 0; at < used.length; at += classes)
      rows.push(logProbabilities(used.subarray(at, at + classes), isProbability));
  });
  return { rows, kind };
}

const SMALLEST = 1e-12;

function logProbabilities(row: Float64Array, isProbability: boolean): Float64Array {
  if (isProbability) return row.map(p => Math.log(Math.max(p, SMALLEST)));
  const top = row.reduce((a, b) => Math.max(a, b));
  const logZ = top + Math.log(row.reduce((sum, z) => sum + Math.exp(z - top), 0));
  return row.map(z => z - logZ);
}

/** Mean KL(whole ‖ other) of the rows, or Σ (y − ŷ)² / Σ y². */
function divergenceOf(whole: Answers, other: Answers): number {
  let [sum, scale] = [0, 0];
  whole.rows.forEach((row, r) => {
    const now = other.rows[r] as Float64Array;
    row.forEach((y, i) => {
      const x = now[i] as number;
      if (whole.kind === 'classes') sum += Math.exp(y) * (y - x);
      else [sum, scale] = [sum + (y - x) ** 2, scale + y * y];
    });
  });
  return Math.max(0, whole.kind === 'classes' ? sum / whole.rows.length : sum / Math.max(scale, SMALLEST));
}
