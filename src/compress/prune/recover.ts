/**
 * Pruning with recovery: a part goes, what is left learns from the whole model, and again until the target is met.
 *
 * 1. The unpruned model teaches in every round; no label is needed but where importance or a term of the loss asks for one.
 * 2. Rounds take equal factors of the work: after round i of n the share keep^(i/n) is left. All but the last get half of the
 *    steps together, as they only have to keep the next ranking honest.
 */
import { type Graph, modelOf } from '../../graph/ir.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { recovery as distilling, type RecoveryOptions } from '../distil/recovery.ts';
import type { Term } from '../distil/terms.ts';
import type { ChannelGroup } from './groups.ts';
import { measureOf, type PruneReport, pruneStructured, type StructuredOptions } from './structured.ts';

export interface RecoverOptions extends Omit<RecoveryOptions, 'schedule' | 'terms'> {
  /** Default: the teacher's logits alone. */
  readonly terms?: readonly Term[];
  /** Of all rounds together. */
  readonly steps: number;
  /** Peak of each round's learning rate; it falls to a hundredth along a cosine. */
  readonly rate: number;
  readonly onStep?: (step: number, metrics: Readonly<Record<string, number>>) => void;
}

export interface IterativeOptions extends Omit<StructuredOptions, 'importance'> {
  /** Measures anew what matters in the graph that a round starts from. */
  readonly importance: (
    graph: Graph,
  ) => ((group: ChannelGroup) => number) | Promise<(group: ChannelGroup) => number>;
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
  const { target, rounds = 1 } = options;
  const whole = measureOf(graph, target.of);
  const reports: PruneReport[] = [];
  let current = graph;
  let step = 0;
  for (let round = 1; round <= rounds; round++) {
    const keep = (target.keep ** (round / rounds) * whole) / measureOf(current, target.of);
    if (keep < 1) {
      const importance = await options.importance(current);
      const pruned = pruneStructured(current, { ...options, importance, target: { ...target, keep } });
      reports.push(pruned.report);
      current = pruned.graph;
    }
    const steps = stepsOf(round, rounds, recovery.steps);
    current = await recover(runtime, graph, current, { ...recovery, steps }, step);
    step += steps;
  }
  return { graph: current, report: joined(reports) };
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

/** `student` after learning from `teacher`; steps count from `first`, so that rounds see other batches. */
export async function recover(
  runtime: Runtime,
  teacher: Graph,
  student: Graph,
  { steps, rate, onStep, terms = [{ kind: 'logits' }], ...options }: RecoverOptions,
  first = 0,
): Promise<Graph> {
  const warmupSteps = Math.min(50, Math.floor(steps / 10));
  using training = await distilling(runtime, student, modelOf(teacher), {
    ...options,
    terms,
    data: (index, random) => options.data(first + index, random),
    seed: options.seed + first,
    schedule: { kind: 'cosine', rate, finalRate: rate / 100, steps, warmupSteps },
  });
  for (let i = 0; i < steps; i++) {
    const metrics = await training.step(i);
    onStep?.(first + i, metrics);
  }
  return training.trained();
}
