/**
 * The recipe by which a compressed graph learns to answer as the graph that it was: every recovery of graphs here is made by it.
 *
 * 1. The original answers examples that are changed and mixed (`transfer.ts`); no label is needed. Logits count at temperature 4
 *    (Hinton et al. 2015).
 * 2. What residual blocks end with follows the original too, where it kept its width, in units of its own power (FitNets, Romero et
 *    al. 2015): a gradient at every depth says more of few examples than one at the end.
 * 3. AdamW, whose steps suit networks with norms and without alike (SGD at the rate of the former lost the latter); the rate falls along
 *    a cosine to a hundredth; a moving average of the weights is what stays.
 * 4. Norms are measured anew at the end, on examples as they are: what mixtures leave in them is not what the model meets.
 */
import type { Augment } from '../../data/augment.ts';
import { batchesOf, type Examples } from '../../data/examples/examples.ts';
import { type Graph, type Model, opKey, typeOf } from '../../graph/ir.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { GraphTraining } from '../../train/fine-tune.ts';
import { remeasuredNorms } from '../prune/norms.ts';
import { dimsOfExamples } from '../prune/statistics.ts';
import { recovery } from './recovery.ts';
import type { Term } from './terms.ts';
import { transferBatches } from './transfer.ts';

export interface RecipeOptions {
  readonly data: Examples;
  readonly steps: number;
  readonly seed: number;
  /** Peak of the learning rate. Default 0.003. */
  readonly rate?: number;
  /** Default 64, or all examples where there are fewer. */
  readonly batchSize?: number;
  /** How examples are changed. Default: images are shifted, and flipped where they have colours. */
  readonly augment?: Augment;
  /** Weights that train; all when absent. */
  readonly parameters?: readonly string[];
  /** Steps before the first one: rounds that follow each other see other batches. Default 0. */
  readonly first?: number;
  readonly threads?: number;
}

export interface RecoveryStage extends GraphTraining {
  /** The graph as it learned so far, norms measured anew. */
  finished(): Promise<Graph>;
}

export const RECOVERY_BATCH = 64;
const RATE = 0.003;
/** Of all hints together beside the logits. */
const HINTS = 1;
/** Examples that norms are measured on. */
const MEASURED = 2000;

/** A stage in which `student`, made of `teacher`'s graph (types known), learns from it. */
export async function recoveryStage(
  runtime: Runtime,
  student: Graph,
  teacher: Model,
  {
    data,
    steps,
    seed,
    rate = RATE,
    batchSize: wanted = RECOVERY_BATCH,
    augment,
    first = 0,
    ...rest
  }: RecipeOptions,
): Promise<RecoveryStage> {
  const batchSize = Math.min(wanted, data.count);
  const draw = transferBatches(data, { batchSize, augment });
  const stage = await recovery(runtime, student, teacher, {
    ...rest,
    terms: [{ kind: 'logits' }, ...hintsOf(student, teacher.graph)],
    data: (index, random) => draw(first + index, random),
    batchSize,
    dims: dimsOfExamples(student, data),
    schedule: {
      kind: 'cosine',
      rate,
      finalRate: rate / 100,
      steps,
      warmupSteps: Math.min(50, Math.floor(steps / 10)),
    },
    optimizer: { kind: 'adamw', weightDecay: 0 },
    maxGradientNorm: 5,
    emaDecay: Math.min(0.99, 1 - 1 / steps),
    seed: seed + first,
  });
  const finished = () =>
    remeasuredNorms(runtime, { ...teacher, graph: stage.trained() }, asTheyAre(data, batchSize));
  return { ...stage, finished };
}

/** What residual blocks end with in both graphs, in equal widths. */
function hintsOf(student: Graph, teacher: Graph): Term[] {
  const shape = (graph: Graph, name: string) => typeOf(graph, name)?.shape?.slice(1).join();
  const [own, whole] = [sumsOf(student), [...sumsOf(teacher)]];
  const kept = whole.filter(name => own.has(name) && shape(student, name) === shape(teacher, name));
  return kept.map(at => ({ kind: 'hint', at, relative: true, weight: HINTS }));
}

/** Sums of two values that are computed: what residual blocks end with. */
const sumsOf = (graph: Graph): Set<string> =>
  new Set(
    graph.nodes
      .filter(n => opKey(n) === 'Add' && n.inputs.every(name => !graph.initializers.has(name)))
      .map(n => n.outputs[0] as string),
  );

function* asTheyAre(data: Examples, batchSize: number) {
  for (const at of batchesOf(Math.min(MEASURED, data.count), batchSize))
    if (at.length === batchSize) yield data.batch(at);
}
