/**
 * The search by blocks over a graph: scores and an exact choice instead of a network of all sizes, then each chosen network
 * learns from the whole one.
 *
 * 1. Of all choices that nothing beats in summed score and cost, a few that lie evenly in cost are made and measured.
 * 2. Limits hold for what was made: where costs do not add up exactly, cheaper choices follow until one is within them.
 */
import { firstOf, splitExamples } from '../../data/examples/examples.ts';
import { stepsOf } from '../../data/stream.ts';
import type { Graph, Model } from '../../graph/ir.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { magnitude } from '../prune/importance.ts';
import { recover } from '../prune/recover.ts';
import { blocksOf, chooseBlocks, scoreBlocks, withReplacements } from './blocks.ts';
import type { Choice } from './budget.ts';
import { paretoFront } from './pareto.ts';
import {
  type Appraisal,
  CHOOSING_SHARE,
  costOn,
  judgeOf,
  precisionsOf,
  type SearchedModel,
  type SearchOptions,
  type SearchResult,
} from './run.ts';

export interface BlockSearchOptions
  extends Omit<SearchOptions, 'population' | 'generations' | 'kernels' | 'rate' | 'zeros' | 'pictures'> {
  /** How many networks are made. */
  readonly points: number;
  readonly onScore?: (done: number, of: number) => void;
}

const SCORED = 512;
const CALIBRATION = 128;

/** `model` is imported, with a free batch. The genome of what is found says the replacement of each block. */
export async function searchBlocks(
  runtime: Runtime,
  model: Model,
  o: BlockSearchOptions,
): Promise<SearchResult> {
  const wanted = Math.round(CHOOSING_SHARE * o.examples.count);
  const [choosing, training] = splitExamples(o.examples, wanted, o.seed);
  const blocks = blocksOf(model.graph, {
    ...o,
    importance: magnitude(model.graph),
    align: o.device.channelAlignment?.value,
  });
  const cost = (m: Model) => {
    const { estimatedMs, macs, peakMemoryBytes } = costOn(m, o);
    return [estimatedMs ?? macs, peakMemoryBytes];
  };
  const scored = await scoreBlocks(
    runtime,
    model,
    blocks,
    firstOf(training, SCORED),
    m => cost(m).slice(0, 1),
    o.onScore,
  );
  const build = ({ picks }: Choice) => ({ ...model, graph: withReplacements(model.graph, blocks, picks) });
  const within = (choice: Choice) => {
    const [ms = 0, bytes = 0] = cost(build(choice));
    return ms <= (o.maxLatencyMs ?? Number.POSITIVE_INFINITY) && bytes <= (o.maxMemoryBytes ?? bytes);
  };
  const all = chooseBlocks(scored, [Number.POSITIVE_INFINITY]);
  const chosen = chosenOf(all, o.points, o.bits.includes(8) ? () => true : within);
  const judge = judgeOf(runtime, model, choosing, o);
  const precisions = precisionsOf(runtime, firstOf(training, CALIBRATION), o);
  const found: SearchedModel[] = [];
  for (const [i, choice] of chosen.entries()) {
    const learned = {
      ...model,
      graph: await learn(runtime, model, build(choice).graph, training, o, i, chosen.length),
    };
    for (const precision of precisions) {
      const judged = await judge(await precision.apply(learned));
      found.push({ genome: choice.picks, precision: precision.name, judged });
    }
    o.onGeneration?.(i + 1, frontOf(found));
  }
  const [nearest] = [...found].sort((a, b) => a.judged.violation - b.judged.violation) as [SearchedModel];
  return {
    baseline: await judge(model),
    front: frontOf(found),
    nearest,
    judged: found.length,
    space: blocks.reduce((n, b) => n * b.replacements.length, o.bits.length),
    axes: blocks.map(b => ({
      kind: 'block' as const,
      name: b.name,
      choices: b.replacements.map(r => r.kept),
    })),
  };
}

const frontOf = (found: readonly SearchedModel[]): SearchedModel[] =>
  paretoFront(
    found.filter(f => f.judged.violation === 0),
    f => objectivesOf(f.judged),
  );
const objectivesOf = ({ error, costs }: Appraisal) => [error, ...costs];

/** At most `count` of `choices` (by loss) that are within the limits, evenly in cost; the cheapest when none is. */
function chosenOf(
  choices: readonly Choice[],
  count: number,
  within: (choice: Choice) => boolean,
): readonly Choice[] {
  const costOf = (c: Choice) => c.costs[0] as number;
  const most = choices.find(within);
  const cheapest = choices.at(-1) as Choice;
  if (!most) return [cheapest];
  const step = (costOf(most) - costOf(cheapest)) / Math.max(1, count - 1);
  const wanted = Array.from({ length: count }, (_, i) => costOf(most) - i * step);
  // by loss, so the first that is no dearer loses least
  return [...new Set(wanted.map(limit => choices.find(c => costOf(c) <= limit + 1e-9 * limit) ?? cheapest))];
}

async function learn(
  runtime: Runtime,
  whole: Model,
  smaller: Graph,
  examples: SearchOptions['examples'],
  o: BlockSearchOptions,
  place: number,
  of: number,
): Promise<Graph> {
  const batchSize = Math.min(o.batchSize, examples.count);
  const steps = stepsOf(o.epochs, examples.count, batchSize);
  if (steps === 0) return smaller;
  return recover(runtime, whole.graph, smaller, {
    data: examples,
    batchSize,
    steps,
    augment: o.augment,
    seed: o.seed,
    onStep: (step, metrics) => o.onTraining?.(place * steps + step + 1, of * steps, metrics),
  });
}
