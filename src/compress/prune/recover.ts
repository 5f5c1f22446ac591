/**
 * Pruning with recovery: a part goes, what is left learns from the whole model, and again until the target is met.
 *
 * 1. The unpruned model teaches in every round; no label is needed but where importance or a term of the loss asks for one.
 * 2. Rounds take equal factors of the work: after round i of n the share keep^(i/n) is left. All but the last get half of the
 *    steps together, as they only have to keep the next ranking honest.
 */
import { type Graph, modelOf } from '../../graph/ir.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { type RecipeOptions, recoveryStage } from '../distil/recipe.ts';
import type { Compensation } from './compensate.ts';
import type { ChannelGroup } from './groups.ts';
import { measureOf, type PruneReport, pruneStructured, type StructuredOptions } from './structured.ts';

/** `steps` are those of all rounds together. */
export interface RecoverOptions extends Omit<RecipeOptions, 'first'> {
  readonly onStep?: (step: number, metrics: Readonly<Record<string, number>>) => void;
}

export interface IterativeOptions extends Omit<StructuredOptions, 'importance' | 'compensate'> {
  /** Measures anew what matters in the graph that a round starts from. */
  readonly importance: (
    graph: Graph,
  ) => ((group: ChannelGroup) => number) | Promise<(group: ChannelGroup) => number>;
  /** What is left makes up for what goes, as the graph is that a round starts from. */
  readonly compensation?: (graph: Graph) => Promise<Compensation>;
  /** Default 1. */
  readonly rounds?: number;
}

/** Prunes `graph` (types inferred) to the target and trains what is left to answer as it did. */
export async function pruneAndRecover(
  runtime: Runtime,
  graph: Graph,
  options: IterativeOptions,
  recovery: RecoverOptions,
): Promise<{ graph: Graph; report: PruneReport }> {
  const { target, dims, rounds = 1 } = options;
  const whole = measureOf(graph, target.of, dims);
  const reports: PruneReport[] = [];
  let current = graph;
  let step = 0;
  for (let round = 1; round <= rounds; round++) {
    const keep = (target.keep ** (round / rounds) * whole) / measureOf(current, target.of, dims);
    if (keep < 1) {
      const pruned = await prunedTo(current, { ...options, target: { ...target, keep } });
      reports.push(pruned.report);
      current = pruned.graph;
    }
    const steps = stepsOf(round, rounds, recovery.steps);
    current = await recover(runtime, graph, current, { ...recovery, steps }, step);
    step += steps;
  }
  return { graph: current, report: joined(reports) };
}

/** One round without recovery. */
export async function prunedTo(graph: Graph, options: IterativeOptions) {
  const importance = await options.importance(graph);
  const compensate = await options.compensation?.(graph);
  return pruneStructured(graph, { ...options, importance, compensate });
}

/** From before the first to after the last. */
function joined(reports: readonly PruneReport[]): PruneReport {
  const [first, last] = [reports[0], reports.at(-1)] as [PruneReport, PruneReport];
  const left = new Map(reports.flatMap(r => r.dimensions.map(d => [d.name, d.after])));
  return {
    dimensions: first.dimensions.map(d => ({ ...d, after: left.get(d.name) ?? d.after })),
    macsBefore: first.macsBefore,
    macsAfter: last.macsAfter,
    parametersBefore: first.parametersBefore,
    parametersAfter: last.parametersAfter,
  };
}

function stepsOf(round: number, rounds: number, steps: number): number {
  const early = rounds > 1 ? Math.floor(steps / 2 / (rounds - 1)) : 0;
  return round < rounds ? early : steps - early * (rounds - 1);
}

/** `student` after learning from `teacher`; steps count from `first`. */
export async function recover(
  runtime: Runtime,
  teacher: Graph,
  student: Graph,
  { onStep, ...options }: RecoverOptions,
  first = 0,
): Promise<Graph> {
  using stage = await recoveryStage(runtime, student, modelOf(teacher), { ...options, first });
  for (let i = 0; i < options.steps; i++) {
    const metrics = await stage.step(i);
    onStep?.(first + i, metrics);
  }
  return stage.finished();
}
